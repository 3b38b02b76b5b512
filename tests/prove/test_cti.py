"""Counterexamples to induction: real states, confirmed by the simulator, and what they suggest."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from tessera.lang import Spec
from tessera.model.recorded import replay_recorded
from tessera.model.replay import SOME_STATE, replay
from tessera.prove import cti as searching
from tessera.prove.cti import find_cti
from tessera.report.itf import from_itf, to_itf
from tessera.report.terminal import print_obligation
from tessera.results import Obligation, Results, Trace

Check = Callable[..., dict[str, Obligation]]
SpecOf = Callable[[str], Spec]

EVEN = """
spec even "a counter that goes up by two"
const limit: u8 in 9 .. 9
var level: u8
init { level := 0 }
action up() { require level < limit  level := level + 2 }
invariant never_three: level != 3
"""
LOCK = """
spec lock "a lock that counts its holders"
var held: bool
var marked: bool
var holders: u8
init { held := false  marked := false  holders := 0 }
action take() { require not held  held := true  marked := true  holders := holders + 1 }
action drop() { require held  held := false  marked := false  holders := 0 }
invariant one: marked => holders <= 1
"""
SLOTS = """
spec slots "objects with a size that is divided by"
sort object as o
var live(e: object): bool
var size(e: object): u8
var tag(e: object): bool
init { for e: object { live(e) := false  tag(e) := false } }
action make(e: object, n: u8) {
  require not live(e) and 1 <= n
  live(e) := true  size(e) := n  tag(e) := false
}
action mark(e: object) { require live(e)  tag(e) := size(e) == 0 }
action drop(e: object) { require live(e)  live(e) := false  tag(e) := false }
invariant untagged: forall e in live: not tag(e)
"""
SUM = """
spec sum "two numbers and their sum without carry: no template has three variables"
var a: u8
var b: u8
var all: u8
init { a := 0  b := 0  all := 0 }
action left(k: u8) { a := a ^ k  all := all ^ k }
action right(k: u8) { b := b ^ k  all := all ^ k }
invariant adds: a == 50 and b == 7 => all == 53
"""
BLOCKS = """
spec blocks "a pool with a bitmap beside its list"
sort block as b
const pool: u32 in 1 .. 1000
var live(b: block): bool
var start(b: block): u32
var size(b: block): u32
var taken(g: u32): bool
function holds(b: block, g: u32): bool = start(b) <= g and g - start(b) < size(b)
function apart(a: block, b: block): bool = forall g: u32: not (holds(a, g) and holds(b, g))
init { for b: block { live(b) := false }  for g: u32 { taken(g) := false } }
action alloc(n: u32) {
  require 1 <= n and n <= pool
  least o: u32 where o <= pool - n and (forall g: u32 where o <= g and g < o + n: not taken(g))
  fresh e: block where not live(e)
  live(e) := true  start(e) := o  size(e) := n
  for g: u32 where o <= g and g < o + n { taken(g) := true }
}
action free(e: block) {
  require live(e)
  live(e) := false
  for g: u32 where holds(e, g) { taken(g) := false }
}
invariant bitmap: forall b in live, g: u32 where holds(b, g): taken(g)
invariant disjoint: forall a, b in live where a != b: apart(a, b)
step only_free_frees except free: forall b: block: old(live(b)) => live(b)
promise room:
  forall n: u32 where 1 <= n and n <= pool and (forall b: block: not live(b)):
    alloc(n) succeeds with o = 0
lemma halves: forall n: u32: n / 2 + n / 2 == n
"""


def shown(obligation: Obligation) -> str:
    console = Console(file=io.StringIO(), width=400)
    print_obligation(obligation, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def trace_of(obligation: Obligation) -> Trace:
    assert obligation.trace is not None
    return obligation.trace


def test_a_state_is_shown_and_is_no_bug(verdicts: Check) -> None:
    found = verdicts(EVEN)["up/never_three"]
    assert found.verdict == "CTI"
    trace = trace_of(found)
    assert trace.kind == "cti" and trace.replayed
    assert [s.action for s in trace.steps] == [SOME_STATE, "up()"]
    assert [s.state["level"] for s in trace.steps] == [1, 3]
    assert trace.conjunct == "level != 3  with level = 3"
    assert trace.conjunct_span.endswith("test.tess:7:24")
    text = shown(found)
    assert "whether a run leads to it is not known" in text
    assert "not kept: never_three" in text
    assert not re.search(r"\b(bug|broken|violated)\b", text.replace("breaks it", ""))


@pytest.mark.parametrize(("text", "which"), [(EVEN, "up"), (LOCK, "take"), (SLOTS, "mark")])
def test_the_suggested_invariant_proves_it(verdicts: Check, text: str, which: str) -> None:
    found = verdicts(text)
    broken = next(o for n, o in found.items() if n.startswith(f"{which}/") and o.verdict == "CTI")
    match = re.fullmatch(r"adding `(invariant .*)` proves it", broken.hint)
    assert match is not None, broken.hint
    again = verdicts(f"{text}{match[1]}\n")
    assert {o.verdict for o in again.values()} == {"PROVED"}


def test_where_no_simple_invariant_helps_the_hint_says_how_many_were_tried(
    verdicts: Check,
) -> None:
    found = verdicts(SUM)
    broken = [o for o in found.values() if o.verdict == "CTI"]
    assert broken
    for obligation in broken:
        assert re.match(r"none of \d+ simple invariants rules this state out", obligation.hint)
        start = trace_of(obligation).steps[0].state
        assert start["a"] ^ start["b"] != start["all"]
    # The hint is right: what is missing is the sum itself.
    again = verdicts(SUM + "invariant total: a ^ b == all\n")
    assert {o.verdict for o in again.values()} == {"PROVED"}


def test_only_what_is_assumed_holds_in_the_state(spec_of: SpecOf) -> None:
    """Two blocks overlap when disjointness is not assumed, and freeing one clears the other's."""
    spec = spec_of(BLOCKS)
    bitmap = spec.properties[0]
    found = find_cti(spec, bitmap, "free", ["bitmap"])
    assert found.status == "found" and found.script is not None
    assert replay(spec, found.script, "bitmap").replayed
    assert not replay(spec, replace(found.script, assumed=("disjoint",)), "bitmap").replayed
    sizes = trace_of_script(spec, found.script, "bitmap").steps[0].state
    assert sizes["live"] == {"b1": True, "b2": True}
    assert max(sizes["size"].values()) == 1
    # With disjointness the step is proved, and so there is nothing to find.
    assert find_cti(spec, bitmap, "free", ["bitmap", "disjoint"]).script is None


def trace_of_script(spec: Spec, script: searching.Script, name: str) -> Trace:
    trace = replay(spec, script, name)
    assert trace.replayed
    return trace


def test_promises_and_lemmas_get_one_state(spec_of: SpecOf) -> None:
    """Without the bitmap's invariant, a granule may be taken that no block holds."""
    spec = spec_of(BLOCKS)
    by_name = {p.name: p for p in spec.properties}
    found = find_cti(spec, by_name["room"], "", ["bitmap", "disjoint"])
    assert found.script is not None and found.script.events == ()
    trace = trace_of_script(spec, found.script, "room")
    assert [s.action for s in trace.steps] == [SOME_STATE]
    assert (
        trace.steps[0].state["taken"][0] == [0, 1, True] or len(trace.steps[0].state["taken"]) > 1
    )
    assert trace.conjunct.startswith("alloc(n) succeeds with o = 0  with n = ")
    found = find_cti(spec, by_name["halves"], "", [])
    assert found.script is not None
    trace = trace_of_script(spec, found.script, "halves")
    assert trace.conjunct == "n / 2 + n / 2 == n  with n = 1, n / 2 + n / 2 = 0"


def test_a_step_property_gets_two_states(verdicts: Check) -> None:
    text = LOCK + "step rises except drop: holders > old(holders) or holders == 1\n"
    wrapping = text.replace("marked => holders <= 1", "holders <= 255")
    found = verdicts(wrapping)["take/rises"]
    assert found.verdict == "CTI"
    before, after = (s.state["holders"] for s in trace_of(found).steps)
    assert (before, after) == (255, 0)


def test_what_the_simulator_refuses_is_not_shown(
    verdicts: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "replay", lambda *_: Trace({}, (), broken="no"))
    found = verdicts(EVEN)["up/never_three"]
    assert (found.verdict, found.trace, found.hint) == ("CTI", None, "")
    assert "no state to show" in found.detail


def test_a_state_that_breaks_an_assumption_is_refused(verdicts: Check, spec_of: SpecOf) -> None:
    trace = trace_of(verdicts(LOCK)["take/one"])
    spec = spec_of(LOCK)
    script = searching.Script(
        find_script(spec).world, find_script(spec).events, {**trace.script["start"]}, ("one",)
    )
    assert replay(spec, script, "one").replayed
    broken = {**trace.script["start"], "marked": True, "holders": 7}
    refused = replay(spec, replace(script, start=broken), "one")
    assert refused.broken == "not reproduced: the first state does not satisfy 'one' (fails)"
    missing = {k: v for k, v in broken.items() if k != "held"}
    assert "'held' cannot be read" in replay(spec, replace(script, start=missing), "one").broken


def find_script(spec: Spec) -> searching.Script:
    prop = next(p for p in spec.properties if p.name == "one")
    script = find_cti(spec, prop, "take", ["one"]).script
    assert script is not None
    return script


def test_the_least_choice_is_leant_on_where_it_is_needed(verdicts: Check) -> None:
    text = (
        "spec first\nvar used(g: u8): bool\nvar top: u8\n"
        "init { for g: u8 { used(g) := false }  top := 0 }\n"
        "action take() {\n"
        "  require top < 200\n"
        "  least o: u8 where not used(o)\n"
        "  used(o) := true  top := max(top, o + 1)\n"
        "}\n"
        "invariant dense: forall g: u8 where g < top: used(g)\n"
    )
    assert verdicts(text)["take/dense"].verdict == "PROVED"
    some = verdicts(text.replace("least", "some"))
    assert some["dense"].verdict == "VIOLATED"


def test_a_counterexample_to_induction_travels_as_itf(verdicts: Check, spec_of: SpecOf) -> None:
    found = verdicts(LOCK)["take/one"]
    spec = spec_of(LOCK)
    results = Results(spec.name, spec.doc, spec.file, spec.digest, (found,))
    data = json.loads(json.dumps(to_itf(results, found)))
    recorded = from_itf(data, "here")
    again = replay_recorded(spec, recorded)
    assert again.replayed and again.kind == "cti"
    assert [s.state for s in again.steps] == [s.state for s in trace_of(found).steps]
    data["states"][0]["holders"] = {"#bigint": "0"}
    assert not replay_recorded(spec, from_itf(data, "here")).replayed
