"""Bands: the items of a group computed a few rows at a time, halo rows kept in line buffers.

Goal: the order of the pieces, and how many rows each line buffer has to hold. Halo rows are kept,
not computed twice: no multiply-add is repeated, and each row of an input is fetched once, so what
was checked is what is used. What recomputing them would cost is counted (`recomputed`).
Non-goals: patches that are cut along columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tessera.plan.graph import Tensor
from tessera.plan.tiles.rows import Rows, height, is_row_local, need_of
from tessera.plan.tiles.units import Item, Units


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of what an item makes; None is the whole of a tensor that is not cut."""

    item: Item
    rows: Rows | None


def can_band(items: Sequence[Item], tensors: Mapping[str, Tensor]) -> bool:
    """Whether every item can be made band by band."""
    return all(
        height(tensors[one.tensor].shape) is not None
        and (one.node is None or is_row_local(one.node, tensors))
        for one in items
    )


def _needs(item: Item, rows: Rows, tensors: Mapping[str, Tensor]) -> Iterable[tuple[str, Rows]]:
    """Tensors and rows that an item reads for the rows `rows`."""
    if item.node is None:
        return
    for index, name in enumerate(item.node.inputs):
        if tensors[name].data is not None:
            continue
        need = need_of(item.node, tensors, index, rows)
        yield name, need.rows if need is not None else Rows(0, height(tensors[name].shape) or 1)


def sweep(
    items: Sequence[Item],
    tensors: Mapping[str, Tensor],
    escaping: set[str],
    band: int | None,
    rolling: bool = False,
) -> list[Piece]:
    """The pieces in order: `band` rows of the last item at a time, whatever they need first.

    What they need is made at once, or, `rolling`, `band` rows at a time for every item and only on
    demand: more and smaller pieces, lower line buffers. `escaping` tensors are read after the
    group; rows of them that no band needs are made at the end.
    """
    full = height(tensors[items[-1].tensor].shape)
    if band is None or full is None or band >= full:
        return [Piece(one, None) for one in items]
    goals = [(items[-1].tensor, stop) for stop in (*range(band, full, band), full)]
    goals += [(one.tensor, height(tensors[one.tensor].shape) or 1) for one in items]
    goals = [goal for goal in goals if goal[0] in escaping or goal[0] == items[-1].tensor]
    made = {one.tensor: 0 for one in items}
    pieces: list[Piece] = []
    for name, stop in goals:
        if rolling:
            _on_demand(items, tensors, band, (name, stop), made, pieces)
        else:
            _at_once(items, tensors, (name, stop), made, pieces)
    return pieces


def _at_once(
    items: Sequence[Item],
    tensors: Mapping[str, Tensor],
    goal: tuple[str, int],
    made: dict[str, int],
    pieces: list[Piece],
) -> None:
    upto = dict(made)
    upto[goal[0]] = max(goal[1], made[goal[0]])
    for one in reversed(items):
        if upto[one.tensor] > made[one.tensor]:
            for name, rows in _needs(one, Rows(made[one.tensor], upto[one.tensor]), tensors):
                if name in upto:
                    upto[name] = max(upto[name], rows.stop)
    for one in items:
        if upto[one.tensor] > made[one.tensor]:
            pieces.append(Piece(one, Rows(made[one.tensor], upto[one.tensor])))
    made.update(upto)


def _on_demand(
    items: Sequence[Item],
    tensors: Mapping[str, Tensor],
    band: int,
    goal: tuple[str, int],
    made: dict[str, int],
    pieces: list[Piece],
) -> None:
    makers = {one.tensor: one for one in items}
    # A stack, not recursion: a group may be as long as the network.
    stack = [goal]
    while stack:
        name, stop = stack[-1]
        if made[name] >= stop:
            stack.pop()
            continue
        rows = Rows(made[name], min(stop, made[name] + band))
        lacking = [
            (need, wanted.stop)
            for need, wanted in _needs(makers[name], rows, tensors)
            if need in made and made[need] < wanted.stop
        ]
        if lacking:
            stack.append(lacking[0])
        else:
            pieces.append(Piece(makers[name], rows))
            made[name] = rows.stop


def ring_rows(pieces: Sequence[Piece], units: Units, storage: str) -> int:
    """Rows that a line buffer for `storage` must hold, so that none is overwritten too early.

    When rows up to u are written and the lowest row still to be read is l, rows l to u lie there.
    """
    tensors = units.graph.tensors
    lowest: float = math.inf
    most = 0
    for piece in reversed(pieces):
        assert piece.rows is not None
        for name, rows in _needs(piece.item, piece.rows, tensors):
            if units.storage_of[name] == storage:
                lowest = min(lowest, rows.start)
        if units.storage_of[piece.item.tensor] == storage:
            most = max(most, piece.rows.stop - int(min(lowest, piece.rows.start)))
    return most


def recomputed(items: Sequence[Item], tensors: Mapping[str, Tensor], band: int) -> dict[str, int]:
    """Rows that each item would make if every band recomputed its halo, by tensor.

    The other way to run a fused group: nothing is kept from band to band. `sweep` makes each row
    once; the difference is what line buffers save.
    """
    full = height(tensors[items[-1].tensor].shape) or 1
    total = {one.tensor: 0 for one in items}
    for start in range(0, full, band):
        wanted = {items[-1].tensor: Rows(start, min(full, start + band))}
        for one in reversed(items):
            rows = wanted.get(one.tensor)
            if rows is None:
                continue
            total[one.tensor] += rows.size
            for name, need in _needs(one, rows, tensors):
                if name in total:
                    old = wanted.get(name, need)
                    wanted[name] = Rows(min(old.start, need.start), max(old.stop, need.stop))
    return total
