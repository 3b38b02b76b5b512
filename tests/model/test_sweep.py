"""Sweeps over an integer variable: exact, or openly undecided, never wrong."""

from __future__ import annotations

from random import Random

import pytest
import terms
from hypothesis import given, settings
from hypothesis import strategies as st
from terms import HERE, TRUE, U8, binary, local, number, quant

from tessera.lang.typed import Apply, Binder, Cast, Expr, Function, Ite, Unary, Var
from tessera.lang.types import BOOL, IntType
from tessera.model import sweep_logic
from tessera.model.domains import first_passing, passing
from tessera.model.engine import Engine
from tessera.model.intervals import IntervalMap
from tessera.model.ramp import IDENTITY, Unswept
from tessera.model.scope import Scope
from tessera.model.script import World
from tessera.model.values import Undecided

U32, U64 = IntType(32), IntType(64)
NAMES = ("x", "y")
MAP = Var("m", (Binder("i", U8, HERE),), U8, "", HERE)
NUMBER = Var("k", (), U8, "", HERE)
MADE = terms.spec(vars_={"m": MAP, "k": NUMBER})


def read(index: Expr) -> Expr:
    return Apply("var", "m", (index,), U8, HERE)


def truth_of(expr: Expr, y: int, state: tuple[object, ...] = (), points: bool = True) -> set[int]:
    """The values of x (8 bits) for which a formula holds, by one sweep."""
    engine, scope = Engine(MADE, World({}, {})), Scope()
    scope, x_place = scope.bind("x")
    scope, y_place = scope.bind("y")
    binder = Binder("x", U8, HERE)
    if points:
        run = passing(engine.evaluator, binder, engine.lower(expr), scope)
        frame = scope.frame(state)
        frame[y_place] = y
        return {x for lo, hi in run(frame) for x in range(lo, hi)}
    code = engine.evaluator.sweeper.truth(engine.lower(expr), scope, frozenset("x"))
    frame = scope.frame(state)
    frame[x_place], frame[y_place] = IDENTITY, y
    return {x for lo, hi in code(frame, 0, 256) for x in range(lo, hi)}


def brute(expr: Expr, y: int) -> set[int]:
    return {x for x in range(256) if terms.meaning(expr, {"x": x, "y": y})}


@given(terms.formulas(NAMES, 3), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_sweep_finds_exactly_the_points(expr: Expr, y: int) -> None:
    assert truth_of(expr, y) == brute(expr, y)


@given(terms.formulas(NAMES, 2), st.integers(0, 255))
@settings(max_examples=250, deadline=None)
def test_without_trying_points_a_sweep_is_exact_or_refuses(expr: Expr, y: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_logic, "MAX_POINTS", 0)
        try:
            found = truth_of(expr, y, points=False)
        except Unswept:
            return
    assert found == brute(expr, y)


def chains() -> list[Expr]:
    """x through two operators with constants, on either side: the shapes that C addresses have."""
    constants = [number(c) for c in (0, 1, 3, 7, 8, 200)]

    def more(inner: list[Expr]) -> list[Expr]:
        right = [binary(op, a, c) for op in terms.ARITHMETIC for a in inner for c in constants]
        left = [binary(op, c, a) for op in terms.ARITHMETIC for a in inner for c in constants]
        return [*right, *left, *(Unary("~", a, U8, HERE) for a in inner)]

    once = more([local("x")])
    floored = [binary(">>", local("x"), number(2)), binary("/", local("x"), number(7))]
    return [*once, *more(floored), *Random(1).sample(more(once), 100)]


def test_chains_of_operators_are_solved_exactly() -> None:
    solved = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_logic, "MAX_POINTS", 0)
        for chain in chains():
            for op, bound in (("<", 100), ("==", 3)):
                formula = binary(op, chain, number(bound))
                try:
                    found = truth_of(formula, 0, points=False)
                except Unswept:
                    continue
                solved += 1
                assert found == brute(formula, 0), formula
    assert solved > 300


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 256), st.integers(0, 255)), max_size=5),
    terms.integers(("x",), 2),
    st.sampled_from(terms.COMPARE),
    terms.integers(("x",), 1),
)
@settings(max_examples=150, deadline=None)
def test_maps_are_read_along_a_sweep(
    writes: list[tuple[int, int, int]], index: Expr, op: str, other: Expr
) -> None:
    content = IntervalMap(0, 256)
    for lo, hi, value in writes:
        content = content.set(lo, hi, value)
    expected = set()
    for x in range(256):
        value = content[terms.meaning(index, {"x": x})]
        if terms.meaning(binary(op, number(value), other), {"x": x}):
            expected.add(x)
    assert truth_of(binary(op, read(index), other), 0, (content, 0)) == expected


@given(terms.formulas(NAMES, 2), terms.formulas(NAMES, 2), st.integers(0, 255))
@settings(max_examples=80, deadline=None)
def test_quantifiers_mean_what_the_reference_says(guard: Expr, body: Expr, y: int) -> None:
    for kind in ("forall", "exists"):
        formula = quant(kind, "x", guard, body)
        assert terms.run(formula, {"y": y}) is terms.meaning(formula, {"y": y})


def test_a_nested_quantifier_sees_the_outer_variable() -> None:
    sum_ = binary("+", local("z"), local("x"))
    inner = quant("exists", "z", TRUE, binary("==", sum_, local("y")))
    assert terms.run(quant("forall", "x", TRUE, inner), {"y": 9}) is True
    small = quant(
        "exists", "z", binary("<", local("z"), number(9)), binary("==", local("z"), local("x"))
    )
    assert terms.run(quant("forall", "x", TRUE, small), {"y": 9}) is False
    bounded = quant("forall", "x", binary("<", local("x"), number(9)), small)
    assert terms.run(bounded, {"y": 9}) is True


# --- large ranges ---------------------------------------------------------------------------------


def wide(value: int, type_: IntType = U64) -> Expr:
    return number(value, type_)


def test_a_range_of_two_to_the_64_is_decided_exactly() -> None:
    """(a - base) >> 12, cut to 16 bits, equals itself for the first 64 Ki pages and no further."""
    base, a = wide(0x0E30_0000), local("a", U64)
    page = binary(">>", binary("-", a, base), wide(12))
    cut = Cast(Cast(page, IntType(16), HERE), U64, HERE)
    for pages, holds in ((65536, True), (65537, False)):
        inside = binary("and", binary("<=", base, a), binary("<", page, wide(pages)))
        formula = quant("forall", "a", inside, binary("==", cut, page), U64)
        assert terms.run(formula, {}) is holds


def hard(x: Expr) -> Expr:
    """x * x: no form for a sweep."""
    return binary("*", x, x)


def test_a_failure_found_in_a_sample_counts() -> None:
    x = local("x", U64)
    assert terms.run(quant("forall", "x", TRUE, binary("<", hard(x), wide(100)), U64), {}) is False
    assert terms.run(quant("exists", "x", TRUE, binary("==", hard(x), wide(4)), U64), {}) is True


def test_no_failure_in_a_sample_never_becomes_holds() -> None:
    """x * x != 1234567 * 1234567 fails at one point that no sample meets."""
    x = local("x", U32)
    square = wide(1234567 * 1234567 % 2**32, U32)
    differs = binary("!=", hard(x), square)
    with pytest.raises(Undecided) as caught:
        terms.run(quant("forall", "x", TRUE, differs, U32), {})
    assert caught.value.left == 2**32
    assert "too many to enumerate" in caught.value.render()
    with pytest.raises(Undecided):
        terms.run(quant("exists", "x", TRUE, binary("==", hard(x), square), U32), {})


def test_a_guard_makes_a_hard_body_small_enough() -> None:
    x = local("x", U32)
    few = binary("<", binary("-", x, wide(1_000_000, U32)), wide(300, U32))
    square = wide(1_000_250**2 % 2**32, U32)
    found = quant("exists", "x", few, binary("==", hard(x), square), U32)
    missed = quant("exists", "x", few, binary("==", hard(x), wide(3, U32)), U32)
    assert terms.run(found, {}) is True
    assert terms.run(missed, {}) is False


def test_another_conjunct_may_settle_what_one_leaves_open() -> None:
    x = local("x", U32)
    open_ = quant("forall", "x", TRUE, binary("!=", hard(x), wide(1234567**2 % 2**32, U32)), U32)
    false, true = binary("<", wide(2), wide(1)), binary("<", wide(1), wide(2))
    for left, right in ((open_, false), (false, open_)):
        assert terms.run(binary("and", left, right), {}) is False
    for left, right in ((open_, true), (true, open_)):
        assert terms.run(binary("or", left, right), {}) is True
    for left, right in ((open_, true), (true, open_)):
        with pytest.raises(Undecided):
            terms.run(binary("and", left, right), {})


def test_the_least_value_of_a_test_that_cannot_be_swept() -> None:
    engine, scope = Engine(MADE, World({}, {})), Scope()
    binder = Binder("x", U32, HERE)
    scope, _ = scope.bind("x")
    squares = binary("==", hard(local("x", U32)), wide(2500, U32))
    assert first_passing(engine.evaluator, binder, squares, scope)(scope.frame(())) == 50
    never = binary("==", hard(local("x", U32)), wide(3, U32))
    with pytest.raises(Undecided):
        first_passing(engine.evaluator, binder, never, scope)(scope.frame(()))


def test_functions_are_swept_through_their_parameters() -> None:
    x, y = Binder("p", U8, HERE), Binder("q", U8, HERE)
    body = Ite(
        binary("<=", local("p"), local("q")),
        binary("-", local("q"), local("p")),
        binary("-", local("p"), local("q")),
        U8,
        HERE,
    )
    far = Function("far", (x, y), U8, body, False, "", HERE)
    made = terms.spec({"far": far})
    near = binary("<", Apply("function", "far", (local("a", U8), number(100)), U8, HERE), number(3))
    one = quant("forall", "a", near, binary("<", local("a"), number(103)))
    two = quant("forall", "a", near, binary("<", local("a"), number(102)))
    assert terms.run(one, {}, made=made) is True
    assert terms.run(two, {}, made=made) is False
    assert one.type == BOOL


@given(terms.formulas(("x", "z"), 2), terms.formulas(("x", "z"), 1), terms.formulas(("x",), 1))
@settings(max_examples=30, deadline=None)
def test_a_quantifier_in_a_sweep_is_exact(body: Expr, guard: Expr, more: Expr) -> None:
    """Swept over x, with a search for z inside, against all z for every ninth x."""
    few = set(range(0, 256, 9)) | {255}
    for kind in ("exists", "forall"):
        formula = binary("or", quant(kind, "z", guard, body), more)
        holds = {x for x in few if terms.meaning(formula, {"x": x})}
        assert truth_of(formula, 0) & few == holds


def test_a_search_that_one_witness_settles_needs_no_points() -> None:
    """For every n up to 2^20 there is an o with o + n <= 2^21: nothing is tried one by one."""
    o, n = local("o", U32), local("n", U32)
    room = binary("<=", binary("+", o, n), wide(1 << 21, U32))
    search = quant("exists", "o", binary("<=", wide(7, U32), o), room, U32)
    large = binary("<=", n, wide(1 << 20, U32))
    assert terms.run(quant("forall", "n", large, search, U32), {}) is True
    blocked = quant("forall", "o", TRUE, binary("<", o, wide(2**32 - 1, U32)), U32)
    assert terms.run(quant("exists", "n", large, binary("and", search, blocked), U32), {}) is False
