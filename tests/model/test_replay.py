"""Replays: a true trace is reproduced, a tampered one is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tessera.errors import TesseraError
from tessera.lang.load import load
from tessera.lang.typed import Spec
from tessera.model.replay import replay
from tessera.model.script import Event, Script, World
from tessera.results import Mark, Run

MakeWorld = Callable[..., World]

REMEMBERED = (
    Event("open", {"w": "ta2"}, {}),
    Event("alloc", {"w": "ta2", "n": 3}, {"o": 0, "e": "b1"}),
    Event("write", {"e": "b1", "g": 1}, {}),
    Event("free", {"e": "b1"}, {}),
)
STARVED = (
    Event("open", {"w": "ta2"}, {}),
    Event("carve_out", {"o": 1, "n": 7}, {"e": "b1"}),
)


def test_residue_at_rest_is_shown_step_by_step(vanilla: Spec, world: MakeWorld) -> None:
    trace = replay(vanilla, Script(world(8, 2), REMEMBERED), "no_residue_at_rest")
    assert trace.replayed
    doc = next(p.doc for p in vanilla.properties if p.name == "no_residue_at_rest")
    assert trace.broken == f"no_residue_at_rest: {doc}"
    assert [s.action for s in trace.steps] == [
        "init",
        "open(w = ta2)",
        "alloc(w = ta2, n = 3 granules) with o = 0 granules, e = b1",
        "write(e = b1, g = 1 granules)",
        "free(e = b1)",
    ]
    assert trace.steps[1].changes == ("ta2: alive",)
    assert trace.steps[2].changes == (
        "b1: live, size = 3 granules, owner_of = ta2",
        "taken[0..3)",
    )
    assert trace.steps[3].changes == ("residue[1] = ta2",)
    assert trace.steps[4].changes == ("b1: not live", "not taken[0..3)")
    written, freed = (step.strips[0] for step in trace.steps[3:])
    assert (freed.title, freed.length, freed.runs) == ("page pool", 8, ())
    assert freed.marks == (Mark("ta2", 1, 1),)
    assert freed.zones == (Mark("reserve", 6, 2),)
    assert written.runs == (Run("ta2", "inference", 0, 3),)
    assert trace.constants["pool_pages"] == "8 granules"
    assert trace.constants["class_of(ta2)"] == "inference"


def test_a_broken_promise_is_replayed_at_any_size(vanilla: Spec, world: MakeWorld) -> None:
    assert replay(vanilla, Script(world(8, 2), STARVED), "promise").replayed
    pool = 1 << 31
    events = (STARVED[0], Event("carve_out", {"o": 1, "n": pool - 1}, {"e": "b1"}))
    assert replay(vanilla, Script(world(pool, 2), events), "promise").replayed


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (
            [REMEMBERED[0], replace(REMEMBERED[1], choices={"o": 1, "e": "b1"}), *REMEMBERED[2:]],
            "step 2: alloc(w = ta2, n = 3 granules) is not enabled: "
            "'o' is 1 granules, the least is 0 granules",
        ),
        (REMEMBERED[1:], "step 1: alloc(w = ta2, n = 3 granules) is not enabled"),
        ([*REMEMBERED[:2], REMEMBERED[3]], "'no_residue_at_rest' is not violated (holds)"),
        ([*REMEMBERED[:2], Event("write", {"e": "b1", "g": 3}, {})], "step 3: write"),
        ([*REMEMBERED, Event("free", {"e": "b1"}, {})], "step 5: free(e = b1) is not enabled"),
        ([Event("open", {"w": "ta7"}, {})], "'w' = 'ta7' is not a owner of this world"),
        ([], "'no_residue_at_rest' is not violated (holds)"),
    ],
)
def test_a_tampered_trace_is_refused(
    vanilla: Spec, world: MakeWorld, events: list[Event], why: str
) -> None:
    trace = replay(vanilla, Script(world(8, 2), tuple(events)), "no_residue_at_rest")
    assert not trace.replayed
    assert trace.broken.startswith("not reproduced")
    assert why in trace.broken


def test_the_same_run_under_the_other_policy_breaks_nothing(
    priority: Spec, world: MakeWorld
) -> None:
    events = (
        REMEMBERED[0],
        replace(REMEMBERED[1], args={"w": "ta2", "n": 2}, choices={"o": 6, "e": "b1"}),
        replace(REMEMBERED[2], args={"e": "b1", "g": 6}),
        REMEMBERED[3],
    )
    trace = replay(priority, Script(world(8, 2), events), "no_residue_at_rest")
    assert len(trace.steps) == 5
    assert not trace.replayed


def test_a_world_that_breaks_an_assumption_replays_nothing(vanilla: Spec, world: MakeWorld) -> None:
    bad = replace(world(8, 2), tables={"class_of": {("core",): "inference"}})
    trace = replay(vanilla, Script(bad, STARVED), "promise")
    assert not trace.replayed
    assert "core_is_lowest" in trace.broken


def test_a_cover_must_be_reached(priority: Spec, world: MakeWorld) -> None:
    events: tuple[Event, ...] = (
        Event("open", {"w": "ta2"}, {}),
        Event("alloc", {"w": "ta2", "n": 2}, {"o": 6, "e": "b1"}),
        Event("alloc_core", {"n": 6}, {"o": 0, "e": "b2"}),
    )
    trace = replay(priority, Script(world(8, 2), events), "full")
    assert trace.replayed
    assert trace.broken.startswith("full is reached")
    short = replay(priority, Script(world(8, 2), events[:2]), "full")
    assert not short.replayed
    assert "'full' is not reached" in short.broken


def test_a_step_property_is_judged_on_the_last_step(
    changed: Callable[..., Path], world: MakeWorld
) -> None:
    """A scrub in the pool's own free wipes what `shrink` keeps: policy.md's trap."""
    spec = load(changed("priority", ("scrub: scrub_mode = owned", "scrub: scrub_mode = always")))
    events = (
        Event("carve_out", {"o": 0, "n": 4}, {"e": "b1"}),
        Event("write", {"e": "b1", "g": 1}, {}),
        Event("shrink", {"e": "b1", "lo": 0, "hi": 2}, {}),
    )
    assert replay(spec, Script(world(8, 2), events), "live_intact").replayed
    assert not replay(spec, Script(world(8, 2), events[:2]), "live_intact").replayed


WRAPS = """
function high(o: u32 granules, n: u32 granules): bool = o + n <= pool_pages
action grab(o: u32 granules, n: u32 granules) "a guard that wraps" {
  require n >= 1 granules and high(o, n)
  fresh e: block where not live(e)
  live(e) := true
  start(e) := o
  size(e) := n
  owner_of(e) := core
}
"""


def test_a_wrapping_guard_is_replayed_at_exact_widths(
    changed: Callable[..., Path], world: MakeWorld
) -> None:
    spec = load(changed("vanilla", append=WRAPS))
    events = (Event("grab", {"o": 2**32 - 2, "n": 4}, {"e": "b1"}),)
    assert replay(spec, Script(world(8, 2), events), "inside").replayed
    unwrapped = (Event("grab", {"o": 6, "n": 4}, {"e": "b1"}),)
    trace = replay(spec, Script(world(8, 2), unwrapped), "inside")
    assert not trace.replayed
    assert "grab(o = 6 granules, n = 4 granules) is not enabled" in trace.broken


def test_a_lookup_that_loses_bits_is_found_at_a_million_granules(
    changed: Callable[..., Path], world: MakeWorld
) -> None:
    """tee_mm_find() keeps 16 bits of the offset: with pools above 64 Ki granules it is wrong."""
    spec = load(
        changed(
            "vanilla", ("given pool_pages <= 64 Ki granules:", "given pool_pages <= 1 Mi granules:")
        )
    )
    events: tuple[Event, ...] = (Event("carve_out", {"o": 70_000, "n": 1}, {"e": "b1"}),)
    assert replay(spec, Script(world(1 << 20, 2), events), "lookup").replayed
    low = (Event("carve_out", {"o": 60_000, "n": 1}, {"e": "b1"}),)
    assert replay(spec, Script(world(1 << 16, 2), low), "lookup").broken.endswith("(holds)")
    assert replay(spec, Script(world(1 << 17, 2), low), "lookup").replayed


def test_an_unknown_property_is_the_callers_mistake(vanilla: Spec, world: MakeWorld) -> None:
    with pytest.raises(TesseraError, match="no property 'thrift'"):
        replay(vanilla, Script(world(8, 2), ()), "thrift")


def test_a_trace_is_plain_data(vanilla: Spec, world: MakeWorld) -> None:
    script = Script(world(8, 2), REMEMBERED)
    one: Any = replay(vanilla, script, "no_residue_at_rest")
    assert one == replay(vanilla, script, "no_residue_at_rest")
