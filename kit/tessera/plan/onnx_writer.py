"""Graph to ONNX: the canonical ops written as ONNX has them.

Goal: the same bytes for the same graph; what is written is read back as the same network, and other
runtimes can be compared with ours on it.
Non-goals: restoring what a reader lowered (a split stays slices).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tessera.errors import TesseraError
from tessera.plan import graph_ops as ops
from tessera.plan.graph import Array, DType, Graph, Node, Quantisation, Tensor

OPSET = 17
NEWER = {"Gelu": 20, "RMSNormalization": 23, "Swish": 24}
"""Ops that the opset we write does not have: a graph with one is written in the newer opset."""

IR_VERSION = 8

_TYPES = {
    DType.FLOAT32: TensorProto.FLOAT,
    DType.INT8: TensorProto.INT8,
    DType.UINT8: TensorProto.UINT8,
    DType.INT32: TensorProto.INT32,
    DType.INT64: TensorProto.INT64,
    DType.BOOL: TensorProto.BOOL,
}


class _Writer:
    """The parts of the file so far."""

    def __init__(self, graph: Graph, opset: int) -> None:
        self.graph = graph
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.initialisers: list[TensorProto] = []
        self.written: set[str] = set()

    def extra(self, name: str, values: Any, dtype: Any = np.int64) -> str:
        """A constant that ONNX wants as an input; written once per name."""
        if name not in self.written:
            self.written.add(name)
            array: Array = np.asarray(values, dtype)
            self.initialisers.append(numpy_helper.from_array(array, name))
        return name

    def scales(self, tensor: Tensor) -> tuple[list[str], dict[str, Any]]:
        """Names of a tensor's scale and zero point, and its axis as an attribute."""
        how = _quantisation(tensor)
        flat = how.axis is None
        scale = how.scale[0] if flat else how.scale
        zero = how.zero_point[0] if flat else how.zero_point
        names = [
            self.extra(f"{tensor.name}/scale", scale, np.float32),
            self.extra(f"{tensor.name}/zero", zero, tensor.dtype.numpy),
        ]
        return names, {} if how.axis is None else {"axis": how.axis}

    def node(self, node: Node, inputs: Sequence[str], op: str = "", **attributes: Any) -> None:
        """A node with the outputs and the name of ours."""
        made = helper.make_node(op or node.op, inputs, node.outputs, name=node.name, **attributes)
        self.nodes.append(made)


def _quantisation(tensor: Tensor) -> Quantisation:
    if tensor.quantisation is None:
        raise TesseraError(
            f"tensor '{tensor.name}' has no scale and zero point",
            where=str(tensor.source),
            remedy="quantised ops need both on every tensor that they touch",
        )
    return tensor.quantisation


def _attributes(attrs: Any) -> dict[str, Any]:
    """Attributes of ops whose ONNX form is attributes only."""
    match attrs:
        case ops.ConvAttrs():
            return {
                "kernel_shape": attrs.kernel,
                "strides": attrs.strides,
                "pads": attrs.pads,
                "dilations": attrs.dilations,
                "group": attrs.group,
            }
        case ops.GemmAttrs():
            return {
                "alpha": attrs.alpha,
                "beta": attrs.beta,
                "transA": int(attrs.transpose_a),
                "transB": int(attrs.transpose_b),
            }
        case ops.AxisAttrs():
            return {"axis": attrs.axis}
        case ops.ArgAttrs():
            return {
                "axis": attrs.axis,
                "keepdims": int(attrs.keepdims),
                "select_last_index": int(attrs.select_last),
            }
        case ops.AlphaAttrs():
            return {"alpha": attrs.alpha}
        case ops.HardSigmoidAttrs():
            return {"alpha": attrs.alpha, "beta": attrs.beta}
        case ops.GeluAttrs():
            return {"approximate": "tanh" if attrs.tanh else "none"}
        case ops.TransposeAttrs():
            return {"perm": attrs.order}
        case ops.EpsilonAttrs():
            return {"epsilon": attrs.epsilon}
        case ops.NormAttrs():
            return {"axis": attrs.axis, "epsilon": attrs.epsilon}
        case ops.LrnAttrs():
            return {
                "size": attrs.size,
                "alpha": attrs.alpha,
                "beta": attrs.beta,
                "bias": attrs.bias,
            }
        case _:
            return {}


def _write_pool(out: _Writer, node: Node, attrs: ops.PoolAttrs) -> None:
    shared: dict[str, Any] = {
        "kernel_shape": attrs.kernel,
        "strides": attrs.strides,
        "pads": attrs.pads,
        "ceil_mode": int(attrs.ceil_mode),
    }
    if any(one != 1 for one in attrs.dilations):
        shared["dilations"] = attrs.dilations  # AveragePool has none before opset 19
    if node.op == "AveragePool":
        shared["count_include_pad"] = int(attrs.count_include_pad)
    out.node(node, node.inputs, **shared)


def _write_with_inputs(out: _Writer, node: Node) -> bool:
    """Writes a node whose attributes are inputs in ONNX; false when it is none."""
    made, x = node.outputs[0], list(node.inputs)
    match node.attrs:
        case ops.ShapeAttrs(shape):
            out.node(node, [*x, out.extra(f"{made}/shape", shape)])
        case ops.SliceAttrs(starts, sizes, steps):
            ends = [a + n * d for a, n, d in zip(starts, sizes, steps, strict=True)]
            # An end of -1 would be the last element: one before the first is far below.
            ends = [end if end >= 0 else -(1 << 62) for end in ends]
            parts = {"starts": starts, "ends": ends, "axes": range(len(starts)), "steps": steps}
            out.node(node, [*x, *(out.extra(f"{made}/{k}", list(v)) for k, v in parts.items())])
        case ops.TileAttrs(repeats):
            out.node(node, [*x, out.extra(f"{made}/repeats", repeats)])
        case ops.PadAttrs(pads, mode, value):
            dtype = out.graph.tensors[made].dtype.numpy
            names = [out.extra(f"{made}/pads", pads), out.extra(f"{made}/value", value, dtype)]
            out.node(node, [*x, *names], mode=mode)
        case ops.ClipAttrs(low, high):
            dtype = out.graph.tensors[made].dtype.numpy
            for label, bound in (("low", low), ("high", high)):
                name = f"{made}/{label}"
                x.append("" if bound is None else out.extra(name, bound, dtype))
            out.node(node, x)
        case ops.TriluAttrs(upper, offset):
            out.node(node, [*x, out.extra(f"{made}/k", offset)], upper=int(upper))
        case ops.ReduceAttrs(axes, keepdims):
            if node.op == "ReduceSum" or out.opset >= 18:
                names = [*x, out.extra(f"{made}/axes", axes)]
                out.node(node, names, keepdims=int(keepdims))
            else:
                out.node(node, x, axes=axes, keepdims=int(keepdims))
        case ops.ResizeAttrs():
            _write_resize(out, node, node.attrs)
        case _:
            return False
    return True


def _write_resize(out: _Writer, node: Node, attrs: ops.ResizeAttrs) -> None:
    scales = out.extra(f"{node.outputs[0]}/scales", attrs.scales, np.float32)
    out.node(
        node,
        [node.inputs[0], "", scales],
        mode=attrs.mode,
        coordinate_transformation_mode=attrs.coordinates,
        nearest_mode=attrs.nearest,
    )


def _write_integer(out: _Writer, node: Node) -> bool:
    """Writes a quantised node; false when it is none."""
    tensors = out.graph.tensors
    made = tensors[node.outputs[0]]
    match node.op:
        case "QuantizeLinear":
            names, axis = out.scales(made)
            out.node(node, [node.inputs[0], *names], **axis)
        case "DequantizeLinear":
            names, axis = out.scales(tensors[node.inputs[0]])
            out.node(node, [node.inputs[0], *names], **axis)
        case "QLinearConv" | "QLinearMatMul" if len(node.inputs) < 3 or node.op == "QLinearConv":
            a, b, *bias = node.inputs
            names = [a, *out.scales(tensors[a])[0], b, *out.scales(tensors[b])[0]]
            out.node(node, [*names, *out.scales(made)[0], *bias], **_attributes(node.attrs))
        case (
            "QLinearAdd"
            | "QLinearMatMul"
            | "QLinearAveragePool"
            | "QLinearGlobalAveragePool"
            | "QLinearTable"
        ):
            raise TesseraError(
                f"{node.op} with these inputs has no form in ONNX",
                where=str(node.source),
                remedy="write the graph before its integer ops are fused",
            )
        case _:
            return False
    return True


def _write_node(out: _Writer, node: Node) -> None:
    if _write_integer(out, node) or _write_with_inputs(out, node):
        return
    match node.attrs:
        case ops.PoolAttrs():
            _write_pool(out, node, node.attrs)
        case ops.CastAttrs(to):
            out.node(node, node.inputs, to=_TYPES[to])
        case _:
            out.node(node, node.inputs, **_attributes(node.attrs))


def to_model(graph: Graph) -> ModelProto:
    """The graph as an ONNX model. Raises `TesseraError` for ops that ONNX does not have."""
    opset = max([OPSET, *(NEWER.get(node.op, 0) for node in graph.nodes)])
    out = _Writer(graph, opset)
    for node in graph.nodes:
        _write_node(out, node)
    constants = [
        numpy_helper.from_array(one.data, one.name)
        for one in graph.constants()
        if one.data is not None
    ]

    def values(names: Sequence[str]) -> list[Any]:
        tensors = (graph.tensors[name] for name in names)
        return [helper.make_tensor_value_info(t.name, _TYPES[t.dtype], t.shape) for t in tensors]

    made = helper.make_graph(
        out.nodes,
        graph.name,
        values(graph.inputs),
        values(graph.outputs),
        initializer=[*constants, *out.initialisers],
    )
    return helper.make_model(
        made,
        producer_name="tessera",
        ir_version=IR_VERSION if opset < 20 else 10,
        opset_imports=[helper.make_opsetid("", opset)],
    )


def to_bytes(graph: Graph) -> bytes:
    """The graph as the bytes of an ONNX file; the same graph gives the same bytes."""
    return bytes(to_model(graph).SerializeToString(deterministic=True))
