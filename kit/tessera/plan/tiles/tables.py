"""What every item needs, per row and per block of channels, worked out once per network.

Goal: integers in tables, so that thousands of ways to cut a network are assessed without making
their steps. What a table says equals what the steps say (tests compare them).
Non-goals: pieces and their order (`profile`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tessera.plan.cost import Counts, counts_of
from tessera.plan.graph import Array
from tessera.plan.tiles.bands import Piece
from tessera.plan.tiles.boxes import CONVOLUTIONS, blocking_of
from tessera.plan.tiles.rows import Rows, height, need_of
from tessera.plan.tiles.schedule import blocks_of, compute_step
from tessera.plan.tiles.steps import Step
from tessera.plan.tiles.stream import Block, piece_blocks
from tessera.plan.tiles.units import Item, Units

_NONE = Counts()


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One activation that an item reads: output row r needs the input rows `low[r]` to `high[r]`.

    `row_bytes` per input row; where all of it is read whatever the rows, `whole` is True.
    """

    tensor: str
    low: Array
    high: Array
    row_bytes: int
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """An item that may be cut into rows: its readings, and what one row of its output does."""

    rows: int
    readings: tuple[Reading, ...]
    written: int
    adds: int


@dataclass(frozen=True, slots=True, eq=False)
class BlockTable:
    """The blocks in which an item's constants come; `count` 0 for an item without constants.

    `loads`: what loading all of them does, `first_load`: loading the first. In the arena
    take the `largest`, the `first`, the `last` and at most two neighbours (`pair`) so many bytes.
    `last_share`: the last one's part of the output channels. `again`: each reads the whole input.
    `pairs`: (share of one, what loading the next does, how often) of the neighbours.
    """

    count: int = 0
    loads: Counts = _NONE
    first_load: Counts = _NONE
    largest: int = 0
    first: int = 0
    last: int = 0
    pair: int = 0
    last_share: float = 1.0
    again: bool = False
    pairs: tuple[tuple[float, Counts, int], ...] = ()


class Tables:
    """The tables of a network, made on demand."""

    def __init__(self, units: Units) -> None:
        self.units = units
        self._items: dict[str, ItemTable] = {}
        self._whole: dict[str, tuple[Counts, int]] = {}
        self._blocks: dict[tuple[str, int], BlockTable] = {}

    def whole(self, item: Item) -> tuple[Counts, int]:
        """What making an item in one piece does, constants aside, and the bytes that it reads."""
        if item.tensor not in self._whole:
            graph = self.units.graph
            step = compute_step(self.units, 0, Piece(item, None), None, "")
            counts = counts_of(graph, step)
            written = counts_of(graph, Step(step.kind, 0, None, None, None, (), step.writes))
            self._whole[item.tensor] = (counts, counts.moved - written.moved)
        return self._whole[item.tensor]

    def item(self, item: Item) -> ItemTable:
        """The table of an item that is row-local."""
        if item.tensor not in self._items:
            self._items[item.tensor] = self._table(item)
        return self._items[item.tensor]

    def _table(self, item: Item) -> ItemTable:
        made = self.units.graph.tensors[item.tensor]
        rows = height(made.shape)
        assert rows is not None
        counts, reads = self.whole(item)
        written = (counts.moved - reads) // rows
        adds = counts.multiply_adds // rows
        return ItemTable(rows, tuple(self._readings(item, rows)), written, adds)

    def _readings(self, item: Item, rows: int) -> list[Reading]:
        if item.node is None:
            return []
        tensors = self.units.graph.tensors
        found = []
        for index, name in enumerate(item.node.inputs):
            one = tensors[name]
            if one.data is not None:
                continue
            full = height(one.shape) or 1
            needs = [need_of(item.node, tensors, index, Rows(r, r + 1)) for r in range(rows)]
            ranges = [Rows(0, full) if need is None else need.rows for need in needs]
            low = np.array([r.start for r in ranges], np.int64)
            high = np.array([r.stop for r in ranges], np.int64)
            found.append(Reading(name, low, high, one.bytes // full, needs[0] is None))
        return found

    def blocks(self, item: Item, blocks: int) -> BlockTable:
        """The blocks of an item whose output is made in one piece or in pieces of rows."""
        key = (item.tensor, blocks)
        if key not in self._blocks:
            self._blocks[key] = self._block_table(item, blocks)
        return self._blocks[key]

    def _block_table(self, item: Item, blocks: int) -> BlockTable:
        piece = Piece(item, None)
        found: Sequence[Block] = piece_blocks(self.units, piece, blocks)
        if not found:
            return BlockTable()
        channels = [1 if one is None else one.size for one in blocks_of(self.units, piece, blocks)]
        shares = [one / sum(channels) for one in channels]
        loads = [Counts(one.loaded, switches=1, decoded=one.decoded) for one in found]
        sizes = [one.size for one in found]
        pairs: dict[tuple[float, Counts], int] = {}
        for pair in zip(shares, loads[1:], strict=False):
            pairs[pair] = pairs.get(pair, 0) + 1
        return BlockTable(
            count=len(found),
            loads=sum(loads, Counts()),
            first_load=loads[0],
            largest=max(sizes),
            first=sizes[0],
            last=sizes[-1],
            pair=max(map(sum, pairwise(sizes)), default=0),
            last_share=shares[-1],
            again=self._reads_again(item),
            pairs=tuple((share, after, times) for (share, after), times in pairs.items()),
        )

    def _reads_again(self, item: Item) -> bool:
        """Whether every block of channels reads the whole input again (not so with groups)."""
        node = item.node
        assert node is not None
        if node.op not in CONVOLUTIONS:
            return True
        tensors = self.units.graph.tensors
        weights = tensors[node.inputs[1]].shape
        blocking = blocking_of(node, tensors)
        return blocking is None or tensors[node.inputs[0]].shape[1] == weights[1]

    def rows_matter(self, item: Item) -> bool:
        """Whether a constant has rows of its own, so that the bytes loaded depend on the band."""
        if item.node is None or item.node.op in CONVOLUTIONS:
            return False
        tensors = self.units.graph.tensors
        rank = len(tensors[item.tensor].shape)
        return any(len(tensors[n].shape) == rank for n in self.units.constants(item))
