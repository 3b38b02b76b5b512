"""What a group would take and cost under each choice, without writing its steps out.

Goal: the same numbers as the schedule's own (a test compares them), fast enough to try thousands.
Non-goals: choosing (`choose`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tessera.plan.cost import Coefficients, Counts
from tessera.plan.graph import Array
from tessera.plan.tiles.profile import Profile
from tessera.plan.tiles.steps import Choice, Weights, aligned
from tessera.plan.tiles.stream import whole_block
from tessera.plan.tiles.tables import BlockTable, Tables


@dataclass(frozen=True, slots=True)
class Candidate:
    """Units `start` to `stop` under a choice. `transient`: the largest load while it runs, without
    what is resident; `worst`: the item that runs then; `resident`: bytes that stay for good."""

    start: int
    stop: int
    choice: Choice
    transient: int
    resident: int
    worst: str
    counts: Counts
    cost: float


def assess(tables: Tables, one: Profile, choice: Choice, rates: Coefficients) -> Candidate:
    """What a profiled group takes and costs under a choice of the same bands.

    Constants per step are not assessed where one of them has rows of its own and the group is cut.
    """
    assert (choice.band, choice.rolling) == (one.band, one.rolling)
    if choice.weights is Weights.STEP:
        return _per_step(tables, one, choice, rates)
    return _kept(tables, one, choice, rates)


def _candidate(
    one: Profile, choice: Choice, taken: Array, resident: int, counts: Counts, cost: float
) -> Candidate:
    worst = int(taken.argmax())
    name = one.items[int(one.item[worst])].tensor
    head = (one.start, one.stop, choice, int(taken[worst]))
    return Candidate(*head, resident, name, counts, cost)


def _kept(tables: Tables, one: Profile, choice: Choice, rates: Coefficients) -> Candidate:
    """Constants resident, or loaded by one step for the whole group."""
    block = whole_block(tables.units, one.items)
    moved = int(one.reads.sum() + one.written.sum())
    counts = Counts(moved=moved, multiply_adds=int(one.adds.sum()))
    if choice.weights is Weights.RESIDENT:
        return _candidate(one, choice, one.alive, block.size, counts, counts.cost(rates))
    taken = one.alive
    if block.loaded:
        counts = counts + Counts(loaded=block.loaded, switches=1, decoded=block.decoded)
        taken = taken + _until_last_read(tables, one)
    return _candidate(one, choice, taken, 0, counts, counts.cost(rates))


def _until_last_read(tables: Tables, one: Profile) -> Array:
    """Bytes of the group's constants alive at each piece: all at first, each to its last reader."""
    units = tables.units
    last: dict[str, int] = {}
    for index, item in enumerate(one.items):
        for name in units.constants(item):
            last[name] = max(last.get(name, 0), int(one.last[index]))
    change = np.zeros(len(one.item), np.int64)
    for name, end in last.items():
        change[end] += aligned(units.graph.tensors[name].bytes)
    return change[::-1].cumsum()[::-1]


def _per_step(tables: Tables, one: Profile, choice: Choice, rates: Coefficients) -> Candidate:
    """Constants loaded for every step, in blocks; `ahead`, the next block beside the step."""
    found = [tables.blocks(item, choice.blocks) for item in one.items]
    again = np.array([b.again for b in found])[one.item]
    count = np.array([b.count for b in found])[one.item]
    read = np.where(again, one.reads * np.maximum(count, 1), one.reads)
    counts = Counts(
        int(np.array([b.loads.loaded for b in found])[one.item].sum()),
        int(read.sum() + one.written.sum()),
        int(one.adds.sum()),
        int(count.sum()),
        int(np.array([b.loads.decoded for b in found])[one.item].sum()),
    )
    cost = counts.cost(rates)
    if not choice.ahead:
        taken = one.alive + np.array([b.largest for b in found])[one.item]
        return _candidate(one, choice, taken, 0, counts, cost)
    weighted = np.flatnonzero(count)
    taken = one.alive + _ahead_sizes(found, one, weighted)
    hidden = _hidden(found, one, weighted, again, rates)
    return _candidate(one, choice, taken, 0, counts, cost - hidden)


def _ahead_sizes(found: list[BlockTable], one: Profile, weighted: Array) -> Array:
    """Bytes of blocks at each piece, at most: the block of a step and the one that comes next."""
    first = np.array([b.first for b in found])[one.item]
    places = np.arange(len(one.item))
    after = np.searchsorted(weighted, places, side="right")
    following = np.append(first[weighted], 0)[after]
    begun = places >= weighted[0] if len(weighted) else np.zeros(len(places), bool)
    end = np.array([b.last for b in found])[one.item] + np.where(begun, following, 0)
    both: Array = np.maximum(end, np.array([b.pair for b in found])[one.item])
    return both


def _hidden(
    found: list[BlockTable], one: Profile, weighted: Array, again: Array, rates: Coefficients
) -> float:
    """Cost of loads that run beside the compute step before them."""
    fixed = np.where(again, rates.byte_moved * one.reads, 0.0)
    shared = rates.byte_moved * (one.written + np.where(again, 0, one.reads))
    shared = shared + rates.multiply_add * one.adds
    total = 0.0
    for index, table in enumerate(found):
        if not table.pairs:
            continue
        spot = np.flatnonzero(one.item == index)
        for share, following, times in table.pairs:
            load = following.cost(rates)
            total += times * float(np.minimum(fixed[spot] + shared[spot] * share, load).sum())
    here, after = weighted[:-1], weighted[1:]
    busy = fixed + shared * np.array([b.last_share for b in found])[one.item]
    loads = np.array([b.first_load.cost(rates) for b in found])[one.item]
    across = np.minimum(busy[here], loads[after])
    return total + float(across.sum())
