"""What becomes of mutants: killed, equivalent, survived, unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from tests.mutate.conftest import TANK

from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET, TesseraError
from tessera.lang import Spec
from tessera.mutate.survey import Survey, survey
from tessera.prove.engine import LocalEngine, Question, Started, quietly
from tessera.prove.solver import Answer
from tessera.prove.tasks import COMPARISONS, Done
from tessera.results import Mutant

Surveyed = Callable[..., Survey]
SpecOf = Callable[[str], Spec]


def _by_id(found: Survey) -> dict[str, Mutant]:
    return {m.id: m for m in found.mutants}


def test_tank(surveyed: Surveyed) -> None:
    """Each mutant of a well watched tank is killed by the property that it offends."""
    found = surveyed(TANK)
    by_id = _by_id(found)
    assert len(found.mutants) == found.possible
    assert by_id["guard/fill/1/drop"].killed_by == "inside"
    assert by_id["bound/fill/1/plus-one"].killed_by == "inside"
    assert by_id["guard/fill/1/forbid-equal"].killed_by == "full"
    assert by_id["guard/fill/1/forbid-equal"].how == "no run of at most 5 steps reaches it"
    assert by_id["bound/spill/level/plus-one"].killed_by == "slow"
    assert by_id["update/fill/level/drop"].killed_by == "full"
    assert by_id["guard/fill/1/drop"].how.startswith("run of ")
    # The invariant implies this part of the guard.
    implied = by_id["guard/spill/1/drop-part-1"]
    assert (implied.status, implied.how) == ("equivalent", "proved equal under the invariants")


def test_weak_spec_has_a_survivor(surveyed: Surveyed) -> None:
    """Without the cover nothing asks that the tank can be full."""
    weak = TANK.replace("cover full: level == size\n", "")
    found = surveyed(weak, "guard/fill")
    survivor = _by_id(found)["guard/fill/1/forbid-equal"]
    # To refine the original is enough for who demands no more.
    assert survivor.how == "refines the original, keeps every promise"
    open_ended = weak.replace("invariant inside: level <= size\n", "")
    found = surveyed(open_ended, "guard/fill/1/drop")
    assert [m.status for m in found.mutants] == ["survived"]
    assert found.mutants[0].how.startswith("only it takes the last step of a run")
    assert found.exit_code == EXIT_UNMET
    assert found.mutants[0].span.endswith("test.tess:9:3")


def test_steps_that_change_nothing_make_no_difference(surveyed: Surveyed) -> None:
    """A door that is opened twice is open."""
    text = """spec door
sort door as d
var open(d: door): bool
init { for d: door { open(d) := false } }
action push(d: door) { require not open(d)  open(d) := true }
action pull(d: door) { require open(d)  open(d) := false }
invariant nothing: true
"""
    by_id = _by_id(surveyed(text, "guard/push"))
    assert by_id["guard/push/1/drop"].how == "proved equal under the invariants"
    assert by_id["guard/push/1/negate"].killed_by == "reachable"


def test_least_is_noticed_by_who_asks(surveyed: Surveyed) -> None:
    """Any place will do, unless a step property says which."""
    text = """spec first
var place: u8
var taken: u8
init { place := 0  taken := 0 }
action take(n: u8) {
  least o: u8 where n <= o and 3 <= o
  place := o
  taken := n
}
invariant low: taken <= place
simulate { }
"""
    found = _by_id(surveyed(text, "choice"))["choice/take/o/some"]
    assert found.status == "survived"
    asked = text.replace("simulate", "invariant least: place <= max(taken, 3)\nsimulate")
    found = _by_id(surveyed(asked, "choice"))["choice/take/o/some"]
    assert found.killed_by == "least"


def test_what_only_properties_read(surveyed: Surveyed) -> None:
    """Modelled code: a wider truncation is the same where the demand looks, a narrower is not."""
    text = """spec code
const size: u32
var a: u32
init { a := 0 }
action set(n: u32) { require n < size  a := n }
function stored(): u32 = a as u16 as u32
invariant small given size <= 0xffff: stored() == a
invariant bounded: a <= size
simulate { size = 60000 }
"""
    by_id = _by_id(surveyed(text, "width"))
    assert by_id["width/stored/u32"].how == "proved equal wherever a property reads it"
    assert {m.killed_by for i, m in by_id.items() if "u8" in i} == {"small"}


def test_a_failed_proof_counts_and_is_told(surveyed: Surveyed) -> None:
    """Where no short run breaks it, the record says that a proof failed, and where."""
    text = """spec slow
var a: u32
var b: u32
init { a := 0  b := 0 }
action up() { require a < 1000000  a := a + 1  b := b + 1 }
invariant same: a == b
invariant low: a <= 1000000
"""
    killed = _by_id(surveyed(text, "guard/up"))["guard/up/1/allow-equal"]
    assert (killed.status, killed.killed_by) == ("killed", "low")
    assert killed.how == "not inductive: up"


def test_unreachable_stays_so(surveyed: Surveyed) -> None:
    """What is expected never to happen is a demand, too."""
    text = """spec guarded
var a: u8
var b: u8
init { a := 0  b := 0 }
action up() { require a < 3  a := a + 1 }
action over() { require a == 9  b := 1 }
invariant low: a <= 3
expect over unreachable
"""
    by_id = _by_id(surveyed(text, "guard/over", "bound/over"))
    assert by_id["guard/over/1/drop"].killed_by == "reachable"
    assert by_id["bound/over/1/plus-one"].status == "equivalent"


class _Undecided:
    """An engine whose solver gives up on tasks of some kinds once a change is tried."""

    def __init__(self, *kinds: str) -> None:
        self.engine = LocalEngine(1)
        self.kinds = kinds
        self.trying = False

    def answers(
        self, questions: Sequence[Question], started: Started = quietly
    ) -> Iterator[tuple[Question, Done]]:
        for question, done in self.engine.answers(questions, started):
            self.trying |= question.task.kind == "play"
            if self.trying and question.task.kind in self.kinds:
                unknown = Answer("unknown", 0.0, 1, "resource limit")
                yield question, replace(done, answer=unknown)
            else:
                yield question, done


def test_unknown_is_neither_killed_nor_equivalent(spec_of: SpecOf) -> None:
    """When the solver gives up, the mutant is unknown, and the exit code says so."""
    found = survey(spec_of(TANK), _Undecided(*COMPARISONS), only=["guard/spill/1/drop-part-1"])
    assert [m.status for m in found.mutants] == ["unknown"]
    assert found.exit_code == EXIT_UNKNOWN


FAR = """
spec far "a bound that no short run comes near"
var n: u32
init { n := 0 }
action up() { require n < 1000000000  n := n + 1 }
invariant bound: n <= 1000000000
"""


def test_what_a_proof_leaves_open_is_shown_by_a_state(spec_of: SpecOf) -> None:
    """No short run breaks it, but one step from a state that the invariants allow."""
    only = ["guard/up/1/allow-equal"]
    for kinds in (), ("step", "try"):
        (mutant,) = survey(spec_of(FAR), _Undecided(*kinds), only=only).mutants
        assert (mutant.status, mutant.killed_by) == ("killed", "bound")
        assert mutant.how == "not inductive: up"


LONG = """
spec long "a bound that only a long run comes near"
var n: u32
init { n := 0 }
action up() { require n < 200  n := n + 1 }
invariant bound: n <= 200
"""


def test_what_a_proof_leaves_open_is_shown_by_a_long_run(spec_of: SpecOf) -> None:
    """The solver gives up on the proofs; 150 random steps are too few, a longer run gets there."""
    only = ["guard/up/1/allow-equal"]
    (mutant,) = survey(spec_of(LONG), _Undecided("step", "try"), only=only).mutants
    assert (mutant.status, mutant.killed_by, mutant.how) == ("killed", "bound", "run of 201 steps")


def test_same_for_any_number_of_processes(surveyed: Surveyed) -> None:
    """Everything but the time is the same."""
    one, two = surveyed(TANK, jobs=1), surveyed(TANK, jobs=2)
    assert [replace(m, seconds=0.0) for m in one.mutants] == [
        replace(m, seconds=0.0) for m in two.mutants
    ]


def test_samples(spec_of: SpecOf) -> None:
    """A sample is repeatable, in order, and another with another seed."""
    spec = spec_of(TANK)
    engine = LocalEngine(1)
    first = survey(spec, engine, seed=1, limit=3)
    ids = [m.id for m in first.mutants]
    assert [m.id for m in survey(spec, engine, seed=1, limit=3).mutants] == ids
    assert len(ids) == 3
    others = {tuple(m.id for m in survey(spec, engine, seed=s, limit=3).mutants) for s in (2, 3)}
    assert any(list(other) != ids for other in others)


def test_no_such_kind(spec_of: SpecOf) -> None:
    """A selection that fits nothing is a mistake, not an empty success."""
    with pytest.raises(TesseraError, match="no change of this spec is a 'guards'") as error:
        survey(spec_of(TANK), LocalEngine(1), only=["guards"])
    assert "guard, update" in error.value.remedy


def test_the_spec_itself_must_hold(spec_of: SpecOf) -> None:
    """Changes of a broken spec say nothing."""
    broken = TANK.replace("require n <= size - level\n", "")
    with pytest.raises(TesseraError, match="expected is proved") as error:
        survey(spec_of(broken), LocalEngine(1))
    assert error.value.remedy.startswith("mend it first")


def test_nothing_to_change(spec_of: SpecOf) -> None:
    """A spec without a machine has no mutants."""
    found = survey(spec_of("spec empty\nlemma one: 1 == 1\n"), LocalEngine(1))
    assert (found.mutants, found.possible, found.exit_code) == ((), 0, EXIT_OK)
