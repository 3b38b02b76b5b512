"""Integer fusion: what is fused equals the float form to one step, and onnxruntime exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tessera.plan.execute import run
from tessera.plan.onnx_reader import convert
from tessera.plan.onnx_writer import to_bytes
from tessera.plan.passes.integers import fuse_integers


def network(*, bias: str, shown: bool = False) -> Any:
    """Two quantised convolutions, their bias float, int32 or none.

    `shown`: the float value between the two is an output as well.
    """
    random = np.random.default_rng(6)
    ws = random.uniform(0.001, 0.01, 4).astype(np.float32)
    weights: dict[str, np.ndarray] = {
        "s": np.array(0.03, np.float32),
        "z": np.array(-4, np.int8),
        "ws": ws,
        "wz": np.zeros(4, np.int8),
        "ys": np.array(0.05, np.float32),
        "yz": np.array(7, np.int8),
    }
    steps = random.integers(-900, 900, 4, np.int32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["a0q"]),
    ]
    for index, channels in ((1, 3), (2, 4)):
        scale, zero = ("s", "z") if index == 1 else ("ys", "yz")
        before = f"a{index - 1}q"
        weights[f"w{index}"] = random.integers(-127, 127, (4, channels, 3, 3), np.int8)
        inputs = [f"x{index}", f"w{index}f"]
        nodes.append(helper.make_node("DequantizeLinear", [before, scale, zero], [f"x{index}"]))
        nodes.append(
            helper.make_node("DequantizeLinear", [f"w{index}", "ws", "wz"], inputs[1:], axis=0)
        )
        unit = (weights[scale] * ws).astype(np.float32)
        if bias == "float":
            weights[f"b{index}"] = (steps * unit).astype(np.float32)
            inputs.append(f"b{index}")
        elif bias == "int32":
            weights |= {f"b{index}": steps, f"u{index}": unit}
            made = f"b{index}f"
            names = [f"b{index}", f"u{index}"]
            nodes.append(helper.make_node("DequantizeLinear", names, [made], axis=0))
            inputs.append(made)
        nodes.append(helper.make_node("Conv", inputs, [f"c{index}"]))
        nodes.append(helper.make_node("QuantizeLinear", [f"c{index}", "ys", "yz"], [f"a{index}q"]))
    outputs = [("a2q", TensorProto.INT8), *([("c1", TensorProto.FLOAT)] if shown else [])]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 12, 12))],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return convert(model, 17)


@pytest.mark.parametrize("bias", ["none", "float", "int32"])
def test_convolutions_become_integer_ones(bias: str) -> None:
    graph = network(bias=bias)
    fused = fuse_integers(graph)
    assert [node.op for node in fused.nodes] == ["QuantizeLinear", "QLinearConv", "QLinearConv"]
    x = {"x": np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)}
    made, wanted = (run(one, x)["a2q"].astype(int) for one in (fused, graph))
    # A step of the first convolution reaches the second, where it is at most one step again.
    assert np.abs(made - wanted).max() <= 1
    assert (made != wanted).mean() < 0.01
    assert made.std() > 10
    session = onnxruntime.InferenceSession(to_bytes(fused))
    np.testing.assert_array_equal(session.run(["a2q"], x)[0], made)
    assert max(one.bytes for one in fused.tensors.values() if one.dtype == "float32") == 3 * 144 * 4


def test_a_float_value_that_is_asked_for_stays() -> None:
    fused = fuse_integers(network(bias="none", shown=True))
    ops = [node.op for node in fused.nodes]
    assert ops.count("Conv") == 1
    assert ops.count("QLinearConv") == 1
