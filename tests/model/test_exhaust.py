"""All runs of tiny worlds: an independent word on what the proofs say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tessera import resources
from tessera.lang.load import load
from tessera.lang.typed import Spec
from tessera.model.exhaust import exhaust
from tessera.model.replay import replay
from tessera.model.script import World

MakeWorld = Callable[..., World]


def test_priority_keeps_every_property_in_every_state(priority: Spec, world: MakeWorld) -> None:
    for pool, reserve, depth in ((3, 1, 5), (4, 2, 4), (2, 3, 4)):
        found = exhaust(priority, world(pool, reserve), depth, pool + 1)
        assert found.complete
        assert found.states >= 30
        assert found.violations == {}
    assert len(exhaust(priority, world(3, 1), 3, 4).covered["full"].events) == 3


def test_vanilla_breaks_exactly_three_and_the_runs_replay(vanilla: Spec, world: MakeWorld) -> None:
    found = exhaust(vanilla, world(3, 1), 4, 4)
    assert found.complete
    lengths = {name: len(script.events) for name, script in found.violations.items()}
    assert lengths == {"reserve_kept": 1, "promise": 2, "no_residue_at_rest": 4}
    assert set(lengths) == {n for n, e in vanilla.expects.items() if e.verdict == "violated"}
    for name, script in found.violations.items():
        assert replay(vanilla, script, name).replayed


def test_a_scrub_in_the_pools_own_free_breaks_what_shrink_keeps(
    changed: Callable[..., Path], world: MakeWorld
) -> None:
    spec = load(changed("priority", ("scrub: scrub_mode = owned", "scrub: scrub_mode = always")))
    found = exhaust(spec, world(3, 1), 3, 3)
    assert {n: len(s.events) for n, s in found.violations.items()} == {
        "live_intact": 3,
        "core_spared": 3,
    }


@pytest.mark.parametrize("name", ["no_scrub", "open_reserve", "scrub_in_pool_free"])
def test_a_broken_policy_breaks_exactly_what_it_says(name: str, world: MakeWorld) -> None:
    spec = load(resources.find_spec(name))
    found = exhaust(spec, world(3, 1), 4, 3)
    assert found.complete
    assert set(found.violations) == {n for n, e in spec.expects.items() if e.verdict == "violated"}
    for violated, script in found.violations.items():
        within = spec.expects[violated].within
        assert within is None or len(script.events) <= within
        assert replay(spec, script, violated).replayed


def test_a_wrapping_window_is_seen_at_exact_widths(world: MakeWorld) -> None:
    """A pool of 2 with a reserve of 3: 2 - 3 is nearly 2^32 at 32 bits."""
    spec = load(resources.find_spec("wrapping_window"))
    found = exhaust(spec, world(2, 3), 2, 4)
    assert (
        set(found.violations)
        == set(spec.expects)
        == {
            "no_wrap",
            "no_granule_is_idle",
            "promise",
        }
    )
    assert found.violations["no_wrap"].events == ()
    assert exhaust(spec, world(3, 2), 3, 3).violations == {}


def test_a_state_limit_is_admitted(priority: Spec, world: MakeWorld) -> None:
    found = exhaust(priority, world(3, 1), 5, 4, limit=20)
    assert not found.complete
    assert found.states == 20
