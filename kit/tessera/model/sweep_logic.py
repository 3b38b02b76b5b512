"""The logic of sweeps: joining formulas, and trying points one by one.

Goal: `and`, `or` and `not` on sets of intervals; `points` for what cannot be swept.
Non-goals: compiling expressions (see `sweep`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessera.model.intervals import Interval, complement, merge
from tessera.model.ramp import Piece, Ramp, Unswept
from tessera.model.scope import Frame

MAX_POINTS = 4096
"""As many points are tried one by one."""

TruthCode = Callable[[Frame, int, int], list[Interval]]
PieceCode = Callable[[Frame, int, int], list[Piece]]
Refined = list[tuple[int, int, tuple[Any, ...]]]
"""`[lo, hi)` and one form for each of several expressions."""
RefineCode = Callable[[Frame, int, int], Refined]


def not_(arg: TruthCode) -> TruthCode:
    return lambda f, lo, hi: complement(arg(f, lo, hi), lo, hi)


def and_(left: TruthCode, right: TruthCode) -> TruthCode:
    return lambda f, lo, hi: [part for a, b in left(f, lo, hi) for part in right(f, a, b)]


def or_(left: TruthCode, right: TruthCode) -> TruthCode:
    def run(f: Frame, lo: int, hi: int) -> list[Interval]:
        holds = left(f, lo, hi)
        rest = complement(holds, lo, hi)
        return merge(holds + [part for a, b in rest for part in right(f, a, b)])

    return run


def either_first(usual: TruthCode, other: TruthCode) -> TruthCode:
    """Where one side cannot be swept, the other may leave few enough points to try."""

    def run(f: Frame, lo: int, hi: int) -> list[Interval]:
        try:
            return usual(f, lo, hi)
        except Unswept:
            return other(f, lo, hi)

    return run


def points(f: Frame, lo: int, hi: int) -> list[tuple[int, Frame]]:
    """Every point of a small `[lo, hi)` with a frame that has values in place of forms."""
    if hi - lo > MAX_POINTS:
        raise Unswept
    return [(x, frame_at(f, x)) for x in range(lo, hi)]


def frame_at(f: Frame, x: int) -> Frame:
    """A copy of a frame with every form replaced by its value at `x`."""
    return [v.at(x) if type(v) is Ramp else v for v in f]
