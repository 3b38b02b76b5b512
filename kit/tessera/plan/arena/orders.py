"""Ranks for the ordered search: which buffer goes first of those that could lie lowest.

Goal: a few fixed orders, and as many shaken ones as are asked for; by letters, each from large to
small: T the largest load of a section that the buffer is in, A bytes times steps, W steps, C
sections. The letters and the first three orders are those of MiniMalloc (ASPLOS 2023).
Non-goals: searching.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tessera.plan.arena.buffers import Buffer
from tessera.plan.arena.task import Task

ORDERS = ("CAT", "TAW", "TWA", "WAT")
"""Tried first, in this order."""
_SHAKE = 16
"""Shaken orders see every number up to so many sixteenths larger."""


def ranks(
    buffers: Sequence[Buffer], task: Task, fixed: int | None, source: random.Random
) -> list[int]:
    """The rank of every buffer by the `fixed`-th of `ORDERS`; None: one of them, shaken."""
    load = [0] * task.sections
    for b, buffer in enumerate(buffers):
        for t in range(task.first[b], task.end[b]):
            load[t] += buffer.size
    columns = {
        "T": [max(load[task.first[b] : task.end[b]]) for b in range(task.buffers)],
        "W": [one.upper - one.lower for one in buffers],
        "A": [(one.upper - one.lower) * one.size for one in buffers],
        "C": [task.end[b] - task.first[b] for b in range(task.buffers)],
    }
    letters = ORDERS[source.randrange(len(ORDERS)) if fixed is None else fixed]
    if fixed is None:
        for letter in sorted(columns):
            columns[letter] = [value * (16 + source.randrange(_SHAKE)) for value in columns[letter]]
    order = sorted(
        range(task.buffers), key=lambda b: (*(-columns[letter][b] for letter in letters), b)
    )
    rank = [0] * task.buffers
    for place, b in enumerate(order):
        rank[b] = place
    return rank
