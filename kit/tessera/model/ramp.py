"""How an integer expression depends on one integer variable, exactly and piece by piece.

Goal: between two break points an expression is a constant or a `Ramp`, floor((slope * x + offset)
/ divisor), which covers sums, differences, shifts, truncations and divisions as C code makes them;
comparisons of such forms are solved for the variable instead of tried out.
Non-goals: forms that this cannot express: they raise `Unswept` and are tried point by point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tessera.model.intervals import Interval

MAX_PIECES = 4096
"""More pieces than this from one operation are not worth having."""


class Unswept(Exception):
    """The expression is not piecewise constant or a ramp here, or has too many pieces."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """floor((slope * x + offset) / divisor); slope is not 0, divisor is positive."""

    slope: int
    offset: int
    divisor: int = 1

    def at(self, x: int) -> int:
        """The value at one point."""
        return (self.slope * x + self.offset) // self.divisor


IDENTITY = Ramp(1, 0)
Form = Any
"""A constant (integer, bool or name) or a `Ramp`."""
Piece = tuple[int, int, Form]
"""`[lo, hi)` and the form there."""


def form_at(form: Form, x: int) -> Any:
    """The value of a form at one point."""
    return form.at(x) if type(form) is Ramp else form


def at_least(form: Form, bound: int, lo: int, hi: int) -> Interval:
    """Where in `[lo, hi)` the form is >= bound; an empty interval when nowhere."""
    if type(form) is not Ramp:
        return (lo, hi) if form >= bound else (lo, lo)
    need = bound * form.divisor - form.offset
    if form.slope > 0:
        return max(lo, -(-need // form.slope)), hi
    return lo, min(hi, -need // -form.slope + 1)


def less(a: Form, b: Form, lo: int, hi: int) -> list[Interval]:
    """Where in `[lo, hi)` a < b, for unsigned (or unbounded) forms."""
    if type(b) is not Ramp:
        if type(a) is not Ramp:
            return [(lo, hi)] if a < b else []
        start, end = at_least(a, b, lo, hi)
        if start >= end:
            return [(lo, hi)]
        if a.slope > 0:
            return [(lo, start)] if lo < start else []
        return [(end, hi)] if end < hi else []
    if type(a) is not Ramp:
        start, end = at_least(b, a + 1, lo, hi)
        return [(start, end)] if start < end else []
    return less(_difference(a, b), 0, lo, hi)


def equal(a: Form, b: Form, lo: int, hi: int) -> list[Interval]:
    """Where in `[lo, hi)` a == b."""
    if type(a) is not Ramp:
        a, b = b, a
    if type(a) is not Ramp:
        return [(lo, hi)] if a == b else []
    if type(b) is Ramp:
        a, b = _difference(a, b), 0
    return _between(a, b, b + 1, lo, hi)


def _between(form: Form, low: int, high: int, lo: int, hi: int) -> list[Interval]:
    """Where low <= form < high."""
    lo, hi = at_least(form, low, lo, hi)
    return less(form, high, lo, hi) if lo < hi else []


def _difference(a: Ramp, b: Ramp) -> Form:
    """A form whose sign (and being zero) is that of a - b."""
    if a == b:
        return 0
    if a.divisor == 1 and b.divisor == 1:
        return _ramp(a.slope - b.slope, a.offset - b.offset, 1)
    raise Unswept


def _ramp(slope: int, offset: int, divisor: int) -> Form:
    return Ramp(slope, offset, divisor) if slope else offset // divisor


def add(a: Form, b: Form) -> Form:
    """a + b, unbounded."""
    if type(b) is Ramp and (type(a) is not Ramp or a.divisor == 1):
        a, b = b, a
    if type(a) is not Ramp:
        return a + b
    if type(b) is not Ramp:
        return Ramp(a.slope, a.offset + b * a.divisor, a.divisor)
    if b.divisor != 1:
        raise Unswept
    return _ramp(a.slope + b.slope * a.divisor, a.offset + b.offset * a.divisor, a.divisor)


def negate(a: Form) -> Form:
    """-a, unbounded."""
    if type(a) is not Ramp:
        return -a
    return Ramp(-a.slope, -a.offset + a.divisor - 1, a.divisor)


def times(a: Form, b: Form) -> Form:
    """a * b, unbounded."""
    if type(b) is Ramp:
        a, b = b, a
    if type(a) is not Ramp:
        return a * b
    if type(b) is Ramp or (a.divisor != 1 and b not in (0, 1)):
        raise Unswept
    return _ramp(a.slope * b, a.offset * b, a.divisor)


def divide(a: Form, divisor: int) -> Form:
    """floor(a / divisor) for a positive constant."""
    if type(a) is not Ramp:
        return a // divisor
    return Ramp(a.slope, a.offset, a.divisor * divisor)


def reduced(form: Form, modulus: int, lo: int, hi: int) -> list[Piece]:
    """The form modulo a positive constant, on `[lo, hi)`, split where it starts anew."""
    if type(form) is not Ramp:
        return [(lo, hi, form % modulus)]
    first, last = form.at(lo) // modulus, form.at(hi - 1) // modulus
    if first == last:
        return [(lo, hi, add(form, -first * modulus))]
    if abs(last - first) > MAX_PIECES:
        raise Unswept
    step = 1 if last > first else -1
    pieces: list[Piece] = []
    for turn in range(first, last + step, step):
        for a, b in _between(form, turn * modulus, (turn + 1) * modulus, lo, hi):
            pieces.append((a, b, add(form, -turn * modulus)))
    return pieces


def quotient_cuts(form: Ramp, bounds: list[int], lo: int, hi: int) -> list[tuple[int, int, int]]:
    """`[lo, hi)` cut where the form passes the rising `bounds`; each cut with the number of the
    bound (0-based) that its values have reached. The first bound must be at or below all values."""
    cuts: list[tuple[int, int, int]] = []
    for i, low in enumerate(bounds):
        start, end = at_least(form, low, lo, hi)
        if i + 1 < len(bounds) and start < end:
            pieces = less(form, bounds[i + 1], start, end)
        else:
            pieces = [(start, end)] if start < end else []
        cuts += [(a, b, i) for a, b in pieces]
    return sorted(cuts)
