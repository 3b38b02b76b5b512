"""The shipped policies, proved and refuted; and that a changed spec changes the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera import resources
from tessera.emit.policy import read_policy
from tessera.errors import TesseraError
from tessera.lang import Spec, load
from tessera.model.replay import replay
from tessera.model.script import Event, Script, World
from tessera.model.simulator import Simulator
from tessera.prove import check
from tessera.prove.check import proof_tasks
from tessera.prove.solver import ask, script
from tessera.prove.tasks import Settings, Task, run_task
from tessera.results import Obligation

UNIVERSE = {"block": ("b1", "b2", "b3"), "owner": ("core", "nobody", "ta1")}
SETTINGS = Settings(20_000_000, 0, 5)
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


def test_enough_broken_policies_are_shipped() -> None:
    assert len(BROKEN) >= 10
    for path in BROKEN:
        assert path.read_text("utf-8").startswith("# Mistake: ")


@pytest.mark.parametrize("name", ["best_fit", "scrub_on_free", "priority_elastic"])
def test_more_policies_are_proved(name: str) -> None:
    found = check(load(resources.find_spec(name)))
    assert [o.id for o in found if o.verdict != "PROVED" or not o.met] == []
    wanted = {
        "best_fit": {"disjoint", "reserve_kept", "promise"},
        "scrub_on_free": {"no_residue_read", "free_is_clean", "clearing_is_redundant"},
        "priority_elastic": {"windows_kept", "moves_free_memory_only", "gives_back", "promise"},
    }
    assert {o.property for o in found} >= wanted[name]


def unproved(spec: Spec, names: tuple[str, ...], also: tuple[str, ...] = ()) -> list[str]:
    """What fails when the invariants `names` are to prove each other, and `also` besides."""
    properties = [p for p in spec.properties if p.name in names + also]
    assert len(properties) == len(names + also)
    tasks = [task for p in properties for task in proof_tasks(spec, p, names)]
    answers = {task: run_task(spec, task, SETTINGS).answer for task in tasks}
    return [
        f"{t.kind} {t.prop} {t.action}" for t, a in answers.items() if a and a.status != "unsat"
    ]


def test_any_place_that_is_free_will_do() -> None:
    """The safety of a placement does not depend on the search."""
    spec = load(resources.find_spec("any_fit"))
    assert unproved(spec, ("disjoint", "inside", "reserve_kept"), ("promise",)) == []


def test_scrubbing_at_allocation_leaves_residue_at_rest() -> None:
    spec = load(resources.find_spec("scrub_on_alloc"))
    found = run_task(spec, Task("violate", "no_residue_at_rest"), SETTINGS).found[0][1]
    assert found.status == "found" and found.steps == 4 and found.script is not None
    assert replay(spec, found.script, "no_residue_at_rest").replayed


# --- scrubbing on free: what makes the clearing at allocation redundant ---------------------------


@pytest.fixture
def owned_only(tmp_path: Path) -> Spec:
    """`scrub_on_free` with only TAs' memory wiped, as `priority` does."""
    text = resources.find_spec("scrub_on_free").read_text("utf-8")
    assert "scrub_mode = returned" in text
    path = tmp_path / "owned_only.tess"
    path.write_text(text.replace("scrub_mode = returned", "scrub_mode = owned"))
    return load(path)


def test_wiping_what_tas_owned_protects_tas_from_each_other(owned_only: Spec) -> None:
    names = ("no_ta_residue_read", "no_residue_at_rest", "no_lost_memory", "disjoint")
    assert unproved(owned_only, names) == []


def test_without_clearing_a_ta_may_be_given_the_data_of_the_core(owned_only: Spec) -> None:
    """So the clearing is redundant for TAs' data only; and `returned` makes it so for all."""
    world = World({"pool_pages": 1, "reserve": 0}, UNIVERSE, {"class_of": {}})
    events = (
        Event("alloc_core", {"n": 1}, {"o": 0, "e": "b1"}),
        Event("write", {"e": "b1", "g": 0}, {}),
        Event("free_core", {"e": "b1"}, {}),
        Event("open", {"w": "ta1"}, {}),
        Event("alloc", {"w": "ta1", "n": 1}, {"o": 0, "e": "b1"}),
    )
    trace = replay(owned_only, Script(world, events), "no_residue_read")
    assert trace.replayed
    at_rest = replay(owned_only, Script(world, events[:3]), "free_is_clean")
    assert at_rest.replayed
    clean = load(resources.find_spec("scrub_on_free"))
    assert not replay(clean, Script(world, events), "no_residue_read").replayed


# --- best fit ------------------------------------------------------------------------------------


def test_best_fit_takes_the_smaller_gap_and_first_fit_the_first() -> None:
    """[0, 3) and [4, 5) are free; one granule goes to 0, or to 4."""
    world = World({"pool_pages": 5, "reserve": 0}, UNIVERSE, {"class_of": {}})
    for name, place in (("priority", 0), ("best_fit", 4)):
        simulator = Simulator(load(resources.find_spec(name)), world)
        simulator.fire(Event("carve_out", {"o": 3, "n": 1}, {"e": "b1"}))
        choices = simulator.enabled("alloc_core", {"n": 1})
        assert choices is not None and choices["o"] == place
        simulator.fire(Event("alloc_core", {"n": 1}, choices))
        larger = simulator.enabled("alloc_core", {"n": 2})
        assert larger is not None and larger["o"] == (1 if name == "priority" else 0)


# --- what becomes C -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "decision"),
    [
        ("best_fit", "search"),
        ("any_fit", "search"),
        ("scrub_on_free", "clear"),
        ("priority_elastic", "window_at"),
    ],
)
def test_what_no_hook_emits_is_refused(name: str, decision: str) -> None:
    with pytest.raises(TesseraError, match=f"decides {decision}.*which no hook turns into C"):
        read_policy(load(resources.find_spec(name)))


@pytest.mark.parametrize("name", ["priority", "scrub_on_alloc"])
def test_what_hooks_emit_is_read(name: str) -> None:
    policy = read_policy(load(resources.find_spec(name)))
    assert policy.windowed and policy.spills
    assert policy.scrub == ("owned" if name == "priority" else "never")


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
