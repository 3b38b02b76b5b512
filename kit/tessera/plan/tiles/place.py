"""Offsets for the buffers of a schedule.

Goal: the adapter between a schedule and the arena planner. First fit, repeated with what did not
fit moved to the front, goes first: it is quick and mostly reaches the largest load, also for
thousands of blocks that are streamed. Only where it does not, the planner searches.
Non-goals: good placements (`tessera.plan.arena`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tessera.plan import arena
from tessera.plan.tiles.steps import ALIGNMENT, Buffer, Schedule

SPAN = 16
"""Steps that are looked up together."""

ROUNDS = 24
"""Of first fit, at most."""

NODES = 20_000
"""Decisions of the arena's search per placement."""

LARGEST_SEARCH = 600
"""Buffers; beyond, a decision of the search takes too long, and first fit stays."""


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


def first_fit(
    buffers: Sequence[Buffer], urgency: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Each buffer, the most urgent first and of those the largest, at the lowest offset that is
    free for its whole life."""
    first = urgency or {}
    # Placed buffers by spans of steps, so that blocks that live briefly are compared with few.
    spans: dict[int, list[tuple[int, Buffer]]] = {}
    offsets: dict[str, int] = {}
    for one in sorted(buffers, key=lambda b: (-first.get(b.name, 0), -b.size, b.lower, b.name)):
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
    """First fit again and again: what ended above the goal is more urgent in the next round.

    The goal is the largest load; where that is not reached, `enough`.
    """
    bound = load_of(buffers)
    best = _repeated(buffers, bound, bound)
    if best.height > max(bound, enough) > bound:
        other = _repeated(buffers, bound, enough)
        best = other if other.height < best.height else best
    return best


def _repeated(buffers: Sequence[Buffer], bound: int, goal: int) -> Placement:
    urgency: dict[str, int] = {}
    best: Placement | None = None
    for turn in range(ROUNDS):
        offsets = first_fit(buffers, urgency)
        height = height_of(buffers, offsets)
        if best is None or height < best.height:
            method = "first fit" if turn == 0 else "first fit, repeated"
            best = Placement(offsets, height, bound, method)
        if height <= goal:
            break
        for one in buffers:
            if offsets[one.name] + one.size > goal:
                urgency[one.name] = urgency.get(one.name, 0) + 1
    assert best is not None
    return best


def by_arena(buffers: Sequence[Buffer], enough: int = 0) -> Placement:
    """First fit where it reaches the largest load, else the arena planner too, if it is lower."""
    best = by_first_fit(buffers, enough)
    if best.height == best.bound or len(buffers) > LARGEST_SEARCH:
        return best
    given = [arena.Buffer(b.name, b.lower, b.upper, b.size, ALIGNMENT) for b in buffers]
    found = arena.plan_arena(given, budget=arena.Budget(NODES))
    if found.height >= best.height:
        return replace(best, bound=found.bound)
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
