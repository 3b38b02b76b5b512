"""The shape of Z3's terms, read through its C interface.

Goal: walking a formula costs a few calls per distinct node. z3py makes a counted Python object of
every child and asks for an error after every call, which took most of the time of grounding.
Nodes are addresses: Z3 shares equal terms, so equal addresses are equal terms.
Non-goals: making terms (z3py does), and counting references: who walks a formula keeps its root.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import z3

from tessera.prove.terms import Term

APP, VARIABLE, QUANTIFIER = z3.Z3_APP_AST, z3.Z3_VAR_AST, z3.Z3_QUANTIFIER_AST

_WORD = ctypes.c_void_p
_INDEX = ctypes.c_uint


def _function(name: str, result: Any, *more: Any) -> Callable[..., int]:
    """A function of Z3's C interface that takes a context, an address and `more`.

    The very function that z3py calls, without its wrapping: plain integers go in and out. (z3py
    offers no public way; its version is pinned.)
    """
    wrapped = getattr(z3.z3core, name).__defaults__[0].f
    where = ctypes.cast(wrapped, ctypes.c_void_p).value
    assert where is not None
    return ctypes.CFUNCTYPE(result, _WORD, _WORD, *more)(where)


_kind = _function("Z3_get_ast_kind", _INDEX)
_decl = _function("Z3_get_app_decl", _WORD)
_decl_kind = _function("Z3_get_decl_kind", _INDEX)
_count = _function("Z3_get_app_num_args", _INDEX)
_part = _function("Z3_get_app_arg", _WORD, _INDEX)
_body = _function("Z3_get_quantifier_body", _WORD)
_bound = _function("Z3_get_quantifier_num_bound", _INDEX)
_index = _function("Z3_get_index_value", _INDEX)
_sort = _function("Z3_get_sort", _WORD)
_sort_kind = _function("Z3_get_sort_kind", _INDEX)


@dataclass(frozen=True, slots=True)
class Node:
    """`parts`: the arguments, or the body of a quantifier. `function`: the address of an
    uninterpreted function that is applied here (a constant is one), else 0. `number`: of a
    variable its index, of a quantifier how many it binds."""

    kind: int
    parts: tuple[int, ...] = ()
    function: int = 0
    number: int = 0


def address(term: Term) -> int:
    """Where a term is; its own for as long as the term is kept."""
    place: int = term.as_ast().value
    return place


class Nodes:
    """The nodes that were met, in one Z3 context."""

    def __init__(self, context: z3.Context) -> None:
        self._context: int = context.ref().value
        self._nodes: dict[int, Node] = {}
        self._sorts: dict[int, int] = {}
        self._things: dict[int, bool] = {}

    def node(self, place: int) -> Node:
        """What is at an address."""
        known = self._nodes.get(place)
        if known is None:
            known = self._nodes[place] = self._read(place)
        return known

    def _read(self, place: int) -> Node:
        context = self._context
        kind = _kind(context, place)
        if kind == APP:
            decl = _decl(context, place)
            free = _decl_kind(context, decl) == z3.Z3_OP_UNINTERPRETED
            parts = tuple(_part(context, place, i) for i in range(_count(context, place)))
            return Node(APP, parts, decl if free else 0)
        if kind == QUANTIFIER:
            return Node(kind, (_body(context, place),), 0, _bound(context, place))
        if kind == VARIABLE:
            return Node(kind, (), 0, _index(context, place))
        return Node(kind)  # a numeral

    def sort(self, place: int) -> int:
        """The address of a term's sort."""
        known = self._sorts.get(place)
        if known is None:
            known = self._sorts[place] = _sort(self._context, place)
        return known

    def is_thing(self, sort: int) -> bool:
        """Whether a sort is uninterpreted."""
        known = self._things.get(sort)
        if known is None:
            kind = _sort_kind(self._context, sort)
            known = self._things[sort] = kind == z3.Z3_UNINTERPRETED_SORT
        return known


def term_at(place: int, context: z3.Context) -> Term:
    """The z3py term at an address."""
    return z3.z3._to_expr_ref(z3.Ast.from_buffer(_WORD(place)), context)


def count_nodes(formulas: Iterable[Term]) -> int:
    """How many distinct nodes some formulas of the present context have together."""
    nodes = Nodes(z3.main_ctx())
    todo = [address(formula) for formula in formulas]
    seen = set(todo)
    while todo:
        new = [part for part in nodes.node(todo.pop()).parts if part not in seen]
        seen.update(new)
        todo.extend(new)
    return len(seen)


def has_quantifier(term: Term) -> bool:
    """Whether a quantifier stands anywhere in a term of the present context."""
    nodes = Nodes(z3.main_ctx())
    todo = [address(term)]
    seen = set(todo)
    while todo:
        node = nodes.node(todo.pop())
        if node.kind == QUANTIFIER:
            return True
        new = [part for part in node.parts if part not in seen]
        seen.update(new)
        todo.extend(new)
    return False
