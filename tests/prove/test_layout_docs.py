"""docs/layout.md shows what the command prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera.cli import app

PAGE = (Path(__file__).resolve().parents[2] / "docs/layout.md").read_text("utf-8")
SHOWN = re.findall(r"```sh\n(tessera [^\n]*)\n```\n\n```text\n(.*?)\n```\n", PAGE, re.DOTALL)
TIGHT = re.search(r"```text\n(platform tight.*?)```\n", PAGE, re.DOTALL)


def without_cost(text: str) -> str:
    """The lines without trailing blanks; what Z3 spent may differ between builds of it."""
    lines = "\n".join(line.rstrip() for line in text.rstrip().split("\n"))
    return re.sub(r"\(\d+ Z3 resource units\)", "(... units)", lines)


def test_every_command_is_followed_by_its_output() -> None:
    assert len(SHOWN) == PAGE.count("```sh\n") == 4


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[c for c, _ in SHOWN])
def test_output(command: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TIGHT is not None
    monkeypatch.chdir(tmp_path)
    Path("tight.tess").write_text(TIGHT[1], "utf-8")
    done = CliRunner().invoke(app, command.split()[1:])
    assert without_cost(done.stdout) == without_cost(output)


def test_the_picture_is_what_the_command_draws(tmp_path: Path) -> None:
    command = next(c for c, _ in SHOWN if "--fix" in c).split()[1:]
    drawn = tmp_path / "map.svg"
    assert CliRunner().invoke(app, [*command, "--svg", str(drawn)]).exit_code == 0
    (name,) = re.findall(r"\]\((layout/[^)]*\.svg)\)", PAGE)
    kept = Path(__file__).resolve().parents[2] / "docs" / name
    assert drawn.read_text("utf-8") == kept.read_text("utf-8")
