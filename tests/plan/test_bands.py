"""Bands of a fused group: what is made when, and how many rows a line buffer holds."""

from __future__ import annotations

import itertools

import pytest
from tile_graphs import Net, mobile, quantised, residual

from tessera.plan.graph import Graph
from tessera.plan.graph_ops import AxisAttrs
from tessera.plan.tiles.bands import can_band, recomputed, sweep
from tessera.plan.tiles.rows import Rows, need_of
from tessera.plan.tiles.schedule import group_items, group_pieces, rings, schedule
from tessera.plan.tiles.steps import Choice, Group, Kind, Weights
from tessera.plan.tiles.units import Units, units_of


def _chain(depth: int, height: int = 16) -> Graph:
    net = Net(1, 2, height, 6)
    x = net.x
    for _ in range(depth):
        x = net.conv(x, 2)
    return net.finish(x)


def _spatial(units: Units) -> int:
    """How many units from the first can be banded together."""
    return max(
        n
        for n in range(1, len(units) + 1)
        if can_band(group_items(units, 0, n), units.graph.tensors)
    )


@pytest.mark.parametrize("graph", [mobile(), residual(), quantised(), _chain(4)])
@pytest.mark.parametrize(("band", "rolling"), list(itertools.product((1, 2, 3), (False, True))))
def test_each_row_is_made_once_and_after_what_it_needs(
    graph: Graph, band: int, rolling: bool
) -> None:
    units = units_of(graph)
    stop = _spatial(units)
    pieces = group_pieces(units, 0, stop, Choice(band=band, rolling=rolling))
    made = {one.tensor: 0 for one in group_items(units, 0, stop)}
    for piece in pieces:
        assert piece.rows is not None
        assert piece.rows.start == made[piece.item.tensor], "a row is made twice or left out"
        assert piece.rows.size > 0
        for index, name in enumerate(piece.item.node.inputs if piece.item.node else ()):
            if name in made:
                need = need_of(piece.item.node, graph.tensors, index, piece.rows)
                assert need is not None
                assert need.rows.stop <= made[name], "a row is read before it is made"
        made[piece.item.tensor] = piece.rows.stop
    last = group_items(units, 0, stop)[-1].tensor
    assert made[last] == graph.tensors[last].shape[2]


@pytest.mark.parametrize("graph", [mobile(), residual(), _chain(5)])
def test_a_ring_holds_what_is_still_read_and_one_row_less_would_not(graph: Graph) -> None:
    units = units_of(graph)
    stop = _spatial(units)
    tensors = graph.tensors
    for band, rolling in itertools.product((1, 2, 4), (False, True)):
        pieces = group_pieces(units, 0, stop, Choice(band=band, rolling=rolling))
        for storage, ring in rings(units, 0, stop, pieces).items():
            held = _most_rows_held(units, pieces, storage)
            assert ring == held, (storage, band, rolling)
            assert ring <= tensors[storage].shape[2]


def _most_rows_held(units: Units, pieces: list, storage: str) -> int:  # type: ignore[type-arg]
    """By definition: after each write, the span from the lowest row read later to the last made."""
    most = 0
    for place, piece in enumerate(pieces):
        if units.storage_of[piece.item.tensor] != storage:
            continue
        lowest = piece.rows.start
        for later in pieces[place:]:
            for index, name in enumerate(later.item.node.inputs if later.item.node else ()):
                if units.storage_of.get(name) == storage:
                    need = need_of(later.item.node, units.graph.tensors, index, later.rows)
                    assert need is not None
                    lowest = min(lowest, need.rows.start)
        most = max(most, piece.rows.stop - lowest)
    return most


def test_rolling_line_buffers_of_a_chain_hold_the_window() -> None:
    units = units_of(_chain(5))
    pieces = group_pieces(units, 0, len(units), Choice(band=1, rolling=True))
    assert set(rings(units, 0, len(units), pieces).values()) == {3}


def test_what_leaves_the_group_is_whole_and_complete() -> None:
    net = Net(1, 2, 9, 4)
    inner = net.conv(net.x, 2, name="inner")
    outer = net.conv(inner, 2, kernel=1, stride=2)
    graph = net.finish(outer, net.node("Softmax", inner.name, attrs=AxisAttrs(2)))
    units = units_of(graph)
    pieces = group_pieces(units, 0, 3, Choice(band=2))
    assert inner.name not in rings(units, 0, 3, pieces)
    stops = [one.rows.stop for one in pieces if one.rows and one.item.tensor == inner.name]
    assert stops[-1] == 9, "row 8 is read by the softmax only"


def test_rows_that_nobody_needs_are_not_made() -> None:
    net = Net(1, 2, 9, 4)
    graph = net.finish(net.conv(net.conv(net.x, 2, kernel=1), 2, kernel=1, stride=5, pad=0))
    units = units_of(graph)
    pieces = group_pieces(units, 0, 3, Choice(band=1))
    stops = [one.rows.stop for one in pieces if one.rows and one.item.tensor == "Conv.out"]
    assert stops[-1] == 6


def test_recomputing_halos_makes_rows_again_and_line_buffers_do_not() -> None:
    graph = _chain(3, height=12)
    items = units_of(graph).items
    rows = recomputed(items, graph.tensors, 3)
    # Four bands of 3 rows; two layers further back each inner band needs 2 rows more at each end.
    assert rows["Conv.out.2"] == 12
    assert rows["Conv.out.1"] == 12 + 6
    assert rows["Conv.out"] == 12 + 2 * 6
    made = sum(p.rows.size for p in sweep(items, graph.tensors, set(), 3) if p.rows)
    assert made == 4 * 12


def test_lifetimes_follow_from_the_steps() -> None:
    graph = residual()
    units = units_of(graph)
    stop = _spatial(units)
    groups = [Group(0, stop, Choice(band=2, weights=Weights.STEP))]
    groups += [Group(u, u + 1, Choice()) for u in range(stop, len(units))]
    plan = schedule(units, groups)
    for name, one in plan.buffers.items():
        touched = [
            index
            for index, step in enumerate(plan.steps)
            if any(region.buffer == name for region in (*step.reads, *step.writes))
        ]
        out = name == units.storage_of[graph.outputs[0]]
        assert one.lower == touched[0]
        assert one.upper == (len(plan.steps) if out else touched[-1] + 1)
    brute = max(
        sum(one.size for one in plan.buffers.values() if one.lower <= step < one.upper)
        for step in range(len(plan.steps))
    )
    assert plan.peak == brute


def test_each_row_of_an_input_is_fetched_once() -> None:
    graph = mobile()
    units = units_of(graph)
    stop = _spatial(units)
    groups = [Group(0, stop, Choice(band=1)), Group(stop, len(units), Choice())]
    fetched = [one.rows for one in schedule(units, groups).steps if one.kind is Kind.FETCH]
    assert fetched[0] == Rows(0, fetched[0].stop if fetched[0] else 0)
    assert sum(one.size for one in fetched if one) == graph.tensors["x"].shape[2]
