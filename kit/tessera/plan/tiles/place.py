"""Offsets for the buffers of a schedule.

Goal: the adapter between a schedule and the arena planner. A first fit by size goes first, as it is
quick and often reaches the largest load; only where it does not, the planner searches.
Non-goals: good placements (`tessera.plan.arena`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tessera.plan import arena
from tessera.plan.tiles.steps import ALIGNMENT, Buffer, Schedule

SPAN = 16
"""Steps that are looked up together."""

NODES = 200_000
"""Decisions of the arena's search per placement."""

LARGEST_SEARCH = 1200
"""Buffers; beyond, the quick rules of the arena planner take too long, and first fit stays."""


Placer = Callable[[Sequence[Buffer], int], "Placement"]
"""Offsets for buffers; a height of so many bytes is good enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """The first byte of every buffer, and the height: bytes that the arena takes.

    No placement is lower than `bound`; `method` says what found this one.
    """

    offsets: Mapping[str, int]
    height: int
    bound: int
    method: str


def first_fit(buffers: Sequence[Buffer]) -> dict[str, int]:
    """Each buffer, the largest first, at the lowest offset free for its whole life."""
    # Placed buffers by spans of steps, so that blocks that live briefly are compared with few.
    spans: dict[int, list[tuple[int, Buffer]]] = {}
    offsets: dict[str, int] = {}
    for one in sorted(buffers, key=lambda b: (-b.size, b.lower, b.name)):
        mine = range(one.lower // SPAN, (one.upper - 1) // SPAN + 1)
        meets = {
            (start, start + other.size)
            for span in mine
            for start, other in spans.get(span, ())
            if one.lower < other.upper and other.lower < one.upper
        }
        offset = 0
        for start, end in sorted(meets):
            if start - offset >= one.size:
                break
            offset = max(offset, end)
        offset = -(-offset // ALIGNMENT) * ALIGNMENT
        for span in mine:
            spans.setdefault(span, []).append((offset, one))
        offsets[one.name] = offset
    return offsets


def height_of(buffers: Sequence[Buffer], offsets: Mapping[str, int]) -> int:
    """The end of the highest buffer."""
    return max((offsets[one.name] + one.size for one in buffers), default=0)


def by_first_fit(buffers: Sequence[Buffer], enough: int = 0) -> Placement:
    """A placement by first fit alone; `enough` changes nothing."""
    offsets = first_fit(buffers)
    return Placement(offsets, height_of(buffers, offsets), load_of(buffers), "first fit")


def by_arena(buffers: Sequence[Buffer], enough: int = 0) -> Placement:
    """First fit where it is good enough, else the arena planner, whichever is lower."""
    quick = by_first_fit(buffers)
    if quick.height <= max(quick.bound, enough) or len(buffers) > LARGEST_SEARCH:
        return quick
    given = [arena.Buffer(b.name, b.lower, b.upper, b.size, ALIGNMENT) for b in buffers]
    found = arena.plan_arena(given, good_enough=enough, budget=arena.Budget(NODES))
    if found.height >= quick.height:
        return replace(quick, bound=found.bound)
    return Placement(found.offsets, found.height, found.bound, found.method)


def load_of(buffers: Sequence[Buffer]) -> int:
    """The largest live load in bytes."""
    change: dict[int, int] = {}
    for one in buffers:
        change[one.lower] = change.get(one.lower, 0) + one.size
        change[one.upper] = change.get(one.upper, 0) - one.size
    alive = most = 0
    for step in sorted(change):
        alive += change[step]
        most = max(most, alive)
    return most


def place(schedule: Schedule, placer: Placer = by_arena, enough: int = 0) -> Placement:
    """Offsets by `placer`, and the height that they come to."""
    return placer(tuple(schedule.buffers.values()), enough)
