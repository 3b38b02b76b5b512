"""VACUOUS and UNKNOWN say what: the assumptions, the guard, the quantifier, the hard operation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tessera.cli.check import exit_code
from tessera.results import Obligation

Check = Callable[..., dict[str, Obligation]]

TANK = """
spec tank
sort job as j
const low: u8 in 0 .. 10
const high: u8 in 20 .. 30
var live(j: job): bool
var ready(j: job): bool
var n: u8
init { for j: job { live(j) := false  ready(j) := false }  n := 0 }
action start(j: job) { require not live(j)  live(j) := true }
action fill() { require n < low  n := n + 1 }
invariant inside: n <= low
"""


def test_the_fewest_contradicting_assumptions_are_named(verdicts: Check) -> None:
    found = verdicts(
        TANK
        + "assume even: low % 2 == 0\n"
        + "assume crossed: high < low\n"
        + "assume odd: low % 3 == 1\n"
    )
    detail = found["inside"].detail
    assert found["inside"].verdict == "VACUOUS"
    assert "assumptions and ranges" in detail
    assert "the range of `low`" in detail and "the range of `high`" in detail
    assert "`assume crossed`" in detail and "contradict each other" in detail
    assert "even" not in detail and "odd" not in detail
    assert ":14:1" in detail  # where `assume crossed` stands


def test_an_assumption_that_contradicts_itself_stands_alone(verdicts: Check) -> None:
    found = verdicts(TANK + "assume never: low < low\nassume even: low % 2 == 0\n")
    assert "`assume never`" in found["inside"].detail
    assert found["inside"].detail.endswith("contradicts itself")


def test_a_given_is_named_with_what_it_contradicts(verdicts: Check) -> None:
    found = verdicts(TANK.replace("inside:", "inside given low > 10:"))
    detail = found["inside"].detail
    assert "'given'" in detail
    assert "`given low > 10`" in detail and "the range of `low`" in detail
    assert "high" not in detail


NO_STATE = "no state that satisfies the invariants passes "
NO_RUN = "no run of at most 4 steps leads where "


@pytest.mark.parametrize(
    ("action", "said", "unsaid"),
    [
        ("require n < 5  require n > low", NO_STATE + "`require n > low`", "n < 5"),
        # Two guards exclude each other, a third has nothing to do with it.
        ("require low > 2  require n > 5  require n < 3", "`require n < 3` (", "low > 2"),
        # Not excluded by an invariant: no run gets there.
        (
            "require n < 200  require exists j: job: ready(j)",
            NO_RUN + "`require exists j: job: ready(j)`",
            "n < 200",
        ),
        # A choice that nothing passes.
        ("some k: u8 where k < n and k > low  n := k", "`some k: u8 where k < n and k > low`", "?"),
    ],
)
def test_the_guard_to_blame_is_named(verdicts: Check, action: str, said: str, unsaid: str) -> None:
    found = verdicts(TANK + f"action jump() {{ {action} }}\n")["jump/reachable"]
    assert (found.verdict, found.met) == ("VACUOUS", False)
    assert said in found.detail
    assert unsaid not in found.detail


def test_guards_that_hold_only_one_at_a_time(verdicts: Check) -> None:
    """No invariant says that the two exclude each other."""
    found = verdicts(
        "spec sides\nvar side: u8\nvar twin: u8\n"
        "init { side := 0  twin := 0 }\n"
        "action go(k: u8) { require k < 100  side := k  twin := k }\n"
        "action both() { require side == 1  require twin == 2  side := 0 }\n"
        "invariant small: side < 100\n"
    )["both/reachable"]
    assert "each guard can hold after at most 4 steps, but never all at once" in found.detail


def test_what_is_expected_to_be_unreachable_needs_no_blame(verdicts: Check) -> None:
    text = TANK + "action jump() { require n > low  n := 0 }\nexpect jump unreachable\n"
    found = verdicts(text)["jump/reachable"]
    assert found.met and found.detail == "no run of at most 5 steps takes it"


def test_an_invariant_about_nothing_is_vacuous(verdicts: Check) -> None:
    found = verdicts(TANK + "invariant done: forall j in ready: live(j)\n")
    assert found["start/done"].verdict == "PROVED"
    empty = found["done/exercised"]
    assert (empty.verdict, empty.met) == ("VACUOUS", False)
    assert "no run of at most 5 steps has values for `forall j in ready`" in empty.detail
    assert exit_code(found.values()) == 1
    found = verdicts(
        TANK + "action end(j: job) { require live(j)  ready(j) := true }\n"
        "invariant done: forall j in ready: live(j)\n"
    )
    assert found["done/exercised"].verdict == "PROVED"
    assert found["done/exercised"].detail == "what it speaks of occurs after 2 steps"


def test_each_part_of_a_conjunction_is_put_to_the_test(verdicts: Check) -> None:
    text = (
        "invariant parts: (forall j in live: n <= low) and\n"
        "  (forall j: job: live(j) and ready(j) => n > low)\n"
    )
    found = verdicts(TANK + text)
    empty = found["parts/exercised"]
    assert empty.verdict == "VACUOUS"
    assert "`forall j: job: live(j) and ready(j)`" in empty.detail
    assert ":14:4)" in empty.detail


def test_an_invariant_about_every_state_needs_no_example(verdicts: Check) -> None:
    found = verdicts(TANK)
    assert "inside/exercised" not in found
    found = verdicts(TANK + "invariant all: forall k: u8 where k > low: n < k\n")
    assert "all/exercised" not in found


def test_more_things_than_the_search_has_prove_nothing(verdicts: Check) -> None:
    """Three different jobs at once: a search with two cannot tell, so nothing is said."""
    found = verdicts(
        TANK
        + "invariant three: forall a, b, c in live where a != b and b != c and a != c: n <= low\n"
    )
    assert "three/exercised" not in found


def test_unknown_names_the_hard_operation_and_the_option(verdicts: Check) -> None:
    text = (
        "spec hard\nvar x: u64\ninit { x := 3 }\n"
        "action turn() { x := x * x * x }\n"
        "invariant odd_cube: x * x * x != 0x1234_5678_9abc_def1\n"
    )
    found = verdicts(text, limit=2000, steps=1)["turn/odd_cube"]
    assert found.verdict == "UNKNOWN" and not found.met
    assert "after 2" in found.detail and "resource units" in found.detail
    assert "a product of two unknowns at 64 bits, `x * x * x` at" in found.hint
    assert f"or raise --limit above {found.resource}" in found.hint


def test_unknown_without_a_hard_operation_only_asks_for_more(verdicts: Check) -> None:
    found = verdicts(
        "spec wide\nvar x: u64\nvar y: u64\ninit { x := 0  y := 0 }\n"
        "action turn(k: u64) { x := x + k  y := y + k }\n"
        "invariant same: x <= y and y <= x\n",
        limit=10,
        steps=1,
    )["turn/same"]
    assert found.verdict == "UNKNOWN"
    assert found.hint.startswith("raise --limit above ")
