"""Every way to run every group that is tried: the choice space.

Goal: all groups of consecutive units up to a length, under bands, line buffers and ways to hold
the constants; what is beaten in every respect by another way to run the same group is left out.
Non-goals: picking (`choose`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tessera.plan.cost import Coefficients
from tessera.plan.tiles.assess import Candidate, assess
from tessera.plan.tiles.bands import can_band
from tessera.plan.tiles.boxes import blocking_of
from tessera.plan.tiles.profile import GroupView
from tessera.plan.tiles.rows import height
from tessera.plan.tiles.schedule import group_items
from tessera.plan.tiles.steps import Choice, Weights
from tessera.plan.tiles.tables import Tables
from tessera.plan.tiles.units import Item, Units


@dataclass(frozen=True, slots=True)
class Space:
    """What is tried. `longest`: units in a group; `bands`: rows per band of a fused group;
    `blocks`: how many blocks of channels constants may come in; `weights`: how they may be held.
    `packed`: constants are stored packed, which costs their decoding and saves bytes loaded."""

    longest: int = 12
    bands: tuple[int, ...] = (1, 2, 4, 8, 16)
    blocks: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    ahead: bool = True
    weights: tuple[Weights, ...] = tuple(Weights)
    rates: Coefficients = field(default_factory=Coefficients)
    packed: bool = False


def blocks_up_to(most: int) -> tuple[int, ...]:
    """Numbers of blocks to try: the powers of two up to `most`, and `most`."""
    powers = (1 << k for k in range(most.bit_length()))
    return (*(one for one in powers if one < most), most)


def _bands(units: Units, start: int, stop: int, space: Space) -> Iterator[tuple[int | None, bool]]:
    """Bands that make sense: a single unit has its input and output whole, so none for it."""
    yield None, False
    items = group_items(units, start, stop)
    tensors = units.graph.tensors
    if stop - start < 2 or not can_band(items, tensors):
        return
    full = height(tensors[items[-1].tensor].shape) or 1
    for band in sorted(space.bands, reverse=True):
        if band < full:
            yield band, False
            yield band, True


def _finest(units: Units, items: Sequence[Item]) -> int:
    """The most blocks that any item's constants can come in; 0 when there are no constants."""
    finest = 0
    for one in items:
        if one.node is not None and units.constants(one):
            blocking = blocking_of(one.node, units.graph.tensors)
            finest = max(finest, blocking.channels // blocking.unit if blocking else 1)
    return finest


def _weights(single: bool, finest: int, banded: bool, space: Space) -> Iterator[Choice]:
    """Ways to hold the constants; a group without any has one."""
    if finest == 0:
        yield Choice(weights=Weights.RESIDENT)
        return
    if Weights.RESIDENT in space.weights and (single or banded):
        yield Choice(weights=Weights.RESIDENT)
    if Weights.GROUP in space.weights:
        yield Choice(weights=Weights.GROUP)
    if Weights.STEP not in space.weights:
        return
    for blocks in sorted({min(one, finest) for one in space.blocks}):
        if blocks > 1 or banded:
            yield Choice(weights=Weights.STEP, blocks=blocks)
        if space.ahead and (blocks > 1 or not single):
            yield Choice(weights=Weights.STEP, blocks=blocks, ahead=True)


def of_group(
    units: Units, start: int, stop: int, space: Space, tables: Tables | None = None
) -> Iterator[Candidate]:
    """All candidates of one group; `tables` are shared between groups to save time.

    Finer bands are left out where they do not lower the load of activations: they cost more.
    """
    tables = tables or Tables(units)
    items = group_items(units, start, stop)
    finest = _finest(units, items)
    fixed = any(tables.rows_matter(one) for one in items)
    view = GroupView(tables, start, stop)
    lowest = math.inf
    for band, rolling in _bands(units, start, stop, space):
        shape = view.whole() if band is None else view.cut(band, rolling)
        if shape.load >= lowest:
            continue
        lowest = shape.load
        for way in _weights(stop - start == 1, finest, band is not None, space):
            if fixed and band is not None and way.weights is Weights.STEP:
                continue
            choice = Choice(band, way.weights, way.blocks, way.ahead, rolling)
            yield assess(tables, shape, choice, space.rates)


def _undominated(found: list[Candidate]) -> list[Candidate]:
    """Those for which no other takes no more of anything; the first of equals stays."""
    kept: list[Candidate] = []
    for one in sorted(found, key=lambda c: (c.cost, c.transient, c.resident)):
        if not any(k.transient <= one.transient and k.resident <= one.resident for k in kept):
            kept.append(one)
    return kept


def all_candidates(units: Units, space: Space) -> list[Candidate]:
    """The candidates of every group of at most `space.longest` units that can be best."""
    found: list[Candidate] = []
    tables = Tables(units)
    for start in range(len(units)):
        for stop in range(start + 1, min(len(units), start + space.longest) + 1):
            found += _undominated(list(of_group(units, start, stop, space, tables)))
    return found
