"""Slices: what a task depends on, and that running on it changes no answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tessera import resources
from tessera.lang import Spec, load
from tessera.lang.types import IntType
from tessera.prove import check
from tessera.prove.engine import LocalEngine, Question
from tessera.prove.slice import Slicer, slice_spec
from tessera.prove.tasks import Settings, Task

SETTINGS = Settings(1_000_000, 0, 3)

POOL = """
spec small "blocks, their owners and what they hold"
sort block as b
const nobody: block
const top: u8 in 4 .. 9
const unused: u8 in 1 .. 3
param reserve: u8 in 0 .. 4 = 2
param fixed: u8 = 3
var live(b: block): bool
var start(b: block): u8
var note(b: block): u8
var count: u8
function low(b: block): bool = start(b) < top
function noted(b: block): bool = note(b) == fixed
init { for b: block { live(b) := false  note(b) := fixed }  count := 0 }
action take(e: block, o: u8) {
  require not live(e) and o < top - reserve
  live(e) := true
  start(e) := o
  note(e) := fixed
}
action drop(e: block) { require live(e)  live(e) := false  count := count / 2 }
invariant inside "starts lie below the top": forall b in live: low(b)
invariant remembered: forall b in live: noted(b)
step kept except take: forall b: block where live(b): start(b) == old(start(b))
promise room: forall b: block where not live(b) and reserve < 4: take(b, 0) succeeds
cover used within 2: exists b: block: live(b)
expect inside proved
"""

SpecOf = Callable[[str], Spec]


def names(part: Spec) -> dict[str, set[str]]:
    return {
        "vars": set(part.vars),
        "functions": set(part.functions),
        "consts": set(part.consts),
        "params": set(part.params),
        "actions": {a.name for a in part.actions},
        "properties": {p.name for p in part.properties},
    }


def digest(spec: Spec, task: Task) -> str:
    return Slicer(spec).question(task, SETTINGS).digest


STEP = Task("step", "inside", "take", ("inside", "remembered"))
ALONE = Task("try", "inside", "take", ("inside",))


def test_a_step_keeps_its_action_and_what_the_property_reads(spec_of: SpecOf) -> None:
    part = slice_spec(spec_of(POOL), ALONE)
    assert names(part) == {
        "vars": {"live", "start"},
        "functions": {"low"},
        "consts": {"top"},
        "params": {"reserve"},
        "actions": {"take"},
        "properties": {"inside"},
    }
    updated = [s.var for s in part.actions[0].body if hasattr(s, "var")]
    assert updated == ["live", "start"]
    assert "remembered" in names(slice_spec(spec_of(POOL), STEP))["properties"]


def test_a_search_keeps_all_actions_and_constants_but_not_every_variable(spec_of: SpecOf) -> None:
    part = slice_spec(spec_of(POOL), Task("hunt", "inside"))
    assert names(part)["actions"] == {"take", "drop"}
    assert names(part)["consts"] == {"nobody", "top", "unused"}
    assert names(part)["vars"] == {"live", "start"}


def test_a_variable_that_a_guard_or_a_kept_update_reads_is_kept(spec_of: SpecOf) -> None:
    guarded = POOL.replace(
        "action drop(e: block) { require live(e)",
        "action drop(e: block) { require live(e) and count < 9",
    )
    assert "count" in names(slice_spec(spec_of(guarded), Task("hunt", "inside")))["vars"]
    feeding = POOL.replace("start(e) := o\n", "start(e) := if count < 2 then o else 0\n")
    assert "count" in names(slice_spec(spec_of(feeding), Task("hunt", "inside")))["vars"]
    assert "note" not in names(slice_spec(spec_of(feeding), Task("hunt", "inside")))["vars"]


def test_a_promise_keeps_the_guards_of_its_action(spec_of: SpecOf) -> None:
    part = slice_spec(spec_of(POOL), Task("here", "room", "", ("inside",)))
    assert [a.name for a in part.actions] == ["take"]
    assert not [s for s in part.actions[0].body if hasattr(s, "var")]
    assert "top" in part.consts


UNTOUCHED = [
    ("a comment", "sort block", "# a comment\nsort block"),
    ("a doc", "starts lie below the top", "starts lie under the top"),
    ("an expectation", "expect inside proved\n", ""),
    ("another property", "note(b) == fixed", "note(b) <= fixed"),
    ("another's constant", "fixed: u8 = 3", "fixed: u8 = 4"),
    ("a default in a proven range", "0 .. 4 = 2", "0 .. 4 = 1"),
    ("another action", "count := count / 2", "count := count / 3"),
    ("an update nobody reads", "note(e) := fixed", "note(e) := 3"),
    ("a new property", "cover used", "invariant tame: count <= 9\ncover used"),
    ("another's bound", "within 2", "within 3"),
]
TOUCHED = [
    ("the property", "start(b) < top", "start(b) <= top"),
    ("the guard", "o < top - reserve", "o <= top - reserve"),
    ("an update", "start(e) := o", "start(e) := o / 2"),
    ("a range", "in 4 .. 9", "in 4 .. 8"),
    ("a parameter's range", "in 0 .. 4 =", "in 0 .. 3 ="),
    ("a width", "var start(b: block): u8", "var start(b: block): u16"),
]


@pytest.mark.parametrize(("what", "old", "new"), UNTOUCHED, ids=lambda x: x.replace(" ", "-"))
def test_edits_elsewhere_keep_the_name(what: str, old: str, new: str, spec_of: SpecOf) -> None:
    assert old in POOL, what
    assert digest(spec_of(POOL.replace(old, new)), ALONE) == digest(spec_of(POOL), ALONE)


@pytest.mark.parametrize(("what", "old", "new"), TOUCHED[:5], ids=lambda x: x.replace(" ", "-"))
def test_edits_of_what_it_depends_on_change_it(
    what: str, old: str, new: str, spec_of: SpecOf
) -> None:
    assert old in POOL, what
    assert digest(spec_of(POOL.replace(old, new)), ALONE) != digest(spec_of(POOL), ALONE)


def test_widths_count_though_they_print_alike(spec_of: SpecOf) -> None:
    spec = spec_of(POOL)
    wide = replace(spec.vars["start"], type=IntType(16))
    assert digest(replace(spec, vars={**spec.vars, "start": wide}), ALONE) != digest(spec, ALONE)


def test_searches_depend_on_every_action_but_not_on_unread_updates(spec_of: SpecOf) -> None:
    hunt = Task("hunt", "inside")
    spec = spec_of(POOL)
    other = spec_of(POOL.replace("count := count / 2", "count := 1"))
    assert digest(other, hunt) == digest(spec, hunt)
    guarded = spec_of(POOL.replace("{ require live(e)", "{ require live(e) and start(e) > 0"))
    assert digest(guarded, hunt) != digest(spec, hunt)


def test_settings_count_only_where_they_matter(spec_of: SpecOf) -> None:
    slicer = Slicer(spec_of(POOL))
    longer, seeded = replace(SETTINGS, steps=4), replace(SETTINGS, seed=1)
    for task, steps_count in (
        (STEP, False),
        (Task("hunt", "inside"), False),
        (Task("violate", "inside"), True),
        (Task("firings"), True),
    ):
        base = slicer.question(task, SETTINGS).digest
        assert (slicer.question(task, longer).digest != base) == steps_count, task
        assert slicer.question(task, seeded).digest != base
    # A bound of the property's own stands before the setting.
    used = Task("reach", "used")
    assert slicer.question(used, longer).digest == slicer.question(used, SETTINGS).digest


def test_unknown_kinds_of_tasks_get_the_whole_spec(spec_of: SpecOf) -> None:
    spec = spec_of(POOL)
    question = Slicer(spec).question(replace(STEP, kind="cti"), SETTINGS)
    assert question.spec is spec
    moved = spec_of("# moved\n" + POOL)
    assert Slicer(moved).question(replace(STEP, kind="cti"), SETTINGS).digest != question.digest


def test_every_field_of_a_spec_was_thought_of() -> None:
    """A new part of a spec is to be kept, dropped or reduced by `slice.py` on purpose."""
    dropped = {"name", "doc", "file", "digest", "platform", "expects", "views", "simulate", "lines"}
    reduced = {"consts", "params", "vars", "functions", "init", "actions", "properties", "classes"}
    kept = {"enums", "sorts"}
    assert {f.name for f in fields(Spec)} == dropped | reduced | kept


def test_slices_of_slices_are_the_same(spec_of: SpecOf) -> None:
    for task in (STEP, Task("hunt", "inside"), Task("sane"), Task("firings")):
        once = slice_spec(spec_of(POOL), task)
        assert slice_spec(once, task) == once


def of_the_whole(slicer: Slicer, task: Task, settings: Settings) -> Question:
    """What a slicer would do that leaves nothing out."""
    return Question(slicer.spec, task, settings)


@pytest.mark.parametrize("broken", ["", "guard", "promise"])
def test_slicing_changes_no_verdict_and_no_trace(
    broken: str, spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {
        "": POOL,
        "guard": POOL.replace("o < top - reserve", "o <= top"),
        "promise": POOL.replace("reserve < 4:", "reserve <= 4:"),
    }[broken]
    sliced = check(spec_of(text), engine=LocalEngine(1))
    monkeypatch.setattr(Slicer, "question", of_the_whole)
    whole = check(spec_of(text), engine=LocalEngine(1))
    assert [(o.id, o.verdict, o.detail, o.met) for o in sliced] == [
        (o.id, o.verdict, o.detail, o.met) for o in whole
    ]
    assert [len(o.trace.steps) for o in sliced if o.trace] == [
        len(o.trace.steps) for o in whole if o.trace
    ]
    assert all(o.trace.replayed for o in sliced if o.trace)


def test_slices_of_the_pool_leave_out_most_of_it() -> None:
    spec = load(resources.find_spec("priority"))
    part = slice_spec(spec, Task("try", "disjoint", "free", ("disjoint",)))
    assert set(part.vars) == {"live", "start", "size", "owner_of"}
    assert not part.consts.keys() - {"core", "class_of", "nobody"}
    assert Path(spec.file).name == "priority.tess" and part.file == ""
