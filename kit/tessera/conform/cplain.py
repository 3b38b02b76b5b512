"""C's integer operations on plain numbers.

Goal: the concrete half of `cread.Arithmetic`: values are Python ints in the range of their type,
what C leaves undefined raises `Undefined`. Written apart from the bit-vectors of the proofs, so
that a difference found there is seen again here, or is not one.
Non-goals: types (see `ctypes_of`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from tessera.conform.ctypes_of import BOOL, Int

_ORDERS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOTAL: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}


class Undefined(Exception):
    """The behaviour of the C is undefined; the text says of what."""


class Plain:
    """Implements `cread.Arithmetic`."""

    def constant(self, value: int, type_: Int) -> int:
        """The number itself, in the range of its type."""
        return wrapped(value, type_)

    def convert(self, value: int, _old: Int, new: Int) -> int:
        """Modulo 2^width; to a signed type as gcc defines it."""
        return int(value != 0) if new == BOOL else wrapped(value, new)

    def unary(self, op: str, value: int, type_: Int) -> int:
        """`-`, `~` or `+`."""
        if op == "~":
            return wrapped(~value, type_)
        return _fitting(-value, type_, "-") if op == "-" else value

    def binary(self, op: str, left: int, right: int, type_: Int) -> int:
        """Undefined for signed overflow and for a divisor of 0."""
        if op in _TOTAL:
            return _fitting(_TOTAL[op](left, right), type_, op)
        if right == 0:
            raise Undefined(f"division by zero in {op}")
        quotient = abs(left) // abs(right)
        if (left < 0) != (right < 0):
            quotient = -quotient
        _fitting(quotient, type_, op)  # for % too: both or neither are defined
        return quotient if op == "/" else left - quotient * right

    def shift(self, op: str, left: int, type_: Int, right: int, _by: Int) -> int:
        """Undefined for an amount that is negative or too large, and for signed overflow."""
        if not 0 <= right < type_.width:
            raise Undefined(f"shift by {right} of a value of {type_.width} bits")
        if op == ">>":
            return left >> right
        if type_.signed and left < 0:
            raise Undefined("left shift of a negative value")
        return _fitting(left << right, type_, op)

    def compare(self, op: str, left: int, right: int, _type: Int) -> bool:
        """As numbers: both are in the range of one type."""
        return _ORDERS[op](left, right)

    def choose(self, test: bool, then: Callable[[], int], other: Callable[[], int]) -> int:
        """One of the two, the other not evaluated."""
        return then() if test else other()

    def require(self, what: str, test: bool) -> None:
        """Raises `Undefined` unless the test holds."""
        if not test:
            raise Undefined(f"it is needed that {what}")


def wrapped(value: int, type_: Int) -> int:
    """The value modulo 2^width in the range of the type."""
    low = value & ((1 << type_.width) - 1)
    return low - (1 << type_.width) if low > type_.high else low


def _fitting(value: int, type_: Int, op: str) -> int:
    if type_.signed and not type_.low <= value <= type_.high:
        raise Undefined(f"signed overflow of {op}")
    return wrapped(value, type_)
