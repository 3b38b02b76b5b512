"""Place buffers below a ceiling: the search of `search.c`, for machines without a C compiler.

Goal: the same decisions in the same order, so the same answer and the same count of nodes; a test
holds the two together. Integers only.
Non-goals: speed, and choosing ceilings and limits (see `exact`).

Schedule-or-postpone: a node either puts one buffer at the lowest offset above what is placed, or
demands that an open one lies below it. In a plan in which no buffer can be moved down, one of those
begins below the end that the buffer would have had; so it lies above that one's lowest end. Per
section, stacking what is open by its lower bounds must stay below the ceiling, and what cannot be
the lowest there lies above something that can.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tessera.plan.arena.greedy import rounded
from tessera.plan.arena.task import EXHAUSTED, FOUND, STOPPED, Found, Task, depth_limit

_FAR = 1 << 62
_ROUNDS = 8
_MASK = (1 << 64) - 1
_LEARNT = 16


@dataclass(slots=True)
class _Node:
    """One depth of the search; `least` and `rest_on` per buffer, `load` per section."""

    least: list[int]
    rest_on: list[int]
    load: list[int]
    open: list[bool]
    pick: int = -1
    tried: int = -1  # -1: nothing yet; 0: placing it; 1: both ways

    def copy(self) -> _Node:
        return _Node([*self.least], [*self.rest_on], [*self.load], [*self.open])


@dataclass(slots=True)
class _Search:
    task: Task
    ceiling: int
    weight: list[int]
    taste: tuple[int, ...]
    state: int
    order: list[int]
    stack: list[int] = field(default_factory=list)
    lowest: list[int] = field(default_factory=list)
    able: list[int] = field(default_factory=list)
    top: list[int] = field(default_factory=list)
    sole: list[int] = field(default_factory=list)

    def propagate(self, node: _Node) -> int:
        """Raise lower bounds; the section that overflows, or -1."""
        for turn in range(_ROUNDS + 1):
            self.order.sort(key=lambda b: (node.least[b], b))
            failed = self._survey(node)
            if failed >= 0 or turn == _ROUNDS:
                return failed
            failed, changed = self._lift(node)
            if failed >= 0 or not changed:
                return failed
        raise AssertionError("the last round returns")

    def _survey(self, node: _Node) -> int:
        task, ceiling, count = self.task, self.ceiling, self.task.sections
        self.stack, self.able = [0] * count, [0] * count
        self.top, self.sole, self.lowest = [_FAR] * count, [-1] * count, [-1] * count
        for b in self.order:
            if not node.open[b]:
                continue
            low, size = node.least[b], task.size[b]
            for t in range(task.first[b], task.end[b]):
                self.stack[t] = max(self.stack[t], low) + size
                if self.stack[t] > ceiling:
                    return t
                if self.lowest[t] < 0:
                    self.lowest[t] = low
                if low + node.load[t] > ceiling:
                    continue
                self.able[t] += 1
                if low + size < self.top[t]:
                    self.top[t], self.sole[t] = low + size, b
        return -1

    def _lift(self, node: _Node) -> tuple[int, bool]:
        task, changed = self.task, False
        for b in self.order:
            if not node.open[b]:
                continue
            low = raised = node.least[b]
            for t in range(task.first[b], task.end[b]):
                barred = low + node.load[t] > self.ceiling
                if barred or (self.able[t] == 1 and self.sole[t] != b):
                    raised = max(raised, self.top[t])
            if raised == low:
                continue
            if rounded(raised, task.align[b]) + task.size[b] > self.ceiling:
                return task.first[b], changed
            node.least[b] = rounded(raised, task.align[b])
            changed = True
        return -1, changed

    def choose(self, node: _Node) -> int:
        """The buffer to branch on: in the section with the fewest that can be lowest; or -1."""
        task = self.task
        ready = [
            b for b in range(task.buffers) if node.open[b] and node.rest_on[b] == node.least[b]
        ]
        usable = [False] * task.sections
        for b in ready:
            for t in range(task.first[b], task.end[b]):
                usable[t] = usable[t] or node.least[b] + node.load[t] <= self.ceiling
        at = -1
        for t in range(task.sections):
            if usable[t] and (
                at < 0 or self.able[t] * self.weight[at] < self.able[at] * self.weight[t]
            ):
                at = t
        best, best_score = -1, _FAR
        for b in ready if at >= 0 else ():
            inside = task.first[b] <= at < task.end[b]
            if not inside or node.least[b] + node.load[at] > self.ceiling:
                continue
            score = self._score(node, b, at)
            if score < best_score:
                best, best_score = b, score
        return best

    def _score(self, node: _Node, b: int, at: int) -> int:
        low, length = node.least[b], self.task.end[b] - self.task.first[b]
        waste = sum(low - self.lowest[t] for t in range(self.task.first[b], self.task.end[b]))
        raised, wasted, long, large, spread = self.taste
        score = raised * (low - self.lowest[at]) + wasted * waste
        score -= long * length + large * self.task.size[b]
        return score + (self._draw(spread) if spread > 0 else 0)

    def _draw(self, below: int) -> int:
        x = self.state
        x ^= x << 13 & _MASK
        x ^= x >> 7
        x ^= x << 17 & _MASK
        self.state = x
        return (x >> 20) % below

    def place(self, node: _Node, b: int) -> None:
        """Put `b` where it rests; what meets it rests on it from now on."""
        task = self.task
        top = node.rest_on[b] + task.size[b]
        node.open[b] = False
        for t in range(task.first[b], task.end[b]):
            node.load[t] -= task.size[b]
        for c in range(task.buffers):
            if node.open[c] and task.meet(b, c):
                above = rounded(top, task.align[c])
                rests = node.rest_on[c]
                node.rest_on[c] = max(rests if rests >= 0 else -1 - rests, above)
                node.least[c] = max(node.least[c], above)

    def lifted(self, node: _Node, b: int) -> int:
        """The least offset of `b` when it does not rest where it could; -1 when there is none."""
        task, reach = self.task, node.least[b] + self.task.size[b]
        ends = [
            node.least[c] + task.size[c]
            for c in range(task.buffers)
            if c != b and node.open[c] and task.meet(b, c) and node.least[c] < reach
        ]
        lowest = max(rounded(min(ends, default=_FAR), task.align[b]), node.least[b])
        return lowest if lowest + task.size[b] <= self.ceiling else -1


def search_plain(
    task: Task, ceiling: int, limit: int, seed: int, weight: list[int], taste: tuple[int, ...]
) -> Found:
    """Offsets below `ceiling`, or that there are none, in `limit` nodes at most.

    `weight` (one per section, from 1) grows where the search failed.
    """
    count = task.buffers
    load = [0] * task.sections
    for b in range(count):
        for t in range(task.first[b], task.end[b]):
            load[t] += task.size[b]
    state = (seed * 2654435761 + 88172645463325252) & _MASK
    run = _Search(task, ceiling, weight, taste, state, list(range(count)))
    path = [_Node([0] * count, [0] * count, load, [True] * count)]
    offsets, nodes, fresh = [0] * count, 0, True
    while True:
        node, go = path[-1], True
        if fresh:
            if nodes >= limit:
                return Found(STOPPED, (), nodes)
            nodes += 1
            failed = run.propagate(node)
            if failed >= 0:
                weight[failed] += _LEARNT
                go = False
            elif not any(node.open):
                return Found(FOUND, tuple(offsets), nodes)
            else:
                node.pick, node.tried = run.choose(node), -1
                go = node.pick >= 0
        raised = run.lifted(node, node.pick) if go and node.tried == 0 else -1
        if not go or node.tried > 0 or (node.tried == 0 and raised < 0):
            path.pop()
            if not path:
                return Found(EXHAUSTED, (), nodes)
            path[-1].tried += 1
            fresh = False
            continue
        if len(path) >= depth_limit(count):
            return Found(STOPPED, (), nodes)
        below = node.copy()
        if node.tried < 0:
            offsets[node.pick] = node.rest_on[node.pick]
            run.place(below, node.pick)
        else:
            below.least[node.pick] = raised
            # Barred until something that it meets is placed.
            below.rest_on[node.pick] = -1 - node.rest_on[node.pick]
        path.append(below)
        fresh = True
