"""Places in an expression, and the expression with one of them replaced.

Goal: `sites` lists every node with a way to put another in its place; `conjuncts` splits a test.
Non-goals: what is put there (see `tessera.mutate.operators`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tessera.lang import typed as t
from tessera.lang.types import BOOL
from tessera.lang.walk import children

Put = Callable[[t.Expr], t.Expr]
"""The whole expression, with the place filled by another node."""


@dataclass(frozen=True, slots=True)
class Site:
    """One node, what stands directly around it, and how to replace it."""

    node: t.Expr
    parent: t.Expr | None
    index: int  # which child of `parent`, in the order of `tessera.lang.walk.children`
    put: Put


def sites(expr: t.Expr) -> Iterator[Site]:
    """Every node of an expression, outermost first."""
    return _sites(expr, None, 0, lambda new: new)


def _sites(expr: t.Expr, parent: t.Expr | None, index: int, put: Put) -> Iterator[Site]:
    yield Site(expr, parent, index, put)
    for i, child in enumerate(children(expr)):
        yield from _sites(child, expr, i, _inside(expr, i, put))


def _inside(expr: t.Expr, index: int, put: Put) -> Put:
    return lambda new: put(with_child(expr, index, new))


def with_child(expr: t.Expr, index: int, new: t.Expr) -> t.Expr:
    """The node with one direct child replaced; children count as `walk.children` lists them."""
    match expr:
        case t.Apply() | t.Exact():
            return replace(expr, args=_with(expr.args, index, new))
        case t.Unary() | t.Cast() | t.Old():
            return replace(expr, arg=new)
        case t.Binary():
            return replace(expr, left=new) if index == 0 else replace(expr, right=new)
        case t.Ite():
            test, then, other = _with((expr.test, expr.then, expr.other), index, new)
            return t.Ite(test, then, other, expr.type, expr.span)
        case t.Quant():
            return replace(expr, guard=new) if index == 0 else replace(expr, body=new)
        case _:
            raise AssertionError(f"{type(expr).__name__} does not stand in a machine")


def _with(parts: tuple[t.Expr, ...], index: int, new: t.Expr) -> tuple[t.Expr, ...]:
    return (*parts[:index], new, *parts[index + 1 :])


def conjuncts(test: t.Expr) -> list[t.Expr]:
    """The parts of a conjunction, in order; none of `true`."""
    if isinstance(test, t.BoolLit) and test.value:
        return []
    if isinstance(test, t.Binary) and test.op == "and":
        return [*conjuncts(test.left), *conjuncts(test.right)]
    return [test]


def conjunction(parts: Sequence[t.Expr], like: t.Expr) -> t.Expr:
    """All parts together; `true`, at the place of `like`, when there are none."""
    if not parts:
        return t.BoolLit(True, BOOL, like.span)
    out = parts[0]
    for part in parts[1:]:
        out = t.Binary("and", out, part, BOOL, like.span)
    return out


def without(test: t.Expr) -> list[tuple[t.Expr, t.Expr]]:
    """Each part of a conjunction of several, with the test that is left when it is dropped."""
    parts = conjuncts(test)
    if len(parts) < 2:
        return []
    return [
        (part, conjunction([*parts[:i], *parts[i + 1 :]], test)) for i, part in enumerate(parts)
    ]
