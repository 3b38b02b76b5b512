"""What the operators make of a spec."""

from __future__ import annotations

from collections.abc import Callable

from tests.mutate.conftest import TANK

from tessera import resources
from tessera.lang import Spec, load
from tessera.lang import typed as t
from tessera.lang.show import show
from tessera.lang.walk import walk
from tessera.mutate.changes import KINDS, Change, changes
from tessera.mutate.sites import sites

Mutants = Callable[[str], dict[str, Change]]

PLACES = """spec places
use "optee/platforms/qemu_armv8a.tess"
class low
class high > low
enum mode { off, on, auto }
sort thing
const nobody: thing
const root: thing
const length: u32 granules
var last(x: thing): thing
var used(x: thing): bool
var at(x: thing): u32 granules

interface {
  function window(k: class): interval
  const how: mode
}
policy {
  function window(k: class): interval =
    if k == high then [min(8 granules, length), length) else [0, length - 2 granules)
  const how: mode = on
}
function address(x: thing): paddr bytes = (at(x) as paddr) << granule_shift
function lookup(a: paddr bytes): u32 granules = (a >> granule_shift) as u16 as u32
function word(x: thing): bool = at(x) < length

init { for x: thing { last(x) := nobody  used(x) := false } }
action put(x: thing, n: u32 granules) {
  require x != root and not used(x)
  least o: u32 granules where window(low).lo <= o and o + n <= length
  used(x) := true
  at(x) := o
  last(x) := root
  for y in used where at(y) < o and how == on { last(y) := nobody }
}
invariant something: forall x in used: word(x) and lookup(address(x)) <= length
"""


def _of(found: dict[str, Change], prefix: str) -> dict[str, tuple[str, str]]:
    return {
        id_.removeprefix(prefix): (c.before, c.after)
        for id_, c in found.items()
        if id_.startswith(prefix)
    }


def test_guards(mutants: Mutants) -> None:
    """Dropped, negated, without a part, with another comparison or constant."""
    assert _of(mutants(PLACES), "guard/put/1/") == {
        "drop": ("require x != root and not used(x)", "(no guard)"),
        "negate": ("x != root and not used(x)", "not (x != root and not used(x))"),
        "drop-part-1": ("x != root", "(dropped)"),
        "drop-part-2": ("not used(x)", "(dropped)"),
        "equal": ("x != root", "x == root"),
        "nobody": ("root", "nobody"),
    }


def test_choices_and_their_tests(mutants: Mutants) -> None:
    """A least choice becomes any; its test is a guard."""
    found = mutants(PLACES)
    assert _of(found, "choice/") == {"put/o/some": ("least o", "some o")}
    assert set(_of(found, "guard/put/o/")) == {
        *("drop", "negate", "drop-part-1", "drop-part-2"),
        *("forbid-equal-1", "forbid-equal-2", "high"),
    }
    assert _of(found, "bound/put/o/") == {
        "other-end": ("window(low).lo", "window(low).hi"),
        "plus-one": ("o + n", "o + n + 1 granules"),
        "minus-one": ("o + n", "o + n - 1 granules"),
    }


def test_updates(mutants: Mutants) -> None:
    """Dropped, everywhere, with another constant; the places of a bulk update are guarded."""
    found = mutants(PLACES)
    assert _of(found, "update/put/used/") == {
        "drop": ("used(x) := true", "(no update)"),
        "false": ("true", "false"),
    }
    assert _of(found, "update/put/last/")["nobody"] == ("root", "nobody")
    assert set(_of(found, "update/put/last/")) == {
        *("drop-1", "nobody"),
        *("drop-2", "everywhere", "drop-part-1", "drop-part-2", "drop-part-3"),
        *("where/allow-equal", "where/unequal", "where/off", "where/auto", "root"),
    }
    assert set(_of(found, "update/init/")) == {"last/drop", "last/root", "used/drop", "used/true"}


def test_widths(mutants: Mutants) -> None:
    """Through a narrower type, a less narrow truncation, and the other side of a shift."""
    found = mutants(PLACES)
    assert _of(found, "width/address/") == {
        "shift-first": ("(at(x) as paddr) << granule_shift", "(at(x) << granule_shift) as paddr"),
        "u8": ("at(x) as paddr", "at(x) as u8 as paddr"),
        "u16": ("at(x) as paddr", "at(x) as u16 as paddr"),
    }
    assert _of(found, "width/lookup/") == {
        "u8-1": ("(a >> granule_shift) as u16 as u32", "(a >> granule_shift) as u16 as u8 as u32"),
        "u8-2": ("(a >> granule_shift) as u16", "(a >> granule_shift) as u8 as u16"),
        "u32": ("(a >> granule_shift) as u16", "(a >> granule_shift) as u32"),
        "cast-first": ("(a >> granule_shift) as u16", "(a as u16) >> granule_shift"),
    }


def test_policy_and_bounds(mutants: Mutants) -> None:
    """Branches, the class that is tested, members of an enumeration, ends by a granule."""
    found = mutants(PLACES)
    assert _of(found, "policy/how/") == {"off": ("on", "off"), "auto": ("on", "auto")}
    assert set(_of(found, "policy/window.hi/")) == {"branches", "unequal", "low"}
    assert _of(found, "bound/window.hi/") == {
        "plus-one-1": ("length - 2 granules", "length - 2 granules + 1 granules"),
        "minus-one-1": ("length - 2 granules", "length - 2 granules - 1 granules"),
        "plus-one-2": ("2 granules", "3 granules"),
        "minus-one-2": ("2 granules", "1 granules"),
        "plus-one-3": ("length", "length + 1 granules"),
        "minus-one-3": ("length", "length - 1 granules"),
    }
    assert _of(found, "bound/window.lo/")["swap"][1] == "max(8 granules, length)"


def test_demands_are_left_alone(mutants: Mutants) -> None:
    """Properties judge; so does the vocabulary that only they use and that computes no width."""
    found = mutants(PLACES)
    assert not [id_ for id_ in found if "/word/" in id_ or "/something" in id_]
    properties = {c.spec.properties for c in found.values()}
    assert len(properties) == 1


def test_ids_and_places(mutants: Mutants, spec_of: Callable[[str], Spec]) -> None:
    """Ids are unique, the same every time, and say the kind; spans point into the text."""
    found = mutants(PLACES)
    again = changes(spec_of(PLACES))
    assert [c.id for c in again] == list(found)
    assert len({c.id for c in again}) == len(again)
    assert {c.kind for c in again} <= set(KINDS)
    assert all(c.id.startswith(f"{c.kind}/") for c in again)
    lines = PLACES.splitlines()
    guard = found["guard/put/1/drop-part-1"].span
    assert lines[guard.line - 1][guard.column - 1 : guard.end_column - 1] == "x != root"


def test_one_node_each(spec_of: Callable[[str], Spec]) -> None:
    """A mutant differs from the original in one declaration, and from every other mutant."""
    spec = spec_of(PLACES)
    for change in changes(spec):
        actions = sum(a != b for a, b in zip(spec.actions, change.spec.actions, strict=True))
        functions = sum(f != change.spec.functions[n] for n, f in spec.functions.items())
        assert actions + functions + (spec.init != change.spec.init) == 1, change.id


def test_types_stay() -> None:
    """What stands in a place afterwards has the type of what stood there."""
    spec = load(resources.find_spec("priority"))
    for change in changes(spec):
        for name, function in change.spec.functions.items():
            assert function.body.type == spec.functions[name].body.type, change.id
            for node in walk(function.body):
                _well_typed(node, change.id)


def _well_typed(node: t.Expr, id_: str) -> None:
    if isinstance(node, t.Binary) and node.op in ("+", "-", "<", "<=", "==", "min", "max"):
        assert node.left.type == node.right.type, (id_, show(node))
    if isinstance(node, t.Ite):
        assert node.then.type == node.other.type == node.type, (id_, show(node))


def test_replacing_each_place_by_itself_changes_nothing(spec_of: Callable[[str], Spec]) -> None:
    """Every place of every expression can be reached and put back."""
    spec = spec_of(PLACES)
    for function in spec.functions.values():
        found = list(sites(function.body))
        assert [s.node for s in found] == list(walk(function.body))
        assert all(s.put(s.node) == function.body for s in found)


def test_small_spec_in_full(mutants: Mutants) -> None:
    """All that can be done to one action of a tank."""
    found = mutants(TANK)
    assert [id_ for id_ in found if "/fill/" in id_] == [
        *("guard/fill/1/drop", "guard/fill/1/negate", "guard/fill/1/forbid-equal"),
        *("bound/fill/1/plus-one", "bound/fill/1/minus-one"),
        *("update/fill/level/drop", "bound/fill/level/plus-one", "bound/fill/level/minus-one"),
    ]
