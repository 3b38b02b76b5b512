"""How a query is written out and how its resource units are shared among its parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import z3

from tessera.prove import decide as decide_module
from tessera.prove import ground as ground_module
from tessera.prove.decide import FEW_CASES, FIRST_TRY, FIRST_WAY, LARGE, Query, decide
from tessera.prove.ground import ground
from tessera.prove.nodes import count_nodes
from tessera.prove.solver import Answer, fresh_context, solve_as_bits


@dataclass(frozen=True, slots=True)
class _Words:
    """Two things, a function and two predicates, in Z3's present context."""

    a: z3.ExprRef
    b: z3.ExprRef
    x: z3.ExprRef
    y: z3.ExprRef
    next: z3.FuncDeclRef
    marked: z3.FuncDeclRef
    close: z3.FuncDeclRef


@pytest.fixture
def words() -> _Words:
    """A new context: the one that the last test used is of no use to the next."""
    fresh_context()
    thing = z3.DeclareSort("Thing")
    return _Words(
        *z3.Consts("a b x y", thing),
        z3.Function("next", thing, thing),
        z3.Function("marked", thing, z3.BoolSort()),
        z3.Function("close", thing, thing, z3.BoolSort()),
    )


def _query(w: _Words, size: int) -> Query:
    """A goal about `b` with `size` terms beside it, so that a split on `a == b` is there."""
    numbers = [z3.BitVec(f"n{i}", 32) for i in range(size)]
    ballast = z3.And(True, *(one > i for i, one in enumerate(numbers)))
    return Query((w.marked(w.a), ballast), (z3.Not(w.marked(w.b)),), (w.a,), (w.b,))


def _limits(monkeypatch: pytest.MonkeyPatch, query: Query, limit: int) -> list[int]:
    seen: list[int] = []

    def spend(_formulas: object, limit: int, _seed: int) -> Answer:
        seen.append(limit)
        return Answer("unknown", 0.0, limit)

    monkeypatch.setattr(decide_module, "solve", spend)
    monkeypatch.setattr(decide_module, "solve_as_bits", spend)
    monkeypatch.setattr(decide_module, "contradicts_at_once", lambda _formulas: False)
    assert decide(query, limit).status == "unknown"
    return seen


def test_nodes_that_are_shared_count_once() -> None:
    fresh_context()
    n = z3.BitVec("n", 32)
    twice = n + n
    assert count_nodes([n]) == 1
    assert count_nodes([twice]) == 2
    assert count_nodes([twice, twice == n]) == 3
    assert count_nodes([]) == 0


def test_a_small_question_of_few_cases_is_split_at_once(
    words: _Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def fail(formulas: list[z3.ExprRef], limit: int, _seed: int) -> Answer:
        asked.append([str(f) for f in formulas])
        return Answer("unsat", 0.0, limit // 4)

    monkeypatch.setattr(decide_module, "solve", fail)
    monkeypatch.setattr(decide_module, "contradicts_at_once", lambda _formulas: False)
    assert decide(_query(words, 10), 20_000_000).status == "unsat"
    same, distinct = asked
    assert "Not(marked(a))" in same
    assert "a != b" in distinct or "b != a" in distinct


def test_a_small_question_of_many_cases_is_tried_first(
    words: _Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven things that an action names and one of the goal: 128 cases."""
    thing = words.a.sort()
    touched = tuple(z3.Const(f"t{i}", thing) for i in range(7))
    query = Query(
        tuple(words.marked(t) for t in touched),
        (z3.Not(words.marked(words.b)),),
        touched,
        (words.b,),
    )
    assert 2 ** len(touched) > FEW_CASES
    assert _limits(monkeypatch, query, 20_000_000)[0] == FIRST_TRY


def test_a_large_question_is_given_nearly_all_before_it_is_split(
    words: _Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = _query(words, LARGE)
    assert count_nodes([*query.assumed, *query.ways]) > LARGE
    assert _limits(monkeypatch, query, 20_000_000) == [18_000_000, 2_000_000]


def test_a_hard_case_is_decided_in_a_second_way(
    words: _Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a split: a quarter for the one way, what is left for the other."""
    query = replace(_query(words, 10), touched=())
    assert _limits(monkeypatch, query, 20_000_000) == [5_000_000, 15_000_000]
    assert _limits(monkeypatch, query, FIRST_WAY) == [FIRST_WAY]
    monkeypatch.setattr(decide_module, "solve_as_bits", lambda _f, _l, _s: Answer("unsat", 0.0, 1))
    assert decide(query, 20_000_000).status == "unsat"


def test_bits_prove_and_never_refute(words: _Words) -> None:
    """Equations between things are no bits: that those could hold is not believed."""
    n, m = z3.BitVecs("n m", 32)
    assert solve_as_bits([n * 2 == m, z3.Extract(0, 0, m) == 1]).status == "unsat"
    assert solve_as_bits([n * 2 == m]).status == "unknown"
    assert solve_as_bits([words.marked(words.a)]).status == "unknown"


def _instances(w: _Words, formula: z3.BoolRef) -> str:
    plain, _ = ground([w.marked(w.a), formula], [z3.Not(w.marked(w.b))])
    return " ".join(str(one) for one in plain)


def test_the_outermost_quantifier_ranges_over_terms_that_instances_bring(words: _Words) -> None:
    w = words
    step = z3.Implies(w.marked(w.x), w.marked(w.next(w.x)))
    written = _instances(w, z3.ForAll([w.x], step))
    assert "marked(next(a))" in written
    assert "marked(next(next(a)))" in written


def test_a_quantifier_inside_ranges_over_the_first_terms_only(words: _Words) -> None:
    w = words
    inner = z3.ForAll([w.y], z3.Or(w.close(w.x, w.y), w.marked(w.next(w.y))))
    written = _instances(w, z3.ForAll([w.x], z3.Or(w.marked(w.x), inner)))
    assert "close(a, b)" in written
    assert "close(next(b), a)" in written
    assert "close(a, next(b))" not in written


def test_quantifiers_in_quantifiers_make_a_bounded_number_of_instances(
    words: _Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 5 x 5 instances of the inner one only what is left of ten after the outer one's five."""
    w = words
    monkeypatch.setattr(ground_module, "MOST_IN_ALL", 10)
    things = [z3.Const(f"t{i}", w.a.sort()) for i in range(5)]
    inner = z3.ForAll([w.y], w.close(w.x, w.y))
    outer = z3.ForAll([w.x], z3.Or(z3.Not(w.marked(w.x)), inner))
    plain, _ = ground([*(w.marked(t) for t in things), outer], [z3.Not(w.marked(things[0]))])
    assert str(plain).count("close(") == 5
