"""Types and operators as Z3 terms.

Goal: one Z3 sort per type and one function per operator, at exact widths, as `lang.typed` defines
their meaning.
Non-goals: names, state and quantifiers (see `tessera.prove.encode`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from tessera.lang.types import BoolType, EnumType, IntType, NatType, SortType, Type

Term = Any
"""A Z3 expression; z3py has no types of its own."""


@dataclass(frozen=True, slots=True)
class Sorts:
    """The Z3 sorts of a spec.

    `elements` is empty for a sort that stays uninterpreted (any number of things), or lists the
    elements of a finite one (bounded search).
    """

    enums: Mapping[str, tuple[Any, Mapping[str, Term]]]
    things: Mapping[str, Any]
    elements: Mapping[str, tuple[Term, ...]]

    @staticmethod
    def make(
        enums: Mapping[str, tuple[str, ...]],
        sorts: tuple[str, ...],
        universe: Mapping[str, tuple[str, ...]] | None,
    ) -> Sorts:
        """Declare them; `universe` names the elements of every sort for a bounded search."""
        made: dict[str, tuple[Any, Mapping[str, Term]]] = {}
        for name, members in enums.items():
            if members:
                sort, terms = z3.EnumSort(f"enum.{name}", [f"{name}.{m}" for m in members])
                made[name] = (sort, dict(zip(members, terms, strict=True)))
        if universe is None:
            return Sorts(made, {s: z3.DeclareSort(s) for s in sorts}, {})
        things, elements = {}, {}
        for name in sorts:
            sort, terms = z3.EnumSort(name, [f"{name}.{e}" for e in universe[name]])
            things[name], elements[name] = sort, tuple(terms)
        return Sorts(made, things, elements)

    def of(self, type_: Type) -> Any:
        """The Z3 sort of a type."""
        match type_:
            case BoolType():
                return z3.BoolSort()
            case IntType():
                return z3.BitVecSort(type_.width)
            case NatType():
                return z3.IntSort()
            case EnumType():
                return self.enums[type_.name][0]
            case SortType():
                return self.things[type_.name]

    def values(self, type_: Type) -> tuple[Term, ...] | None:
        """All values of a finite type, or None when it is to be quantified over."""
        if isinstance(type_, EnumType):
            return tuple(self.enums[type_.name][1].values())
        if isinstance(type_, BoolType):
            return (z3.BoolVal(False), z3.BoolVal(True))
        if isinstance(type_, SortType):
            return self.elements.get(type_.name)
        return None

    def first(self, type_: Type) -> Term:
        """The value a variable starts with when `init` leaves it open."""
        match type_:
            case BoolType():
                return z3.BoolVal(False)
            case IntType():
                return z3.BitVecVal(0, type_.width)
            case NatType():
                return z3.IntVal(0)
            case EnumType() | SortType():
                values = self.values(type_)
                assert values
                return values[0]


def _divide(a: Term, b: Term) -> Term:
    return z3.UDiv(a, b)


_BITS: dict[str, Callable[[Term, Term], Term]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": z3.URem,
    "<<": lambda a, b: a << b,
    ">>": z3.LShR,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "min": lambda a, b: z3.If(z3.ULE(a, b), a, b),
    "max": lambda a, b: z3.If(z3.ULE(a, b), b, a),
    "<": z3.ULT,
    "<=": z3.ULE,
    ">": z3.UGT,
    ">=": z3.UGE,
}

_UNBOUNDED: dict[str, Callable[[Term, Term], Term]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: z3.If(a >= b, a - b, z3.IntVal(0)),
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a % b,
    "min": lambda a, b: z3.If(a <= b, a, b),
    "max": lambda a, b: z3.If(a <= b, b, a),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def resize(term: Term, width: int) -> Term:
    """Truncate or zero-extend a bit-vector."""
    have = term.size()
    if have == width:
        return term
    return z3.Extract(width - 1, 0, term) if width < have else z3.ZeroExt(width - have, term)


def shift_amount(amount: Term, width: int) -> Term:
    """A shift's right operand at the left one's width; amounts that do not fit stay too large."""
    have = amount.size()
    if have <= width:
        return resize(amount, width)
    too_large = z3.UGE(amount, z3.BitVecVal(width, have))
    return z3.If(too_large, z3.BitVecVal(width, width), resize(amount, width))


def arithmetic(op: str, a: Term, b: Term) -> Term:
    """An arithmetic or ordering operator on integers."""
    if z3.is_int(a):
        return _UNBOUNDED[op](a, b)
    if op in ("<<", ">>"):
        b = shift_amount(b, a.size())
    return _BITS[op](a, b)


def is_exact(op: str, a: Term, b: Term) -> Term:
    """Whether `a op b` neither wraps, nor loses a bit, nor is undefined."""
    if z3.is_int(a):
        return z3.BoolVal(True)
    width = a.size()
    match op:
        case "+":
            return z3.BVAddNoOverflow(a, b, False)
        case "-":
            return z3.UGE(a, b)
        case "*":
            return z3.BVMulNoOverflow(a, b, False)
        case "/" | "%":
            return b != 0
        case ">>":
            return z3.ULT(shift_amount(b, width), z3.BitVecVal(width, width))
        case "<<":
            by = shift_amount(b, width)
            return z3.And(z3.ULT(by, z3.BitVecVal(width, width)), z3.LShR(a << by, by) == a)
        case _:
            return z3.BoolVal(True)
