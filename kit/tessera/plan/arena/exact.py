"""Search one component: ceilings, restarts, and what is known when the budget ends.

Goal: a plan lower than the one given, or the proof that there is none, within a count of nodes;
restarts follow Luby's sequence, each with its own taste, and learn which sections are hard.
Non-goals: the search itself (see `search_plain`) and components (see `planner`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tessera.plan.arena.bounds import live_load, unit
from tessera.plan.arena.buffers import Buffer
from tessera.plan.arena.core import search
from tessera.plan.arena.task import EXHAUSTED, FOUND, task_of

DEFAULT_NODES = 1_000_000
_BASE = 1000
"""Nodes of the shortest restart."""
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
    weight = [_FRESH] * task.sections
    source = random.Random(seed)
    turn = 0
    while best > goal and (left := budget.left()):
        turn += 1
        taste = _FIRST_TASTE if turn == 1 else _taste(source)
        ceiling = goal if turn % 3 else (goal + best - 1) // 2
        found = search(task, ceiling, min(left, _BASE * luby(turn)), seed + turn, weight, taste)
        budget.spent += found.nodes
        budget.restarts += 1
        if found.status == FOUND:
            offsets = tuple(offset * step for offset in found.offsets)
            best = height_of(scaled, found.offsets)
        elif found.status == EXHAUSTED:
            low = max(low, ceiling + 1)
            goal = max(goal, low)
        weight = [max(_FRESH, w * 7 // 8) for w in weight]
    # A greedy plan of a height that is no multiple of the unit cannot occur: see `unit`.
    return Reached(offsets, best * step, low * step, low > load)


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
