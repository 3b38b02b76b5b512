"""What a group would take and cost under each choice, without writing its steps out.

Goal: the same numbers as the schedule's own (a test compares them), fast enough to try thousands.
Non-goals: choosing (`choose`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tessera.plan.cost import Coefficients, Counts, counts_of
from tessera.plan.graph import Array
from tessera.plan.tiles.bands import Piece
from tessera.plan.tiles.boxes import CONVOLUTIONS, blocking_of
from tessera.plan.tiles.rows import Rows
from tessera.plan.tiles.schedule import (
    blocks_of,
    compute_step,
    group_items,
    group_pieces,
    rings,
)
from tessera.plan.tiles.steps import Choice, Step, Weights, aligned
from tessera.plan.tiles.stream import Block, piece_blocks, whole_block
from tessera.plan.tiles.units import Units


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


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A group cut into pieces: bytes of activations alive at each piece, and what each does."""

    start: int
    stop: int
    band: int | None
    rolling: bool
    pieces: tuple[Piece, ...]
    alive: tuple[int, ...]
    counts: tuple[Counts, ...]
    reads: tuple[int, ...]


def _sizes(units: Units, start: int, stop: int, pieces: Sequence[Piece]) -> dict[str, int]:
    """Bytes of every storage that this group touches or that lives across it."""
    begin, end = units.bounds[start], units.bounds[stop]
    sizes = {
        name: one.size
        for name, one in units.storages.items()
        if one.first < end and one.last >= begin
    }
    tensors = units.graph.tensors
    for name, rows in rings(units, start, stop, pieces).items():
        one = tensors[name]
        sizes[name] = aligned(one.bytes // one.shape[2] * min(rows, one.shape[2]))
    return sizes


def _alive(units: Units, start: int, stop: int, pieces: Sequence[Piece]) -> tuple[int, ...]:
    begin, end = units.bounds[start], units.bounds[stop]
    sizes = _sizes(units, start, stop, pieces)
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, piece in enumerate(pieces):
        touched = (piece.item.tensor, *units.actives(piece.item))
        for storage in {units.storage_of[name] for name in touched}:
            first.setdefault(storage, index)
            last[storage] = index
    change = [0] * (len(pieces) + 1)
    for name, size in sizes.items():
        one = units.storages[name]
        if name not in first and not (one.first < begin and one.last >= end):
            continue
        change[0 if one.first < begin else first[name]] += size
        change[len(pieces) if one.last >= end else last[name] + 1] -= size
    alive, loads = 0, []
    for delta in change[:-1]:
        alive += delta
        loads.append(alive)
    return tuple(loads)


def profile(
    tables: BlockTables, units: Units, start: int, stop: int, band: int | None, rolling: bool
) -> Profile:
    """The pieces of a group and their loads and counts, constants aside."""
    pieces = tuple(group_pieces(units, start, stop, Choice(band=band, rolling=rolling)))
    works = [tables.work(piece) for piece in pieces]
    counts, reads = tuple(one for one, _ in works), tuple(read for _, read in works)
    alive = _alive(units, start, stop, pieces)
    return Profile(start, stop, band, rolling, pieces, alive, counts, reads)


def _repeats_reads(units: Units, piece: Piece) -> bool:
    """Whether every block of channels reads the whole input again (not so with groups)."""
    node = piece.item.node
    assert node is not None
    if node.op not in CONVOLUTIONS:
        return True
    blocking = blocking_of(node, units.graph.tensors)
    weights = units.graph.tensors[node.inputs[1]].shape
    return blocking is None or units.graph.tensors[node.inputs[0]].shape[1] == weights[1]


def _kept(units: Units, one: Profile, choice: Choice, rates: Coefficients) -> Candidate:
    """Constants resident, or loaded by one step for the whole group."""
    items = group_items(units, one.start, one.stop)
    block = whole_block(units, items)
    counts = sum(one.counts, Counts())
    cost = sum(piece.cost(rates) for piece in one.counts)
    extra = [0] * len(one.pieces)
    resident = block.size
    if choice.weights is Weights.GROUP:
        resident = 0
        if block.loaded:
            load = Counts(loaded=block.loaded, switches=1)
            counts, cost = counts + load, cost + load.cost(rates)
        extra = _until_last_read(units, one)
    loads = [a + b for a, b in zip(one.alive, extra, strict=True)]
    worst = max(range(len(loads)), key=loads.__getitem__)
    name = one.pieces[worst].item.tensor
    start, stop = one.start, one.stop
    return Candidate(start, stop, choice, loads[worst], resident, name, counts, cost)


def _until_last_read(units: Units, one: Profile) -> list[int]:
    """Bytes of the group's constants alive at each piece: all at first, each to its last reader."""
    last: dict[str, int] = {}
    for index, piece in enumerate(one.pieces):
        for name in units.constants(piece.item):
            last[name] = index
    change = np.zeros(len(one.pieces), np.int64)
    for name, end in last.items():
        change[end] += aligned(units.graph.tensors[name].bytes)
    return [int(total) for total in change[::-1].cumsum()[::-1]]


def _rows_matter(units: Units, piece: Piece) -> bool:
    """Whether a constant has rows of its own, so that the bytes loaded depend on the band."""
    tensors = units.graph.tensors
    made = tensors[piece.item.tensor].shape
    if piece.item.node is None or piece.item.node.op in CONVOLUTIONS:
        return False
    return any(len(tensors[n].shape) == len(made) for n in units.constants(piece.item))


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Every step of a group whose constants come per step, as columns: bytes alive, what it does,
    and the block that it reads (0 bytes: none)."""

    piece: Array
    alive: Array
    moved: Array
    adds: Array
    loaded: Array
    size: Array

    @property
    def weighted(self) -> Array:
        """Places of the steps that read a block."""
        return np.flatnonzero(self.size)


class BlockTables:
    """Blocks of every item, worked out once; rows are (bytes loaded, bytes taken, channels)."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._known: dict[tuple[str, object, int], tuple[Array, bool]] = {}
        self._works: dict[tuple[str, Rows | None], tuple[Counts, int]] = {}
        self._last: tuple[Profile, int, _Steps] | None = None

    def work(self, piece: Piece) -> tuple[Counts, int]:
        """What making a piece does, constants aside, and the bytes of activations that it reads."""
        key = (piece.item.tensor, piece.rows)
        if key not in self._works:
            graph = self._units.graph
            step = compute_step(self._units, 0, piece, None, "")
            counts = counts_of(graph, step)
            written = counts_of(graph, Step(step.kind, 0, None, None, None, (), step.writes))
            self._works[key] = (counts, counts.moved - written.moved)
        return self._works[key]

    def of(self, piece: Piece, blocks: int) -> tuple[Array, bool]:
        """The blocks of a piece, and whether each reads the whole input again."""
        units = self._units
        key = (piece.item.tensor, piece.rows if _rows_matter(units, piece) else None, blocks)
        if key not in self._known:
            found = piece_blocks(units, piece, blocks) or (Block(0, 0),)
            ranges = blocks_of(units, piece, blocks)
            channels = [1 if one is None else one.size for one in ranges]
            again = piece.item.node is not None and _repeats_reads(units, piece)
            rows = [(b.loaded, b.size, c) for b, c in zip(found, channels, strict=True)]
            self._known[key] = (np.array(rows, np.int64), again)
        return self._known[key]

    def columns(self, one: Profile, blocks: int) -> _Steps:
        """The steps of a profiled group; the last answer is kept, as it is asked for twice."""
        if self._last is None or self._last[0] is not one or self._last[1] != blocks:
            self._last = (one, blocks, _columns(self, one, blocks))
        return self._last[2]


def _columns(tables: BlockTables, one: Profile, blocks: int) -> _Steps:
    found = [tables.of(piece, blocks) for piece in one.pieces]
    sizes = np.array([len(table) for table, _ in found])
    rows = np.concatenate([table for table, _ in found])
    total = np.repeat([int(table[:, 2].sum()) for table, _ in found], sizes)
    again = np.repeat([again for _, again in found], sizes)
    piece = np.repeat(np.arange(len(found)), sizes)
    reads = np.array(one.reads)[piece]
    moved = np.array([c.moved for c in one.counts])[piece]
    adds = np.array([c.multiply_adds for c in one.counts])[piece]
    share = rows[:, 2]
    read = np.where(again, reads, reads * share // total)
    written = (moved - reads) * share // total
    alive = np.array(one.alive)[piece]
    return _Steps(piece, alive, read + written, adds * share // total, rows[:, 0], rows[:, 1])


def _per_step(tables: BlockTables, one: Profile, choice: Choice, rates: Coefficients) -> Candidate:
    """Constants loaded for every step, in blocks; `ahead`, the next block beside the step."""
    steps = tables.columns(one, choice.blocks)
    weighted = steps.weighted
    busy = rates.byte_moved * steps.moved + rates.multiply_add * steps.adds
    load = rates.byte_loaded * steps.loaded[weighted] + rates.world_switch
    taken = steps.alive + steps.size
    cost = float(busy.sum() + load.sum())
    if choice.ahead and len(weighted):
        places = np.arange(len(busy))
        after = np.searchsorted(weighted, places, side="right")
        sizes = np.append(steps.size[weighted], 0)
        taken = taken + np.where(places >= weighted[0], sizes[after], 0)
        hidden = np.minimum(busy[weighted[:-1]], load[1:])
        cost -= float(hidden.sum())
    worst = int(taken.argmax())
    counts = Counts(
        int(steps.loaded.sum()), int(steps.moved.sum()), int(steps.adds.sum()), len(weighted)
    )
    name = one.pieces[int(steps.piece[worst])].item.tensor
    return Candidate(one.start, one.stop, choice, int(taken[worst]), 0, name, counts, cost)


def assess(
    tables: BlockTables, units: Units, one: Profile, choice: Choice, rates: Coefficients
) -> Candidate:
    """What a profiled group takes and costs under a choice of the same bands."""
    assert (choice.band, choice.rolling) == (one.band, one.rolling)
    if choice.weights is Weights.STEP:
        return _per_step(tables, one, choice, rates)
    return _kept(units, one, choice, rates)
