"""Typed expressions made by hand or by hypothesis, and a slow reference for their meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tessera.errors import Span
from tessera.lang.typed import (
    Apply,
    Binary,
    Binder,
    BoolLit,
    Cast,
    Exact,
    Expr,
    Function,
    IntLit,
    Ite,
    Local,
    Quant,
    Spec,
    Unary,
    Var,
)
from tessera.lang.types import BOOL, IntType, Type
from tessera.model.engine import Engine
from tessera.model.scope import Scope
from tessera.model.script import World

HERE = Span("test", 1, 1, 1, 1)
U8, U16 = IntType(8), IntType(16)


def spec(functions: dict[str, Function] | None = None, vars_: dict[str, Var] | None = None) -> Spec:
    """A spec with nothing but functions and variables."""
    return Spec(
        name="made",
        doc="",
        file="made",
        digest="",
        platform=None,
        classes=(),
        enums={},
        sorts=(),
        consts={},
        params={},
        vars=vars_ or {},
        functions=functions or {},
        init=(),
        actions=(),
        properties=(),
        expects={},
        views=(),
        simulate={},
        lines={},
    )


def number(value: int, type_: IntType = U8) -> Expr:
    return IntLit(value, type_, HERE)


def local(name: str, type_: Type = U8) -> Expr:
    return Local(name, type_, HERE)


def binary(op: str, left: Expr, right: Expr, type_: Type | None = None) -> Expr:
    logical = op in ("and", "or", "=>", "==", "!=", "<", "<=", ">", ">=")
    return Binary(op, left, right, type_ or (BOOL if logical else left.type), HERE)


def exact(*args: Expr) -> Expr:
    return Exact(args, BOOL, HERE)


def quant(kind: str, name: str, guard: Expr, body: Expr, type_: Type = U8) -> Expr:
    return Quant(kind, (Binder(name, type_, HERE),), guard, body, BOOL, HERE)


TRUE: Expr = BoolLit(True, BOOL, HERE)


def prepared(
    expr: Expr, names: tuple[str, ...] = ("a", "b"), made: Spec | None = None
) -> Callable[..., Any]:
    """A function from an environment (and a state) to the evaluator's value of an expression."""
    scope, places = Scope(), {}
    for name in names:
        scope, places[name] = scope.bind(name)
    code = Engine(made or spec(), World({}, {})).compile(expr, scope)

    def call_it(env: dict[str, Any], state: tuple[Any, ...] = ()) -> Any:
        frame = scope.frame(state)
        for name, place in places.items():
            frame[place] = env[name]
        return code(frame)

    return call_it


def run(
    expr: Expr, env: dict[str, Any], state: tuple[Any, ...] = (), made: Spec | None = None
) -> Any:
    """The evaluator's value of an expression."""
    return prepared(expr, tuple(env), made)(env, state)


# --- a reference, written from the language's definition ------------------------------------------


class Lossy(Exception):
    """An operation lost something."""


def meaning(expr: Expr, env: dict[str, Any], strict: bool = False) -> Any:
    """The value; with `strict` it raises `Lossy` where an operation that is needed loses."""
    match expr:
        case IntLit() | BoolLit():
            return expr.value
        case Local():
            return env[expr.name]
        case Cast():
            value = meaning(expr.arg, env, strict)
            if strict and value >= 2**expr.type.width:
                raise Lossy
            return value % 2**expr.type.width
        case Unary():
            value = meaning(expr.arg, env, strict)
            return (not value) if expr.op == "not" else 2**expr.type.width - 1 - value  # type: ignore[union-attr]
        case Ite():
            taken = expr.then if meaning(expr.test, env, strict) else expr.other
            return meaning(taken, env, strict)
        case Binary(op="and"):
            return meaning(expr.left, env, strict) and meaning(expr.right, env, strict)
        case Binary(op="or"):
            return meaning(expr.left, env, strict) or meaning(expr.right, env, strict)
        case Binary(op="=>"):
            return not meaning(expr.left, env, strict) or meaning(expr.right, env, strict)
        case Binary():
            left, right = meaning(expr.left, env, strict), meaning(expr.right, env, strict)
            return _binary(expr, left, right, strict)
        case Quant():
            every = [_instance(expr, env, value, strict) for value in range(256)]
            return all(every) if expr.kind == "forall" else any(every)
    raise AssertionError(expr)


def _instance(expr: Quant, env: dict[str, Any], value: int, strict: bool) -> bool:
    inner = {**env, expr.binders[0].name: value}
    passes = meaning(expr.guard, inner, strict)
    if expr.kind == "forall":
        return not passes or meaning(expr.body, inner, strict)
    return passes and meaning(expr.body, inner, strict)


def _binary(expr: Binary, a: Any, b: Any, strict: bool) -> Any:
    comparisons = {
        "==": a == b,
        "!=": a != b,
        "<": a < b,
        "<=": a <= b,
        ">": a > b,
        ">=": a >= b,
    }
    if expr.op in comparisons:
        return comparisons[expr.op]
    width = expr.type.width  # type: ignore[union-attr]
    full = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: a // b if b else None,
        "%": lambda: a % b if b else None,
        "<<": lambda: a * 2**b if b < width else None,
        ">>": lambda: a // 2**b if b < width else None,
        "&": lambda: a & b,
        "|": lambda: a | b,
        "^": lambda: a ^ b,
        "min": lambda: min(a, b),
        "max": lambda: max(a, b),
    }[expr.op]()
    if strict and (full is None or not 0 <= full < 2**width):
        raise Lossy
    if full is None:
        return {"/": 2**width - 1, "%": a}.get(expr.op, 0)
    return full % 2**width


# --- random expressions ---------------------------------------------------------------------------

ARITHMETIC = ("+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "min", "max")
COMPARE = ("==", "!=", "<", "<=", ">", ">=")


def integers(names: tuple[str, ...], depth: int, type_: IntType = U8) -> st.SearchStrategy[Expr]:
    """Integer expressions of a width over u8 variables."""
    leaf: st.SearchStrategy[Expr] = st.integers(0, 2**type_.width - 1).map(
        lambda v: number(v, type_)
    )
    small: st.SearchStrategy[Expr] = st.integers(0, 9).map(lambda v: number(v, type_))
    if type_ == U8:
        variable: st.SearchStrategy[Expr] = st.sampled_from(names).map(local)
    else:
        variable = st.sampled_from(names).map(lambda n: Cast(local(n), type_, HERE))
    if depth == 0:
        return leaf | small | variable | variable
    sub = integers(names, depth - 1, type_)
    other = integers(names, depth - 1, U16 if type_ == U8 else U8)
    return (
        variable
        | st.builds(binary, st.sampled_from(ARITHMETIC), sub, sub)
        | st.builds(binary, st.sampled_from(("+", "-", ">>")), sub, small)
        | sub.map(lambda a: Unary("~", a, a.type, HERE))
        | other.map(lambda a: Cast(a, type_, HERE))
        | st.builds(
            lambda t, a, b: Ite(t, a, b, a.type, HERE), formulas(names, depth - 1), sub, sub
        )
    )


def formulas(names: tuple[str, ...], depth: int) -> st.SearchStrategy[Expr]:
    """Formulas over u8 variables."""
    comparison = st.one_of(
        *(
            st.builds(
                binary,
                st.sampled_from(COMPARE),
                integers(names, max(depth - 1, 0), t),
                integers(names, max(depth - 1, 0), t),
            )
            for t in (U8, U16)
        )
    )
    if depth == 0:
        return comparison
    sub = formulas(names, depth - 1)
    return (
        comparison
        | st.builds(binary, st.sampled_from(("and", "or", "=>")), sub, sub)
        | sub.map(lambda a: Unary("not", a, BOOL, HERE))
        | st.builds(lambda t, a, b: Ite(t, a, b, BOOL, HERE), sub, sub, sub)
    )


def call(function: Function, *args: Expr) -> Expr:
    return Apply("function", function.name, args, function.type, HERE)
