"""The lessons' specs find their defects and prove their fixes, and docs/worked.md quotes them."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera import resources
from tessera.cli import app
from tessera.lang import load
from tessera.prove import check
from tessera.results import Obligation

PAGE = (Path(__file__).resolve().parents[2] / "docs/worked.md").read_text("utf-8")
LESSONS = {file.name: file.read_text("utf-8") for file in resources.path("specs/lessons").iterdir()}
BLOCK = re.compile(r"<!-- (file|part of): (\S+) -->\n```tess\n(.*?)```", re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with copies of all lessons."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name, text in LESSONS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def verdicts(name: str) -> list[Obligation]:
    return list(check(load(str(resources.path(f"specs/lessons/{name}"))), jobs=1))


@pytest.mark.parametrize(
    ("name", "broken", "steps"),
    [
        ("ring_buffer_bug.tess", {"kept", "order"}, 2),
        ("refcount_bug.tess", {"usable", "counted"}, 3),
    ],
)
def test_the_defect_is_found(name: str, broken: set[str], steps: int) -> None:
    found = verdicts(name)
    assert all(o.met for o in found)
    violated = [o for o in found if o.verdict == "VIOLATED"]
    assert {o.property for o in violated} == broken
    for one in violated:
        assert one.trace is not None and one.trace.replayed
        assert len(one.trace.steps) == steps + 1


@pytest.mark.parametrize("name", ["ring_buffer.tess", "refcount.tess"])
def test_the_fix_is_proved(name: str) -> None:
    assert {o.verdict for o in verdicts(name)} == {"PROVED"}


@pytest.mark.parametrize(
    ("name", "guard", "without"),
    [
        ("ring_buffer.tess", "(capacity & (capacity - 1)) == 0", "capacity > 0"),
        ("ring_buffer.tess", "count() < capacity", "count() <= capacity"),
        ("refcount.tess", "  nth(o, number(r)) := last\n", ""),
    ],
)
def test_the_proof_needs_what_was_added(folder: Path, name: str, guard: str, without: str) -> None:
    assert guard in LESSONS[name]
    (folder / "weaker.tess").write_text(LESSONS[name].replace(guard, without))
    done = CliRunner().invoke(app, ["check", "weaker.tess", "--jobs", "1", "--steps", "2"])
    assert done.exit_code in (1, 3), done.output


def test_a_state_that_is_too_large_to_show_is_said_to_be(folder: Path) -> None:
    text = LESSONS["refcount.tess"].replace(" and count(o) < 255", "")
    (folder / "wraps.tess").write_text(text.replace("  require count(o) < 255\n", ""))
    (found,) = (
        o
        for o in check(load("wraps.tess"), jobs=1, steps=1, only={"alive"})
        if o.id == "refcount/get/alive"
    )
    assert found.verdict == "UNKNOWN"
    assert "canceled" not in found.detail and "resource units" in found.detail
    assert found.hint.startswith("no state with at most 3 unnamed things of each sort breaks it")
    assert "raise --limit above 20000000" in found.hint


def test_the_page_quotes_the_lessons_truly() -> None:
    quoted = BLOCK.findall(PAGE)
    assert len(quoted) == PAGE.count("```tess")
    assert {name for _, name, _ in quoted} == set(LESSONS)
    for kind, name, text in quoted:
        assert text == LESSONS[name] if kind == "file" else text.rstrip() in LESSONS[name]


def said(text: str) -> list[str]:
    """Lines without trailing space; the time of solving differs from run to run."""
    return [re.sub(r"\([0-9.]+ s of solving\)", "()", line.rstrip()) for line in text.splitlines()]


@pytest.mark.usefixtures("folder")
def test_every_output_on_the_page_is_real() -> None:
    commands = 0
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.S):
        for line, wanted in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            words, _, target = line.partition(" > ")
            program, *rest = shlex.split(words)
            if program == "sed":
                done = subprocess.run(["sed", *rest], capture_output=True, text=True, check=True)
                Path(target).write_text(done.stdout)
            else:
                output = CliRunner().invoke(app, [*rest, "--jobs", "1"]).stdout
                assert said(output) == said(wanted), line
            commands += 1
    assert commands == 8
