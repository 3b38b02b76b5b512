"""The shipped policies, proved and refuted; and that a changed spec changes the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera import resources
from tessera.lang import load
from tessera.prove import check
from tessera.prove.solver import ask, script
from tessera.prove.tasks import Settings, Task, run_task
from tessera.results import Obligation

BROKEN = sorted(resources.path("specs/policies/broken").glob("*.tess"))


@pytest.fixture(scope="module")
def priority() -> tuple[Obligation, ...]:
    return check(load(resources.find_spec("priority")))


def test_priority_is_proved(priority: tuple[Obligation, ...]) -> None:
    assert [o.id for o in priority if o.verdict != "PROVED" or not o.met] == []
    proved = {o.property for o in priority}
    assert proved >= {
        "disjoint",
        "inside",
        "inside_secure",
        "no_residue_read",
        "no_residue_at_rest",
        "live_intact",
        "no_lost_memory",
        "reserve_kept",
        "promise",
        "lookup",
        "no_wrap",
        "reachable",
    }
    assert len({o.id for o in priority}) == len(priority)


def test_vanilla_breaks_three_demands_and_keeps_the_rest() -> None:
    found = check(load(resources.find_spec("vanilla")))
    assert [o.id for o in found if not o.met] == []
    violated = {o.property: o for o in found if o.verdict == "VIOLATED"}
    assert set(violated) == {"no_residue_at_rest", "reserve_kept", "promise"}
    for obligation in violated.values():
        assert obligation.trace is not None and obligation.trace.replayed
        assert len(obligation.trace.steps) <= 5


def test_counterexamples_use_the_smallest_pool() -> None:
    spec = load(resources.find_spec("vanilla"))
    done = run_task(spec, Task("violate", "promise"), Settings(40_000_000, 0, 5))
    script = done.found[0][1].script
    assert script is not None
    assert script.world.scalars["pool_pages"] == 1
    assert len(script.events) == 2


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_broken_policies_break_where_they_say(path: Path) -> None:
    spec = load(path)
    expected = {n for n, e in spec.expects.items() if e.verdict == "violated"}
    assert expected, "a broken policy says what it breaks"
    for name in expected:
        task = Task("violate", name)
        found = run_task(spec, task, Settings(40_000_000, 0, 5)).found[0][1]
        assert found.status == "found", name


def test_the_same_question_costs_the_same_whatever_ran_before() -> None:
    spec = load(resources.find_spec("priority"))
    settings = Settings(40_000_000, 0, 5)
    task = Task("step", "disjoint", "alloc", ("disjoint", "inside"))
    first = run_task(spec, task, settings).answer
    run_task(spec, Task("step", "inside", "free", ("inside",)), settings)
    again = run_task(spec, task, settings).answer
    assert first is not None and again is not None
    assert (first.status, first.resource) == (again.status, again.resource)


def test_an_empty_question_is_satisfiable() -> None:
    assert ask(script([])).status == "sat"
