"""The scenarios `churn` and `crash`: their judgement on made-up guests, and the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tessera.dnn import digits
from tessera.guest import build, scenarios
from tessera.guest.console import RunResult
from tessera.guest.pooltrace import Pool
from tessera.guest.scenarios import churn, crash
from tessera.guest.scenarios.bench import Bench, InconclusiveError, prepare

POOL = Pool(0x1000, 0xE100000, 0x10000, 12)
START = {POOL: ((0, 4), (6, 2))}
WEIGHTS = digits.model_path().read_bytes()
CLEAN = bytes(4096)


class FakeGuest:
    """A guest whose snapshots and answers are given beforehand."""

    def __init__(self, answer: Callable[[str], str], memories: Iterator[bytes]) -> None:
        self.answer, self.memories = answer, memories
        self.commands: list[str] = []

    def run(self, command: str, timeout: float = 60.0) -> RunResult:
        self.commands.append(command)
        return RunResult(0, self.answer(command))

    def secure_ram(self) -> bytes:
        return next(self.memories)

    def cont(self) -> None:
        pass


def bench_of(guest: FakeGuest) -> Bench:
    @contextmanager
    def boot(name: str) -> Iterator[FakeGuest]:
        yield guest

    made: Any = SimpleNamespace(build=None, boot=boot)
    return made  # type: ignore[no-any-return]


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[dict[Pool, Any]]:
    """What the next looks at the pools see; START once it is empty."""
    seen: list[dict[Pool, Any]] = []
    monkeypatch.setattr("tessera.guest.layout.layout_of", lambda build: None)
    monkeypatch.setattr(
        "tessera.guest.poolview.view", lambda layout, memory: seen.pop(0) if seen else START
    )
    monkeypatch.setattr("tessera.guest.scenarios.crash.with_crash", lambda bench: bench)
    return seen


# --- churn ----------------------------------------------------------------------------------------


def cycling(command: str) -> str:
    count = command.partition("-lt ")[2].partition(" ")[0]
    return f"1 images, 10 results each\n\ncycles {count}\n"


def forever(memory: bytes) -> Iterator[bytes]:
    while True:
        yield memory


def test_pools_that_come_back(pools: list[Any]) -> None:
    guest = FakeGuest(cycling, forever(CLEAN))
    shown = churn.trial(bench_of(guest), cycles=12)
    assert shown.passed
    assert shown.figures == {
        "cycles": 12,
        "granules_start": 6,
        "granules_end": 6,
        "largest_free_run_start": 8,
        "largest_free_run_least": 8,
        "largest_free_run_end": 8,
    }
    done = [int(c.partition("-lt ")[2].partition(" ")[0]) for c in guest.commands]
    assert (done[0], sum(done[1:])) == (1, 12), "one before the start is looked at"


def test_fewer_cycles_than_looks(pools: list[Any]) -> None:
    shown = churn.trial(bench_of(FakeGuest(cycling, forever(CLEAN))), cycles=2)
    assert (shown.passed, shown.figures["cycles"]) == (True, 2)


def test_a_granule_that_does_not_come_back(pools: list[Any]) -> None:
    pools += [START, {POOL: ((0, 4), (6, 3))}]
    shown = churn.trial(bench_of(FakeGuest(cycling, forever(CLEAN))), cycles=1)
    assert not shown.passed
    assert "6 granules at the start, 7 at the end" in shown.detail


def test_a_hole_on_the_way_is_seen(pools: list[Any]) -> None:
    pools += [START, {POOL: ((0, 4), (8, 2))}]
    shown = churn.trial(bench_of(FakeGuest(cycling, forever(CLEAN))), cycles=10)
    assert not shown.passed, "as much is in use, at the end at the same places, but not always"
    assert shown.figures["largest_free_run_least"] == 6


def test_an_inference_that_fails_says_nothing(pools: list[Any]) -> None:
    guest = FakeGuest(lambda command: "cannot open the TA\n\ncycles 0\n", forever(CLEAN))
    with pytest.raises(InconclusiveError, match="failed on the way: cannot open the TA"):
        churn.trial(bench_of(guest), cycles=3)


# --- crash ----------------------------------------------------------------------------------------


def crashing(command: str) -> str:
    if command.startswith("tessera_crash 0"):
        return "arm 0x00000000\nload 0x00000000\ninfer 0x00000000\n"
    if command.startswith("tessera_crash"):
        return "\n".join(crash.POINTS[int(command.split()[1])]) + "\n"
    return "holding\n" if "hold.log" in command else "0\n"


def memories(after: bytes = CLEAN, *, before: bytes = CLEAN, live: bytes = WEIGHTS) -> Any:
    """Two looks before, one after each panic, one while a session is open."""
    return iter([before, before, CLEAN, after, CLEAN, live])


def test_panics_that_leave_nothing(pools: list[Any]) -> None:
    guest = FakeGuest(crashing, memories())
    shown = crash.trial(bench_of(guest))
    assert shown.passed
    assert shown.detail == "3 panics: all memory came back, no part of the weights left"
    assert [c.split()[1] for c in guest.commands if c.startswith("tessera_crash")] == list("1230")


def test_weights_after_one_of_the_panics(pools: list[Any]) -> None:
    shown = crash.trial(bench_of(FakeGuest(crashing, memories(WEIGHTS))))
    assert not shown.passed
    assert shown.figures["found_after_2"] == shown.figures["windows"]
    assert shown.figures["found_after_1"] == shown.figures["found_after_3"] == 0


@pytest.mark.parametrize("blocks", [((0, 4), (6, 5)), ((0, 4), (7, 2))])
def test_memory_that_does_not_come_back(pools: list[Any], blocks: Any) -> None:
    pools += [START, START, START, {POOL: blocks}]
    shown = crash.trial(bench_of(FakeGuest(crashing, memories())))
    assert not shown.passed
    assert shown.figures["granules_lost_3"] > 0
    assert "granules lost: {1: 0, 2: 0, 3:" in shown.detail


def test_what_cannot_be_told(pools: list[Any]) -> None:
    with pytest.raises(InconclusiveError, match="before the TA was opened"):
        crash.trial(bench_of(FakeGuest(crashing, memories(before=WEIGHTS))))
    with pytest.raises(InconclusiveError, match="only 0 of"):
        crash.trial(bench_of(FakeGuest(crashing, memories(live=CLEAN))))
    survived = FakeGuest(lambda c: crashing(c.replace("h 2", "h 0")), memories())
    with pytest.raises(InconclusiveError, match="point 2 went otherwise"):
        crash.trial(bench_of(survived))


# --- on a real OP-TEE -----------------------------------------------------------------------------


@pytest.mark.guest
def test_the_unpatched_op_tee_gives_memory_back_with_the_weights_in_it(
    unpatched_build: build.Build, tmp_path: Path
) -> None:
    shown = crash.trial(prepare(unpatched_build, "unpatched", tmp_path))
    assert not shown.passed
    for point in crash.POINTS:
        assert shown.figures[f"found_after_{point}"] > 1000
        assert shown.figures[f"granules_lost_{point}"] == 0


@pytest.mark.guest
def test_pool_use_comes_back_on_both(
    patched_build: build.Build,
    unpatched_build: build.Build,
    priority_patch: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(churn.trial, "__defaults__", (10,))
    (shown,) = scenarios.run_scenarios(priority_patch, names=["churn"], log_folder=tmp_path)
    assert shown.met and shown.patched is not None and shown.unpatched is not None
    for side in (shown.patched, shown.unpatched):
        assert side.figures["cycles"] == 10
        assert side.figures["granules_start"] == side.figures["granules_end"] > 0
