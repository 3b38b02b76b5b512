"""The evaluator and the Z3 encoding, written apart, give every expression one meaning."""

from __future__ import annotations

import terms
import z3
from hypothesis import given, settings
from hypothesis import strategies as st
from terms import exact, quant

from tessera.lang.typed import Expr
from tessera.prove.encode import Encoder, Env, State
from tessera.prove.terms import Sorts

NAMES = ("x", "y")
MADE = terms.spec()


def by_z3(expr: Expr, env: dict[str, int]) -> int | bool:
    """The value that Z3 finds for an expression with its locals fixed."""
    encoder = Encoder(MADE, Sorts.make({}, (), None))
    local = {name: z3.BitVecVal(value, 8) for name, value in env.items()}
    term = encoder.term(expr, Env(State({}), None, local))
    if z3.is_bool(term):
        can_be = {wanted: str(asked(encoder, term == wanted)) for wanted in (True, False)}
        assert set(can_be.values()) == {"sat", "unsat"}
        return can_be[True] == "sat"
    number = z3.simplify(term)
    assert asked(encoder, term != number) == z3.unsat
    return int(number.as_long())


def asked(encoder: Encoder, claim: z3.BoolRef) -> z3.CheckSatResult:
    """Whether a claim can hold."""
    solver = z3.Solver()
    solver.add(*encoder.definitions, claim)
    return solver.check()


values = st.integers(0, 255)


@given(terms.integers(NAMES, 3) | terms.formulas(NAMES, 3), values, values)
@settings(max_examples=120, deadline=None)
def test_expressions_have_one_value(expr: Expr, x: int, y: int) -> None:
    env = {"x": x, "y": y}
    assert terms.run(expr, env) == by_z3(expr, env)


@given(terms.integers(NAMES, 2) | terms.formulas(NAMES, 2), values, values)
@settings(max_examples=120, deadline=None)
def test_exactness_is_judged_alike(expr: Expr, x: int, y: int) -> None:
    env = {"x": x, "y": y}
    assert terms.run(exact(expr), env) == by_z3(exact(expr), env)


@given(terms.formulas(NAMES, 1), terms.formulas(NAMES, 1), values)
@settings(max_examples=25, deadline=None)
def test_quantifiers_are_judged_alike(guard: Expr, body: Expr, y: int) -> None:
    for kind in ("forall", "exists"):
        formula = quant(kind, "x", guard, body)
        assert terms.run(formula, {"y": y}) == by_z3(formula, {"y": y})
        assert terms.run(exact(formula), {"y": y}) == by_z3(exact(formula), {"y": y})
