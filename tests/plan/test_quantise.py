"""Quantising: steps, weights and graphs; the int8 run against float, itself and onnxruntime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tile_graphs import HERE, Net, inputs_of, mobile, residual

from tessera.dnn import digits
from tessera.errors import TesseraError
from tessera.plan import zoo
from tessera.plan.execute import run
from tessera.plan.graph import Array, DType, Graph
from tessera.plan.graph_ops import (
    AlphaAttrs,
    AxisAttrs,
    ConvAttrs,
    GeluAttrs,
    ResizeAttrs,
    TransposeAttrs,
)
from tessera.plan.onnx_reader import read
from tessera.plan.onnx_writer import to_bytes
from tessera.plan.passes.integers import fuse_integers
from tessera.plan.passes.simplify import simplify
from tessera.plan.quantise.calibrate import BINS, Histogram, calibrate
from tessera.plan.quantise.choose import METHODS, Choice, expected_error, range_of, steps
from tessera.plan.quantise.loss import accuracy, measure
from tessera.plan.quantise.qdq import Quantised, quantise, weight_integers
from tessera.plan.quantise.samples import digit_samples, from_npz, generated
from tessera.plan.tiles.bands import can_band
from tessera.plan.tiles.place import place
from tessera.plan.tiles.run import TiledRun
from tessera.plan.tiles.schedule import group_items, schedule
from tessera.plan.tiles.steps import Choice as Tiling
from tessera.plan.tiles.steps import Group, Weights
from tessera.plan.tiles.units import units_of

STAY_FLOAT = {"QuantizeLinear", "DequantizeLinear", "Softmax"}
INTEGER = {"QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearTable"}
INTEGER |= {"QLinearAveragePool", "QLinearGlobalAveragePool", "MaxPool", "Concat", "Reshape"}
INTEGER |= {"Resize", "Transpose"}


def branches() -> Graph:
    """A leaky ReLU, pools of both kinds, a resize, a concat of tensors of different sizes."""
    net = Net(1, 3, 16, 16)
    x = net.node("LeakyRelu", net.conv(net.x, 8).name, attrs=AlphaAttrs(0.1))
    left = net.pool(x, "AveragePool", 3, 2)
    right = net.pool(net.node("Relu", net.conv(x, 4, stride=2).name))
    scales, sizes = (1.0, 1.0, 2.0, 2.0), (1, 4, 8, 8)
    resize = ResizeAttrs("nearest", "asymmetric", "floor", scales, sizes)
    right = net.node("Resize", right.name, attrs=resize)
    left = net.conv(left, 6, kernel=2, pad=1)
    x = net.node("Concat", left.name, right.name, attrs=AxisAttrs(1))
    return net.finish(net.conv(x, 5, kernel=1))


def attention() -> Graph:
    """A head of attention: products of two activations, a softmax in float between them."""
    net = Net(1, 6, 8)
    q, k, v = (net.node("MatMul", "x", net.weights(8, 8)).name for _ in range(3))
    turned = net.node("Transpose", k, attrs=TransposeAttrs((0, 2, 1)))
    shares = net.node("Softmax", net.node("MatMul", q, turned.name).name, attrs=AxisAttrs(2))
    mixed = net.node("Add", net.node("MatMul", shares.name, v).name, "x")
    made = net.node("Gelu", net.node("MatMul", mixed.name, net.weights(8, 16)).name, attrs=GELU)
    return net.finish(net.node("MatMul", made.name, net.weights(16, 8)))


GELU = GeluAttrs(tanh=True)
NETS = {"mobile": mobile, "residual": residual, "branches": branches, "attention": attention}
PICTURES = ("branches", "mobile", "residual")


def made_of(graph: Graph, **choice: object) -> Quantised:
    samples = [inputs_of(graph), *generated(graph, 2, 5)]
    return quantise(graph, samples, Choice(**choice))  # type: ignore[arg-type]


def peer(graph: Graph, inputs: dict[str, Array]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(to_bytes(graph), options)
    return dict(zip(graph.outputs, session.run(list(graph.outputs), inputs), strict=True))


def step_of(made: Quantised, name: str) -> float:
    how = made.graph.tensors[made.integers[name]].quantisation
    assert how is not None
    return how.scale[0]


@pytest.mark.parametrize("name", sorted(NETS))
@pytest.mark.parametrize("symmetric", [False, True])
def test_networks_run_in_integers(name: str, symmetric: bool) -> None:
    graph = NETS[name]()
    made = made_of(graph, symmetric=symmetric)
    fused = fuse_integers(made.graph)
    assert {node.op for node in fused.nodes} <= INTEGER | STAY_FLOAT
    # Float tensors are inputs, what a dequantisation gives to the softmax or at the end, and that.
    inner = 1 if name == "attention" else 0
    assert [node.op for node in fused.nodes].count("QuantizeLinear") == 1 + inner
    floats = [one for one in fused.tensors.values() if one.dtype is DType.FLOAT32]
    assert len(floats) <= 3 + inner
    # Symmetric steps need a table of 256 bytes for every clamp.
    assert fused.weight_bytes < (0.6 if symmetric else 0.5) * graph.weight_bytes
    loss = measure(graph, made, [inputs_of(graph)])
    assert loss.output_sqnr is None or loss.output_sqnr > 15  # the softmax may be all one
    assert all(one.sqnr is not None and one.sqnr > 12 for one in loss.layers)
    assert len(loss.layers) == len(made.integers)


@pytest.mark.parametrize("name", sorted(NETS))
def test_integers_differ_from_their_float_form_by_steps_of_rounding(name: str) -> None:
    """Fusing moves the rounding: each layer by at most one step, few of them at all."""
    graph = NETS[name]()
    made = made_of(graph)
    fused, inputs = fuse_integers(made.graph), inputs_of(graph)
    seen: dict[str, Array] = {}
    run(made.graph, inputs, lambda node, values: seen.update({node.outputs[0]: values}))
    worst, different, total = 0, 0, 0

    def compare(node: object, values: Array) -> None:
        nonlocal worst, different, total
        (output,) = node.outputs  # type: ignore[attr-defined]
        if values.dtype == np.int8 and output in seen:
            gap = np.abs(values.astype(int) - seen[output].astype(int))
            worst, different = max(worst, int(gap.max())), different + int((gap > 0).sum())
            total += gap.size

    run(fused, inputs, compare)
    assert total > 500
    assert worst <= 2
    assert different < 0.02 * total


@pytest.mark.parametrize("name", sorted(NETS))
def test_onnxruntime_understands_what_is_written(name: str, tmp_path: Path) -> None:
    """onnxruntime computes the float form in float32: within two steps of the last tensor."""
    graph = NETS[name]()
    made = made_of(graph)
    path = tmp_path / "int8.onnx"
    path.write_bytes(to_bytes(made.graph))
    back, inputs = fuse_integers(read(path)), inputs_of(graph)
    fused = fuse_integers(made.graph)
    for output, value in peer(made.graph, inputs).items():
        ours = run(fused, inputs)[output]
        np.testing.assert_array_equal(run(back, inputs)[output], ours)
        if output in made.integers:
            assert np.abs(ours - value).max() <= 2.01 * step_of(made, output)
        else:
            assert np.abs(ours - value).max() <= 0.02
    assert [node.op for node in back.nodes] == [node.op for node in fused.nodes]


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("symmetric", [False, True])
def test_bands_of_integers_are_exact(name: str, symmetric: bool) -> None:
    """The new integer ops can be cut into rows, and give the same integers."""
    graph = fuse_integers(made_of(NETS[name](), symmetric=symmetric).graph)
    units = units_of(graph)
    stop = 1
    while stop < len(units) and can_band(group_items(units, 0, stop + 1), graph.tensors):
        stop += 1
    banded = Tiling(3, Weights.RESIDENT)
    groups = [Group(0, stop, banded)]
    groups += [Group(u, u + 1, replace(banded, band=None)) for u in range(stop, len(units))]
    plan = schedule(units, groups)
    placed = place(plan)
    inputs = inputs_of(graph)
    made = TiledRun(plan, placed.offsets, placed.height).run(inputs)
    for output, value in run(graph, inputs).items():
        np.testing.assert_array_equal(made[output], value)
    cut = {unit.node.op for unit in group_items(units, 0, stop) if unit.node is not None}
    assert "QLinearConv" in cut
    assert "QLinearTable" in cut or not (symmetric or name == "branches")


@pytest.mark.parametrize("name", ["squeezenet11", "yolo_tiny"])
def test_networks_of_the_zoo_run_in_integers(name: str) -> None:
    graph = simplify(zoo.build(name))
    made = quantise(graph, generated(graph, 1, 1))
    fused = fuse_integers(made.graph)
    assert {node.op for node in fused.nodes} <= INTEGER | STAY_FLOAT
    wanted, ours = peer(made.graph, zoo.sample(graph)), run(fused, zoo.sample(graph))
    for output, value in wanted.items():
        noise = np.square(ours[output].astype(np.float64) - value).sum()
        assert 10 * np.log10(np.square(value.astype(np.float64)).sum() / noise) > 25


def test_the_digits_keep_their_accuracy() -> None:
    graph = zoo.build("lenet_digits")
    images, labels = digits.held_out()
    samples = digit_samples(graph, images[:120])
    made = quantise(graph, generated(graph, 8, 0))
    before = accuracy(graph, samples, labels[:120])
    after = accuracy(fuse_integers(made.graph), samples, labels[:120])
    assert before > 0.97
    assert after >= before - 0.02


def test_a_wrong_scale_is_noticed() -> None:
    """The loss sees a tensor whose integers mean something else than was measured."""
    graph = mobile()
    right = made_of(graph)
    wrong = quantise(graph, [{"x": inputs_of(graph)["x"] * np.float32(0.05)}])
    good, bad = (measure(graph, one, [inputs_of(graph)]) for one in (right, wrong))
    assert good.output_sqnr is not None and bad.output_sqnr is not None
    assert bad.output_sqnr < good.output_sqnr - 5


def test_nodes_stay_in_float_when_asked() -> None:
    graph = mobile()
    made = quantise(graph, [inputs_of(graph)], keep=["fc"])
    ops = [node.op for node in fuse_integers(made.graph).nodes]
    assert ops.count("Gemm") == 1
    assert "QLinearMatMul" not in ops
    with pytest.raises(TesseraError, match="no node 'fd'"):
        quantise(graph, [inputs_of(graph)], keep=["fd"])


def test_nothing_to_quantise() -> None:
    net = Net(1, 4)
    graph = net.finish(net.node("Softmax", "x", attrs=AxisAttrs(1)))
    with pytest.raises(TesseraError, match="no node of the network can run on integers"):
        quantise(graph, [inputs_of(graph)])
    with pytest.raises(TesseraError, match="nothing to calibrate on"):
        quantise(mobile(), [])


def test_values_that_are_not_finite_are_refused() -> None:
    graph = mobile()
    inputs = inputs_of(graph)
    inputs["x"] = np.full_like(inputs["x"], np.inf)
    with pytest.raises(TesseraError, match="not finite"):
        quantise(graph, [inputs])


values = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(first=values, second=values, method=st.sampled_from(METHODS), symmetric=st.booleans())
def test_steps_hold_zero_and_the_range(
    first: list[float], second: list[float], method: str, symmetric: bool
) -> None:
    histogram = Histogram()
    for one in (first, second):
        histogram.add(np.array(one, np.float32))
    every = np.array([*first, *second], np.float32)
    assert histogram.counts.sum() == every.size
    assert (histogram.low, histogram.high) == (min(0, every.min()), max(0, every.max()))
    low, high = range_of(histogram, Choice(method, 99.0, symmetric))
    assert histogram.low <= low <= 0 <= high <= histogram.high
    how = steps(low, high, symmetric)
    scale, zero = how.scale[0], how.zero_point[0]
    assert scale > 0
    assert -128 <= zero <= 127
    assert zero == 0 or not symmetric
    inside = every[(every >= low) & (every <= high)]
    integers = np.clip(np.rint(inside / scale) + zero, -128, 127)
    if high - low > 1e-20:
        assert np.abs((integers - zero) * scale - inside).max(initial=0) <= 0.501 * scale * 2


@settings(max_examples=60, deadline=None, derandomize=True)
@given(first=values, second=values)
def test_histograms_do_not_depend_on_the_order(first: list[float], second: list[float]) -> None:
    counts = []
    for order in ((first, second), (second, first)):
        histogram = Histogram()
        for one in order:
            histogram.add(np.array(one, np.float32))
        counts.append(histogram.counts)
    # Values on an edge of two bins may fall into either: neighbours are compared together.
    sums = [np.cumsum(one) for one in counts]
    assert counts[0].sum() == counts[1].sum()
    assert (np.abs(sums[0] - sums[1]) <= len(first) + len(second)).all()
    assert len(counts[0]) == BINS


def test_least_error_is_least() -> None:
    """A few values far out cost more than they are worth: the range becomes smaller."""
    random = np.random.default_rng(4)
    histogram = Histogram()
    histogram.add(random.standard_normal(20_000).astype(np.float32))
    histogram.add(np.array([9.0, -8.0], np.float32))
    full = steps(*range_of(histogram, Choice("minmax")))
    for method in ("percentile", "mse"):
        found = steps(*range_of(histogram, Choice(method, 99.9)))
        assert found.scale < full.scale
        if method == "mse":
            assert expected_error(histogram, found) < expected_error(histogram, full)


def test_weights_of_dead_channels_leave_room_for_their_bias() -> None:
    data = np.zeros((3, 2, 1, 1), np.float32)
    data[0] = 1
    bias = np.array([1, 500, 0], np.float32)
    integers, how = weight_integers(data, 0, bias, 1e-3)
    assert integers[0].tolist() == [[[127]], [[127]]]
    assert not integers[1:].any()
    unit = 1e-3 * np.array(how.scale)
    assert (np.abs(bias / unit) < 2**31).all()


def test_bad_choices_are_refused() -> None:
    with pytest.raises(TesseraError, match="no method 'best'"):
        Choice("best")
    with pytest.raises(TesseraError, match="is no range"):
        Choice("percentile", 20)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "'x' is missing"),
        ({"x": np.zeros((2, 3, 32, 30), np.float32)}, r"'x' is float32 \(2, 3, 32, 30\)"),
        ({"x": np.zeros((2, 3, 32, 32))}, "'x' is float64"),
        ({"x": np.full((1, 3, 32, 32), np.nan, np.float32)}, "not finite"),
        ({"x": np.zeros((2, 3, 32, 32), np.float32), "y": np.zeros(2)}, "arrays x, y"),
        ({"x": np.zeros((0, 3, 32, 32), np.float32)}, r"\[0\] samples"),
    ],
)
def test_bad_inputs_are_refused(arrays: dict[str, Array], said: str, tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    np.savez(path, **arrays)
    with pytest.raises(TesseraError, match=said):
        from_npz(path, mobile())


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 broken", b"not an archive"])
def test_files_that_are_no_inputs(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    path.write_bytes(data)
    with pytest.raises(TesseraError, match="cannot read the inputs"):
        from_npz(path, mobile())
    with pytest.raises(TesseraError, match="cannot read the inputs"):
        from_npz(tmp_path / "none.npz", mobile())


def test_inputs_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    for shape in ((2, 3, 32, 32), (2, 1, 3, 32, 32)):
        np.savez(path, x=np.ones(shape, np.float32))
        samples = from_npz(path, mobile())
        assert [one["x"].shape for one in samples] == [(1, 3, 32, 32)] * 2


def test_only_named_tensors_are_measured() -> None:
    graph = mobile()
    found = calibrate(graph, [inputs_of(graph)], ["x"])
    assert list(found) == ["x"]
    assert found["x"].counts.sum() == 3 * 32 * 32
    assert isinstance(graph.nodes[0].attrs, ConvAttrs)
    assert HERE.file == "hand"
