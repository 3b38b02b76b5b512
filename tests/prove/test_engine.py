"""Engines: the same answers in one process or in several, and workers that die."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
import z3

from tessera.errors import TesseraError
from tessera.lang import Spec
from tessera.prove import check, engine
from tessera.prove.check import check_all
from tessera.prove.engine import LocalEngine, Question, Started
from tessera.prove.slice import Slicer
from tessera.prove.tasks import Done, Settings, Task, run_task
from tessera.results import Obligation

SETTINGS = Settings(1_000_000, 0, 3)

TWO = """
spec two "two counters and a flag"
var low: u8
var high: u8
var flag: bool
init { low := 0  high := 10  flag := false }
action up() { require low < 10  low := low + 1 }
action more() { require high < 250  high := high + 1 }
action lift() { require high < low  flag := true }
invariant small: low <= 10
invariant large: high >= 10
invariant unset: not flag
cover five within 5: low == 1
"""

SpecOf = Callable[[str], Spec]


def tail(found: tuple[Obligation, ...]) -> dict[str, tuple[str, int, str]]:
    return {o.id.split("/", 1)[1]: (o.verdict, o.resource, o.detail) for o in found}


def test_processes_give_the_same_answers_as_this_one(spec_of: SpecOf) -> None:
    spec = spec_of(TWO)
    assert tail(check(spec, jobs=2)) == tail(check(spec, jobs=1))


class Counting(LocalEngine):
    """Remembers how many questions came together."""

    def __init__(self) -> None:
        super().__init__(1)
        self.rounds: list[int] = []

    def answers(
        self, questions: Sequence[Question], started: Started = engine.quietly
    ) -> Iterator[tuple[Question, Done]]:
        self.rounds.append(len(questions))
        return super().answers(questions, started)


def test_several_specs_share_an_engine_and_keep_their_order(spec_of: SpecOf) -> None:
    """What both ask alike is asked once; `exercised` speaks of places, so it is asked twice."""
    first, second = spec_of(TWO), spec_of(TWO.replace("spec two", "spec too"))
    alone, together = Counting(), Counting()
    one = check(first, engine=alone)
    found = check_all([second, first], engine=together)
    assert [o[0].id.split("/")[0] for o in found] == ["too", "two"]
    assert tail(found[0]) == tail(found[1]) == tail(one)
    assert together.rounds[0] == alone.rounds[0] + 1


def test_only_reports_the_property_and_proves_it_alone_where_that_works(spec_of: SpecOf) -> None:
    asked: list[str] = []
    found = check(
        spec_of(TWO), jobs=1, only=["small"], progress=lambda _d, _a, what: asked.append(what)
    )
    assert set(tail(found)) == {"init/small", "up/small", "more/small", "lift/small"}
    assert {o.verdict for o in found} == {"PROVED"}
    assert not [what for what in asked if "large" in what or "unset" in what]


def test_only_proves_what_the_property_leans_on(spec_of: SpecOf) -> None:
    """`unset` needs both bounds; when one of them fails, it is no longer proved."""
    found = tail(check(spec_of(TWO), jobs=1, only=["unset"]))
    assert {v for v, _, _ in found.values()} == {"PROVED"}
    assert set(found) == {"init/unset", "up/unset", "more/unset", "lift/unset"}
    broken = TWO.replace("require low < 10", "require low < 40").replace("high >= 10", "high >= 1")
    found = tail(check(spec_of(broken), jobs=1, only=["unset"]))
    assert found["lift/unset"][0] == "CTI"


def test_only_reachable_and_unknown_names(spec_of: SpecOf) -> None:
    found = tail(check(spec_of(TWO), jobs=1, only=["reachable"]))
    assert set(found) == {"up/reachable", "more/reachable", "lift/reachable"}
    with pytest.raises(TesseraError, match="no property 'smal'") as error:
        check(spec_of(TWO), only=["smal"])
    assert "small" in error.value.remedy


def test_progress_says_what_is_running_and_ends_complete(spec_of: SpecOf) -> None:
    said: list[tuple[int, int, str]] = []
    check(spec_of(TWO), jobs=2, progress=lambda *moved: said.append(moved))
    assert any(", " in what for _, _, what in said), "two at once"
    assert any("/up/small" in what for _, _, what in said)
    assert said[-1][0] == said[-1][1] and said[-1][2] == ""


# --- workers that die -----------------------------------------------------------------------------

Fatal = Callable[[], None]


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def eat_memory() -> None:
    kept = []
    while True:
        kept.append(bytearray(32 << 20))


def exhaust_z3() -> None:
    """A question that needs more of Z3's own memory than a worker has."""
    x, y = z3.BitVecs("x y", 4096)
    solver = z3.Solver()
    solver.add(x * y == z3.BitVecVal(3**2000 + 2, 4096), z3.ULT(x, y), x > 1)
    assert solver.check() == z3.unknown
    reason = solver.reason_unknown()
    raise z3.Z3Exception(reason)


def exhaust_names() -> None:
    """Z3 raises its own error for this one."""
    kept = []
    while True:
        kept.append(z3.BitVec(f"x{len(kept)}" + "a" * 1_000_000, 8))


def fatal_at(task: Task, end: Fatal) -> Callable[[Spec, Task, Settings], Done]:
    """`run_task`, but one task ends its process."""

    def run(spec: Spec, asked: Task, settings: Settings) -> Done:
        if asked == task:
            end()
        return run_task(spec, asked, settings)

    return run


@pytest.mark.parametrize("end", [kill_itself, eat_memory, exhaust_z3, exhaust_names])
def test_a_worker_that_dies_costs_one_question(
    end: Fatal, spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(TWO)
    victim = Task("init", "large")
    whole = tail(check(spec, jobs=1))
    monkeypatch.setattr(engine, "run_task", fatal_at(victim, end))
    found = tail(check(spec, engine=LocalEngine(2, memory=400)))
    verdict, _, detail = found.pop("init/large")
    assert verdict == "UNKNOWN"
    assert "memory" in detail and "the solver process" in detail
    lost = {name for name, got in found.items() if got[0] != whole[name][0]}
    # What cannot be proved without `large` may be open; nothing else may change.
    assert lost <= {"lift/unset"}


def test_a_dead_search_is_unknown_and_not_none(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(TWO)
    for victim, name in ((Task("firings"), "up/reachable"), (Task("reach", "five"), "five")):
        monkeypatch.setattr(engine, "run_task", fatal_at(victim, kill_itself))
        found = tail(check(spec, engine=LocalEngine(2)))
        assert found[name][0] == "UNKNOWN" and "ended" in found[name][2]


def test_a_question_is_asked_again_once_alone(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was killed for another's memory answers when it is alone."""
    spec = spec_of(TWO)
    begun: list[str] = []
    questions = [Question(spec, Task("init", name), SETTINGS) for name in ("small", "large")]
    monkeypatch.setattr(engine, "run_task", fatal_at(Task("init", "small"), kill_itself))
    answers = dict(LocalEngine(2).answers(questions, lambda q: begun.append(q.label)))
    assert begun == ["init/small", "init/large", "init/small"]
    assert answers[questions[0]].failed == engine.ENDED
    assert answers[questions[1]].answer is not None
    assert answers[questions[1]].answer.status == "unsat"


def test_our_own_mistakes_are_raised_and_workers_ended(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Done:
        raise KeyError("ours")

    monkeypatch.setattr(engine, "run_task", broken)
    with pytest.raises(RuntimeError, match=r"firings: KeyError"):
        check(spec_of(TWO), jobs=2)


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_is_collected_while_a_question_is_worked_on(
    collects: bool, spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def fails(*_: object) -> Done:
        seen.append(gc.isenabled())
        raise ValueError("in the midst of it")

    question = Slicer(spec_of(TWO)).question(Task("sane"), Settings(1_000_000, 0, 1))
    monkeypatch.setattr(engine, "run_task", fails)
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(ValueError, match="midst"):
            engine.answer(question)
        assert seen == [False]
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()
