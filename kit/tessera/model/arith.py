"""Machine arithmetic on Python integers, at exact widths.

Goal: one function per operator, as `tessera.lang.typed` defines it; `width` None means unbounded.
Non-goals: expressions and variables (see `evaluate`).
"""

from __future__ import annotations

from collections.abc import Callable

Op = Callable[[int, int], int]
Test = Callable[[int, int], bool]


def operator(op: str, width: int | None) -> Op:
    """The function of a binary arithmetic operator at a width in bits."""
    if width is None:
        return _UNBOUNDED[op]
    return _WRAPPING[op](width)


def is_arithmetic(op: str) -> bool:
    """Whether `op` is a binary operator on integers that gives an integer."""
    return op in _WRAPPING


def exact_test(op: str, width: int) -> Test | None:
    """Whether the operator loses nothing on two values; None when it never can."""
    top = 1 << width
    tests: dict[str, Test] = {
        "+": lambda a, b: a + b < top,
        "-": lambda a, b: a >= b,
        "*": lambda a, b: a * b < top,
        "/": lambda a, b: b != 0,
        "%": lambda a, b: b != 0,
        "<<": lambda a, b: b < width and a << b < top,
        ">>": lambda a, b: b < width,
    }
    return tests.get(op)


def _add(width: int) -> Op:
    mask = (1 << width) - 1
    return lambda a, b: (a + b) & mask


def _subtract(width: int) -> Op:
    mask = (1 << width) - 1
    return lambda a, b: (a - b) & mask


def _multiply(width: int) -> Op:
    mask = (1 << width) - 1
    return lambda a, b: (a * b) & mask


def _divide(width: int) -> Op:
    mask = (1 << width) - 1
    return lambda a, b: a // b if b else mask


def _modulo(_width: int) -> Op:
    return lambda a, b: a % b if b else a


def _shift_left(width: int) -> Op:
    mask = (1 << width) - 1
    return lambda a, b: (a << b) & mask if b < width else 0


def _shift_right(width: int) -> Op:
    return lambda a, b: a >> b if b < width else 0


_WRAPPING: dict[str, Callable[[int], Op]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _modulo,
    "<<": _shift_left,
    ">>": _shift_right,
    "&": lambda _: lambda a, b: a & b,
    "|": lambda _: lambda a, b: a | b,
    "^": lambda _: lambda a, b: a ^ b,
    "min": lambda _: min,
    "max": lambda _: max,
}

_UNBOUNDED: dict[str, Op] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b if b else 0,
    "%": lambda a, b: a % b if b else a,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "min": min,
    "max": max,
}
