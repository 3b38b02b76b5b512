"""Constants in blocks: what each block takes, and a sequence of layers cut into partitions.

Goal: sizes of blocks of output channels; the time of a pipeline in which loads run beside compute;
and, for weights that are loaded for several layers at once, the exact best cut of the sequence.
Non-goals: bands of rows (`bands`); both together are chosen in `choose`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.plan.compress.measure import Stored
from tessera.plan.graph import Node
from tessera.plan.tiles.bands import Piece
from tessera.plan.tiles.boxes import input_boxes
from tessera.plan.tiles.schedule import blocks_of
from tessera.plan.tiles.steps import Box, aligned, volume, whole
from tessera.plan.tiles.units import Item, Units


@dataclass(frozen=True, slots=True)
class Block:
    """Constants that one step reads: bytes decrypted, code words decoded, and bytes that they take
    in the arena."""

    loaded: int
    size: int
    decoded: int = 0


def _constants(node: Node) -> dict[str, int]:
    """Place of each constant among the inputs; the last place counts for one read twice."""
    return {name: index for index, name in enumerate(node.inputs)}


def piece_blocks(units: Units, piece: Piece, blocks: int) -> tuple[Block, ...]:
    """The blocks in which a piece's constants come, in order; none when it has no constants."""
    node, tensors = piece.item.node, units.graph.tensors
    names = units.constants(piece.item)
    if node is None or not names:
        return ()
    found = []
    for channels in blocks_of(units, piece, blocks):
        boxes = input_boxes(node, tensors, piece.rows, channels)
        places = _constants(node)
        found.append(_block(units, {name: boxes[places[name]] for name in names}))
    return tuple(found)


def _block(units: Units, boxes: Mapping[str, Box]) -> Block:
    tensors = units.graph.tensors
    kept = sum((units.store.of(name, box) for name, box in boxes.items()), Stored(0))
    sizes = (volume(box) * tensors[name].dtype.bytes for name, box in boxes.items())
    return Block(kept.bytes, sum(map(aligned, sizes)), kept.words)


def whole_block(units: Units, items: Sequence[Item]) -> Block:
    """All constants of some items as one block, each once."""
    names = dict.fromkeys(name for one in items for name in units.constants(one))
    return _block(units, {name: whole(units.graph.tensors[name].shape) for name in names})


def pipeline(loads: Sequence[float], computes: Sequence[float], ahead: bool) -> float:
    """Time of load, compute, load, compute ...; `ahead`: a load runs beside the compute before."""
    if not ahead:
        return sum(loads) + sum(computes)
    if not loads:
        return sum(computes)
    total = loads[0]
    for compute, load in zip(computes, [*loads[1:], 0.0], strict=True):
        total += max(compute, load)
    return total


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as partitions see it: bytes of its weights and of its activations, and costs.

    `load` is the cost of decrypting its weights, `compute` of running it.
    """

    name: str
    weights: int
    activations: int
    load: float
    compute: float


@dataclass(frozen=True, slots=True)
class Partitions:
    """`bounds`: partition p is the layers `bounds[p]` up to `bounds[p + 1]`. `kept`: partitions
    whose weights stay for the next inference, so that they are not loaded again."""

    bounds: tuple[int, ...]
    kept: int
    loaded: int
    time: float


def partition(
    layers: Sequence[Layer], budget: int, switch: float, ahead: bool = False
) -> Partitions:
    """The cut that loads the fewest bytes per inference, and of those takes the least time.

    The weights of one partition are in memory together, with the activations of the layer that
    runs; `ahead`, the next partition's weights too. The first `kept` layers' weights may stay for
    good: keeping w bytes saves w bytes of loads and takes w bytes from the budget, everywhere.
    Exact: all numbers of leading layers kept, all cuts of the rest, by dynamic programming over
    pairs (start of the last partition, end). Raises `TesseraError` naming the layer that fits in
    no partition.
    """
    total = sum(one.weights for one in layers)
    for kept in range(len(layers), -1, -1):
        stays = sum(one.weights for one in layers[:kept])
        found = _cut(layers, kept, budget - stays, switch, ahead)
        if found is not None:
            return Partitions(found[1], kept, total - stays, found[0])
    need, name = min_partition(layers, ahead)
    raise TesseraError(
        f"layer '{name}' does not fit into {budget:,} bytes",
        where=name,
        remedy=f"partitions of whole layers need at least {need:,} bytes here",
    )


def min_partition(layers: Sequence[Layer], ahead: bool) -> tuple[int, str]:
    """The least budget for which every layer is a partition of its own, and who asks for it."""
    needs = []
    for one, after in zip(layers, [*layers[1:], None], strict=True):
        needs.append(one.weights + one.activations + (after.weights if after and ahead else 0))
    worst = max(range(len(needs)), key=needs.__getitem__)
    return needs[worst], layers[worst].name


def _cut(
    layers: Sequence[Layer], kept: int, room: int, switch: float, ahead: bool
) -> tuple[float, tuple[int, ...]] | None:
    """Least time and bounds for layers after the `kept` ones; None when they do not fit."""
    end = len(layers)
    if any(one.activations > room for one in layers[:kept]):
        return None
    sums = [0]
    for one in layers:
        sums.append(sums[-1] + one.weights)

    def peak(start: int, stop: int, extra: int) -> int:
        active = max(one.activations for one in layers[start:stop])
        return sums[stop] - sums[start] + active + extra

    def load(start: int, stop: int) -> float:
        return switch + sum(one.load for one in layers[start:stop])

    def work(start: int, stop: int) -> float:
        return sum(one.compute for one in layers[start:stop])

    # best[(i, j)]: the last partition so far is layers i to j, loaded but not yet run.
    best: dict[tuple[int, int], tuple[float, tuple[int, ...]]] = {}
    head = work(0, kept)
    if kept == end:
        return head, (0, end)
    lead = (0,) if kept == 0 else (0, kept)
    for stop in range(kept + 1, end + 1):
        best[kept, stop] = (head + load(kept, stop), lead)
    for middle in range(kept + 1, end):
        for start in range(kept, middle):
            if (start, middle) not in best or peak(start, middle, 0) > room:
                continue
            time, bounds = best[start, middle]
            for stop in range(middle + 1, end + 1):
                extra = sums[stop] - sums[middle] if ahead else 0
                if peak(start, middle, extra) > room:
                    break
                run, more = work(start, middle), load(middle, stop)
                step = max(run, more) if ahead else run + more
                old = best.get((middle, stop), (math.inf, ()))
                best[middle, stop] = min(old, (time + step, (*bounds, middle)))
    ends = [
        (time + work(start, end), (*bounds, end))
        for (start, stop), (time, bounds) in best.items()
        if stop == end and peak(start, end, 0) <= room
    ]
    return min(ends, default=None)
