"""How a query is written out and how its resource units are shared among its parts."""

from __future__ import annotations

import pytest
import z3

from tessera.prove import decide as decide_module
from tessera.prove.decide import FIRST_TRY, LARGE, Query, decide
from tessera.prove.ground import ground
from tessera.prove.nodes import count_nodes
from tessera.prove.solver import Answer

THING = z3.DeclareSort("Thing")
A, B = z3.Consts("a b", THING)
NEXT = z3.Function("next", THING, THING)
MARKED = z3.Function("marked", THING, z3.BoolSort())
CLOSE = z3.Function("close", THING, THING, z3.BoolSort())
X, Y = z3.Consts("x y", THING)


def _query(size: int) -> Query:
    """A goal about `b` with `size` terms beside it, so that a split on `a == b` is there."""
    numbers = [z3.BitVec(f"n{i}", 32) for i in range(size)]
    ballast = z3.And(True, *(one > i for i, one in enumerate(numbers)))
    return Query((MARKED(A), ballast), (z3.Not(MARKED(B)),), (A,), (B,))


def _limits(monkeypatch: pytest.MonkeyPatch, query: Query, limit: int) -> list[int]:
    seen: list[int] = []

    def spend(_formulas: object, limit: int, _seed: int) -> Answer:
        seen.append(limit)
        return Answer("unknown", 0.0, limit)

    monkeypatch.setattr(decide_module, "solve", spend)
    monkeypatch.setattr(decide_module, "contradicts_at_once", lambda _formulas: False)
    assert decide(query, limit).status == "unknown"
    return seen


def test_nodes_that_are_shared_count_once() -> None:
    n = z3.BitVec("n", 32)
    twice = n + n
    assert count_nodes([n]) == 1
    assert count_nodes([twice]) == 2
    assert count_nodes([twice, twice == n]) == 3
    assert count_nodes([]) == 0


def test_a_small_question_is_split_after_a_first_try(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _limits(monkeypatch, _query(10), 20_000_000)
    assert seen == [FIRST_TRY, 20_000_000 - FIRST_TRY]


def test_a_large_question_is_given_half_before_it_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    query = _query(LARGE)
    assert count_nodes([*query.assumed, *query.ways]) > LARGE
    assert _limits(monkeypatch, query, 20_000_000) == [10_000_000, 10_000_000]


def _instances(formula: z3.BoolRef) -> str:
    plain, _ = ground([MARKED(A), formula], [z3.Not(MARKED(B))])
    return " ".join(str(one) for one in plain)


def test_the_outermost_quantifier_ranges_over_terms_that_instances_bring() -> None:
    written = _instances(z3.ForAll([X], z3.Implies(MARKED(X), MARKED(NEXT(X)))))
    assert "marked(next(a))" in written
    assert "marked(next(next(a)))" in written


def test_a_quantifier_inside_ranges_over_the_first_terms_only() -> None:
    inner = z3.ForAll([Y], z3.Or(CLOSE(X, Y), MARKED(NEXT(Y))))
    written = _instances(z3.ForAll([X], z3.Or(MARKED(X), inner)))
    assert "close(a, b)" in written
    assert "close(next(b), a)" in written
    assert "close(a, next(b))" not in written
