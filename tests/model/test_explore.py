"""`tessera simulate`: finds what is broken, is deterministic, and takes bad input well."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tessera import cli
from tessera.errors import TesseraError
from tessera.lang.load import load
from tessera.model.explore import Explorer
from tessera.model.replay import replay
from tessera.model.script import Script
from tessera.model.world import sizes_of

Changed = Callable[..., Path]
SMALL = {"pool_pages": 10, "reserve": 4, "block": 5}


def simulate(*args: str) -> Result:
    return CliRunner().invoke(cli.app, ["simulate", *args])


BROKEN = {
    "window": (
        "overlapping windows and a search that forgets what is taken",
        [("(forall b in live: not meets(b, o, o + n))", "0 <= n")],
        {"disjoint", "no_lost_memory"},
    ),
    "scrub": (
        "a free that forgets to wipe",
        [("holds(e, g) and scrub != never { residue", "holds(e, g) and scrub == always { residue")],
        {"no_residue_at_rest"},
    ),
    "reserve": (
        "an ordinary class that may enter the reserve",
        [
            (
                "then [reserve_start(), pool_pages) else [0, reserve_start())",
                "then [reserve_start(), pool_pages) else [0, pool_pages)",
            )
        ],
        {"reserve_kept", "promise"},
    ),
    "clear": (
        "memory handed out as it is, with nothing wiped on free",
        [("scrub: scrub_mode = owned", "scrub: scrub_mode = never")],
        {"no_residue_at_rest"},
    ),
    "leak": (
        "an owner that dies and keeps its memory",
        [("  for e: block where owner_of(e) == w { live(e) := false }\n", "")],
        {"no_lost_memory", "no_residue_at_rest", "live_intact"},
    ),
}


WRAPS = """
action grab(o: u32 granules, n: u32 granules) "a guard whose sum wraps" {
  require n >= 1 granules and o + n <= pool_pages and (forall b in live: not meets(b, o, o + n))
  fresh e: block where not live(e)
  live(e) := true
  start(e) := o
  size(e) := n
  owner_of(e) := core
  for g in granule where o <= g and g < o + n { taken(g) := true  holder(g) := e }
}
"""


def test_a_guard_that_wraps_is_caught(changed: Changed) -> None:
    spec = load(changed("vanilla", append=WRAPS))
    # It takes any place, so it breaks that one in a shorter way.
    others = tuple(p for p in spec.properties if p.name != "first_fit")
    spec = replace(spec, properties=others)
    explorer = Explorer(spec, sizes_of(spec, SMALL), seed=1)
    list(explorer.run(1500, draw=False))
    summary = explorer.summary
    assert summary.unexpected is not None and summary.trace is not None
    assert summary.unexpected.name in {"inside", "no_wrap", "inside_secure"}
    assert len(summary.trace.steps) == 2
    assert summary.trace.steps[-1].action.startswith("grab(o = 429496")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_policy_is_caught_with_a_short_run(changed: Changed, fault: str) -> None:
    _, changes, properties = BROKEN[fault]
    spec = load(changed("priority", *changes))
    explorer = Explorer(spec, sizes_of(spec, SMALL), seed=3)
    turns = list(explorer.run(1500, draw=False))
    summary = explorer.summary
    assert summary.unexpected is not None
    assert summary.unexpected.name in properties
    assert summary.unexpected in turns[-1].fresh
    assert summary.trace is not None
    assert summary.trace.replayed
    assert 1 < len(summary.trace.steps) <= 7


def test_an_unbroken_policy_is_not(changed: Changed) -> None:
    spec = load(changed("priority"))
    explorer = Explorer(spec, sizes_of(spec, SMALL), seed=3)
    turns = list(explorer.run(600, draw=False))
    assert explorer.summary.unexpected is None
    assert explorer.summary.steps == 600 == turns[-1].number
    assert explorer.summary.runs == 3
    assert set(explorer.summary.actions) == {a.name for a in spec.actions}


def test_expected_violations_are_counted_and_do_not_stop_the_run() -> None:
    result = simulate(
        "vanilla",
        "--steps",
        "300",
        "--seed",
        "1",
        "--quiet",
        "--set",
        "pool_pages=10",
        "--set",
        "reserve=4",
    )
    assert result.exit_code == 0
    assert result.output.count("violated as expected in") == 3
    assert "No unexpected violation." in result.output


def test_the_screen_shows_a_strip_per_step_and_the_trace(changed: Changed) -> None:
    spec = changed("priority", *BROKEN["reserve"][1])
    result = simulate(
        str(spec), "--steps", "400", "--seed", "2", "--set", "pool_pages=12", "--set", "reserve=4"
    )
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[1].startswith("    0 │")
    last = max(int(line.split()[0]) for line in lines if line[:5].strip().isdigit())
    assert sum("│" in line and line[:5].strip().isdigit() for line in lines) == last + 1
    assert any(line.strip().startswith("VIOLATED reserve_kept: a lower class") for line in lines)
    assert "A short run to it" in result.output
    assert "\x1b" not in result.output
    assert lines[-1].startswith("VIOLATED reserve_kept at step")


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, two, other = (
        simulate("vanilla", "--steps", "40", "--seed", seed).output for seed in ("7", "7", "8")
    )
    assert one == two
    assert one != other


def test_json_is_for_programs(changed: Changed) -> None:
    good = json.loads(simulate("vanilla", "--steps", "50", "--json").output)
    assert good["met"] is True
    assert good["steps"] == 50 == sum(good["actions"].values())
    assert {e["name"] for e in good["expected"]} == {
        "no_residue_at_rest",
        "reserve_kept",
        "promise",
    }
    broken = changed("priority", *BROKEN["reserve"][1])
    result = simulate(
        str(broken), "--steps", "400", "--json", "--set", "pool_pages=12", "--set", "reserve=4"
    )
    assert result.exit_code == 1
    bad = json.loads(result.output)
    assert bad["met"] is False
    assert bad["violated"]["name"] == "reserve_kept"
    assert bad["violated"]["trace"]["replayed"] is True


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["prioritee"], "there is no spec `prioritee`"),
        (["priority", "--set", "pool_pages"], "--set pool_pages: not a size"),
        (["priority", "--set", "pool_pages=many"], "not a size"),
        (["priority", "--set", "pool_pages=-4"], "not a size"),
        (["priority", "--set", "pages=4"], "there is no size 'pages' to set"),
        (["priority", "--set", "pool_pages=0"], "'pool_pages' = 0 granules is outside its range"),
        (["priority", "--set", "owner=1"], "'owner' needs at least 2 elements, not 1"),
        (["priority", "--set", "pool_pages=0x100000000"], "is not a u32 granules"),
    ],
)
def test_bad_input_is_one_clear_error(args: list[str], message: str) -> None:
    result = simulate(*args, "--steps", "5")
    assert isinstance(result.exception, TesseraError)
    assert result.exception.exit_code == 2
    assert message in result.exception.message


def test_a_million_granules_can_be_played_with(changed: Changed) -> None:
    spec = load(changed("priority"))
    explorer = Explorer(spec, sizes_of(spec, {"pool_pages": 1 << 20, "reserve": 2048}), seed=1)
    list(explorer.run(40))
    assert explorer.summary.steps == 40
    assert explorer.summary.unexpected is None


def test_a_shrunk_run_needs_every_event(changed: Changed) -> None:
    spec = load(changed("priority", *BROKEN["scrub"][1]))
    explorer = Explorer(spec, sizes_of(spec, SMALL), seed=3)
    world = [turn.world for turn in explorer.run(1500, draw=False)][-1]
    events = explorer.shortest
    assert explorer.summary.unexpected is not None
    name = explorer.summary.unexpected.name
    assert replay(spec, Script(world, events), name).replayed
    for skipped in range(len(events)):
        kept = events[:skipped] + events[skipped + 1 :]
        assert not replay(spec, Script(world, kept), name).replayed


HARD = """
invariant squares: forall x: u32: x * x != 1524155677489
"""


def test_what_was_only_sampled_is_said(changed: Changed) -> None:
    """x * x == 1234567 * 1234567 at 32 bits has a solution that no sample meets."""
    square = 1234567 * 1234567 % 2**32
    spec = changed("vanilla", append=HARD.replace("1524155677489", str(square)))
    result = simulate(str(spec), "--steps", "3", "--quiet")
    assert result.exit_code == 0
    assert "squares: judged at sampled values only" in result.output
    hard = json.loads(simulate(str(spec), "--steps", "3", "--json").output)
    easy = json.loads(simulate("vanilla", "--steps", "9", "--json").output)
    assert (hard["sampled"], easy["sampled"]) == (["squares"], [])
