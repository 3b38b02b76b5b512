"""What the pool does not use: `some`, `let`, scalars, maps over two things, tables of integers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tessera.errors import TesseraError
from tessera.lang.load import load
from tessera.lang.typed import Spec
from tessera.model.draw import Drawer
from tessera.model.explore import Explorer
from tessera.model.intervals import IntervalMap
from tessera.model.properties import Truth
from tessera.model.replay import replay
from tessera.model.script import Event, Script, World
from tessera.model.simulator import NotEnabled, Simulator
from tessera.model.values import Undecided
from tessera.model.words import Words
from tessera.model.world import draw_world, sizes_of

TEXT = """
spec shelves "a small machine"
class low
class middle > low
class high > middle
sort shelf as s "places"
sort book as t
enum mood { calm, cross }
const limit: u32 in 1 .. 100
const weight(i: u32): u32 "a table"
const strict: bool
var count: u32
var room: mood
var owner(s: shelf): book
var used(s: shelf): bool
var at(s: shelf, g: u32): book
var grade(k: class): u8
var level(g: u32): u32

init {
  room := cross
  for k: class { grade(k) := if k == high then 3 else 1 }
  for g: u32 { level(g) := if g < 10 then 7 else 9 }
}

function nine(): u32 = 9
function heavy(g: u32): bool = weight(g) > 5

action fill(n: u32) {
  let m = n + 1
  require m <= limit
  some s: shelf where not used(s)
  some x: u32 where 20 <= x and x < 23
  require x != 20
  used(s) := true
  count := count + x
  room := if room == calm then cross else calm
}
action place(s: shelf, b: book, n: u32) {
  owner(s) := b
  at(s, n) := b
}
action stairs(n: u32) { for g: u32 where g < n { level(g) := g * 2 } }
action pick(n: u32) {
  least x: u32 where x * x >= n and heavy(x)
  require x != 9
  fresh s: shelf where not used(s)
  require owner(s) == owner(s)
  count := x
}
action promote(k: class) { require k < high  grade(k) := grade(k) + 1 }

invariant small: count <= 1000
invariant order: low < high and low <= low and not (high < low) and not (low < low)
step grows: old(count) <= count
promise pickable: forall n: u32 where n <= 30: pick(n) succeeds with x = 8
promise fillable given limit >= 30: forall n: u32 where n <= 20: fill(n) succeeds
cover glad: room == calm
lemma halves unbounded: forall n: nat: n <= n + n
lemma halves8: forall n: u8: (n & 1) == (n % 2)

view main "shelf" {
  length limit
  mark g: u32: level(g) unless nine()
  zone "low": 0, min(limit, 10)
}
function few(g: u32): bool = g < 8
function hill(g: u32): u32 = (g * g) / 20
view hills { length limit  mark g in few: hill(g) unless nine() }
view main { run s in used: 1, 2, low, owner(s) }
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    file = tmp_path_factory.mktemp("spec") / "shelves.tess"
    file.write_text(TEXT, encoding="utf-8")
    return load(file)


def world(limit: int = 50, heavy: tuple[int, ...] = (8, 9, 11)) -> World:
    return World(
        {"limit": limit, "strict": True},
        {"shelf": ("s1", "s2"), "book": ("t1", "t2")},
        {"weight": {(i,): 6 for i in heavy}},
    )


def content(simulator: Simulator, name: str) -> Any:
    return simulator.state[simulator.machine.layouts[name].slot]


def test_the_first_state_has_first_values_and_what_init_says(spec: Spec) -> None:
    simulator = Simulator(spec, world())
    assert content(simulator, "count") == 0
    assert content(simulator, "room") == "cross"
    assert content(simulator, "owner") == {"s1": "t1", "s2": "t1"}
    assert content(simulator, "grade") == {"low": 1, "middle": 1, "high": 3}
    assert list(content(simulator, "level").runs(0, 99)) == [(0, 10, 7), (10, 99, 9)]
    assert simulator.check() == ()


def test_some_choices_are_followed_until_later_guards_pass(spec: Spec) -> None:
    simulator = Simulator(spec, world())
    assert simulator.enabled("fill", {"n": 3}) == {"s": "s1", "x": 21}
    drawn = [simulator.enabled("fill", {"n": 3}, Random(i)) or {} for i in range(40)]
    found = {tuple(choices.values()) for choices in drawn}
    assert found == {(s, x) for s in ("s1", "s2") for x in (21, 22)}
    assert simulator.enabled("fill", {"n": 50}) is None
    assert simulator.enabled("fill", {"n": 2**32 - 1}) == {"s": "s1", "x": 21}  # n + 1 wraps to 0
    simulator.fire(Event("fill", {"n": 3}, {"s": "s2", "x": 22}))
    assert (content(simulator, "count"), content(simulator, "room")) == (22, "calm")
    with pytest.raises(NotEnabled, match="x != 20"):
        simulator.fire(Event("fill", {"n": 3}, {"s": "s1", "x": 20}))
    with pytest.raises(NotEnabled, match="does not pass"):
        simulator.fire(Event("fill", {"n": 3}, {"s": "s1", "x": 23}))


def test_updates_over_shelves_and_integers(spec: Spec) -> None:
    simulator = Simulator(spec, world())
    before = simulator.state
    simulator.fire(Event("place", {"s": "s2", "b": "t2", "n": 4}, {}))
    assert content(simulator, "at")["s2"] == IntervalMap("t1", 2**32).set(4, 5, "t2")
    assert content(simulator, "at")["s1"] == IntervalMap("t1", 2**32)
    words = Words(simulator.machine).changes(before, simulator.state)
    assert words == ("s2: owner = t2", "at(s2)[4] = t2")
    simulator.fire(Event("stairs", {"n": 5}, {}))
    assert [content(simulator, "level")[g] for g in range(7)] == [0, 2, 4, 6, 8, 7, 7]
    with pytest.raises(Undecided):
        simulator.enabled("stairs", {"n": 2**31})
        simulator.fire(Event("stairs", {"n": 2**31}, {}))


def test_the_least_choice_is_bound_before_later_guards(spec: Spec) -> None:
    simulator = Simulator(spec, world())
    assert simulator.enabled("pick", {"n": 64}) == {"x": 8, "s": "s1"}
    assert simulator.enabled("pick", {"n": 65}) is None  # the least is 9, and 11 may not be taken
    assert simulator.enabled("pick", {"n": 100}) == {"x": 11, "s": "s1"}
    assert simulator.truth("pickable") is Truth.HOLDS
    assert Simulator(spec, world(heavy=(9, 11))).truth("pickable") is Truth.FAILS
    assert Simulator(spec, world(heavy=(2, 8))).truth("pickable") is Truth.HOLDS


def test_a_promise_looks_for_choices(spec: Spec) -> None:
    simulator = Simulator(spec, world(limit=40))
    assert simulator.truth("fillable") is Truth.HOLDS
    for shelf in ("s1", "s2"):
        simulator.fire(Event("fill", {"n": 0}, {"s": shelf, "x": 21}))
    assert simulator.truth("fillable") is Truth.FAILS
    assert Simulator(spec, world(limit=29)).truth("fillable") is Truth.HOLDS  # not given


def test_step_properties_compare_with_the_state_before(spec: Spec) -> None:
    simulator = Simulator(spec, world())
    simulator.fire(Event("fill", {"n": 0}, {"s": "s1", "x": 22}))
    assert simulator.truth("grows") is Truth.HOLDS
    simulator.fire(Event("pick", {"n": 0}, {"x": 8, "s": "s2"}))
    assert [v.name for v in simulator.check()] == ["grows"]


def test_classes_are_ordered_through_others(spec: Spec) -> None:
    simulator = Simulator(spec, world())
    assert simulator.truth("order") is Truth.HOLDS
    assert simulator.enabled("promote", {"k": "low"}) == {}
    assert simulator.enabled("promote", {"k": "high"}) is None


def test_an_unbounded_lemma_is_left_to_the_proofs(spec: Spec) -> None:
    names = Simulator(spec, world()).properties.names
    assert "halves" not in names
    assert "halves8" in names


def test_views_of_one_name_are_one_strip(spec: Spec) -> None:
    simulator = Simulator(spec, world())
    simulator.fire(Event("fill", {"n": 0}, {"s": "s1", "x": 21}))
    strip, hills = Drawer(spec, simulator.machine.engine).strips(simulator.state)
    assert (strip.title, strip.length) == ("shelf", 50)
    assert [(m.label, m.start, m.size) for m in strip.marks] == [("7", 0, 10)]
    assert [(r.label, r.group, r.start, r.size) for r in strip.runs] == [("t1", "low", 1, 2)]
    assert [(z.label, z.start, z.size) for z in strip.zones] == [("low", 0, 10)]
    assert hills.title == "hills"
    marks = [(m.label, m.start, m.size) for m in hills.marks]
    assert marks == [("0", 0, 5), ("1", 5, 2), ("2", 7, 1)]


def test_a_cover_is_seen_and_replayed(spec: Spec) -> None:
    cover = replace(spec, properties=tuple(p for p in spec.properties if p.kind == "cover"))
    explorer = Explorer(cover, sizes_of(spec, {"limit": 50}), 1)
    list(explorer.run(30, draw=False))
    assert "glad" in explorer.summary.covered
    script = Script(world(), (Event("fill", {"n": 0}, {"s": "s1", "x": 21}),))
    assert replay(spec, script, "glad").replayed


def test_consts_without_a_size_take_their_lower_bound(spec: Spec) -> None:
    drawn = draw_world(spec, sizes_of(spec, {}), Random(1))
    assert drawn.scalars["limit"] == 1
    assert drawn.scalars["strict"] in (True, False)


def test_two_integer_parameters_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "grid.tess"
    file.write_text(
        "spec grid\nvar cell(x: u8, y: u8): bool\naction go() { cell(1, 2) := true }\n",
        encoding="utf-8",
    )
    with pytest.raises(TesseraError, match="2 integer parameters"):
        Simulator(load(file), World({}, {}))
