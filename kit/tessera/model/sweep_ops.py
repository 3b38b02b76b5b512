"""The operators of the language on forms, at exact widths.

Goal: for each operator a function of two forms and a range that gives pieces (for values) or
intervals (for comparisons and exactness).
Non-goals: what forms are (see `ramp`), expressions (see `sweep`).
"""

from __future__ import annotations

from collections.abc import Callable

from tessera.model import arith
from tessera.model.intervals import Interval, complement
from tessera.model.ramp import (
    Form,
    Piece,
    Ramp,
    Unswept,
    add,
    divide,
    equal,
    less,
    negate,
    reduced,
    times,
)

Operation = Callable[[Form, Form, int, int], list[Piece]]
Relation = Callable[[Form, Form, int, int], list[Interval]]


def operation(op: str, width: int | None) -> Operation:
    """An arithmetic operator at a width (None: unbounded)."""
    if op in ("min", "max"):
        return lambda a, b, lo, hi: _smaller(a, b, lo, hi, op == "max")
    concrete = arith.operator(op, width)

    def run(a: Form, b: Form, lo: int, hi: int) -> list[Piece]:
        if type(a) is not Ramp and type(b) is not Ramp:
            return [(lo, hi, concrete(a, b))]
        return _ramps(op, width, a, b, lo, hi)

    return run


def _ramps(op: str, width: int | None, a: Form, b: Form, lo: int, hi: int) -> list[Piece]:
    if op == "+":
        return _wrap(add(a, b), width, lo, hi)
    if op == "-":
        return _wrap(add(a, negate(b)), width, lo, hi)
    if op == "*":
        return _wrap(times(a, b), width, lo, hi)
    if type(b) is Ramp:
        if op == "&" and type(a) is not Ramp:
            return _mask(b, a, lo, hi)
        raise Unswept
    if op in ("<<", ">>") and width is not None and b >= width:
        return [(lo, hi, 0)]
    if op == "<<":
        return _wrap(times(a, 1 << b), width, lo, hi)
    if op == ">>":
        return [(lo, hi, divide(a, 1 << b))]
    if op == "&":
        return _mask(a, b, lo, hi)
    if op == "/" and b:
        return [(lo, hi, divide(a, b))]
    if op == "%":
        return reduced(a, b, lo, hi) if b else [(lo, hi, a)]
    raise Unswept


def _mask(a: Ramp, mask: int, lo: int, hi: int) -> list[Piece]:
    if mask & (mask + 1):
        raise Unswept
    return reduced(a, mask + 1, lo, hi)


def _wrap(form: Form, width: int | None, lo: int, hi: int) -> list[Piece]:
    return [(lo, hi, form)] if width is None else reduced(form, 1 << width, lo, hi)


def _smaller(a: Form, b: Form, lo: int, hi: int, larger: bool) -> list[Piece]:
    below = less(a, b, lo, hi)
    one, two = (b, a) if larger else (a, b)
    out = [(x, y, one) for x, y in below] + [(x, y, two) for x, y in complement(below, lo, hi)]
    return sorted(out, key=lambda piece: piece[0])


def cast(width: int | None) -> Callable[[Form, int, int], list[Piece]]:
    """Truncation or zero extension to a width."""
    return lambda a, lo, hi: _wrap(a, width, lo, hi)


def invert(width: int | None) -> Callable[[Form, int, int], list[Piece]]:
    """All bits turned."""
    ones = (1 << (width or 0)) - 1
    return lambda a, lo, hi: [(lo, hi, add(ones, negate(a)))]


def comparison(op: str) -> Relation:
    """== != < <= > >= on integers."""
    relations: dict[str, Relation] = {
        "==": equal,
        "!=": lambda a, b, lo, hi: complement(equal(a, b, lo, hi), lo, hi),
        "<": less,
        ">": lambda a, b, lo, hi: less(b, a, lo, hi),
        "<=": lambda a, b, lo, hi: complement(less(b, a, lo, hi), lo, hi),
        ">=": lambda a, b, lo, hi: complement(less(a, b, lo, hi), lo, hi),
    }
    return relations[op]


def exactness(op: str, width: int | None) -> Relation:
    """Where an operation at a width loses nothing; for "as", `width` is the target's."""
    if width is None:
        return lambda a, b, lo, hi: [(lo, hi)]
    top = 1 << width

    def shift(a: Form, b: Form, lo: int, hi: int) -> list[Interval]:
        if type(b) is Ramp:
            raise Unswept
        if b >= width:
            return []
        return less(times(a, 1 << b), top, lo, hi) if op == "<<" else [(lo, hi)]

    relations: dict[str, Relation] = {
        "+": lambda a, b, lo, hi: less(add(a, b), top, lo, hi),
        "-": lambda a, b, lo, hi: complement(less(a, b, lo, hi), lo, hi),
        "*": lambda a, b, lo, hi: less(times(a, b), top, lo, hi),
        "/": lambda a, b, lo, hi: complement(equal(b, 0, lo, hi), lo, hi),
        "%": lambda a, b, lo, hi: complement(equal(b, 0, lo, hi), lo, hi),
        "<<": shift,
        ">>": shift,
        "as": lambda a, b, lo, hi: less(a, top, lo, hi),
    }
    return relations[op]
