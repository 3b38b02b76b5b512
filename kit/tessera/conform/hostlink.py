"""Talking to the lockstep program.

Goal: `Program` asks one side for one operation after the other, has both sides take a list, or has
them take a seeded stream; a crash of the C (a sanitizer's report, a signal) is an answer like any
other.
Non-goals: judging answers of a single side (see `lockstep`).
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from types import TracebackType

from tessera.conform.operations import Op, read_log
from tessera.errors import TesseraError

SIDES = ("tree", "reference")
ENDLESS = "it does not come to an end"
_TIMEOUT = 3600
_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
    "PATH": "/usr/bin:/bin",
}


class Status(IntEnum):
    """As `enum status` of lockstep.h; CRASHED when the program is gone."""

    NOTHING = 0
    DONE = 1
    REFUSED = 2
    PANIC = 3
    CRASHED = 4


@dataclass(frozen=True, slots=True)
class Stats:
    """As OP-TEE reports them, in 32 bits."""

    size: int
    allocated: int
    most: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What one side did. `stats` per pool, then together; `content` by pool and granule."""

    status: Status
    pool: int = 0
    injected: bool = False
    offset: int = 0
    size: int = 0
    address: int = 0
    stats: tuple[Stats, ...] = ()
    content: tuple[dict[int, int], ...] = ()
    why: str = ""  # of a panic or crash


@dataclass(frozen=True, slots=True)
class Raced:
    """What the fast loop saw: counts, and where it stopped."""

    taken: int
    requests: int
    refused: int
    injected: int
    world: int = 0
    ops: tuple[Op, ...] = ()  # of the episode that differs
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled lockstep program and the setting that it reads."""

    path: Path
    setting: Path

    def session(self, world: int, side: str) -> Session:
        """One side in one world, operation by operation."""
        return Session(self, world, side)

    def both(self, world: int, ops: Sequence[Op]) -> tuple[int, str]:
        """How many operations both sides take alike, and how they differ then ("" if not)."""
        lines = "".join(op.line for op in ops)
        done = self._run("both", str(world), given=lines)
        said = done.stdout.split("\n", 1)[0].split(" ", 2)
        if said[0] == "agrees":
            return len(ops), ""
        if said[0] == "differs":
            return max(int(said[1]) - 1, 0), said[2]
        return 0, f"crash {crash_text(done.stderr, done.returncode)}"

    def race(self, many: int, seed: int) -> Raced:
        """A seeded stream of `many` operations, over all worlds of the setting in turn."""
        with tempfile.TemporaryDirectory(prefix="tessera-log-") as scratch:
            log = Path(scratch, "log")
            done = self._run("race", str(many), str(seed), str(log))
            lines = done.stdout.splitlines()
            if len(lines) == 1 and done.returncode == 0:
                return _raced(lines[0])
            world, ops = read_log(log.read_bytes() if log.exists() else b"")
        if len(lines) == 2 and done.returncode == 0:
            differs = lines[0].split(" ", 2)[2]
            return replace(_raced(lines[1]), world=world, ops=tuple(ops), differs=differs)
        crash = crash_text(done.stderr, done.returncode)
        return Raced(0, 0, 0, 0, world, tuple(ops), f"crash {crash}")

    def _run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(self.path), str(self.setting), *words]
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT,
            env=_ENVIRONMENT,
        )
        _refuse_broken(done.returncode, done.stderr)
        return done


class Session:
    """One side in one world; a context manager."""

    def __init__(self, program: Program, world: int, side: str) -> None:
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (see __exit__)
        self._child = subprocess.Popen(
            [str(program.path), str(program.setting), "serve", str(world), side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=_ENVIRONMENT,
        )
        self._crashed: Reply | None = None

    def take(self, op: Op) -> Reply:
        """What the side does. After a crash every answer is the crash."""
        if self._crashed is None:
            assert self._child.stdin is not None and self._child.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.write(op.line)
                self._child.stdin.flush()
            line = self._child.stdout.readline()
            if line.endswith("\n"):
                return _reply(line)
            self._crashed = self._crash()
        return self._crashed

    def end(self) -> int:
        """Give everything back; how many heap objects are left over then."""
        if self._crashed is not None:
            return 0
        out, _ = self._child.communicate(timeout=60)
        words = out.split()
        return int(words[-1]) if words else -1

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _crash(self) -> Reply:
        code = self._child.wait()
        self._errors.seek(0)
        said = self._errors.read()
        _refuse_broken(code, said)
        return Reply(Status.CRASHED, why=crash_text(said, code))


def _raced(line: str) -> Raced:
    taken, requests, refused, injected = map(int, line.split()[1:])
    return Raced(taken, requests, refused, injected)


def _reply(line: str) -> Reply:
    text, _, why = line.strip().partition(" # ")
    words = text.split()
    plain = [int(word) for word in words if ":" not in word]
    content: dict[int, dict[int, int]] = {}
    for word in words[len(plain) :]:
        pool, granule, owner = map(int, word.split(":"))
        content.setdefault(pool, {})[granule] = owner
    stats = [Stats(*plain[i : i + 3]) for i in range(6, len(plain), 3)]
    return Reply(
        Status(plain[0]),
        *(plain[1], bool(plain[2]), plain[3], plain[4], plain[5]),
        tuple(stats),
        tuple(content.get(i, {}) for i in range(len(stats) - 1)),
        why,
    )


def crash_text(said: str, code: int) -> str:
    """The sanitizer's own line, else the signal."""
    for pattern in (r"runtime error: (.+)", r"ERROR: AddressSanitizer: (\S+)", r"ERROR: (.+)"):
        found = re.search(pattern, said)
        if found:
            at = re.search(r"(core/\S+\.[ch]:\d+)", said)
            return found.group(1) + (f" at {at.group(1)}" if at else "")
    if code == -signal.SIGVTALRM:
        return ENDLESS
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _refuse_broken(code: int, said: str) -> None:
    """Exit code 3 is the program's own complaint, not a difference."""
    if code == 3:
        raise TesseraError(
            f"the lockstep program gave up: {said.strip()[-500:]}",
            remedy="free some memory or address space (ulimit -v), and run it again",
        )
