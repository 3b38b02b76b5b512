"""Search one component: ceilings, restarts, and what is known when the budget ends.

Goal: a plan lower than the one given, or the proof that there is none, within a count of nodes.
Two searches take turns: `ordered`, each turn with another rank of the buffers, and
schedule-or-postpone, each turn with another taste, by Luby's sequence, which learns which sections
are hard. What one finds hard is often quick for the other.
Non-goals: the searches themselves (see `ordered_plain` and `search_plain`) and components (see
`planner`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tessera.plan.arena.bounds import live_load, unit
from tessera.plan.arena.buffers import Buffer
from tessera.plan.arena.core import ordered, search
from tessera.plan.arena.orders import ORDERS, ranks
from tessera.plan.arena.task import EXHAUSTED, FOUND, Found, Task, task_of

DEFAULT_NODES = 1_000_000
_BASE = 1000
"""Nodes of the shortest restart of schedule-or-postpone."""
_FIXED_NODES, _SHAKEN_NODES = 16_000, 2_000
"""Nodes of a turn of the ordered search with a fixed rank, in the first round, and a shaken one."""
_SHAKEN_TURNS = 24
"""Turns with shaken ranks in the first round; both grow twofold from round to round."""
_ORDERED_SHARE = 2
"""The ordered search may spend so many nodes for one of the other; its nodes are cheaper."""
_ORDERED_MOST = 4000
"""Buffers; the ordered search takes memory in proportion to their square."""
_EASIER, _LATER, _OFTEN = 8, 64, 2
"""Every so many turns an easier ceiling than the goal is tried; after `_LATER` turns without
success at the goal, more often."""
_PARTS = 5
"""Easier ceilings lie a half, a quarter, ... of the way from the best so far to the goal."""
_FRESH = 16
"""Weight of a section that never failed."""
_FIRST_TASTE = (10, 1, 10, 1, 0)


@dataclass(slots=True)
class Budget:
    """`nodes` of the search in all; `seconds` of the clock on request, which ends it earlier.

    With `seconds` the answer depends on the machine; without it does not.
    """

    nodes: int = DEFAULT_NODES
    seconds: float | None = None
    spent: int = 0
    restarts: int = 0
    _began: float | None = None

    def left(self) -> int:
        """Nodes that may still be searched."""
        if self._began is None:
            self._began = time.monotonic()
        late = self.seconds is not None and time.monotonic() - self._began >= self.seconds
        return 0 if late else max(0, self.nodes - self.spent)


@dataclass(frozen=True, slots=True)
class Reached:
    """Offsets, their height, and a height that no plan of the component goes below.

    `searched`: the bound is above the largest live load, by a search that was exhausted.
    """

    offsets: tuple[int, ...]
    height: int
    bound: int
    searched: bool = False


def height_of(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    """The end of the highest buffer."""
    return max((o + b.size for o, b in zip(offsets, buffers, strict=True)), default=0)


def improve(
    buffers: Sequence[Buffer], start: Sequence[int], good_enough: int, budget: Budget, seed: int
) -> Reached:
    """Lower the plan `start` until `good_enough`, the bound, or the end of the budget."""
    step = unit(buffers)
    scaled = [
        replace(b, size=b.size // step, alignment=max(1, b.alignment // step)) for b in buffers
    ]
    task = task_of(scaled)
    load = live_load(scaled)[0]
    best, offsets, low = height_of(buffers, start) // step, tuple(start), load
    goal = max(low, good_enough // step)
    turns = _Turns(scaled, task, seed)
    while best > goal and (left := budget.left()):
        ceiling = turns.ceiling(goal, best, asked=goal > low)
        found = turns.next(ceiling, left)
        budget.spent += found.nodes
        budget.restarts += 1
        if found.status == FOUND:
            offsets = tuple(offset * step for offset in found.offsets)
            best = height_of(scaled, found.offsets)
        elif found.status == EXHAUSTED:
            low = max(low, ceiling + 1)
            goal = max(goal, low)
    # A greedy plan of a height that is no multiple of the unit cannot occur: see `unit`.
    return Reached(offsets, best * step, low * step, low > load)


class _Turns:
    """The two searches on one component, and what each has spent."""

    def __init__(self, buffers: Sequence[Buffer], task: Task, seed: int) -> None:
        self._buffers, self._task, self._seed = buffers, task, seed
        self._source = random.Random(seed)
        self._weight = [_FRESH] * task.sections
        self._turns = {"ordered": 0, "postpone": 0}
        self._spent = {"ordered": 0, "postpone": 0}
        self._easier = 0

    @property
    def taken(self) -> int:
        """Turns so far, of both."""
        return sum(self._turns.values())

    def ceiling(self, goal: int, best: int, *, asked: bool) -> int:
        """Of the next turn: the goal, or at times something between it and the best so far.

        A goal that was asked for, and is no bound, is what counts: less time goes beside it.
        """
        often = _EASIER if asked or self.taken < _LATER else _OFTEN
        if self.taken % often != often - 1:
            return goal
        self._easier += 1
        return best - max(1, (best - goal) >> (1 + (self._easier - 1) % _PARTS))

    def next(self, ceiling: int, left: int) -> Found:
        """A turn of the one that spent less, of at most `left` nodes."""
        large = self._task.buffers > _ORDERED_MOST
        behind = self._spent["ordered"] > _ORDERED_SHARE * self._spent["postpone"]
        name = "postpone" if large or behind else "ordered"
        self._turns[name] += 1
        run = self._ordered if name == "ordered" else self._postpone
        found = run(ceiling, self._turns[name], left)
        self._spent[name] += max(1, found.nodes)
        return found

    def _ordered(self, ceiling: int, turn: int, left: int) -> Found:
        fixed, nodes = ranked(turn)
        rank = ranks(self._buffers, self._task, fixed, self._source)
        return ordered(self._task, ceiling, min(left, nodes), rank)

    def _postpone(self, ceiling: int, turn: int, left: int) -> Found:
        taste = _FIRST_TASTE if turn == 1 else _taste(self._source)
        limit = min(left, _BASE * luby(turn))
        found = search(self._task, ceiling, limit, self._seed + turn, self._weight, taste)
        self._weight = [max(_FRESH, w * 7 // 8) for w in self._weight]
        return found


def ranked(turn: int) -> tuple[int | None, int]:
    """Of a turn of the ordered search, from 1: which fixed rank (None: shaken), and its nodes.

    A round has every fixed rank once and then shaken ones: most of those fail whatever they are
    given, and some succeed at once, so they are many and short.
    """
    place, factor = turn - 1, 1
    while place >= len(ORDERS) + factor * _SHAKEN_TURNS:
        place -= len(ORDERS) + factor * _SHAKEN_TURNS
        factor *= 2
    if place < len(ORDERS):
        return place, factor * _FIXED_NODES
    return None, _SHAKEN_NODES


def _taste(source: random.Random) -> tuple[int, ...]:
    """What `choose` weighs: height over the section's floor, waste, length, size, chance."""
    choices = ((1, 10), (0, 0, 1, 10), (0, 0, 10, 100), (0, 1, 10), (1, 100, 1000))
    return tuple(source.choice(options) for options in choices)


def luby(turn: int) -> int:
    """1, 1, 2, 1, 1, 2, 4, ...: restart lengths that are near the best for any distribution.

    From M. Luby, A. Sinclair, D. Zuckerman, Information Processing Letters 47 (1993).
    """
    power = turn.bit_length()
    while turn != (1 << power) - 1:
        turn -= (1 << (power - 1)) - 1
        power = turn.bit_length()
    return 1 << (power - 1)
