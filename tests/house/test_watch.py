"""`--watch`: again on every change, and a mistake is waited out."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tessera.cli import watch as module
from tessera.cli.watch import watch
from tessera.errors import TesseraError


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)


def change(file: Path, text: str) -> None:
    """Another text and a later time, whatever the clock's grain, both at once."""
    later = file.stat().st_mtime_ns + 10_000_000
    new = file.with_name(f"{file.name}.new")
    new.write_text(text)
    os.utime(new, ns=(later, later))
    new.replace(file)


def test_again_on_every_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, used = tmp_path / "a", tmp_path / "b"
    file.write_text("0")
    used.write_text("0")
    seen: list[str] = []

    def again() -> list[Path]:
        seen.append(file.read_text() + used.read_text())
        follow = {"00": (file, "1"), "10": (file, "2"), "20": (used, "3")}.get(seen[-1])
        if follow:
            threading.Timer(0.1, change, follow).start()
        if seen[-1] == "10":
            raise TesseraError("a mistake")
        return [file, used]

    watch(again, [file], most=4)
    assert seen == ["00", "10", "20", "23"]
    assert "a mistake" in capsys.readouterr().err


def test_a_change_while_it_runs_is_not_missed(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("0")
    runs = 0

    def again() -> list[Path]:
        nonlocal runs
        runs += 1
        if runs == 1:
            change(file, "1")
        return [file]

    watch(again, [file], most=2)
    assert runs == 2


def test_control_c_ends_it(tmp_path: Path) -> None:
    def again() -> list[Path]:
        raise KeyboardInterrupt

    watch(again, [tmp_path])
