"""Random runs of two specs in lockstep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.lang import Spec, load
from tessera.model.simulator import NotEnabled, Simulator
from tessera.model.twin import Played, contents, play

BASE = """spec steps
const top: u8 in 1 .. 100
var level: u8
var other: u8
init { level := 0  other := 0 }
action up(n: u8) { require 1 <= n and n <= top - level  level := level + n }
action down() { level := 0 }
action never() { require level > top  other := 1 }
invariant inside: level <= top
expect never unreachable
simulate { top = 12 }
"""


@pytest.fixture
def played(tmp_path: Path) -> Callable[[str, str], tuple[Spec, Spec, Played]]:
    """Play BASE with a text replaced against BASE."""

    def run(old: str, new: str) -> tuple[Spec, Spec, Played]:
        assert old in BASE
        specs = []
        for text in (BASE.replace(old, new), BASE):
            path = tmp_path / "test.tess"
            path.write_text(text)
            specs.append(load(path))
        return specs[0], specs[1], play(specs[0], specs[1], 1)

    return run


Run = Callable[[str, str], tuple[Spec, Spec, Played]]


def test_no_difference(played: Run) -> None:
    """The same machine: nothing is found, and all that can happen happened."""
    _, _, found = played("1 <= n", "0 < n")
    assert (found.violated, found.forbidden, found.extra, found.missing) == ("", "", None, None)
    assert found.fired == {"up", "down"}
    assert found.taken > 0


def test_violation_is_short(played: Run) -> None:
    """What breaks is named, with a run to it."""
    _, _, found = played("n <= top - level", "n <= top")
    assert found.violated == "inside"
    assert found.run is not None
    assert 1 <= len(found.run.events) <= 2


def test_forbidden(played: Run) -> None:
    """An action that ought never to happen, happening."""
    _, _, found = played("require level > top  ", "")
    assert found.forbidden == "never"


def test_extra_step(played: Run) -> None:
    """The last step of `extra` is one that the original refuses."""
    changed, original, found = played("action down() { level := 0", "action down() { other := 7")
    assert found.extra is not None
    taken = Simulator(changed, found.extra.world)
    for event in found.extra.events:
        taken.fire(event)
    twin = Simulator(original, found.extra.world)
    for event in found.extra.events[:-1]:
        twin.fire(event)
    twin.fire(found.extra.events[-1])
    assert contents(twin.state) != contents(taken.state)


def test_missing_step(played: Run) -> None:
    """The last step of `missing` is one that only the original takes."""
    changed, original, found = played("1 <= n", "2 <= n")
    assert found.extra is None
    assert found.missing is not None
    twin = Simulator(original, found.missing.world)
    for event in found.missing.events:
        twin.fire(event)
    other = Simulator(changed, found.missing.world)
    for event in found.missing.events[:-1]:
        other.fire(event)
    with pytest.raises(NotEnabled):
        other.fire(found.missing.events[-1])


def test_other_start(played: Run) -> None:
    """Where the runs begin apart, no step is needed."""
    _, _, found = played("other := 0 }", "other := 3 }")
    assert found.extra is not None
    assert found.extra.events == ()


def test_an_argument_of_one_is_a_choice_of_another(tmp_path: Path) -> None:
    """A step counts as taken when another action takes it, whoever gives the values."""
    text = """spec given
const top: u8 in 1 .. 100
var level: u8
init { level := 0 }
action put(o: u8) { require o <= top  level := o }
action pick() { some o: u8 where o <= top  level := o }
simulate { top = 12 }
"""
    changed, original = tmp_path / "changed.tess", tmp_path / "original.tess"
    original.write_text(text)
    changed.write_text(text.replace("require o <= top", "require o < top"))
    narrower = play(load(changed), load(original), 1)
    assert narrower.fired == {"put", "pick"}
    assert narrower.taken > 100
    # What `put` no longer does, `pick` still does.
    assert (narrower.extra, narrower.missing) == (None, None)
    changed.write_text(text.replace("require o <= top", "require o <= top + 1"))
    assert play(load(changed), load(original), 1).extra is not None


def test_no_world_of_these_sizes(tmp_path: Path) -> None:
    """Where nothing can be played, nothing is said to have been."""
    text = """spec empty
const top: u8 in 1 .. 100
assume large: top > 50
var level: u8
init { level := 0 }
action up() { require level < top  level := level + 1 }
simulate { top = 12 }
"""
    path = tmp_path / "test.tess"
    path.write_text(text)
    found = play(load(path), load(path), 1)
    assert (found.taken, found.fired) == (0, frozenset())
