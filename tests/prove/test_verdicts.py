"""Every verdict on a small machine made to have it, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tessera.cli.check import exit_code
from tessera.prove import verdicts as judging
from tessera.results import Obligation, Trace

COUNTER = """
spec counter "a counter that stops at its limit"
const limit: u8 in 1 .. 200
var level: u8
init { level := 0 }
action up() { require level < limit  level := level + 1 }
action down() { require level > 0  level := level - 1 }
invariant in_range "never above the limit": level <= limit
"""

Check = Callable[..., dict[str, Obligation]]


def test_an_inductive_invariant_is_proved(verdicts: Check) -> None:
    found = verdicts(COUNTER)
    assert {o.verdict for o in found.values()} == {"PROVED"}
    assert set(found) == {
        "init/in_range",
        "up/in_range",
        "down/in_range",
        "up/reachable",
        "down/reachable",
    }
    assert exit_code(found.values()) == 0


def test_a_weaker_guard_is_violated_by_the_shortest_replayed_run(verdicts: Check) -> None:
    found = verdicts(COUNTER.replace("require level < limit", "require level <= limit"))
    broken = found["in_range"]
    assert broken.verdict == "VIOLATED" and not broken.met
    assert broken.trace is not None and broken.trace.replayed
    assert [s.action for s in broken.trace.steps] == ["init", "up()", "up()"]
    assert broken.trace.constants["limit"] == "1"
    assert exit_code(found.values()) == 1


def test_wrapping_is_found_at_the_exact_width(verdicts: Check) -> None:
    """`level + 1 <= limit` wraps only at 255, which a limit of 255 lets it reach."""
    wrapping = (
        COUNTER.replace("1 .. 200", "250 .. 255").replace(
            "require level < limit", "require level + 1 <= limit"
        )
        + "step grows except down: level >= old(level)\n"
    )
    start = wrapping.replace("level := 0 }", "level := 255 }", 1).replace(
        "250 .. 255", "255 .. 255"
    )
    broken = verdicts(start)["grows"]
    assert broken.verdict == "VIOLATED"
    assert broken.trace is not None and len(broken.trace.steps) == 2


def test_an_invariant_that_is_true_but_not_inductive_is_a_cti_and_no_bug(verdicts: Check) -> None:
    found = verdicts(
        COUNTER.replace("level := level + 1", "level := level + 2").replace("1 .. 200", "9 .. 9")
        + "invariant never_three: level != 3\n"
    )
    # From 5 the action down leads to 4, 3: reachable, so take it away.
    assert found["down/never_three"].verdict == "VIOLATED"
    only_up = COUNTER.replace("level := level + 1", "level := level + 2").replace(
        "action down() { require level > 0  level := level - 1 }\n", ""
    )
    found = verdicts(only_up + "invariant never_three: level != 3\n")
    assert found["up/never_three"].verdict == "CTI"
    assert not found["up/never_three"].met
    assert "stronger invariant" in found["up/never_three"].detail


def test_a_failed_invariant_supports_no_proof(verdicts: Check) -> None:
    """`leans` is inductive only under `false_friend`, which does not hold."""
    found = verdicts(
        COUNTER
        + "var flag: bool\ninit { flag := false }\n"
        + "action lift() { flag := level > 3 }\n"
        + "invariant false_friend: level <= 3\n"
        + "invariant leans: not flag\n"
    )
    assert found["up/false_friend"].verdict == "VIOLATED"
    assert found["lift/leans"].verdict == "VIOLATED"


def test_no_resources_is_unknown_and_exit_code_3(verdicts: Check) -> None:
    found = verdicts(
        "spec hard\nvar x: u64\ninit { x := 3 }\n"
        "action turn() { x := x * x * x }\n"
        "invariant odd_cube: x * x * x != 0x1234_5678_9abc_def1\n",
        limit=2000,
        steps=1,
    )
    assert found["turn/odd_cube"].verdict == "UNKNOWN"
    assert "resource units" in found["turn/odd_cube"].detail
    assert exit_code([found["turn/odd_cube"]]) == 3


def test_contradicting_assumptions_are_vacuous(verdicts: Check) -> None:
    found = verdicts(COUNTER + "assume impossible: limit > 200\n")
    assert found["in_range"].verdict == "VACUOUS"
    assert exit_code(found.values()) == 1


def test_a_given_that_never_holds_is_vacuous(verdicts: Check) -> None:
    found = verdicts(COUNTER.replace('limit":', 'limit" given limit > 250:'))
    assert found["in_range"].verdict == "VACUOUS"
    assert "'given'" in found["in_range"].detail


def test_an_action_that_cannot_happen_is_vacuous_unless_expected(verdicts: Check) -> None:
    text = COUNTER + "action jump() { require level > limit  level := 0 }\n"
    found = verdicts(text)
    assert found["jump/reachable"].verdict == "VACUOUS" and not found["jump/reachable"].met
    assert verdicts(text + "expect jump unreachable\n")["jump/reachable"].met
    assert not verdicts(COUNTER + "expect up unreachable\n")["up/reachable"].met


def test_covers_are_reached_or_vacuous(verdicts: Check) -> None:
    found = verdicts(
        COUNTER + "cover two within 3: level == 2\ncover beyond within 3: level == 250\n"
    )
    assert found["two"].verdict == "PROVED" and found["two"].met
    assert found["two"].trace is not None and len(found["two"].trace.steps) == 3
    assert found["beyond"].verdict == "VACUOUS" and not found["beyond"].met


def test_promises_with_and_without_a_quantifier(verdicts: Check) -> None:
    found = verdicts(
        COUNTER
        + "promise room: level < limit => up() succeeds\n"
        + "promise always: up() succeeds\n"
        + "promise nobody: level > limit => up() succeeds\n"
    )
    assert found["room"].verdict == "PROVED" and found["room/witness"].verdict == "PROVED"
    assert found["always"].verdict == "VIOLATED"
    assert found["nobody/witness"].verdict == "VACUOUS"


@pytest.mark.parametrize("witness", ["", " with m = 5, o = 5"])
def test_what_follows_a_least_choice_must_do_with_the_least(verdicts: Check, witness: str) -> None:
    """A larger m would let the second choice be made; the action does not take one."""
    take = (
        "action take(n: u8) { least m: u8 where m >= 3  "
        "least o: u8 where n <= m and o >= m  level := 0 }\n"
    )
    promises = "promise three: take(3) succeeds\n" + f"promise five: take(5) succeeds{witness}\n"
    found = verdicts(COUNTER + take + promises)
    assert found["three"].verdict == "PROVED"
    assert found["five"].verdict == "VIOLATED"
    anything = take.replace("least m", "some m")
    assert verdicts(COUNTER + anything + promises)["five"].verdict == "PROVED"


def test_an_expected_violation_that_does_not_come_is_not_met(verdicts: Check) -> None:
    found = verdicts(COUNTER + "expect in_range violated within 3\n")
    assert found["in_range"].verdict == "BOUNDED"
    assert not found["in_range"].met


def test_lemmas_over_machine_and_unbounded_integers(verdicts: Check) -> None:
    found = verdicts(
        "spec sums\n"
        "lemma grows unbounded: forall a, b: nat: a <= a + b\n"
        "lemma wraps: forall a, b: u8: a <= a + b\n"
        "lemma exact_sum: forall a, b: u8 where exact(a + b): a <= a + b\n"
    )
    assert found["grows"].verdict == "PROVED"
    assert found["wraps"].verdict == "CTI"
    assert found["exact_sum"].verdict == "PROVED"


def test_a_run_that_the_simulator_refuses_is_our_error(
    verdicts: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        judging, "replay", lambda *_: Trace({}, (), broken="not reproduced, step 1: no")
    )
    found = verdicts(COUNTER.replace("require level < limit", "require level <= limit"))
    assert found["in_range"].verdict == "ERROR"
    assert "does not reproduce" in found["in_range"].detail
    assert not found["in_range"].met


def test_a_literal_beside_an_unbounded_integer_is_one(verdicts: Check) -> None:
    found = verdicts("spec twice\nlemma twice unbounded: forall n: nat: n + n == 2 * n\n")
    assert found["twice"].verdict == "PROVED"
    found = verdicts("spec thrice\nlemma thrice unbounded: forall n: nat: n + n == n * 3\n")
    assert found["thrice"].verdict == "CTI"


def test_a_constant_with_endless_arguments_is_replayed(verdicts: Check) -> None:
    """Of such a function the run's world holds the values at which it was applied."""
    found = verdicts(
        "spec far\nconst f(g: u32): u8\nvar x: u32\ninit { x := 0 }\n"
        "action up() { require f(x) == 7  x := x + 1 }\n"
        "invariant small: x < 3\n"
    )
    broken = next(o for o in found.values() if o.property == "small" and o.trace is not None)
    assert broken.verdict == "VIOLATED"
    assert broken.trace is not None
    assert len(broken.trace.steps) == 4
    assert broken.trace.constants["f(2)"] == "7"


def test_a_failed_step_names_the_invariants_it_could_not_use(
    verdicts: Callable[..., dict[str, Obligation]],
) -> None:
    found = verdicts(
        "spec even\nvar a: u8\nvar b: u8\ninit { a := 0  b := 0 }\n"
        "action up() { require a < 9  a := a + 2 }\naction copy() { b := a }\n"
        "invariant first: a != 3\ninvariant second: b != 3\n"
    )
    assert found["up/first"].verdict == found["copy/second"].verdict == "CTI"
    assert "state 0 need not satisfy first: not proved either" in found["copy/second"].detail
    assert "need not satisfy" not in found["up/first"].detail
