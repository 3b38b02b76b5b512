"""One component as the search sees it: plain integers per buffer and per section.

Goal: the shared input and answer of `search.c` and `search_plain`.
Non-goals: names and units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tessera.plan.arena.bounds import sections, spans
from tessera.plan.arena.buffers import Buffer

FOUND, STOPPED, EXHAUSTED = 1, 0, -1


@dataclass(frozen=True, slots=True)
class Task:
    """Per buffer: its sections [first, end), bytes, alignment."""

    sections: int
    first: tuple[int, ...]
    end: tuple[int, ...]
    size: tuple[int, ...]
    align: tuple[int, ...]

    @property
    def buffers(self) -> int:
        """How many there are."""
        return len(self.size)

    def meet(self, b: int, c: int) -> bool:
        """Whether two share a section."""
        return self.first[b] < self.end[c] and self.first[c] < self.end[b]


@dataclass(frozen=True, slots=True)
class Found:
    """`status` is FOUND (with offsets), STOPPED by a limit, or EXHAUSTED: there is no plan."""

    status: int
    offsets: tuple[int, ...]
    nodes: int


def task_of(buffers: Sequence[Buffer]) -> Task:
    """The task of one component."""
    found = sections(buffers)
    first, end = spans(found, len(buffers))
    return Task(
        len(found),
        tuple(first),
        tuple(end),
        tuple(b.size for b in buffers),
        tuple(b.alignment for b in buffers),
    )


def depth_limit(buffers: int) -> int:
    """Decisions on one path; a search that wants more stops, and is not called exhausted."""
    return 8 * buffers + 16
