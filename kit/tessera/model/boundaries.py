"""Integers that matter in a state: where random runs and their shortening look first.

Goal: `boundaries(simulator)` lists the world's numbers and where the state's maps change.
Non-goals: soundness of any verdict (nothing is concluded from these).
"""

from __future__ import annotations

from tessera.model.intervals import IntervalMap
from tessera.model.machine import State
from tessera.model.simulator import Simulator


def boundaries(simulator: Simulator) -> list[int]:
    """Integers that matter now, in order: the world's numbers and those in the state."""
    found = {0, 1}
    for value in simulator.world.scalars.values():
        if type(value) is int:
            found.add(value)
    widest = max(found)
    _collect(simulator.state, found)
    return sorted(x for x in found if x <= widest)


def _collect(state: State, found: set[int]) -> None:
    for content in state:
        for part in content.values() if isinstance(content, dict) else (content,):
            if isinstance(part, IntervalMap):
                found.update(part.starts)
            elif type(part) is int:
                found.add(part)
