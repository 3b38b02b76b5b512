"""Place buffers below a ceiling: the search of `ordered.c`, for machines without a C compiler.

Goal: the same decisions in the same order, so the same answer and the same count of nodes; a test
holds the two together. The words for what is done stand at the top of `ordered.c`.
Non-goals: speed, and choosing ceilings, limits and ranks (see `exact` and `orders`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tessera.plan.arena.greedy import rounded
from tessera.plan.arena.task import EXHAUSTED, FOUND, STOPPED, Found, Task

_FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class _Part:
    """Open buffers, rising, that meet the sections [start, stop) only."""

    open: tuple[int, ...]
    start: int
    stop: int


@dataclass(slots=True)
class _Node:
    """A part whose next buffer is chosen. `pick`: the candidate being tried, from 0; `before`: the
    bounds without it; `waiting`: parts of what it leaves, the next one last."""

    part: _Part
    candidates: list[int]
    before: list[int]
    pick: int = -1
    met: bool = True
    waiting: list[_Part] = field(default_factory=list)


class _Search:
    def __init__(self, task: Task, ceiling: int, rank: Sequence[int]) -> None:
        self.task, self.ceiling, self.rank = task, ceiling, rank
        count = task.buffers
        self.offset, self.least = [-1] * count, [0] * count
        self.near = [[c for c in range(count) if c != b and task.meet(b, c)] for b in range(count)]
        self.load, self.crossing = [0] * task.sections, [0] * task.sections
        for b in range(count):
            for t in range(task.first[b], task.end[b]):
                self.load[t] += task.size[b]
                self.crossing[t] += t + 1 < task.end[b]

    def node(self, part: _Part, low: int, low_rank: int) -> _Node:
        """The candidates of a part after a buffer was placed at `low`."""
        least, size, rank = self.least, self.task.size, self.rank
        lid = min(least[b] + size[b] for b in part.open)
        chosen = [b for b in part.open if (least[b], rank[b]) >= (low, low_rank) and least[b] < lid]
        return _Node(part, sorted(chosen, key=lambda b: (least[b], rank[b])), [*least])

    def put(self, node: _Node, b: int) -> None:
        """Place `b` where it rests; cut where nothing open crosses."""
        task, top = self.task, self.least[b] + self.task.size[b]
        self.offset[b] = self.least[b]
        for t in range(task.first[b], task.end[b]):
            self.load[t] -= task.size[b]
            self.crossing[t] -= t + 1 < task.end[b]
        node.met = False
        for c in self.near[b]:
            if self.offset[c] < 0:
                node.met = True
                self.least[c] = max(self.least[c], rounded(top, task.align[c]))

    def take_back(self, node: _Node) -> None:
        """As before `put`; what solved parts have placed is taken back with it."""
        task = self.task
        for b in node.part.open:
            if self.is_open(b):
                continue
            self.offset[b] = -1
            for t in range(task.first[b], task.end[b]):
                self.load[t] += task.size[b]
                self.crossing[t] += t + 1 < task.end[b]
        self.least = [*node.before]

    def infer(self, part: _Part, placed: int) -> bool:
        """Lift what was passed over, then add up every section; whether all can still fit."""
        task, low = self.task, self.offset[placed]
        rest = [b for b in part.open if b != placed]
        for b in rest:
            if (self.least[b], self.rank[b]) > (low, self.rank[placed]):
                continue
            tops = [max(self.least[c], low) + task.size[c] for c in self.near[b] if self.is_open(c)]
            to = rounded(min(tops), task.align[b]) if tops else _FAR
            if to + task.size[b] > self.ceiling:
                return False
            self.least[b] = to
        lowest = dict.fromkeys(range(part.start, part.stop), _FAR)
        for b in rest:
            for t in range(task.first[b], task.end[b]):
                lowest[t] = min(lowest[t], self.least[b])
        return all(
            self.load[t] == 0 or lowest[t] + self.load[t] <= self.ceiling
            for t in range(part.start, part.stop)
        )

    def is_open(self, b: int) -> bool:
        """Whether it has no place."""
        return self.offset[b] < 0

    def divide(self, part: _Part, placed: int) -> list[_Part]:
        """What is open without `placed`, in parts that nothing open connects, the first last."""
        task = self.task
        found, start = [], part.start
        own = range(task.first[placed], task.end[placed] - 1)
        cut = any(self.crossing[t] == 0 for t in own)
        for t in range(part.start, part.stop):
            if t + 1 < part.stop and (not cut or self.crossing[t] > 0):
                continue
            inside = [b for b in part.open if b != placed and task.first[b] <= t]
            members = tuple(b for b in inside if start < task.end[b])
            if members:
                found.append(_Part(members, start, t + 1))
            start = t + 1
        return found[::-1]


def ordered_plain(task: Task, ceiling: int, limit: int, rank: Sequence[int]) -> Found:
    """Offsets below `ceiling`, or that there are none, in `limit` nodes at most.

    `rank` (one per buffer, all different) says which goes first of those that could lie lowest.
    """
    search = _Search(task, ceiling, rank)
    if any(load > ceiling for load in search.load):
        return Found(EXHAUSTED, (), 0)
    path = [search.node(_Part(tuple(range(task.buffers)), 0, task.sections), 0, -1)]
    nodes, solved = 0, False
    while path:
        node = path[-1]
        if solved:  # what was below this node has offsets
            if node.waiting:
                placed = node.candidates[node.pick]
                inner = node.waiting.pop()
                path.append(search.node(inner, search.offset[placed], rank[placed]))
                solved = False
            else:
                path.pop()
            continue
        if node.pick >= 0:  # what was tried here failed
            search.take_back(node)
        node.pick += 1
        # A buffer that was in nobody's way is not why the rest failed.
        if not node.met or node.pick == len(node.candidates):
            path.pop()
            continue
        if nodes >= limit:
            return Found(STOPPED, (), nodes)
        nodes += 1
        chosen = node.candidates[node.pick]
        search.put(node, chosen)
        if search.infer(node.part, chosen):
            node.waiting, solved = search.divide(node.part, chosen), True
    return Found(FOUND, tuple(search.offset), nodes) if solved else Found(EXHAUSTED, (), nodes)
