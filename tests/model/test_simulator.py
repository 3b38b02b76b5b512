"""Firing actions of the shipped pool, first fit against brute force, worlds and refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tessera.errors import TesseraError
from tessera.lang.typed import Spec
from tessera.model.explore import Explorer
from tessera.model.properties import Truth
from tessera.model.script import Event, World
from tessera.model.simulator import NotEnabled, Simulator
from tessera.model.world import draw_world, sizes_of

MakeWorld = Callable[..., World]


def take(simulator: Simulator, action: str, **args: Any) -> dict[str, Any] | None:
    """Fire with whatever choices are possible; None when the action is not enabled."""
    choices = simulator.enabled(action, args)
    if choices is not None:
        simulator.fire(Event(action, args, choices))
    return choices


def blocks(simulator: Simulator) -> dict[str, tuple[int, int, str]]:
    """The live blocks: start, size, owner."""
    slots = {n: layout.slot for n, layout in simulator.machine.layouts.items()}
    state = simulator.state
    return {
        b: (state[slots["start"]][b], state[slots["size"]][b], state[slots["owner_of"]][b])
        for b, live in state[slots["live"]].items()
        if live
    }


def first_fit(used: list[tuple[int, int]], lo: int, hi: int, n: int) -> int | None:
    """The lowest free place of `n` granules in `[lo, hi)`, by trying every one."""
    for o in range(lo, hi - n + 1):
        if all(o + n <= s or s + m <= o for s, m in used):
            return o
    return None


@pytest.mark.parametrize("seed", range(6))
def test_least_is_first_fit(priority: Spec, seed: int) -> None:
    rng = Random(seed)
    pool = rng.randrange(8, 40)
    reserve = rng.randrange(0, pool // 2)
    world = draw_world(priority, sizes_of(priority, {"pool_pages": pool, "reserve": reserve}), rng)
    simulator = Simulator(priority, world)
    owners = [o for o in world.universe["owner"] if o not in ("core", "nobody")]
    for owner in owners:
        take(simulator, "open", w=owner)
    line = pool - min(pool, reserve)
    allocated = 0
    for _ in range(60):
        live = blocks(simulator)
        if live and rng.random() < 0.4:
            take(simulator, "free", e=rng.choice(sorted(live)))
            continue
        owner, n = rng.choice(owners), rng.randrange(1, 7)
        inference = world.tables["class_of"][owner,] == "inference"
        used = [(s, m) for s, m, _ in live.values()]
        expected = first_fit(used, *((line, pool) if inference else (0, line)), n)
        choices = simulator.enabled("alloc", {"w": owner, "n": n})
        if len(live) == len(world.universe["block"]):
            assert choices is None
            continue
        assert (choices or {}).get("o") == expected
        if choices is not None:
            assert choices["e"] not in live
            simulator.fire(Event("alloc", {"w": owner, "n": n}, choices))
            assert blocks(simulator)[choices["e"]] == (expected, n, owner)
            allocated += 1
    assert allocated > 5


def test_a_pool_of_a_million_granules_is_no_slower_to_search(
    priority: Spec, world: MakeWorld
) -> None:
    simulator = Simulator(priority, world(1 << 20, 2048))
    take(simulator, "open", w="ta1")
    assert take(simulator, "carve_out", o=5, n=(1 << 20) - 2048 - 10) == {"e": "b1"}
    assert take(simulator, "alloc", w="ta1", n=5) == {"o": 0, "e": "b2"}
    assert take(simulator, "alloc", w="ta1", n=5) == {"o": (1 << 20) - 2048 - 5, "e": "b3"}
    assert take(simulator, "alloc", w="ta1", n=1) is None
    assert simulator.check() == ()


def test_an_action_fires_only_as_its_guards_and_choices_allow(
    priority: Spec, world: MakeWorld
) -> None:
    simulator = Simulator(priority, world(8, 2))
    before = simulator.state
    with pytest.raises(NotEnabled) as caught:
        simulator.fire(Event("alloc", {"w": "ta1", "n": 2}, {"o": 0, "e": "b1"}))
    assert "alive(w)" in caught.value.text
    assert str(caught.value.where).partition(":")[0].endswith("first_fit.tess")
    take(simulator, "open", w="ta1")
    with pytest.raises(NotEnabled, match="the least is 0 granules"):
        simulator.fire(Event("alloc", {"w": "ta1", "n": 2}, {"o": 1, "e": "b1"}))
    simulator.fire(Event("alloc", {"w": "ta1", "n": 2}, {"o": 0, "e": "b2"}))
    with pytest.raises(NotEnabled, match="does not pass"):
        simulator.fire(Event("alloc", {"w": "ta1", "n": 2}, {"o": 2, "e": "b2"}))
    simulator.reset()
    assert simulator.state == before


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Event("grow", {}, {}), "there is no action 'grow'"),
        (Event("open", {}, {}), "'w' = None is not a owner"),
        (Event("open", {"w": "ta9"}, {}), "'w' = 'ta9' is not a owner"),
        (Event("alloc_core", {"n": 2**32}, {"o": 0, "e": "b1"}), "is not a u32 granules"),
        (Event("alloc_core", {"n": True}, {"o": 0, "e": "b1"}), "is not a u32 granules"),
        (Event("alloc_core", {"n": 1}, {"o": 0}), "'e' = None is not a block"),
    ],
)
def test_an_event_must_fit_the_spec(
    priority: Spec, world: MakeWorld, event: Event, message: str
) -> None:
    with pytest.raises(TesseraError) as caught:
        Simulator(priority, world(8, 2)).fire(event)
    assert message in caught.value.message


def test_content_follows_the_actions(priority: Spec, world: MakeWorld) -> None:
    simulator = Simulator(priority, world(8, 2))
    residue = simulator.machine.layouts["residue"].slot
    take(simulator, "open", w="ta2")
    take(simulator, "alloc", w="ta2", n=2)
    take(simulator, "write", e="b1", g=7)
    assert list(simulator.state[residue].runs(0, 10)) == [
        (0, 7, "nobody"),
        (7, 8, "ta2"),
        (8, 10, "nobody"),
    ]
    take(simulator, "die", w="ta2")
    assert list(simulator.state[residue].runs(0, 10)) == [(0, 10, "nobody")]
    assert blocks(simulator) == {}


def test_a_promise_is_judged_without_a_spare_block(priority: Spec, world: MakeWorld) -> None:
    """`fresh` assumes that there is one more, so a small universe breaks no promise."""
    simulator = Simulator(priority, world(8, 2, blocks=1))
    take(simulator, "carve_out", o=0, n=3)
    take(simulator, "open", w="ta2")
    assert simulator.enabled("alloc", {"w": "ta2", "n": 1}) is None
    assert simulator.truth("promise") is Truth.HOLDS


def test_a_promise_fails_when_the_reserve_is_taken(vanilla: Spec, world: MakeWorld) -> None:
    simulator = Simulator(vanilla, world(1 << 20, 2048))
    take(simulator, "open", w="ta2")
    assert simulator.truth("promise") is Truth.HOLDS
    take(simulator, "carve_out", o=3, n=(1 << 20) - 2050)
    assert simulator.truth("promise") is Truth.FAILS


def test_a_step_property_is_about_the_last_step(priority: Spec, world: MakeWorld) -> None:
    simulator = Simulator(priority, world(8, 2))
    assert simulator.truth("live_intact") is Truth.HOLDS
    take(simulator, "carve_out", o=0, n=3)
    take(simulator, "write", e="b1", g=1)
    assert simulator.truth("live_intact") is Truth.HOLDS  # write is excepted
    simulator.restore(simulator.state, simulator.before, "shrink")
    assert simulator.truth("live_intact") is Truth.FAILS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scalars": {"pool_pages": 0, "reserve": 0}}, "'pool_pages' = 0 granules is outside"),
        ({"scalars": {"pool_pages": 8, "reserve": 1 << 31}}, "'reserve'"),
        ({"scalars": {"pool_pages": 1 << 32, "reserve": 0}}, "'pool_pages' = 4294967296 is not"),
        ({"universe": {"block": ("b1",), "owner": ("core", "ta1")}}, "lacks the constant 'nobody'"),
        ({"tables": {"class_of": {("core",): "inference"}}}, "the assumption 'core_is_lowest'"),
    ],
)
def test_a_world_must_meet_the_spec(
    priority: Spec, world: MakeWorld, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(TesseraError) as caught:
        Simulator(priority, replace(world(8, 2), **change))
    assert message in caught.value.message


def test_drawn_worlds_meet_the_assumptions_and_have_every_class(priority: Spec) -> None:
    for seed in range(20):
        drawn = draw_world(priority, sizes_of(priority, {}), Random(seed))
        classes = set(drawn.tables["class_of"].values())
        assert classes == {"ordinary", "inference"}
        assert drawn.tables["class_of"]["core",] == "ordinary"
        assert drawn.scalars == {"pool_pages": 48, "reserve": 16}


def test_the_same_seed_makes_the_same_run(vanilla: Spec) -> None:
    def run(seed: int) -> list[Any]:
        return list(Explorer(vanilla, sizes_of(vanilla, {}), seed).run(60))

    assert run(4) == run(4)
    assert run(4) != run(5)
