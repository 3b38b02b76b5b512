"""docs/traces.md shows what the commands really print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "traces.md"


def said(text: str) -> list[str]:
    """Lines without trailing space; the time of solving differs from run to run."""
    return [re.sub(r"\([0-9.]+ s of solving\)", "()", line.rstrip()) for line in text.splitlines()]


def test_every_output_on_the_page_is_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```tess\n(.*?)```", page, re.S):
        Path(name).write_text(text)
    blocks = re.findall(r"```console\n(.*?)```", page, re.S)
    commands = 0
    for block in blocks:
        for line, wanted in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            words, _, target = line.partition(" > ")
            done = CliRunner().invoke(app, [*shlex.split(words)[1:], *_one_job(words)])
            if target:
                Path(target).write_text(done.stdout)
            else:
                assert said(done.stdout) == said(wanted), line
            commands += 1
    assert commands == 7


def _one_job(words: str) -> list[str]:
    return ["--jobs", "1"] if " check " in words else []
