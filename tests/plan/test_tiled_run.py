"""Schedules run in one arena: equal to the untiled run, and wrong ones are caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tile_graphs import HERE, Net, inputs_of, mobile, quantised, residual

from tessera.errors import TesseraError
from tessera.plan.execute import run
from tessera.plan.graph import Graph
from tessera.plan.graph_ops import AxisAttrs, PadAttrs, ResizeAttrs, ShapeAttrs, TransposeAttrs
from tessera.plan.tiles.bands import can_band
from tessera.plan.tiles.candidates import Space
from tessera.plan.tiles.choose import Chooser
from tessera.plan.tiles.place import place
from tessera.plan.tiles.rows import Need, Rows
from tessera.plan.tiles.run import TiledRun
from tessera.plan.tiles.schedule import group_items, schedule
from tessera.plan.tiles.steps import Choice, Group, Schedule, Weights
from tessera.plan.tiles.units import units_of

ULP = 1
"""Float sums are kept in float64 and rounded once; another shape of the matrix product may add in
another order and move that rounding by one unit in the last place."""


def decoder() -> Graph:
    """A detector's neck: upsample, join with an earlier tensor, pad, two outputs."""
    net = Net(1, 3, 18, 12)
    early = net.node("Relu", net.conv(net.x, 5).name)
    deep = net.conv(net.pool(early), 6)
    attrs = ResizeAttrs("nearest", "asymmetric", "floor", (1, 1, 2.0, 2.0), (1, 6, 18, 12))
    up = net.node("Resize", deep.name, attrs=attrs)
    both = net.node("Concat", up.name, early.name, attrs=AxisAttrs(1))
    padded = net.node("Pad", both.name, attrs=PadAttrs((0, 0, 1, 1, 0, 0, 1, 1), "constant", 0.0))
    out = net.conv(padded, 4, pad=0, name="out")
    linear = ResizeAttrs("linear", "half_pixel", "floor", (1, 1, 1.5, 1.5), (1, 4, 27, 18))
    return net.finish(net.node("Resize", out.name, attrs=linear), deep)


def tail() -> Graph:
    """Ops that are not cut: a transpose, a product with an activation, constants with rows."""
    net = Net(1, 4, 6, 6)
    plane = net.weights(1, 4, 6, 6)
    x = net.node("Mul", net.conv(net.x, 4).name, plane)
    flat = net.node("Reshape", x.name, attrs=ShapeAttrs((4, 36)))
    turned = net.node("Transpose", flat.name, attrs=TransposeAttrs((1, 0)))
    square = net.node("MatMul", flat.name, turned.name)
    return net.finish(net.node("MatMul", square.name, net.weights(4, 7)))


GRAPHS = {
    "mobile": mobile,
    "residual": residual,
    "quantised": quantised,
    "decoder": decoder,
    "tail": tail,
}


def _fused(graph: Graph, choice: Choice) -> Schedule:
    """All units that can be cut as one group, the others each alone."""
    units = units_of(graph)
    stop = 1
    while stop < len(units) and can_band(group_items(units, 0, stop + 1), graph.tensors):
        stop += 1
    rest = replace(choice, band=None, rolling=False)
    groups = [Group(0, stop, choice)]
    groups += [Group(u, u + 1, rest) for u in range(stop, len(units))]
    return schedule(units, groups)


def _same(graph: Graph, plan: Schedule) -> None:
    placed = place(plan)
    inputs = inputs_of(graph)
    right = run(graph, inputs)
    made = TiledRun(plan, placed.offsets, placed.height).run(inputs)
    assert set(made) == set(right)
    for name, value in right.items():
        if value.dtype.kind == "f":
            np.testing.assert_array_max_ulp(made[name], value, maxulp=ULP)
        else:
            np.testing.assert_array_equal(made[name], value)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("weights", Weights)
def test_tiles_give_what_the_whole_gives(name: str, weights: Weights) -> None:
    graph = GRAPHS[name]()
    for band, rolling in ((1, True), (3, False), (4, True), (None, False)):
        _same(graph, _fused(graph, Choice(band, weights, 1, False, rolling)))
        if weights is Weights.STEP and band != 1:
            _same(graph, _fused(graph, Choice(band, weights, 3, True, rolling)))


@pytest.mark.parametrize("name", GRAPHS)
def test_chosen_plans_give_what_the_whole_gives(name: str) -> None:
    graph = GRAPHS[name]()
    chooser = Chooser(graph, Space(longest=4, bands=(2,), blocks=(1, 4)))
    low = chooser.minimise().placement.height
    for budget in (low, low * 3 // 2, low * 3):
        _same(graph, chooser.choose(budget).schedule)


def _run(graph: Graph, plan: Schedule) -> None:
    placed = place(plan)
    TiledRun(plan, placed.offsets, placed.height).run(inputs_of(graph))


def test_a_halo_one_row_short_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler believes that windows end a row earlier than they do."""
    from tessera.plan.tiles import bands  # noqa: PLC0415

    graph = residual()
    right = bands.need_of

    def short(node, tensors, index, rows):  # type: ignore[no-untyped-def]
        need = right(node, tensors, index, rows)
        if need is None or node.op != "Conv" or need.rows.size < 3:
            return need
        return Need(Rows(need.rows.start, need.rows.stop - 1), need.before, need.after)

    _run(graph, _fused(graph, Choice(band=2, rolling=True)))
    monkeypatch.setattr(bands, "need_of", short)
    with pytest.raises(TesseraError, match="hold something else"):
        _run(graph, _fused(graph, Choice(band=2, rolling=True)))


def _changed(plan: Schedule, name: str, **what: int) -> Schedule:
    return replace(plan, buffers={**plan.buffers, name: replace(plan.buffers[name], **what)})


def test_a_lifetime_one_step_short_is_caught() -> None:
    graph = mobile()
    plan = _fused(graph, Choice(band=4, weights=Weights.STEP))
    caught = 0
    for name, one in plan.buffers.items():
        if one.upper - one.lower < 2:
            continue
        with pytest.raises(TesseraError):
            _run(graph, _changed(plan, name, upper=one.upper - 1))
        caught += 1
    assert caught > 5


def test_a_lifetime_that_begins_late_is_caught() -> None:
    graph = mobile()
    plan = _fused(graph, Choice(band=4))
    name = next(one.name for one in plan.buffers.values() if one.upper - one.lower > 2)
    with pytest.raises(TesseraError, match="not alive"):
        _run(graph, _changed(plan, name, lower=plan.buffers[name].lower + 1))


def test_a_ring_one_row_short_is_caught() -> None:
    graph = mobile()
    plan = _fused(graph, Choice(band=2))
    rings = [one for one in plan.buffers.values() if one.ring and one.ring > 1]
    assert rings
    for one in rings:
        assert one.ring is not None
        with pytest.raises(TesseraError):
            _run(graph, _changed(plan, one.name, ring=one.ring - 1))


def test_overlapping_buffers_are_caught() -> None:
    graph = quantised()
    plan = _fused(graph, Choice(band=2))
    placed = place(plan)
    a, b = sorted(plan.buffers.values(), key=lambda one: one.lower - one.upper)[:2]
    offsets = {**placed.offsets, b.name: placed.offsets[a.name]}
    with pytest.raises(TesseraError, match="hold something else"):
        TiledRun(plan, offsets, placed.height).run(inputs_of(graph))


def test_a_step_left_out_is_caught() -> None:
    graph = residual()
    plan = _fused(graph, Choice(band=2, weights=Weights.STEP))
    for gone in range(len(plan.steps) - 1):
        noop = replace(plan.steps[gone], reads=(), writes=())
        if plan.steps[gone].node is not None:
            continue
        steps = (*plan.steps[:gone], noop, *plan.steps[gone + 1 :])
        with pytest.raises(TesseraError, match="hold something else"):
            _run(graph, replace(plan, steps=steps))
        if gone > 60:
            break


def test_offsets_outside_or_unaligned_are_refused() -> None:
    graph = quantised()
    plan = _fused(graph, Choice())
    placed = place(plan)
    name = next(iter(plan.buffers))
    for offset in (-16, 8, placed.height):
        with pytest.raises(TesseraError, match="not inside"):
            TiledRun(plan, {**placed.offsets, name: offset}, placed.height)


def test_an_output_that_is_a_constant_is_refused() -> None:
    net = Net(1, 2, 4, 4)
    made = net.conv(net.x, 2)
    fixed = net.builder.constant("fixed", np.zeros(3, np.float32), HERE)
    with pytest.raises(TesseraError, match="constant"):
        units_of(net.finish(made, fixed))
