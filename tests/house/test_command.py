"""The `tessera` command as a process: help with examples, exit codes, one clear error each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from tessera.cli import app

TESSERA = Path(sys.executable).with_name("tessera")


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TESSERA, *words],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def commands(group: object, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command that can be run, as its words."""
    children = getattr(group, "commands", {})
    if not children:
        return [above]
    return [found for name, child in children.items() for found in commands(child, (*above, name))]


ALL = commands(typer.main.get_command(app))


def test_the_commands_of_the_road_are_there() -> None:
    wanted = {"check", "simulate", "patch", "validate", "report", "schema", "doctor"}
    assert wanted <= {words[0] for words in ALL}
    assert {"setup", "build", "run", "xtest", "shell", "clean"} <= {
        words[1] for words in ALL if words[0] == "guest"
    }


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_helps_with_an_example(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "Example" in done.stdout


NO_SPEC = ("check", "simulate", "patch", "validate", "report")


@pytest.mark.parametrize("command", NO_SPEC)
@pytest.mark.parametrize("content", [None, b"\xff\xfe spec"], ids=["missing", "not UTF-8"])
def test_a_bad_spec_is_one_clear_error_in_every_command(
    command: str, content: bytes | None, tmp_path: Path
) -> None:
    spec = tmp_path / "mine.tess"
    if content is not None:
        spec.write_bytes(content)
    more = ("--tree", str(tmp_path)) if command == "patch" else ()
    done = run(command, spec, *more, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "error" in done.stderr
    assert "mine" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    left = {file.name for file in tmp_path.rglob("*") if file.is_file()}
    assert left <= {"mine.tess"}, "nothing is written for a spec that cannot be read"


def test_a_folder_is_not_a_spec(tmp_path: Path) -> None:
    done = run("simulate", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
