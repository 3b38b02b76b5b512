"""Which rows a band needs: against runs in which every other row is poisoned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tile_graphs import HERE, Net

from tessera.plan.execute import run_node
from tessera.plan.graph import Attrs, DType, Graph, Node, Quantisation
from tessera.plan.graph_ops import (
    AlphaAttrs,
    AxisAttrs,
    ConvAttrs,
    EpsilonAttrs,
    LrnAttrs,
    PadAttrs,
    PoolAttrs,
    ReduceAttrs,
    ResizeAttrs,
)
from tessera.plan.tiles.boxes import input_boxes
from tessera.plan.tiles.rows import Rows, is_row_local, need_of, window_need
from tessera.plan.tiles.slices import compute


def _one(op: str, attrs: Attrs, height: int, others: tuple[tuple[int, ...], ...] = ()) -> Graph:
    """A network of one node over an input of 4 channels and constants of the other shapes."""
    net = Net(1, 4, height, 5)
    made = net.node(op, "x", *(net.weights(*shape) for shape in others), attrs=attrs)
    return net.finish(made)


def _conv(k: int, s: int, d: int, top: int, bottom: int, group: int = 1) -> ConvAttrs:
    return ConvAttrs((k, 3), (s, 1), (top, 1, bottom, 1), (d, 1), group)


def _pool(k: int, s: int, d: int, top: int, bottom: int, ceil: bool, count: bool) -> PoolAttrs:
    return PoolAttrs((k, 2), (s, 1), (top, 0, bottom, 1), (d, 1), ceil, count)


def _resize(mode: str, coordinates: str, nearest: str, out: int, height: int) -> ResizeAttrs:
    return ResizeAttrs(mode, coordinates, nearest, (1, 1, out / height, 2.0), (1, 4, out, 10))


CASES: list[tuple[str, Graph]] = []
for height in (7, 10):
    for k, s, d, top, bottom in (
        (3, 1, 1, 1, 1),
        (3, 2, 1, 1, 1),
        (3, 2, 1, 0, 1),
        (5, 1, 1, 2, 2),
        (1, 2, 1, 0, 0),
        (2, 3, 1, 0, 1),
        (3, 1, 2, 2, 2),
        (3, 2, 2, 3, 1),
        (2, 1, 1, 3, 3),  # windows that lie in the padding altogether
    ):
        said = f"{height} rows, {k} by {s} dilated {d}, padded {top}+{bottom}"
        attrs = _conv(k, s, d, top, bottom)
        CASES.append((f"Conv {said}", _one("Conv", attrs, height, ((6, 4, k, 3), (6,)))))
        attrs = _conv(k, s, d, top, bottom, group=4)
        CASES.append((f"depthwise {said}", _one("Conv", attrs, height, ((4, 1, k, 3),))))
        attrs = _conv(k, s, d, top, bottom, group=2)
        CASES.append((f"grouped {said}", _one("Conv", attrs, height, ((6, 2, k, 3), (6,)))))
        if top < k and bottom < k:
            for ceil in (False, True):
                pool = _pool(k, s, d, top, bottom, ceil, False)
                CASES.append((f"MaxPool {said} ceil {ceil}", _one("MaxPool", pool, height)))
                for count in (False, True):
                    pool = _pool(k, s, d, top, bottom, ceil, count)
                    label = f"AveragePool {said} ceil {ceil} count {count}"
                    CASES.append((label, _one("AveragePool", pool, height)))
    for mode in ("nearest", "linear"):
        for coordinates in ("half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric"):
            for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
                if mode == "linear" and nearest != "floor":
                    continue  # says nothing there
                for out in (2 * height, height // 2, 3 * height - 1):
                    attrs = _resize(mode, coordinates, nearest, out, height)
                    label = f"Resize {mode} {coordinates} {nearest} {height} to {out}"
                    CASES.append((label, _one("Resize", attrs, height)))
    for top, bottom in ((2, 1), (0, 3), (-2, 1), (1, -3), (5, 0)):
        pads = PadAttrs((0, 0, top, 1, 0, 0, bottom, 0), "constant", 1.5)
        CASES.append((f"Pad {top}+{bottom} of {height}", _one("Pad", pads, height)))
    CASES += [
        ("Relu", _one("Relu", Attrs(), height)),
        ("LeakyRelu", _one("LeakyRelu", AlphaAttrs(0.1), height)),
        ("Add of a plane", _one("Add", Attrs(), height, ((1, 4, height, 5),))),
        ("Mul per channel", _one("Mul", Attrs(), height, ((4, 1, 1),))),
        ("Sub of a row", _one("Sub", Attrs(), height, ((5,),))),
        ("Softmax of channels", _one("Softmax", AxisAttrs(1), height)),
        ("Concat", _one("Concat", AxisAttrs(1), height, ((1, 2, height, 5),))),
        ("LRN", _one("LRN", LrnAttrs(3, 0.1, 0.75, 1.0), height)),
    ]

FAMILIES = sorted({label.split()[0] for label, _ in CASES})


def _of(family: str) -> list[tuple[str, Graph]]:
    return [case for case in CASES if case[0].split()[0] == family]


def _values(graph: Graph, node: Node) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    found = []
    for name in node.inputs:
        one = graph.tensors[name]
        fresh = rng.standard_normal(one.shape).astype(np.float32)
        found.append(fresh if one.data is None else np.array(one.data))
    return found


def _whole(graph: Graph, values: list[np.ndarray]) -> np.ndarray:
    node = graph.nodes[0]
    return run_node(node, graph.tensors, dict(zip(node.inputs, values, strict=True)))


def _bands(rows: int) -> list[Rows]:
    sizes = (1, 3, rows)
    return [Rows(a, min(rows, a + n)) for n in sizes for a in range(0, rows, n)]


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_that_are_not_claimed_do_not_matter(family: str) -> None:
    for label, graph in _of(family):
        node = graph.nodes[0]
        assert is_row_local(node, graph.tensors)
        values = _values(graph, node)
        right = _whole(graph, values)
        for band in _bands(right.shape[2]):
            need = need_of(node, graph.tensors, 0, band)
            assert need is not None
            poisoned = [value.copy() for value in values]
            poisoned[0][:, :, : need.rows.start] = np.nan
            poisoned[0][:, :, need.rows.stop :] = np.nan
            made = _whole(graph, poisoned)[:, :, band.start : band.stop]
            np.testing.assert_array_equal(made, right[:, :, band.start : band.stop], label)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_band_from_its_slices_is_the_band_of_the_whole(family: str) -> None:
    for label, graph in _of(family):
        node = graph.nodes[0]
        values = _values(graph, node)
        right = _whole(graph, values)
        for band in _bands(right.shape[2]):
            boxes = input_boxes(node, graph.tensors, band, None)
            cut = [
                value[tuple(slice(one.start, one.stop) for one in box)]
                for value, box in zip(values, boxes, strict=True)
            ]
            made = compute(node, graph.tensors, band, None, cut)
            assert made.shape == right[:, :, band.start : band.stop].shape, label
            np.testing.assert_array_max_ulp(made, right[:, :, band.start : band.stop], maxulp=1)


@pytest.mark.parametrize(
    ("label", "graph"),
    [case for case in CASES if "by 1 dilated 1" in case[0] and "padded 3" not in case[0]],
)
def test_a_claim_one_row_short_is_noticed(label: str, graph: Graph) -> None:
    """Without gaps between taps the claim is tight: each end's row changes the band."""
    node = graph.nodes[0]
    values = _values(graph, node)
    right = _whole(graph, values)
    for band in _bands(right.shape[2]):
        need = need_of(node, graph.tensors, 0, band)
        assert need is not None
        for row in (need.rows.start, need.rows.stop - 1):
            poisoned = [value.copy() for value in values]
            poisoned[0][:, :, row] = np.nan
            made = _whole(graph, poisoned)[:, :, band.start : band.stop]
            assert np.isnan(made).any(), f"row {row} is claimed for {band} and not needed"


def test_padding_rows_are_told_on_both_sides() -> None:
    attrs = _conv(3, 1, 1, 1, 1)
    assert window_need(attrs, 8, Rows(0, 8)).before == 1
    assert window_need(attrs, 8, Rows(0, 8)).after == 1
    inner = window_need(attrs, 8, Rows(3, 5))
    assert (inner.rows, inner.before, inner.after) == (Rows(2, 6), 0, 0)


def test_ops_that_mix_rows_are_not_cut() -> None:
    for op, attrs in (
        ("Softmax", AxisAttrs(2)),
        ("ReduceMean", ReduceAttrs((3,), True)),
        ("GlobalAveragePool", Attrs()),
        ("Pad", PadAttrs((0, 0, 1, 0, 0, 0, 1, 0), "reflect", 0.0)),
    ):
        graph = _one(op, attrs, 6)
        assert not is_row_local(graph.nodes[0], graph.tensors), op
    broadcast_from_the_right = _one("Add", Attrs(), 5, ((5, 5),))
    node = broadcast_from_the_right.nodes[0]
    assert not is_row_local(node, broadcast_from_the_right.tensors)


def test_batch_normalisation_takes_its_vectors_whole() -> None:
    net = Net(1, 4, 6, 5)
    positive = np.abs(net.rng.standard_normal(4)).astype(np.float32)
    variance = net.builder.constant("variance", positive, HERE).name
    names = (net.weights(4), net.weights(4), net.weights(4), variance)
    made = net.node("BatchNormalization", "x", *names, attrs=EpsilonAttrs(1e-5))
    graph = net.finish(made)
    boxes = input_boxes(graph.nodes[0], graph.tensors, Rows(2, 3), None)
    assert boxes[0][2] == Rows(2, 3)
    assert boxes[1] == (Rows(0, 4),)


def test_a_quantised_convolution_pads_with_its_zero_point() -> None:
    net = Net(1, 2, 6, 4, dtype=DType.INT8)
    net.builder.annotate("x", Quantisation((0.1,), (7,)))
    data = net.rng.integers(-127, 128, (3, 2, 3, 3), dtype=np.int8)
    w = net.builder.constant("w", data, HERE, Quantisation((0.01, 0.02, 0.03), (0, 0, 0), 0))
    attrs = ConvAttrs((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    quant = Quantisation((0.05,), (-3,))
    made = net.builder.node("QLinearConv", ("x", w.name), attrs, HERE, quantisation=quant)
    graph = net.finish(made)
    node = graph.nodes[0]
    x = net.rng.integers(-128, 128, (1, 2, 6, 4), dtype=np.int8)
    right = run_node(node, graph.tensors, {"x": x, "w": data})
    for rows in (Rows(0, 1), Rows(2, 4), Rows(5, 6)):
        for channels in (Rows(0, 2), Rows(2, 3)):
            boxes = input_boxes(node, graph.tensors, rows, channels)
            cut = [
                value[tuple(slice(one.start, one.stop) for one in box)]
                for value, box in zip((x, data), boxes, strict=True)
            ]
            band = compute(node, graph.tensors, rows, channels, cut)
            part = right[:, channels.start : channels.stop, rows.start : rows.stop]
            np.testing.assert_array_equal(band, part)


def test_a_node_that_reads_one_tensor_twice_gets_both() -> None:
    net = Net(1, 4, 6, 5)
    graph = net.finish(net.node("Add", "x", "x"))
    node = replace(graph.nodes[0])
    x = net.rng.standard_normal((1, 4, 1, 5)).astype(np.float32)
    np.testing.assert_array_equal(compute(node, graph.tensors, Rows(2, 3), None, [x, x]), x + x)
