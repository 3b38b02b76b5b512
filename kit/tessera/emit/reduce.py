"""Policy functions made closed: calls inlined, parameters put in, what is constant computed.

Goal: turn a function of the spec into one expression over the class `k` and the pool's size, and
answer what it is for one class or one pool size.
Non-goals: C (see `cexpr`) and judging the policy (see `tessera.prove`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.lang.fold import fold
from tessera.lang.types import BOOL

POOL_PAGES = "pool_pages"


@dataclass(frozen=True, slots=True)
class Reducer:
    """Rewrites expressions of one spec; `consts` gives values to rigid symbols (pool sizes)."""

    spec: t.Spec
    consts: Mapping[str, int]

    def call(self, name: str, *args: t.Expr) -> t.Expr:
        """The body of a function, applied. Raises `TesseraError` when it is not part of C."""
        function = self.spec.functions[name]
        bound = dict(zip((b.name for b in function.params), args, strict=True))
        return self.reduce(function.body, bound)

    def reduce(self, expr: t.Expr, bound: Mapping[str, t.Expr]) -> t.Expr:
        """The expression with locals, parameters and calls replaced and constants computed."""
        match expr:
            case t.IntLit() | t.BoolLit() | t.EnumLit():
                return expr
            case t.Local():
                return bound.get(expr.name, expr)
            case t.Apply():
                return self._apply(expr, bound)
            case t.Unary():
                return _unary(replace(expr, arg=self.reduce(expr.arg, bound)))
            case t.Cast():
                return _folded(replace(expr, arg=self.reduce(expr.arg, bound)))
            case t.Binary():
                return self._binary(expr, bound)
            case t.Ite():
                test = self.reduce(expr.test, bound)
                if isinstance(test, t.BoolLit):
                    return self.reduce(expr.then if test.value else expr.other, bound)
                then, other = self.reduce(expr.then, bound), self.reduce(expr.other, bound)
                return replace(expr, test=test, then=then, other=other)
            case _:
                raise _no_c_form(expr)

    def _apply(self, expr: t.Apply, bound: Mapping[str, t.Expr]) -> t.Expr:
        if expr.kind == "param":
            return t.IntLit(self.spec.params[expr.name].value, expr.type, expr.span)
        if expr.kind in ("function", "policy"):
            return self.call(expr.name, *(self.reduce(a, bound) for a in expr.args))
        if expr.kind == "const" and not expr.args:
            if expr.name in self.consts:
                return t.IntLit(self.consts[expr.name], expr.type, expr.span)
            if expr.name == POOL_PAGES:
                return expr
        raise _no_c_form(expr)

    def _binary(self, expr: t.Binary, bound: Mapping[str, t.Expr]) -> t.Expr:
        left, right = self.reduce(expr.left, bound), self.reduce(expr.right, bound)
        if isinstance(left, t.EnumLit) and isinstance(right, t.EnumLit):
            return t.BoolLit(self._compare(expr.op, left.name, right.name), BOOL, expr.span)
        if expr.op in ("and", "or", "=>"):
            return _connective(replace(expr, left=left, right=right))
        if isinstance(left, t.IntLit) and isinstance(right, t.IntLit) and expr.op in _ORDERS:
            return t.BoolLit(_ORDERS[expr.op](left.value, right.value), BOOL, expr.span)
        return _folded(replace(expr, left=left, right=right))

    def _compare(self, op: str, a: str, b: str) -> bool:
        if op in ("==", "!="):
            return (a == b) == (op == "==")
        if op in (">", ">="):
            a, b = b, a
        return self.spec.outranks(b, a) or ("=" in op and a == b)


_ORDERS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _folded(expr: t.Binary | t.Cast) -> t.Expr:
    value = fold(expr, {})
    return expr if value is None else t.IntLit(value, expr.type, expr.span)


def _unary(expr: t.Unary) -> t.Expr:
    if expr.op == "not" and isinstance(expr.arg, t.BoolLit):
        return t.BoolLit(not expr.arg.value, BOOL, expr.span)
    return expr


def _connective(expr: t.Binary) -> t.Expr:
    """and, or, => with one side known; => is written as or."""
    left, right = expr.left, expr.right
    if expr.op == "=>":
        negated = _unary(t.Unary("not", left, BOOL, expr.span))
        return _connective(t.Binary("or", negated, right, BOOL, expr.span))
    settles = expr.op == "or"  # the value of one side that settles the whole
    for side, rest in ((left, right), (right, left)):
        if isinstance(side, t.BoolLit):
            return side if side.value == settles else rest
    return expr


def _no_c_form(expr: t.Expr) -> TesseraError:
    what = f"'{expr.name}'" if isinstance(expr, t.Apply) else type(expr).__name__.lower()
    return TesseraError(
        f"{what} cannot become C: a policy may use only classes, parameters and {POOL_PAGES}",
        where=expr.span,
        remedy="write the policy function without state and without quantifiers",
    )
