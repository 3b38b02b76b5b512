"""Offsets for the buffers of a schedule.

Goal: the adapter between a schedule and whatever places buffers with lifetimes; a first fit by
size stands here for when nothing better is at hand.
Non-goals: good placements (`tessera.plan.arena`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tessera.plan.tiles.steps import ALIGNMENT, Buffer, Schedule

SPAN = 16
"""Steps that are looked up together."""

Placer = Callable[[Sequence[Buffer]], dict[str, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """The first byte of every buffer, and the height: bytes that the arena takes."""

    offsets: dict[str, int]
    height: int


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


def place(schedule: Schedule, placer: Placer = first_fit) -> Placement:
    """Offsets by `placer`, and the height that they come to."""
    buffers = tuple(schedule.buffers.values())
    offsets = placer(buffers)
    height = max((offsets[one.name] + one.size for one in buffers), default=0)
    return Placement(offsets, height)
