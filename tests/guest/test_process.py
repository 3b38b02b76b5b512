"""Programs that fail, hang or are missing, and a QEMU that must not be left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.guest import machine, process, qemu
from tessera.guest.console import Silent


def _gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.05)
    return False


def test_output_and_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert process.run(["sh", "-c", "echo out; echo err >&2"], log=log) == "out\nerr\n"
    assert log.read_text() == "out\nerr\n"


def test_a_failing_program_shows_its_last_lines() -> None:
    script = "for i in $(seq 50); do echo line $i; done; exit 3"
    with pytest.raises(TesseraError, match="exit code 3") as caught:
        process.run(["sh", "-c", script])
    assert "line 50" in caught.value.message
    assert "line 20\n" not in caught.value.message


def test_a_missing_program_names_the_mending_command() -> None:
    with pytest.raises(TesseraError, match="no-such-program is not installed") as caught:
        process.run(["no-such-program"])
    assert caught.value.remedy == "tessera guest setup"


def test_a_hanging_program_is_killed_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {note}; wait"
    with pytest.raises(TesseraError, match="did not finish within 1 s"):
        process.run(["sh", "-c", script], timeout=1)
    assert _gone(int(note.read_text()))


FAKE_QEMU = """#!{python}
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
open({note!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
for word in sys.argv:
    if word.startswith("file:"):
        open(word[5:], "w").write({secure!r})
time.sleep({seconds})
"""


@pytest.fixture
def fake_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a program named like QEMU first on the PATH; it notes its and its child's ids."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "note"


def _install(note: Path, seconds: int = 600, secure: str = "I/TC: fine\n") -> None:
    program = note.parent / qemu.PROGRAM
    text = FAKE_QEMU.format(python=sys.executable, note=str(note), secure=secure, seconds=seconds)
    program.write_text(text)
    program.chmod(0o755)


def _wait_for(note: Path) -> list[int]:
    for _ in range(400):
        if note.is_file() and len(note.read_text().split()) == 2:
            return [int(word) for word in note.read_text().split()]
        time.sleep(0.05)
    raise AssertionError("the fake QEMU did not start")


def test_killing_qemu_kills_its_children(fake_qemu: Path, tmp_path: Path) -> None:
    _install(fake_qemu)
    started = qemu.Qemu([], tmp_path / "a.log", tmp_path / "b.log")
    pids = _wait_for(fake_qemu)
    assert not started.ended()
    started.kill()
    assert all(_gone(pid) for pid in pids)


def test_qemu_dies_when_we_are_killed(fake_qemu: Path, tmp_path: Path) -> None:
    _install(fake_qemu)
    script = (
        "import time\nfrom pathlib import Path\nfrom tessera.guest import qemu\n"
        f"q = qemu.Qemu([], Path({str(tmp_path / 'a')!r}), Path({str(tmp_path / 'b')!r}))\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    pid = _wait_for(fake_qemu)[0]
    parent.kill()
    parent.wait()
    assert _gone(pid)


def test_a_guest_that_used_up_its_lifetime_is_killed_and_says_so(
    fake_qemu: Path, tmp_path: Path
) -> None:
    _install(fake_qemu)
    started = qemu.Qemu([], tmp_path / "a.log", tmp_path / "b.log", lifetime=2)
    pids = _wait_for(fake_qemu)
    try:
        with pytest.raises(machine.GuestError, match="used up its lifetime"):
            machine.Guest(started, tmp_path / "a.log", tmp_path / "b.log")
        assert all(_gone(pid) for pid in pids)
    finally:
        started.kill()


def test_a_hung_guest_is_one_error_with_both_consoles(
    fake_qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(fake_qemu, secure="I/TC: the last secure words\n")
    monkeypatch.setattr(machine, "BOOT_TIMEOUT", 2.0)
    started = qemu.Qemu([], tmp_path / "a.log", tmp_path / "b.log")
    (tmp_path / "a.log").write_text("the last words of Linux\n")
    _wait_for(fake_qemu)
    try:
        with pytest.raises(machine.GuestError) as caught:
            machine.Guest(started, tmp_path / "a.log", tmp_path / "b.log")
    finally:
        started.kill()
    text = caught.value.render()
    assert "no answer in time" in text
    assert "the last words of Linux" in text
    assert "the last secure words" in text
    assert caught.value.exit_code == 2


def test_a_guest_that_ends_is_noticed_before_the_deadline(fake_qemu: Path, tmp_path: Path) -> None:
    _install(fake_qemu, seconds=0)
    started = qemu.Qemu([], tmp_path / "a.log", tmp_path / "b.log")
    try:
        with pytest.raises(machine.GuestError, match=r"the guest stopped|console was closed"):
            machine.Guest(started, tmp_path / "a.log", tmp_path / "b.log")
    finally:
        started.kill()


@pytest.mark.parametrize(
    ("line", "panicked"),
    [
        ("E/TC:0 0 Panic 'assertion' at core/mm/tee_mm.c:1 <f>\n", True),
        ("E/TC:0 Panic at core/kernel/panic.c:1 <f>\n", True),
        ("E/TC:? 0 TA panicked with code 0xffff0006\n", False),
        ("E/TA:  Panic button pressed\n", False),
    ],
)
def test_only_a_panic_of_the_core_ends_the_wait(
    fake_qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, panicked: bool
) -> None:
    _install(fake_qemu, secure=line)
    monkeypatch.setattr(machine, "BOOT_TIMEOUT", 2.0)
    started = qemu.Qemu([], tmp_path / "a.log", tmp_path / "b.log")
    _wait_for(fake_qemu)
    try:
        with pytest.raises(machine.GuestError) as caught:
            machine.Guest(started, tmp_path / "a.log", tmp_path / "b.log")
    finally:
        started.kill()
    assert ("OP-TEE panicked" in caught.value.message) == panicked
    assert isinstance(caught.value.__cause__, Silent)


def test_makes_own_words_do_not_reach_the_programs_we_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("CC", "not-a-compiler")
    assert "CC=not-a-compiler" in process.run(["env"])
    assert "MAKE" not in process.run(["env"])
    clean = process.run(["env"], env={"SOURCE_DATE_EPOCH": "1"}, clean=True)
    assert "CC=" not in clean
    assert "PATH=" in clean
    assert "SOURCE_DATE_EPOCH=1" in clean


def test_a_place_for_logs_that_cannot_be_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TesseraError, match="cannot write the guest's logs"):
        machine._fresh_logs(tmp_path / "file/logs", "x")


def test_logs_of_an_earlier_run_are_gone(tmp_path: Path) -> None:
    (tmp_path / "x.optee.log").write_text("E/TC:0 0 Panic 'old' at a.c:1 <f>\n")
    _linux, secure = machine._fresh_logs(tmp_path, "x")
    assert secure.read_text() == ""
