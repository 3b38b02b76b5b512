"""What checking turns the surface into: classes, intervals, sets, worlds, choices, properties."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tessera import resources
from tessera.errors import TesseraError
from tessera.lang import Spec, load
from tessera.lang import typed as t
from tessera.lang.show import show
from tessera.lang.types import BOOL, GRANULES, EnumType, IntType, SortType

LoadText = Callable[..., Spec]
Mistakes = Callable[[str], str]

CLASSES = """
class ordinary "all others"
class inference > ordinary {
  ta "2C3D9A52-6F0E-4B8A-9D41-70C5E1A8B3F6" "a network"
}
class urgent > inference, spare
class spare
"""
POOL = """
const pool_pages: u32 granules in 1 granules .. 0xffff granules
interface {
  function window(k: class): interval
  function spill(k: class): class
  const eager: bool
}
policy {
  function window(k: class): interval = if k == ordinary then [0, half()) else [half(), pool_pages)
  function spill(k: class): class = k
  const eager: bool = true
}
function half(): u32 granules = pool_pages / 2
"""


def formulas(spec: Spec) -> dict[str, str]:
    return {p.name: show(p.formula) for p in spec.properties}


def test_classes(load_text: LoadText) -> None:
    spec = load_text(f"spec s\n{CLASSES}")
    assert [(c.name, c.above) for c in spec.classes] == [
        ("ordinary", ()),
        ("inference", ("ordinary",)),
        ("urgent", ("inference", "spare")),
        ("spare", ()),
    ]
    assert spec.classes[1].tas == (t.Ta("2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6", "a network"),)
    assert spec.enums["class"] == ("ordinary", "inference", "urgent", "spare")
    assert spec.outranks("urgent", "ordinary")
    assert spec.outranks("urgent", "spare")
    assert not spec.outranks("inference", "spare")
    assert not spec.outranks("ordinary", "urgent")
    assert not spec.outranks("ordinary", "ordinary")


def test_class_order_has_one_form(load_text: LoadText) -> None:
    """`<` is the only order the backends see."""
    spec = load_text(
        f"""spec s
{CLASSES}
var a: class
var b: class
invariant less: a < b
invariant more: a > b
invariant at_most: a <= b
invariant at_least: a >= b
"""
    )
    by_name = {p.name: p.formula for p in spec.properties}
    less, more = by_name["less"], by_name["more"]
    assert isinstance(less, t.Binary)
    assert isinstance(more, t.Binary)
    assert (less.op, show(less.left), show(less.right)) == ("<", "a", "b")
    assert (more.op, show(more.left), show(more.right)) == ("<", "b", "a")
    at_most, at_least = by_name["at_most"], by_name["at_least"]
    assert isinstance(at_most, t.Binary)
    assert (at_most.op, show(at_most.left), show(at_most.right)) == ("or", "a < b", "a == b")
    assert isinstance(at_least, t.Binary)
    assert (at_least.op, show(at_least.left), show(at_least.right)) == ("or", "b < a", "b == a")


def test_an_interval_function_becomes_two(load_text: LoadText) -> None:
    spec = load_text(f"spec s\n{CLASSES}{POOL}\ninvariant i: window(ordinary).lo <= half()\n")
    low, high = spec.functions["window.lo"], spec.functions["window.hi"]
    assert "window" not in spec.functions
    assert (show(low.body), show(high.body)) == (
        "if k == ordinary then 0 else half()",
        "if k == ordinary then half() else pool_pages",
    )
    assert low.policy
    assert low.type == high.type == GRANULES
    assert [b.name for b in low.params] == ["k"]
    formula = spec.properties[0].formula
    assert isinstance(formula, t.Binary)
    assert isinstance(formula.left, t.Apply)
    assert (formula.left.kind, formula.left.name) == ("policy", "window.lo")


def test_kinds_of_application(load_text: LoadText) -> None:
    spec = load_text(
        f"""spec s
{CLASSES}{POOL}
param limit: u32 granules = 5 granules
var used: u32 granules
invariant i: used + limit + pool_pages + half() + window(ordinary).hi > 0 or eager
"""
    )
    formula = spec.properties[0].formula
    found = []
    todo: list[t.Expr] = [formula]
    while todo:
        expr = todo.pop(0)
        if isinstance(expr, t.Binary):
            todo += [expr.left, expr.right]
        elif isinstance(expr, t.Apply):
            found.append((expr.name, expr.kind))
    assert sorted(found) == [
        ("eager", "policy"),
        ("half", "function"),
        ("limit", "param"),
        ("pool_pages", "const"),
        ("used", "var"),
        ("window.hi", "policy"),
    ]


def test_in_becomes_a_guard(load_text: LoadText) -> None:
    spec = load_text(
        """spec s
sort block as b
var live(b: block): bool
var start(b: block): u32
function early(b: block): bool = start(b) < 5
invariant two: forall a, b in live, c in early where a != b: start(a) != start(c)
invariant none: forall a: block: start(a) > 0
"""
    )
    two, none = (p.formula for p in spec.properties)
    assert isinstance(two, t.Quant)
    assert [b.name for b in two.binders] == ["a", "b", "c"]
    assert {b.type for b in two.binders} == {SortType("block")}
    guards = []
    guard: t.Expr = two.guard
    while isinstance(guard, t.Binary) and guard.op == "and":
        guards.append(guard.right)
        guard = guard.left
    assert [show(g) for g in (guard, *reversed(guards))] == [
        "live(a)",
        "live(b)",
        "early(c)",
        "a != b",
    ]
    assert isinstance(none, t.Quant)
    assert isinstance(none.guard, t.BoolLit)
    assert none.guard.value is True


def test_worlds_are_comparisons_of_addresses(load_text: LoadText) -> None:
    spec = load_text(
        """spec s
platform board {
  granule 4 KiB
  region low secure at 0x1000 for 4 KiB
  region inner in low at 0x1000 for 1 KiB
  region high secure at 0x8000 for 4 KiB
  region dram nonsecure at 0x1_0000 for 64 KiB
  region uart device at 0x9_0000 for 4 KiB
}
var a: paddr bytes
invariant safe: is_secure(a, a + 8 bytes)
invariant seen: touches_nonsecure(a, a + 8 bytes)
"""
    )
    safe, seen = (show(p.formula) for p in spec.properties)
    assert safe == (
        "(4 KiB <= a and a <= a + 8 bytes and a + 8 bytes <= 8 KiB) or "
        "(32 KiB <= a and a <= a + 8 bytes and a + 8 bytes <= 36 KiB)"
    )
    assert seen == "a < 128 KiB and 64 KiB < a + 8 bytes"


def test_actions(load_text: LoadText) -> None:
    spec = load_text(
        """spec s
sort block as b
var live(b: block): bool
var start(b: block): u32
var count: u32
init { count := 0  for b: block { live(b) := false  start(b) := 0 } }
action take(n: u32) "takes n" {
  require n > 0
  let more = n + 1
  least o: u32 where o >= more
  fresh e: block where not live(e)
  live(e) := true
  count := count + 1
  for b in live where start(b) > o { start(b) := o }
}
"""
    )
    count, live, start = spec.init
    assert isinstance(count, t.Update)
    assert (count.var, count.args, count.binders) == ("count", (), ())
    assert isinstance(live, t.Update)
    assert isinstance(start, t.Update)
    assert [b.name for b in live.binders] == ["b"]
    action = spec.action("take")
    assert action.doc == "takes n"
    assert [type(statement).__name__ for statement in action.body] == [
        "Require",
        "Let",
        "Choose",
        "Choose",
        "Update",
        "Update",
        "Update",
    ]
    least, fresh = action.body[2], action.body[3]
    assert isinstance(least, t.Choose)
    assert isinstance(fresh, t.Choose)
    assert (least.kind, least.binder.type) == ("least", IntType(32))
    assert (fresh.kind, fresh.binder.type) == ("fresh", SortType("block"))
    last = action.body[-1]
    assert isinstance(last, t.Update)
    assert show(last.guard) == "live(b) and start(b) > o"
    assert (show(last.args[0]), show(last.value)) == ("b", "o")


def test_properties(load_text: LoadText) -> None:
    spec = load_text(
        """spec s
const size: u32 in 1 .. 9
var x: u32
action set(v: u32) { require v < 3  x := v }
action keep() { }
invariant small "x is small" given size > 2:
  x < 3   # a comment
    and     x != 7
step steady except set: x == old(x)
promise settable: set(2) succeeds
lemma big unbounded: forall n: nat: n + 1 > n
cover full within 4: x == 2
assume roomy: size > 1
expect small, settable proved
expect full covered within 2
expect steady violated within 3
"""
    )
    by_name = {p.name: p for p in spec.properties}
    kinds = {name: p.kind for name, p in by_name.items()}
    assert kinds == {
        "small": "invariant",
        "steady": "step",
        "settable": "promise",
        "big": "lemma",
        "full": "cover",
        "roomy": "assume",
    }
    small = by_name["small"]
    assert small.doc == "x is small"
    assert show(small.given) == "size > 2"
    assert small.text == "x < 3\nand     x != 7"
    assert by_name["steady"].excepted == ("set",)
    assert by_name["steady"].text == "x == old(x)"
    assert by_name["big"].unbounded
    assert by_name["full"].within == 4
    assert {n: (e.verdict, e.within) for n, e in spec.expects.items()} == {
        "small": ("proved", None),
        "settable": ("proved", None),
        "full": ("covered", 2),
        "steady": ("violated", 3),
    }


def test_views_of_one_name_merge(load_text: LoadText) -> None:
    spec = load_text(
        """spec s
var x: u32
view strip "the first text stays" { length x }
view other { length x + 1 }
view strip { zone "low": 0, x }
"""
    )
    assert [(v.name, v.doc, [i.kind for i in v.items]) for v in spec.views] == [
        ("strip", "the first text stays", ["length", "zone"]),
        ("other", "", ["length"]),
    ]
    assert spec.views[0].items[1].label == "low"


def test_enums_sorts_and_their_elements(load_text: LoadText) -> None:
    spec = load_text(
        """spec s
enum mode { never, owned }
sort owner as ta "who owns"
const core: owner
const nobody: owner
const best(o: owner): owner
var scrub: mode
invariant i: scrub == never
"""
    )
    assert spec.enums == {"class": (), "mode": ("never", "owned")}
    assert spec.sorts == (t.Sort("owner", "ta", "who owns"),)
    assert spec.sort_elements(SortType("owner")) == ("core", "nobody")
    assert spec.vars["scrub"].type == EnumType("mode")
    assert spec.properties[0].formula.type == BOOL


def test_names_that_are_words_elsewhere(load_text: LoadText) -> None:
    """Words that the grammar only expects in other places stay free."""
    spec = load_text(
        """spec s
var granule: bool
var within(run: u8): bool
var secure: bool
invariant covered: granule and within(3) and secure
promise promise: go() succeeds
action go() { granule := true }
"""
    )
    assert formulas(spec)["covered"] == "granule and within(3) and secure"


def test_an_action_may_be_expected_never_to_happen(load_text: LoadText) -> None:
    spec = load_text(
        """spec s
var x: u8
action never() { require x > x }
action too() { require x < x }
invariant never: true
expect never, too unreachable
expect never proved
"""
    )
    assert {name: e.verdict for name, e in spec.expects.items()} == {
        "action never": "unreachable",
        "action too": "unreachable",
        "never": "proved",
    }


def shipped(*, whole: bool) -> list[str]:
    """The names of the shipped files that declare a spec, or of those that do not."""
    found = []
    for name, path in resources.shipped_specs().items():
        declares = any(line.startswith("spec ") for line in path.read_text("utf-8").splitlines())
        if declares == whole:
            found.append(name)
    return sorted(found)


@pytest.mark.parametrize("name", shipped(whole=True))
def test_every_shipped_spec_loads_under_its_name(name: str) -> None:
    assert load(resources.shipped_specs()[name]).name == spec_name(name)


def spec_name(short: str) -> str:
    """`priority` for a policy; `cve_2019_1010294_defect` for `CVE-2019-1010294/defect`."""
    return re.sub(r"\W", "_", short.lower()) if "/" in short else short


@pytest.mark.parametrize("name", shipped(whole=False))
def test_a_shipped_part_is_no_spec(name: str) -> None:
    with pytest.raises(TesseraError, match="declares no spec"):
        load(resources.shipped_specs()[name])
