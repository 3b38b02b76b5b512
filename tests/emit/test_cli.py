"""`tessera patch` on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tessera import resources
from tessera.cli import main

PRIORITY = str(resources.path("specs/policies/priority.tess"))
VANILLA = str(resources.path("specs/policies/vanilla.tess"))


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def tessera(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `tessera patch` as a user would, without the cost of a new process."""

    def run(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["tessera", "patch", *args])
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        seen = capsys.readouterr()
        return Done(code, seen.out, seen.err)

    return run


def test_patch_goes_to_stdout(tessera: Run, toy_tree: Path) -> None:
    done = tessera(PRIORITY, "--tree", str(toy_tree))
    assert done.returncode == 0 and done.stdout.startswith("From 000000") and done.stderr == ""


def test_output_file_and_stat(tessera: Run, toy_tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.patch"
    done = tessera(PRIORITY, "--tree", str(toy_tree), "-o", str(out), "--stat")
    assert done.returncode == 0
    assert "19\t0\tcore/mm/tee_mm.c\n" in done.stdout
    assert "  13  window\n" in done.stdout and "  28  of 32 lines, OP-TEE 4.10\n" in done.stdout
    assert out.read_text() == tessera(PRIORITY, "--tree", str(toy_tree)).stdout


def test_json(tessera: Run, toy_tree: Path) -> None:
    done = tessera(PRIORITY, "--tree", str(toy_tree), "--json")
    record = json.loads(done.stdout)
    assert record["added"] == 28 and record["removed"] == 0 and record["budget"] == 32
    assert record["target"] == "OP-TEE 4.10" and record["text"].startswith("From ")


def test_nothing_to_patch_is_said(tessera: Run, toy_tree: Path) -> None:
    done = tessera(VANILLA, "--tree", str(toy_tree))
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to patch" in done.stderr


def test_help_has_an_example(tessera: Run) -> None:
    done = tessera("--help")
    assert done.returncode == 0 and "--tree optee_os" in done.stdout.replace("\n", " ")


def one_error(done: Done) -> str:
    """The message of a run that must fail as the user's mistake, without output."""
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1 and "  help: " in done.stderr
    return done.stderr


@pytest.mark.parametrize("target", ["no/such/folder/p.patch", ".", "file/p.patch"])
def test_unwritable_output(tessera: Run, toy_tree: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    before = sorted(tmp_path.iterdir())
    done = tessera(PRIORITY, "--tree", str(toy_tree), "-o", str(tmp_path / target))
    assert "cannot write the patch" in one_error(done)
    assert sorted(tmp_path.iterdir()) == before


def test_missing_tree(tessera: Run, tmp_path: Path) -> None:
    assert "does not exist" in one_error(tessera(PRIORITY, "--tree", str(tmp_path / "no")))


def test_not_optee(tessera: Run, tmp_path: Path) -> None:
    assert "not an OP-TEE source tree" in one_error(tessera(PRIORITY, "--tree", str(tmp_path)))


def test_failed_run_leaves_an_old_output_alone(tessera: Run, tmp_path: Path) -> None:
    out = tmp_path / "p.patch"
    out.write_text("old")
    one_error(tessera(PRIORITY, "--tree", str(tmp_path), "-o", str(out)))
    assert out.read_text() == "old"


def test_missing_spec(tessera: Run, toy_tree: Path, tmp_path: Path) -> None:
    one_error(tessera(str(tmp_path / "no.tess"), "--tree", str(toy_tree)))
