"""A group of units cut into pieces, as arrays: the bytes alive at each piece, and what it does.

Goal: the same pieces in the same order as `bands.sweep`, and the same loads as the schedule's own,
without making either (tests compare them).
Non-goals: constants (`assess`), choosing (`choose`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tessera.plan.graph import Array
from tessera.plan.tiles.schedule import group_items
from tessera.plan.tiles.steps import aligned
from tessera.plan.tiles.tables import Tables
from tessera.plan.tiles.units import Item, Storage

_FAR = 1 << 40


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Pieces in order. `item`: place of its item in the group; `alive`: bytes of activations;
    `reads`, `written`: bytes of activations; `last`: the last piece of each item."""

    start: int
    stop: int
    band: int | None
    rolling: bool
    items: tuple[Item, ...]
    item: Array
    alive: Array
    reads: Array
    written: Array
    adds: Array
    last: Array

    @property
    def load(self) -> int:
        """The largest load of activations."""
        return int(self.alive.max())


class GroupView:
    """What all cuts of the units `start` up to and without `stop` have in common."""

    def __init__(self, tables: Tables, start: int, stop: int) -> None:
        units = tables.units
        self.tables, self.start, self.stop = tables, start, stop
        self.items = group_items(units, start, stop)
        self._begin, self._end = units.bounds[start], units.bounds[stop]
        self._place = {one.tensor: index for index, one in enumerate(self.items)}
        touched: dict[str, list[int]] = {}
        for index, one in enumerate(self.items):
            for name in (one.tensor, *units.actives(one)):
                touched.setdefault(units.storage_of[name], []).append(index)
        self._across = sum(
            one.size
            for one in units.storages.values()
            if one.first < self._begin and one.last >= self._end and one.name not in touched
        )
        self._touched = [(units.storages[name], tuple(places)) for name, places in touched.items()]

    def whole(self) -> Profile:
        """Every item in one piece."""
        counts = [self.tables.whole(one) for one in self.items]
        item = np.arange(len(self.items))
        reads = np.array([read for _, read in counts], np.int64)
        moved = np.array([one.moved for one, _ in counts], np.int64)
        adds = np.array([one.multiply_adds for one, _ in counts], np.int64)
        alive = self._alive(item, item, len(item), {})
        return self._profile(None, False, item, alive, reads, moved - reads, adds, item)

    def cut(self, band: int, rolling: bool) -> Profile:
        """`band` rows of the last item at a time; all items are row-local."""
        tables = [self.tables.item(one) for one in self.items]
        made = self._on_demand(band) if rolling else self._at_once(band)
        item, start, stop = made
        rows = stop - start
        reads = np.zeros(len(item), np.int64)
        spots = [np.flatnonzero(item == index) for index in range(len(tables))]
        for spot, table in zip(spots, tables, strict=True):
            for one in table.readings:
                size = one.high[stop[spot] - 1] - one.low[start[spot]]
                reads[spot] += one.row_bytes * (one.high[0] if one.whole else size)
        written = np.array([one.written for one in tables], np.int64)[item] * rows
        adds = np.array([one.adds for one in tables], np.int64)[item] * rows
        first = np.array([spot[0] for spot in spots])
        last = np.array([spot[-1] for spot in spots])
        rings = self._rings(spots, start, stop)
        alive = self._alive(first, last, len(item), rings)
        return self._profile(band, rolling, item, alive, reads, written, adds, last)

    def _profile(
        self,
        band: int | None,
        rolling: bool,
        item: Array,
        alive: Array,
        reads: Array,
        written: Array,
        adds: Array,
        last: Array,
    ) -> Profile:
        head = (self.start, self.stop, band, rolling, self.items)
        return Profile(*head, item, alive, reads, written, adds, last)

    def _inside(self, storage: Storage) -> bool:
        return storage.first >= self._begin and storage.last < self._end

    def _alive(self, first: Array, last: Array, pieces: int, rings: dict[str, int]) -> Array:
        change = np.zeros(pieces + 1, np.int64)
        for storage, places in self._touched:
            size = rings.get(storage.name, storage.size)
            begins = 0 if storage.first < self._begin else min(first[p] for p in places)
            ends = pieces if storage.last >= self._end else max(last[p] for p in places) + 1
            change[begins] += size
            change[ends] -= size
        change[0] += self._across
        return change[:-1].cumsum()

    @cached_property
    def _feeds(self) -> list[list[tuple[int, list[int], Array]]]:
        """Per item: the items of the group that it reads, with the rows wanted of them."""
        feeds = []
        for one in self.items:
            found = self.tables.item(one).readings
            feeds.append(
                [
                    (self._place[r.tensor], r.high.tolist(), r.high)
                    for r in found
                    if r.tensor in self._place
                ]
            )
        return feeds

    @cached_property
    def _heights(self) -> list[int]:
        return [self.tables.item(one).rows for one in self.items]

    def _goals(self, band: int) -> list[tuple[int, int]]:
        units, last = self.tables.units, len(self.items) - 1
        full = self._heights[last]
        goals = [(last, stop) for stop in (*range(band, full, band), full)]
        for index, one in enumerate(self.items):
            storage = units.storages[units.storage_of[one.tensor]]
            if storage.last >= self._end or index == last:
                goals.append((index, self._heights[index]))
        return goals

    def _at_once(self, band: int) -> tuple[Array, Array, Array]:
        goals = self._goals(band)
        count = len(self.items)
        upto = np.zeros((count, len(goals)), np.int64)
        for place, (index, stop) in enumerate(goals):
            upto[index, place] = stop
        for index in reversed(range(count)):
            upto[index] = np.maximum.accumulate(upto[index])
            for source, _, high in self._feeds[index]:
                wanted = np.where(upto[index] > 0, high[upto[index] - 1], 0)
                np.maximum(upto[source], wanted, out=upto[source])
        before = np.zeros_like(upto)
        before[:, 1:] = upto[:, :-1]
        begins, ends = before.T.ravel(), upto.T.ravel()
        made = ends > begins
        return np.tile(np.arange(count), len(goals))[made], begins[made], ends[made]

    def _on_demand(self, band: int) -> tuple[Array, Array, Array]:
        feeds = self._feeds
        made = [0] * len(self.items)
        pieces: list[tuple[int, int, int]] = []
        for goal in self._goals(band):
            stack = [goal]
            while stack:
                index, stop = stack[-1]
                done = made[index]
                if done >= stop:
                    stack.pop()
                    continue
                end = min(stop, done + band)
                for source, high, _ in feeds[index]:
                    if made[source] < high[end - 1]:
                        stack.append((source, high[end - 1]))
                        break
                else:
                    pieces.append((index, done, end))
                    made[index] = end
        columns = np.array(pieces, np.int64)
        return columns[:, 0], columns[:, 1], columns[:, 2]

    def _rings(self, spots: list[Array], start: Array, stop: Array) -> dict[str, int]:
        """Bytes of every line buffer: of the storages that live inside the group."""
        units = self.tables.units
        found = {}
        for storage, places in self._touched:
            if not self._inside(storage):
                continue
            lowest = np.full(len(start), _FAR, np.int64)
            writes = []
            for place in places:
                one, spot = self.items[place], spots[place]
                if units.storage_of[one.tensor] == storage.name:
                    writes.append(spot)
                for reading in self.tables.item(one).readings:
                    if units.storage_of[reading.tensor] == storage.name:
                        low = 0 if reading.whole else reading.low[start[spot]]
                        lowest[spot] = np.minimum(lowest[spot], low)
            lowest = np.minimum.accumulate(lowest[::-1])[::-1]
            wrote = np.concatenate(writes)
            rows = int((stop[wrote] - np.minimum(lowest[wrote], start[wrote])).max())
            tensor = units.graph.tensors[storage.name]
            full = tensor.shape[2]
            found[storage.name] = aligned(tensor.bytes // full * min(rows, full))
        return found
