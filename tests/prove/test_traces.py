"""Traces are as short as any run, say which part fails, and hold nothing that is not needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tessera import resources
from tessera.lang import Spec, load
from tessera.model.exhaust import exhaust
from tessera.model.minimise import minimised
from tessera.model.plain import script_of
from tessera.model.replay import replay
from tessera.model.script import Event, Script, World
from tessera.prove.bounded import find_violation
from tessera.results import Obligation, Trace

Check = Callable[..., dict[str, Obligation]]
SpecOf = Callable[[str], Spec]

QUEUE = """
spec queue "a ring of three places that forgets to look whether it is full"
const places: u8 in 3 .. 3
var head: u8
var tail: u8
var count: u8
init { head := 0  tail := 0  count := 0 }
action put(k: u8) { require k < 2  tail := (tail + 1) % places  count := count + 1 + k }
action take() { require count > 0  head := (head + 1) % places  count := count - 1 }
invariant fits: count <= places
"""
LAMPS = """
spec lamps "three switches in a fixed order"
sort lamp as l
var lit(l: lamp): bool
var armed: bool
var count: u8
init { for l: lamp { lit(l) := false }  armed := false  count := 0 }
action arm() { require not armed  armed := true }
action on(l: lamp) { require armed and not lit(l)  lit(l) := true  count := count + 1 }
action off(l: lamp) { require lit(l)  lit(l) := false  armed := false }
invariant few: count < 2
invariant dark: forall a, b in lit where a != b: count > 2
"""
WORDS = """
spec words "each invariant fails in another kind of part"
enum colour { red, green }
sort thing as t
var lit(c: colour): bool
var owner(t: thing): thing
var size(t: thing): u16
var cell(g: u16): u16
init { for t: thing { owner(t) := t } }
action act(t: thing, c: colour, g: u16) {
  require g > 6
  lit(c) := true
  size(t) := g
  cell(g) := 9
}
function calm(c: colour): bool = not lit(c) and true
invariant both: (forall c: colour: c == c) and (forall t: thing: size(t) < 5)
invariant arrow: forall c: colour, t: thing: size(t) > 6 => lit(c) and size(t) < 3
invariant inner: forall c: colour: calm(c)
invariant places: forall g: u16 where g > 5: cell(g) < 9 or g < 2
step kept: forall t: thing: size(t) == old(size(t))
"""


def trace_of(obligation: Obligation) -> Trace:
    assert obligation.trace is not None
    return obligation.trace


@pytest.mark.parametrize(("text", "names"), [(QUEUE, ["fits"]), (LAMPS, ["few", "dark"])])
def test_no_run_is_shorter_in_any_tiny_world(spec_of: SpecOf, text: str, names: list[str]) -> None:
    """Every run of the same world, by brute force; Z3 has no part in it."""
    spec = spec_of(text)
    for name in names:
        prop = next(p for p in spec.properties if p.name == name)
        script = find_violation(spec, prop, 6).script
        assert script is not None
        shortest = exhaust(spec, script.world, len(script.events), 2).violations[name]
        assert len(shortest.events) == len(script.events)


def test_no_run_of_the_pool_is_shorter_for_any_small_size() -> None:
    spec = load(resources.find_spec("vanilla"))
    for name in ("reserve_kept", "promise", "no_residue_at_rest"):
        prop = next(p for p in spec.properties if p.name == name)
        found = find_violation(spec, prop, 5)
        assert found.script is not None
        for pool in (1, 2, 3):
            scalars = {**found.script.world.scalars, "pool_pages": pool, "reserve": pool}
            tables = {"class_of": {**found.script.world.tables["class_of"], ("ta1",): "inference"}}
            world = World(scalars, found.script.world.universe, tables)
            seen = exhaust(spec, world, found.steps - 1, pool + 1)
            assert seen.complete and name not in seen.violations


def test_sizes_are_the_smallest_for_these_actions(verdicts: Check) -> None:
    trace = trace_of(verdicts(QUEUE)["fits"])
    chosen = [e["args"]["k"] for e in trace.script["events"]]
    assert [s.state["count"] for s in trace.steps][-1] == 4
    assert len(trace.steps) == 3 and chosen == [1, 1]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("both", "size(t) < 5  with t = t1, size(t) = 7", 17),
        ("arrow", "size(t) < 3  with c = red, t = t1, size(t) = 7", 18),
        ("inner", "not lit(c)  with c = red", 16),
        ("places", "cell(g) < 9 or g < 2  with g = 7", 20),
        ("kept", "size(t) == old(size(t))  with t = t1, size(t) = 7, old(size(t)) = 0", 21),
    ],
)
def test_the_failing_part_is_named_with_its_values_and_place(
    spec_of: SpecOf, name: str, text: str, line: int
) -> None:
    spec = spec_of(WORDS)
    world = World({}, {"thing": ("t1",)}, {})
    colour = "red"
    event = Event("act", {"t": "t1", "c": colour, "g": 7}, {})
    trace = replay(spec, Script(world, (event,)), name)
    assert trace.replayed
    assert trace.conjunct == text
    assert trace.conjunct_span.rsplit(":", 2)[1] == str(line)


def test_a_cover_has_no_failing_part(verdicts: Check) -> None:
    trace = trace_of(verdicts(QUEUE + "cover two within 3: count == 2\n")["two"])
    assert trace.replayed and trace.conjunct == ""


def test_what_is_not_needed_is_left_out(spec_of: SpecOf) -> None:
    """A detour, and a third lamp: `few` needs neither."""
    spec = spec_of(LAMPS)
    world = World({}, {"lamp": ("l1", "l2", "l3")}, {})
    on1, off1, arm = (
        Event("on", {"l": "l3"}, {}),
        Event("off", {"l": "l3"}, {}),
        Event("arm", {}, {}),
    )
    on2 = Event("on", {"l": "l2"}, {})
    long = Script(world, (arm, on1, off1, arm, on2, Event("on", {"l": "l1"}, {})))
    assert replay(spec, long, "few").replayed
    short = minimised(spec, long, "few")
    assert replay(spec, short, "few").replayed
    assert [e.action for e in short.events] == ["arm", "on", "on"]
    assert len(short.world.universe["lamp"]) == 2
    harmless = Script(world, (arm, on1))
    assert minimised(spec, harmless, "few") is harmless


def test_every_trace_says_how_to_take_it_again(verdicts: Check, spec_of: SpecOf) -> None:
    found = [o for o in verdicts(LAMPS).values() if o.trace is not None]
    assert {o.property for o in found} == {"few", "dark"}
    spec = spec_of(LAMPS)
    for obligation in found:
        trace = trace_of(obligation)
        again = replay(spec, script_of(trace.script, "here"), obligation.property)
        assert again == trace
        assert all(set(s.state) == {"lit", "armed", "count"} for s in trace.steps)


def test_a_search_that_finds_nothing_says_how_far_it_looked(verdicts: Check) -> None:
    fine = LAMPS.replace("count < 2", "count < 200") + "expect few violated within 3\n"
    found = verdicts(fine)["few"]
    assert found.verdict == "BOUNDED"
    assert (
        found.detail
        == "no run of at most 3 steps, with up to 2 unnamed things of each sort, breaks it"
    )
    counter = QUEUE.replace("places: u8 in 3 .. 3", "places: u8 in 200 .. 200")
    found = verdicts(counter + "expect fits violated within 2\n")["fits"]
    assert found.detail == "no run of at most 2 steps breaks it"
