"""Where a granule of a pool lands on a line of limited width.

Goal: one monotonic map from granules to cells (characters or pixels) that keeps proportions but
gives every range that matters a least width, so that one page in a pool of 3,328 is still seen;
a scale built over all strips of a trace keeps its places from step to step.
Non-goals: glyphs, colours and labels (see `strip` and `svg`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from tessera.results import Mark, Run, Strip


@dataclass(frozen=True, slots=True)
class Scale:
    """A piecewise linear map: granule `cuts[i]` lies at cell `places[i]`; both rise strictly."""

    cuts: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def width(self) -> int:
        """Cells in all."""
        return self.places[-1]

    def at(self, granule: int) -> int:
        """The cell of a granule boundary; outside the scale it is clamped to its ends."""
        if granule <= self.cuts[0]:
            return self.places[0]
        if granule >= self.cuts[-1]:
            return self.places[-1]
        i = bisect_right(self.cuts, granule) - 1
        lo, hi = self.cuts[i], self.cuts[i + 1]
        here, there = self.places[i], self.places[i + 1]
        return here + (granule - lo) * (there - here) // (hi - lo)

    def ticks(self) -> tuple[tuple[int, int], ...]:
        """Every cut with its cell, from left to right."""
        return tuple(zip(self.cuts, self.places, strict=True))


def extent(strip: Strip) -> int:
    """The granules a strip must show: its length, or more where something lies outside it."""
    return max([1, strip.length, *(part.start + part.size for part in _parts(strip))])


def _parts(strip: Strip) -> tuple[Run | Mark, ...]:
    return (*strip.runs, *strip.marks, *strip.zones)


def scale_of(strips: Iterable[Strip], width: int, least: int, gap: int = 1) -> Scale:
    """A scale of `width` cells over strips of one pool.

    A range with a run or residue gets at least `least` cells, any other at least `gap`.

    Where the least widths do not fit they shrink to one cell; where there are more ranges than
    cells the scale is plainly proportional and its callers draw a tiny range as one cell.
    """
    shown = tuple(strips)
    end = max((extent(strip) for strip in shown), default=1)
    cuts = {0, end}
    live: set[tuple[int, int]] = set()
    for strip in shown:
        cuts.add(min(max(strip.length, 0), end))
        for part in _parts(strip):
            cuts.update((max(part.start, 0), max(part.start + part.size, 0)))
        live.update((part.start, part.start + part.size) for part in strip.runs)
        live.update((part.start, part.start + part.size) for part in strip.marks)
    ordered = tuple(sorted(cuts))
    sizes = [hi - lo for lo, hi in pairwise(ordered)]
    floors = [
        least if any(a <= lo and hi <= b for a, b in live) else gap for lo, hi in pairwise(ordered)
    ]
    if sum(floors) > width:
        floors = [1] * len(floors)
    if len(floors) > width:
        return Scale((0, end), (0, width))
    cells = _share(sizes, floors, width)
    places = [0]
    for cell in cells:
        places.append(places[-1] + cell)
    return Scale(ordered, tuple(places))


def _share(sizes: list[int], floors: list[int], width: int) -> list[int]:
    """Split `width` among ranges in proportion to `sizes`, none under its floor."""
    fixed: set[int] = set()
    while True:
        free = [i for i in range(len(sizes)) if i not in fixed]
        room = width - sum(floors[i] for i in fixed)
        total = sum(sizes[i] for i in free)
        small = {i for i in free if sizes[i] * room < floors[i] * total}
        if not small:
            break
        fixed |= small
    cells = [floors[i] if i in fixed else sizes[i] * room // total for i in range(len(sizes))]
    spare = width - sum(cells)
    by_rest = sorted(free, key=lambda i: (-(sizes[i] * room % total), i))
    for i in (by_rest or list(range(len(sizes))))[:spare]:
        cells[i] += 1
    return cells
