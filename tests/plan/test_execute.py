"""The reference executor against onnxruntime: windows, casts, quantised layers, a decoder block."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tessera.plan.execute import run
from tessera.plan.graph import DType, Graph
from tessera.plan.onnx_reader import convert

OPSET = 17
TYPES = {
    "float32": TensorProto.FLOAT,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}


def model(
    nodes: list[Any], inputs: dict[str, np.ndarray], weights: dict[str, np.ndarray]
) -> ModelProto:
    """A model whose output is `y`."""
    graph = helper.make_graph(
        nodes,
        "case",
        [
            helper.make_tensor_value_info(name, TYPES[value.dtype.name], value.shape)
            for name, value in inputs.items()
        ],
        [helper.ValueInfoProto(name="y")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def both(
    nodes: list[Any], inputs: dict[str, np.ndarray], weights: dict[str, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, Graph]:
    """What we answer, what onnxruntime answers without rewrites, and our graph."""
    made = model(nodes, inputs, weights or {})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(made.SerializeToString(), options)
    (wanted,) = session.run(["y"], inputs)
    graph = convert(made, OPSET)
    return run(graph, inputs)["y"], wanted, graph


small = st.integers(1, 3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kernel=st.tuples(small, small),
    strides=st.tuples(small, small),
    dilations=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    group=st.sampled_from([1, 2, 4]),
    size=st.tuples(st.integers(4, 8), st.integers(4, 8)),
    bias=st.booleans(),
)
def test_convolutions(
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pads: tuple[int, ...],
    group: int,
    size: tuple[int, int],
    bias: bool,
) -> None:
    random = np.random.default_rng(1)
    for axis in (0, 1):
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        assume(size[axis] + pads[axis] + pads[axis + 2] >= reach)
    weights = {"w": random.standard_normal((8, 4 // group, *kernel)).astype(np.float32)}
    if bias:
        weights["b"] = random.standard_normal(8).astype(np.float32)
    node = helper.make_node(
        "Conv",
        ["x", *weights],
        ["y"],
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=group,
    )
    x = random.standard_normal((1, 4, *size)).astype(np.float32)
    made, wanted, _ = both([node], {"x": x}, weights)
    np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    op=st.sampled_from(["MaxPool", "AveragePool"]),
    kernel=st.tuples(st.integers(2, 3), st.integers(2, 3)),
    strides=st.tuples(small, small),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    ceil=st.integers(0, 1),
)
def test_pools(
    op: str,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, ...],
    size: tuple[int, int],
    ceil: int,
) -> None:
    x = np.random.default_rng(2).standard_normal((1, 3, *size)).astype(np.float32)
    node = helper.make_node(
        op, ["x"], ["y"], kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=ceil
    )
    made, wanted, _ = both([node], {"x": x})
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("to", list(DType))
@pytest.mark.parametrize("given_type", list(DType))
def test_casts(given_type: DType, to: DType) -> None:
    x = np.array([0, 1, 3.75, 100, 127]).astype(given_type.numpy)
    node = helper.make_node("Cast", ["x"], ["y"], to=TYPES[to.value])
    made, wanted, _ = both([node], {"x": x})
    assert made.dtype == to.numpy
    np.testing.assert_array_equal(made, wanted)


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("group", [1, 4])
def test_quantised_convolutions_are_equal_to_the_last_bit(
    kind: type[Any], per_channel: bool, group: int
) -> None:
    random = np.random.default_rng(4)
    limits = np.iinfo(kind)
    x = random.integers(limits.min, limits.max, (1, 4, 9, 9), kind, endpoint=True)
    count = 8 if per_channel else 1
    scales = random.uniform(0.002, 0.02, count).astype(np.float32)
    weights = {
        "xs": np.array(0.04, np.float32),
        "xz": np.array(3, kind),
        "w": random.integers(-127, 127, (8, 4 // group, 3, 3), np.int8),
        "ws": scales if per_channel else scales[0].reshape(()),
        "wz": np.zeros(8 if per_channel else (), np.int8),
        "ys": np.array(0.11, np.float32),
        "yz": np.array(5, kind),
        "b": random.integers(-2000, 2000, 8, np.int32),
    }
    node = helper.make_node(
        "QLinearConv", ["x", *weights], ["y"], pads=(1, 1, 1, 1), strides=(2, 2), group=group
    )
    made, wanted, graph = both([node], {"x": x}, weights)
    np.testing.assert_array_equal(made, wanted)
    assert len(np.unique(made)) > 20
    assert [node.op for node in graph.nodes] == ["QLinearConv"]
    how = graph.tensors["y"].quantisation
    assert how is not None
    assert how.zero_point == (5,)


def test_a_convolution_between_quantise_and_dequantise() -> None:
    """QDQ: scales and zero points move to the tensors, and the answer is onnxruntime's."""
    random = np.random.default_rng(6)
    x = random.standard_normal((1, 3, 8, 8)).astype(np.float32)
    weights = {
        "s": np.array(0.03, np.float32),
        "z": np.array(-4, np.int8),
        "wq": random.integers(-127, 127, (4, 3, 3, 3), np.int8),
        "ws": random.uniform(0.001, 0.01, 4).astype(np.float32),
        "wz": np.zeros(4, np.int8),
        "ys": np.array(0.05, np.float32),
        "yz": np.array(7, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xf"]),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wf"], axis=0),
        helper.make_node("Conv", ["xf", "wf"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "ys", "yz"], ["y"]),
    ]
    made, wanted, graph = both(nodes, {"x": x}, weights)
    np.testing.assert_array_equal(made, wanted)
    assert graph.tensors["wq"].dtype is DType.INT8
    assert graph.tensors["wq"].quantisation is not None
    assert graph.tensors["wq"].quantisation.axis == 0
    assert graph.tensors["xq"].bytes == 3 * 8 * 8


def test_halves_are_rounded_to_even_and_values_kept_in_range() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1000, -1000], np.float32)
    weights = {"s": np.array(1, np.float32), "z": np.array(1, np.int8)}
    node = helper.make_node("QuantizeLinear", ["x", *weights], ["y"])
    made, wanted, _ = both([node], {"x": x}, weights)
    np.testing.assert_array_equal(made, [1, 3, 3, 1, -1, 127, -128])
    np.testing.assert_array_equal(made, wanted)


def decoder(length: int, width: int, heads: int) -> tuple[list[Any], dict[str, np.ndarray]]:
    """One block of a decoder-only transformer: embedding, RMS norm, causal attention, gated MLP."""
    random = np.random.default_rng(8)
    each = width // heads
    weights = {
        name: (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
        for name, shape in {
            "table": (50, width),
            **dict.fromkeys(("wq", "wk", "wv", "wo"), (width, width)),
            "w1": (width, 3 * width),
            "w3": (width, 3 * width),
            "w2": (3 * width, width),
        }.items()
    }
    weights |= {
        "gain": np.ones(width, np.float32),
        "two": np.array(2, np.float32),
        "eps": np.array(1e-5, np.float32),
        "scale": np.array(1 / np.sqrt(each), np.float32),
        "apart": np.array([0, 0, heads, each]),
        "joined": np.array([0, 0, width]),
        "mask": np.triu(np.full((length, length), -np.inf, np.float32), 1),
    }
    nodes = [helper.make_node("Gather", ["table", "tokens"], ["h0"])]

    def add(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def norm(x: str, tag: str) -> str:
        square = add("Pow", [x, "two"], f"sq{tag}")
        mean = add("ReduceMean", [square], f"mean{tag}", axes=[-1])
        root = add("Sqrt", [add("Add", [mean, "eps"], f"eps{tag}")], f"root{tag}")
        return add("Mul", [add("Div", [x, root], f"div{tag}"), "gain"], f"norm{tag}")

    h = norm("h0", "1")
    for one, order in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3))):
        flat = add("MatMul", [h, f"w{one}"], f"{one}0")
        add("Transpose", [add("Reshape", [flat, "apart"], f"{one}1")], one, perm=order)
    scores = add("Mul", [add("MatMul", ["q", "k"], "qk"), "scale"], "scaled")
    share = add("Softmax", [add("Add", [scores, "mask"], "masked")], "share", axis=-1)
    mixed = add("Transpose", [add("MatMul", [share, "v"], "sv")], "mixed", perm=(0, 2, 1, 3))
    out = add("MatMul", [add("Reshape", [mixed, "joined"], "flat"), "wo"], "out")
    h = add("Add", ["h0", out], "h1")
    n = norm(h, "2")
    gate = add("MatMul", [n, "w1"], "gate")
    silu = add("Mul", [gate, add("Sigmoid", [gate], "sig")], "silu")
    up = add("Mul", [silu, add("MatMul", [n, "w3"], "up")], "gated")
    add("Add", [h, add("MatMul", [up, "w2"], "down")], "y")
    return nodes, weights


def test_a_block_of_a_decoder() -> None:
    nodes, weights = decoder(length=7, width=24, heads=3)
    tokens = np.array([[3, 1, 4, 1, 5, 9, 2]])
    made, wanted, graph = both(nodes, {"tokens": tokens}, weights)
    assert made.shape == (1, 7, 24)
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-5)
    changed = run(graph, {"tokens": np.where(np.arange(7) == 6, 8, tokens)})["y"]
    np.testing.assert_array_equal(changed[:, :6], made[:, :6])  # the mask is causal
    assert (changed[:, 6] != made[:, 6]).any()
