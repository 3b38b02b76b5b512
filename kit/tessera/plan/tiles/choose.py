"""The cheapest way to run a network inside a budget, and the least budget that works.

Goal: the best cover of the units by candidates. A cover fits when the sum of what is resident and
the largest transient load are together inside the budget; cost adds up. Exact over the candidates,
up to a grain (at most 2048 steps of memory): dynamic programs over units and resident bytes, for
ranges of the largest transient load.
Non-goals: offsets; but a plan is only given out once its buffers are placed inside the budget.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.graph import Array, Graph
from tessera.plan.tiles.assess import Candidate
from tessera.plan.tiles.candidates import Space, all_candidates
from tessera.plan.tiles.place import Placement, Placer, by_arena, place
from tessera.plan.tiles.schedule import schedule
from tessera.plan.tiles.steps import ALIGNMENT, Group, Schedule
from tessera.plan.tiles.units import Units, units_of

GRAINS = 2048
ATTEMPTS = 12
"""How often a tighter limit on the load is tried when buffers do not place inside the budget."""


@dataclass(frozen=True, slots=True, eq=False)
class TilePlan:
    """What was chosen: a candidate per group, the schedule, where its buffers lie, the cost."""

    units: Units
    chosen: tuple[Candidate, ...]
    schedule: Schedule
    placement: Placement
    cost: float


def least(candidates: Sequence[Candidate], units: int) -> tuple[int, Candidate, list[Candidate]]:
    """The smallest load of any cover, the candidate that asks for it, and the cheapest such cover.

    Nothing is resident then: what stays could be loaded when it is used and takes no more. Where
    candidates only know constants that stay, all covers keep the same bytes.
    """
    streamed = [one for one in candidates if one.resident == 0]
    if _cheapest(streamed, units) is None:
        streamed = list(candidates)
    peak = [0.0] + [math.inf] * units
    for one in sorted(streamed, key=lambda c: c.stop):
        peak[one.stop] = min(peak[one.stop], max(peak[one.start], one.transient))
    load = int(peak[units])
    cover = _cheapest([one for one in streamed if one.transient <= load], units)
    assert cover is not None
    worst = max(cover, key=lambda c: c.transient)
    return needs(cover), worst, cover


def _cheapest(candidates: Sequence[Candidate], units: int) -> list[Candidate] | None:
    """The cheapest cover, whatever it takes."""
    best: list[float] = [0.0] + [math.inf] * units
    last: list[Candidate | None] = [None] * (units + 1)
    for one in sorted(candidates, key=lambda c: c.stop):
        if best[one.start] + one.cost < best[one.stop]:
            best[one.stop], last[one.stop] = best[one.start] + one.cost, one
    if math.isinf(best[units]):
        return None
    return _walk_back(last, units)


def _walk_back(last: Sequence[Candidate | None], units: int) -> list[Candidate]:
    cover = []
    while units:
        one = last[units]
        assert one is not None
        cover.append(one)
        units = one.start
    return cover[::-1]


def _with_residents(
    candidates: Sequence[Candidate], units: int, room: int, grain: int
) -> tuple[float, list[Candidate]] | None:
    """The cheapest cover whose resident bytes fit `room`; each is rounded up to the grain."""
    columns = room // grain + 1
    best: list[Array] = [np.full(columns, np.inf) for _ in range(units + 1)]
    taken: list[Array] = [np.full(columns, -1, np.int64) for _ in range(units + 1)]
    best[0][:] = 0.0
    ordered = sorted(candidates, key=lambda c: c.stop)
    for index, one in enumerate(ordered):
        used = -(-one.resident // grain)
        if used >= columns:
            continue
        offered = best[one.start][: columns - used] + one.cost
        better = offered < best[one.stop][used:]
        best[one.stop][used:][better] = offered[better]
        taken[one.stop][used:][better] = index
    column = columns - 1
    if math.isinf(best[units][column]):
        return None
    cost, cover = float(best[units][column]), []
    while units:
        one = ordered[int(taken[units][column])]
        cover.append(one)
        units, column = one.start, column - -(-one.resident // grain)
    return cost, cover[::-1]


def _thinned(candidates: Sequence[Candidate], limit: int) -> list[Candidate]:
    """Of the candidates with transient loads up to `limit`, those that a cheapest cover can use:
    for every group and number of resident bytes the cheapest."""
    best: dict[tuple[int, int, int], Candidate] = {}
    for one in candidates:
        if one.transient <= limit:
            key = (one.start, one.stop, one.resident)
            if key not in best or one.cost < best[key].cost:
                best[key] = one
    return list(best.values())


def needs(cover: Sequence[Candidate]) -> int:
    """The largest load of a cover: what is resident, and the largest transient load."""
    return sum(one.resident for one in cover) + max(one.transient for one in cover)


def pick(candidates: Sequence[Candidate], units: int, budget: int) -> list[Candidate] | None:
    """The cheapest cover with resident bytes plus largest transient load inside `budget`.

    Best first over ranges of the largest transient load: a range is as cheap as its highest limit
    on transients allows with the room that its lowest one leaves; the first range whose cover fits
    is the answer, as all others cost at least as much.
    """
    grain = ALIGNMENT * max(1, -(-budget // (ALIGNMENT * GRAINS)))
    limits = sorted({one.transient for one in candidates if one.transient <= budget})
    ranges: list[tuple[float, int, int, list[Candidate]]] = []

    def offer(low: int, high: int) -> None:
        inside = _thinned(candidates, limits[high])
        found = _with_residents(inside, units, budget - limits[low], grain)
        if found:
            heapq.heappush(ranges, (found[0], low, high, found[1]))

    if limits:
        offer(0, len(limits) - 1)
    while ranges:
        _, low, high, cover = heapq.heappop(ranges)
        if needs(cover) <= budget:
            return cover
        middle = (low + high) // 2
        offer(low, middle)
        offer(middle + 1, high)
    return None


def _plan(units: Units, cover: Sequence[Candidate], placer: Placer, enough: int = 0) -> TilePlan:
    made = schedule(units, [Group(one.start, one.stop, one.choice) for one in cover])
    cost = sum(one.cost for one in cover)
    return TilePlan(units, tuple(cover), made, place(made, placer, enough), cost)


class Chooser:
    """One network's candidates, assessed once, from which plans for any budget are chosen."""

    def __init__(self, graph: Graph, space: Space | None = None, placer: Placer = by_arena) -> None:
        self.space = space or Space()
        self.units = units_of(graph, self.space.packed)
        self.candidates = all_candidates(self.units, self.space)
        self._placer = placer

    def choose(self, budget: int) -> TilePlan:
        """The cheapest plan whose placed height is inside `budget` bytes.

        Raises `TesseraError` naming the layer that does not fit and the least budget that works.
        """
        limit = budget
        for attempt in range(ATTEMPTS):
            cover = pick(self.candidates, len(self.units), limit)
            if cover is None:
                break
            plan = _plan(self.units, cover, self._placer, budget)
            if plan.placement.height <= budget:
                return plan
            # First the next smaller load, then what placing lost off the limit as well.
            lost = plan.placement.height - budget if attempt >= ATTEMPTS // 2 else ALIGNMENT
            limit = min(limit, plan.schedule.peak) - lost
        least_plan = self.minimise()
        if least_plan.placement.height <= budget:
            return least_plan
        raise self._too_small(budget, least_plan)

    def minimise(self) -> TilePlan:
        """The plan of the smallest load, and of those the cheapest.

        The load is exact over the candidates: no cover of them needs less. The height may be more
        where the placer finds no better offsets.
        """
        return _plan(self.units, least(self.candidates, len(self.units))[2], self._placer)

    def _too_small(self, budget: int, plan: TilePlan) -> TesseraError:
        worst = max(plan.chosen, key=lambda c: c.transient)
        graph = self.units.graph
        maker = graph.producers().get(worst.worst)
        layer = maker.name if maker else worst.worst
        return TesseraError(
            f"layer '{layer}' does not fit into {budget:,} bytes",
            where=str(maker.source) if maker else graph.name,
            remedy=f"the least budget that works is {plan.placement.height:,} bytes",
        )
