"""Two specs compared: same steps, fewer steps, other steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.lang import Spec, load
from tessera.prove.equal import pair
from tessera.prove.tasks import Settings, Task, run_task

BASE = """spec shelf
sort item as i
const room: u8
var placed(x: item): bool
var at(x: item): u8
var count: u8
init { for x: item { placed(x) := false }  count := 0 }
action put(x: item, n: u8) {
  require not placed(x) and count < room
  least o: u8 where n <= o and (forall y in placed: at(y) != o)
  placed(x) := true
  at(x) := o
  count := count + 1
}
action clear(n: u8) {
  require n <= 9
  for x in placed where at(x) < n { placed(x) := false }
}
function code(x: item): u8 = at(x) + count
invariant roomy: count <= room
invariant codes given room < 10: forall x in placed where at(x) < 10: code(x) < 20
"""
SETTINGS = Settings(5_000_000, 0, 5)

Asked = Callable[[str, str, str], dict[str, str]]


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """Replace a text in BASE; the answers about an action, in both directions."""

    def spec_of(text: str) -> Spec:
        path = tmp_path / "test.tess"
        path.write_text(text)
        return load(path)

    def ask(action: str, old: str, new: str) -> dict[str, str]:
        assert old in BASE
        both = pair(spec_of(BASE.replace(old, new)), spec_of(BASE))
        out = {}
        for kind in ("refines", "extends"):
            done = run_task(both, Task(kind, "", action, ("roomy",)), SETTINGS)
            assert done.answer is not None
            out[kind] = done.answer.status
        for kind, prop in (("starts", ""), ("reads", "codes")):
            done = run_task(both, Task(kind, prop, "", ("roomy",)), SETTINGS)
            assert done.answer is not None
            out[kind] = done.answer.status
        return out

    return ask


def test_the_same(asked: Asked) -> None:
    """A spec compared with itself, and with other words for the same."""
    assert set(asked("put", "count < room", "count < room").values()) == {"unsat"}
    assert set(asked("put", "count < room", "not (count >= room)").values()) == {"unsat"}
    assert set(asked("clear", "at(x) < n", "n > at(x) and true").values()) == {"unsat"}


def test_implied_by_an_invariant(asked: Asked) -> None:
    """`count <= room` makes `count != room` as good as `count < room`."""
    found = asked("put", "count < room", "count != room")
    assert (found["refines"], found["extends"]) == ("unsat", "unsat")


def test_fewer_and_more_steps(asked: Asked) -> None:
    """A stronger guard refines; a weaker one is refined by the original."""
    fewer = asked("put", "require not placed(x)", "require not placed(x) and n != 3")
    assert (fewer["refines"], fewer["extends"]) == ("unsat", "sat")
    more = asked("put", "not placed(x) and ", "")
    assert (more["refines"], more["extends"]) == ("sat", "unsat")


def test_least_against_some(asked: Asked) -> None:
    """The least place is some place; some place is not the least."""
    found = asked("put", "least o", "some o")
    assert (found["refines"], found["extends"]) == ("sat", "unsat")


def test_other_updates(asked: Asked) -> None:
    """Another value or another set of places is noticed."""
    assert asked("put", "count + 1", "count + 2")["refines"] == "sat"
    assert asked("clear", "at(x) < n", "at(x) <= n")["refines"] == "sat"
    assert asked("put", "  at(x) := o\n", "")["extends"] != "unsat"


def test_steps_that_change_nothing(asked: Asked) -> None:
    """Clearing below 0 removes nothing, so it does not matter whether it may be done."""
    found = asked("clear", "require n <= 9", "require n <= 9 and 0 < n")
    assert (found["refines"], found["extends"]) == ("unsat", "unsat")


def test_init(asked: Asked) -> None:
    """Another start is another machine."""
    assert asked("put", "count := 0 }", "count := 1 }")["starts"] == "sat"


def test_what_properties_read(asked: Asked) -> None:
    """A function that differs only where no property looks reads the same."""
    same = asked("put", "= at(x) + count", "= if room >= 10 then 0 else at(x) + count")
    assert same["reads"] == "unsat"
    assert asked("put", "= at(x) + count", "= at(x) - count")["reads"] == "sat"
