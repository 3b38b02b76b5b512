"""Two specs compared: small machines made to relate in one way, and what is true of the shipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera import resources
from tessera.cli import app
from tessera.errors import TesseraError
from tessera.lang import Spec, load
from tessera.prove.compare import agrees, equivalent, refines
from tessera.prove.compare_pair import Pair, pair
from tessera.prove.compare_table import side_by_side
from tessera.results import Obligation

TANK = """
spec tank
const limit: u8 in 1 .. 200
param low: u8 in 0 .. 200 = 10
var level: u8
var seen: u8
init { level := 0  seen := 0 }
action up(n: u8) { require n <= limit - level  level := level + n  seen := level }
action down() { require level > 0  level := level - 1 }
invariant in_range: level <= limit
"""

Two = Callable[[str, str], tuple[Spec, Spec]]


@pytest.fixture
def two(tmp_path: Path) -> Two:
    """Two specs from text, called a and b."""

    def build(one: str, other: str) -> tuple[Spec, Spec]:
        specs = []
        for name, text in (("a", one), ("b", other)):
            path = tmp_path / f"{name}.tess"
            path.write_text(text.replace("spec tank", f"spec {name}"))
            specs.append(load(path))
        return specs[0], specs[1]

    return build


def by_id(found: tuple[Obligation, ...]) -> dict[str, Obligation]:
    return {o.id: o for o in found}


def verdicts(found: tuple[Obligation, ...]) -> dict[str, str]:
    return {o.id.split("/")[2]: o.verdict for o in found}


def shipped(one: str, other: str, **settings: object) -> Pair:
    specs = (load(resources.find_spec(name)) for name in (one, other))
    return pair(*specs, **settings)  # type: ignore[arg-type]


# --- small machines -------------------------------------------------------------------------------


def test_a_spec_is_equivalent_to_another_wording_of_itself(two: Two) -> None:
    other = TANK.replace("n <= limit - level", "n + level <= limit and n <= limit - level")
    found = equivalent(pair(*two(TANK, other)), lambda: ("in_range",), lambda: ("in_range",))
    assert {o.verdict for o in found} == {"PROVED"}
    assert {o.id for o in found} == {
        f"{x}/refines/{y}" for x in ("a~b", "b~a") for y in ("init", "up", "down")
    }


def test_an_invariant_is_asked_for_only_when_it_is_needed(two: Two) -> None:
    """Below the limit both guards say the same; above it, where no run leads, they do not."""
    other = TANK.replace("require level > 0", "require level > 0 and level <= limit")
    asked = []

    def proved() -> tuple[str, ...]:
        asked.append(1)
        return ("in_range",)

    found = refines(pair(*two(TANK, other)), proved)
    assert verdicts(found) == {"init": "PROVED", "up": "PROVED", "down": "PROVED"}
    assert asked == [1]
    without = refines(pair(*two(TANK, other)))
    assert verdicts(without)["down"] == "CTI", "true, but not without the invariant"


def test_a_stronger_guard_refines_and_a_weaker_one_does_not(two: Two) -> None:
    strict = TANK.replace("require level > 0", "require level > 1")
    a, b = two(strict, TANK)
    assert verdicts(refines(pair(a, b))) == {"init": "PROVED", "up": "PROVED", "down": "PROVED"}
    back = refines(pair(b, a))
    assert verdicts(back) == {"init": "PROVED", "up": "PROVED", "down": "VIOLATED"}
    trace = by_id(back)["b~a/refines/down"].trace
    assert trace is not None and trace.replayed
    assert [s.action for s in trace.steps] == ["init", "up(n = 1)", "down()"]
    assert "require level > 1" in trace.broken


def test_another_result_is_seen_and_can_be_ignored(two: Two) -> None:
    a, b = two(TANK, TANK.replace("seen := level }", "seen := 7 }"))
    found = by_id(refines(pair(a, b)))["a~b/refines/up"]
    assert found.verdict == "VIOLATED"
    assert found.trace is not None and "leaves seen otherwise" in found.trace.broken
    assert set(verdicts(refines(pair(a, b, ignore=["seen"]))).values()) == {"PROVED"}


def test_what_steers_the_rest_cannot_be_ignored(two: Two) -> None:
    with pytest.raises(TesseraError, match=r"'level' cannot be ignored: 'up' of 'a'"):
        pair(*two(TANK, TANK), ignore=["level"])
    with pytest.raises(TesseraError, match="no variable 'levle'"):
        pair(*two(TANK, TANK), ignore=["levle"])


def test_another_start_is_seen(two: Two) -> None:
    found = refines(pair(*two(TANK, TANK.replace("seen := 0", "seen := 1"))))
    assert verdicts(found)["init"] == "VIOLATED"


def test_a_fixed_value_makes_two_alike(two: Two) -> None:
    a, b = two(TANK, TANK.replace("require level > 0", "require level > low"))
    assert verdicts(refines(pair(a, b)))["down"] == "VIOLATED"
    assert verdicts(refines(pair(a, b, fixed={"low": 0})))["down"] == "PROVED"
    with pytest.raises(TesseraError, match="'level' cannot be given a value"):
        pair(a, b, fixed={"level": 0})


CHOICE = """
spec tank
var level: u8
init { level := 0 }
action pick() { %s  level := o }
"""
LEAST = "least o: u8 where o >= 3"
SOME = "some o: u8 where o >= 3"


def test_the_least_is_one_of_any_but_not_the_other_way_round(two: Two) -> None:
    a, b = two(CHOICE % LEAST, CHOICE % SOME)
    assert verdicts(refines(pair(a, b)))["pick"] == "PROVED"
    found = by_id(refines(pair(b, a)))["b~a/refines/pick"]
    assert found.verdict == "VIOLATED"
    assert found.trace is not None and "the least is 3" in found.trace.broken


def test_the_least_of_fewer_is_another_one(two: Two) -> None:
    a, b = two(CHOICE % LEAST, CHOICE % "least o: u8 where o >= 2")
    assert verdicts(refines(pair(a, b)))["pick"] == "VIOLATED"


def test_a_choice_that_only_the_second_makes(two: Two) -> None:
    """It takes the least m, which is 4: then o may be from 4 on, and only so."""
    extra = "least m: u8 where m >= 4  some o: u8 where o >= m"
    a, b = two(CHOICE % "some o: u8 where o >= 4", CHOICE % extra)
    assert verdicts(refines(pair(a, b)))["pick"] == "PROVED"
    a, b = two(CHOICE % SOME, CHOICE % extra)
    assert verdicts(refines(pair(a, b)))["pick"] == "VIOLATED"
    a, b = two(CHOICE % SOME, CHOICE % extra.replace("least m", "some m"))
    assert verdicts(refines(pair(a, b)))["pick"] == "VIOLATED"


def test_a_step_may_have_another_name(two: Two) -> None:
    text = TANK + "action drain() { require level > %s  level := level - 1 }\n"
    a, b = two(text.replace("require level > 0", "require level > 5") % 0, text % 5)
    found = by_id(refines(pair(a, b)))
    assert found["a~b/refines/drain"].verdict == "PROVED"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("var seen: u8", "var seen: u8\nvar more: u8", "the variable 'more' is in one"),
        ("var seen: u8", "var seen(n: u8): u8", "the variable 'seen' has another type"),
        ("action down()", "action lower()", "the action 'down' is in one"),
        ("action down()", "action down(n: u8)", "the action 'down' takes other"),
        ("1 .. 200\np", "1 .. 100\np", "the constant 'limit' is declared differently"),
        ("param low: u8 in 0 .. 200", "param low: u8", "the parameter 'low' is declared diff"),
    ],
)
def test_other_machines_are_refused(two: Two, old: str, new: str, says: str) -> None:
    changed = TANK.replace(old, new)
    assert changed != TANK
    if "seen(n" in new:
        changed = changed.replace("seen := 0", "for n: u8 { seen(n) := 0 }")
        changed = changed.replace("seen := level", "seen(n) := level")
    with pytest.raises(TesseraError, match=says):
        pair(*two(TANK, changed))


def test_nothing_is_proved_by_assumptions_that_contradict_each_other(two: Two) -> None:
    a, b = two(TANK + "assume high: limit > 9\n", TANK + "assume less: limit < 5\n")
    (found,) = refines(pair(a, b))
    assert found.verdict == "VACUOUS" and not found.met


DECIDES = """
spec tank
const size: u8 in 1 .. 200
var level: u8
init { level := 0 }
action stay() { level := level }
interface { function double(n: u8): u8  const eager: bool }
policy { function double(n: u8): u8 = %s  const eager: bool = true }
"""


def test_policies_that_decide_alike_and_not(two: Two) -> None:
    a, b = two(DECIDES % "n + n", DECIDES % "n * 2")
    assert verdicts(agrees(pair(a, b))) == {"double": "PROVED", "eager": "PROVED"}
    a, b = two(DECIDES % "n + n", DECIDES % "if n == 77 then 0 else n * 2")
    found = by_id(agrees(pair(a, b)))["a~b/agrees/double"]
    assert found.verdict == "VIOLATED"
    assert found.trace is not None and found.trace.replayed
    assert "double(n = 77) is 154 in 'a' and 0 in 'b'" in found.trace.broken


def test_without_a_common_decision_there_is_nothing_to_ask(two: Two) -> None:
    with pytest.raises(TesseraError, match="no decision in common"):
        agrees(pair(*two(TANK, TANK)))


# --- the shipped policies -------------------------------------------------------------------------


def test_priority_without_a_reserve_is_vanilla_but_for_scrubbing() -> None:
    both = shipped("priority", "vanilla", ignore=["residue"], fixed={"reserve": 0})
    found = equivalent(both)
    assert len(found) == 22
    assert [o.id for o in found if o.verdict != "PROVED"] == []


def test_vanilla_takes_steps_that_priority_does_not() -> None:
    found = by_id(refines(shipped("vanilla", "priority", ignore=["residue"])))
    broken = {i.split("/")[2] for i, o in found.items() if o.verdict == "VIOLATED"}
    assert broken == {"alloc", "alloc_core", "carve_out"}
    assert {o.verdict for o in found.values()} == {"PROVED", "VIOLATED"}
    for name in broken:
        trace = found[f"vanilla~priority/refines/{name}"].trace
        assert trace is not None and trace.replayed and len(trace.steps) <= 3


@pytest.mark.parametrize("name", ["priority", "best_fit"])
def test_first_fit_and_best_fit_are_some_fit(name: str) -> None:
    found = refines(shipped(name, "any_fit"))
    assert [o.id for o in found if o.verdict != "PROVED"] == []


def test_where_memory_is_scrubbed_does_not_change_where_it_is_placed() -> None:
    for name in ("scrub_on_alloc", "scrub_on_free"):
        found = equivalent(shipped("priority", name, ignore=["residue"]))
        assert [o.id for o in found if o.verdict != "PROVED"] == []


def test_an_elastic_reserve_is_another_machine() -> None:
    with pytest.raises(TesseraError, match="'reserve_at' is in one of them only"):
        shipped("priority", "priority_elastic")


# --- side by side, and the command ----------------------------------------------------------------


def test_a_row_shows_the_worst_of_its_obligations() -> None:
    def one(prop: str, verdict: str, *, met: bool) -> Obligation:
        return Obligation(f"x/{prop}", prop, "", verdict, "proved", met, 0.0, 0)

    first = [one("p", "PROVED", met=True), one("p", "BOUNDED(3)", met=False)]
    rows = side_by_side({"a": first, "b": [one("q", "PROVED", met=True)]})
    assert [row.property for row in rows] == ["p", "q"]
    assert rows[0].cells["a"].verdict == "BOUNDED(3)" and not rows[0].cells["a"].met
    assert "b" not in rows[0].cells and rows[1].cells["b"].met


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["compare", *words])
    if isinstance(done.exception, TesseraError):
        return done.exception.exit_code, done.exception.render()
    return done.exit_code, done.output


def test_the_command_asks_and_leaves_with_the_exit_code(two: Two, tmp_path: Path) -> None:
    two(TANK, TANK.replace("require level > 0", "require level > 1"))
    a, b = str(tmp_path / "a.tess"), str(tmp_path / "b.tess")
    code, out = run(a, b, "--refines")
    assert code == 1 and "a does not refine b." in out and "a~b/refines/down" in out
    code, out = run(b, a, "--refines")
    assert code == 0 and "b refines a." in out
    code, out = run(a, b, "--equivalent", "--json")
    assert code == 1 and '"a~b/refines/down"' in out and '"b~a/refines/init"' in out


def test_the_command_shows_a_table(two: Two, tmp_path: Path) -> None:
    two(TANK, TANK.replace("require n <= limit - level", "require n <= limit"))
    a, b = str(tmp_path / "a.tess"), str(tmp_path / "b.tess")
    code, out = run(a, b, "--property", "in_range", "--jobs", "1")
    assert code == 1
    row = next(line for line in out.splitlines() if line.startswith("in_range"))
    assert row.split()[1:] == ["proved", "violated", "(2", "steps)", "not", "as", "expected"]


def test_bad_questions_are_told(two: Two, tmp_path: Path) -> None:
    two(TANK, TANK)
    a, b = str(tmp_path / "a.tess"), str(tmp_path / "b.tess")
    for words, says in (
        ((a,), "nothing to compare"),
        ((a, a), "two specs are called 'a'"),
        ((a, b, "--ignore", "seen"), "belong to a question"),
        ((a, b, "--refines", "--with", "low"), "not a value"),
        ((a, b, "--refines", "--with", "low=-1"), "not a value"),
    ):
        code, out = run(*words)
        assert code == 2 and says in out, words
