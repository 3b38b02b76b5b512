"""Constant folding: the value of an expression made of literals and configured parameters.

Goal: evaluate bases, sizes, bounds and parameter values while checking, at their widths.
Non-goals: state, quantifiers and functions (see `tessera.model`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tessera.lang import typed as t
from tessera.lang.types import IntType


def fold(expr: t.Expr, params: Mapping[str, int]) -> int | None:
    """The integer value, or None when the expression is not constant."""
    match expr:
        case t.IntLit():
            return expr.value
        case t.Apply(kind="param", name=name):
            return params.get(name)
        case t.Cast():
            inner = fold(expr.arg, params)
            return None if inner is None else inner & ((1 << expr.type.width) - 1)
        case t.Unary(op="~", type=IntType() as type_):
            inner = fold(expr.arg, params)
            return None if inner is None else ~inner & ((1 << type_.width) - 1)
        case t.Binary():
            left, right = fold(expr.left, params), fold(expr.right, params)
            if left is None or right is None or not isinstance(expr.type, IntType):
                return None
            return _arithmetic(expr.op, left, right, expr.type.width)
        case _:
            return None


def _arithmetic(op: str, a: int, b: int, width: int) -> int | None:
    mask = (1 << width) - 1
    if op in ("/", "%") and b == 0:
        return mask if op == "/" else a
    if op in ("<<", ">>") and b >= width:
        return 0
    results = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: a // b,
        "%": lambda: a % b,
        "<<": lambda: a << b,
        ">>": lambda: a >> b,
        "&": lambda: a & b,
        "|": lambda: a | b,
        "^": lambda: a ^ b,
        "min": lambda: min(a, b),
        "max": lambda: max(a, b),
    }
    return results[op]() & mask if op in results else None
