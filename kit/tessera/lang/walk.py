"""Walking typed expressions.

Goal: the children of a node, and the searches that several passes need.
Non-goals: rewriting.
"""

from __future__ import annotations

from collections.abc import Iterator

from tessera.lang import typed as t


def children(expr: t.Expr) -> tuple[t.Expr, ...]:
    """The direct subexpressions, in source order."""
    match expr:
        case t.Apply() | t.Exact():
            return expr.args
        case t.Unary() | t.Cast() | t.Old():
            return (expr.arg,)
        case t.Binary():
            return (expr.left, expr.right)
        case t.Ite():
            return (expr.test, expr.then, expr.other)
        case t.Quant():
            return (expr.guard, expr.body)
        case t.Succeeds():
            return (*expr.args, *(value for _, value in expr.witness))
        case _:
            return ()


def walk(expr: t.Expr) -> Iterator[t.Expr]:
    """The expression and everything in it, outermost first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def applications(expr: t.Expr) -> Iterator[t.Apply]:
    """Every application of a name."""
    return (node for node in walk(expr) if isinstance(node, t.Apply))
