"""A quantifier over one integer, inside a sweep over another.

Goal: find a value for the inner variable at one point of the sweep, then sweep the body with that
value fixed: it mostly settles a whole range, e.g. the place found for the largest request also
takes the smaller ones. What stays open is tried point by point.
Non-goals: solving for both variables at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera.lang.typed import Quant, Unary
from tessera.lang.types import BOOL
from tessera.model.intervals import Interval, complement, merge
from tessera.model.lower import both
from tessera.model.ramp import IDENTITY, Unswept
from tessera.model.scope import Frame, Scope
from tessera.model.sweep_logic import TruthCode, frame_at
from tessera.model.values import width_of

if TYPE_CHECKING:
    from tessera.model.sweep import Names, Sweeper

_ROUNDS = 8


def guided(
    sweeper: Sweeper, quant: Quant, scope: Scope, swept: Names, tried: TruthCode
) -> TruthCode:
    """Where the quantifier holds; `tried` does the same point by point."""
    (binder,) = quant.binders
    width = width_of(binder.type)
    if width is None:
        return tried
    inner, place = scope.bind(binder.name)
    universal = quant.kind == "forall"
    body = Unary("not", quant.body, BOOL, quant.span) if universal else quant.body
    settles = both(quant.guard, body)
    by_inner = sweeper.truth(settles, inner, frozenset((binder.name,)))
    by_outer = sweeper.truth(settles, inner, swept - {binder.name})

    def settled(f: Frame, lo: int, hi: int) -> list[Interval]:
        """Some of the points that one value of the inner variable settles; none when unlucky."""
        at = frame_at(f, hi - 1)
        at[place] = IDENTITY
        found = by_inner(at, 0, 1 << width)
        if not found:
            return []
        fixed = list(f)
        fixed[place] = found[0][0]
        return by_outer(fixed, lo, hi)

    def run(f: Frame, lo: int, hi: int) -> list[Interval]:
        if hi - lo == 1:
            return tried(f, lo, hi)
        open_, done = [(lo, hi)], list[Interval]()
        rest: list[Interval] = []
        try:
            for _ in range(_ROUNDS):
                if not open_:
                    break
                a, b = open_.pop()
                hits = settled(f, a, b)
                done += hits
                (open_ if hits else rest).extend(complement(hits, a, b))
        except Unswept:
            return tried(f, lo, hi)
        rest += open_
        for a, b in sorted(rest):
            part = tried(f, a, b)
            done += complement(part, a, b) if universal else part
        return complement(merge(done), lo, hi) if universal else merge(done)

    return run
