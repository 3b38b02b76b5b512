"""From a graph to the file that the naive runtime reads: see models/dnn/baseline/baseline.h.

Goal: the networks of the zoo in float32, as `tessera.plan.prepare.prepared` gives them (batch norms
folded). What the runtime does not have is refused with the node's place.
Non-goals: integers, a batch of more than one, any plan; running it (`tessera.guest.board`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.execute_moves import nearest_positions, source_positions
from tessera.plan.graph import Array, DType, Graph, Node, Shape
from tessera.plan.graph_ops import (
    AlphaAttrs,
    AxisAttrs,
    ClipAttrs,
    ConvAttrs,
    GemmAttrs,
    PoolAttrs,
    ResizeAttrs,
)

OPERATIONS = (
    *("none", "conv", "dense", "relu", "clip", "leaky", "sigmoid", "max_pool", "average_pool"),
    *("add", "concat", "upsample", "softmax", "copy"),
)
NO_WINDOW = (1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0)
NONE = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Layer:
    """What a layer is besides its inputs and the shape of its output."""

    operation: str
    window: Sequence[int] = NO_WINDOW
    low: float = 0.0
    high: float = 0.0
    weights: Array = field(default_factory=lambda: NONE)
    bias: Array = field(default_factory=lambda: NONE)


def _refuse(node: Node, what: str) -> TesseraError:
    return TesseraError(
        f"{node.op}: the baseline has no {what}",
        where=str(node.source),
        remedy="it has the float32 operations of the zoo: choose a network of those",
    )


def _extent(shape: Shape, node: Node) -> tuple[int, int, int]:
    """Channels, rows, columns of a tensor of batch 1."""
    if len(shape) not in (2, 4) or shape[0] != 1:
        raise _refuse(node, f"tensor of shape {shape}")
    return (shape[1], *(shape[2:] or (1, 1)))  # type: ignore[return-value]


def _data(graph: Graph, node: Node, index: int) -> Array:
    """A constant input; an empty array if there is none at this place."""
    if index >= len(node.inputs):
        return NONE
    data = graph.tensors[node.inputs[index]].data
    if data is None:
        raise _refuse(node, "weights that are computed")
    return data


def _window(attrs: ConvAttrs | PoolAttrs, group: int = 1, whole: bool = False) -> tuple[int, ...]:
    return (*attrs.kernel, *attrs.strides, *attrs.dilations, *attrs.pads, group, int(whole))


def _conv(graph: Graph, node: Node) -> Layer:
    attrs = node.attrs
    assert isinstance(attrs, ConvAttrs)
    if len(attrs.kernel) != 2:
        raise _refuse(node, f"window in {len(attrs.kernel)} axes")
    window = _window(attrs, attrs.group)
    return Layer("conv", window, weights=_data(graph, node, 1), bias=_data(graph, node, 2))


def _dense(graph: Graph, node: Node) -> Layer:
    attrs = node.attrs
    assert isinstance(attrs, GemmAttrs)
    if attrs.transpose_a:
        raise _refuse(node, "transposed input")
    weights, bias = _data(graph, node, 1), _data(graph, node, 2)
    weights = (weights if attrs.transpose_b else weights.T) * np.float32(attrs.alpha)
    if bias.size:
        bias = np.broadcast_to(bias.reshape(-1) * np.float32(attrs.beta), (weights.shape[0],))
    return Layer("dense", weights=weights, bias=bias)


def _pool(graph: Graph, node: Node) -> Layer:
    attrs = node.attrs
    assert isinstance(attrs, PoolAttrs)
    if len(attrs.kernel) != 2:
        raise _refuse(node, f"window in {len(attrs.kernel)} axes")
    if node.op == "MaxPool":
        return Layer("max_pool", _window(attrs))
    if attrs.ceil_mode and attrs.count_include_pad:
        raise _refuse(node, "mean over padding with sizes rounded up")
    return Layer("average_pool", _window(attrs, whole=attrs.count_include_pad))


def _global_average(graph: Graph, node: Node) -> Layer:
    """One window of the whole plane."""
    rows, columns = _extent(graph.tensors[node.inputs[0]].shape, node)[1:]
    return Layer("average_pool", (rows, columns, *NO_WINDOW[2:]))


def _clip(graph: Graph, node: Node) -> Layer:
    attrs = node.attrs
    assert isinstance(attrs, ClipAttrs)
    low = -np.inf if attrs.low is None else attrs.low
    return Layer("clip", low=low, high=np.inf if attrs.high is None else attrs.high)


def _leaky(graph: Graph, node: Node) -> Layer:
    assert isinstance(node.attrs, AlphaAttrs)
    return Layer("leaky", low=node.attrs.alpha)


def _joined(graph: Graph, node: Node) -> Layer:
    """Sums of equal shapes; concatenation of channels."""
    if isinstance(node.attrs, AxisAttrs) and node.attrs.axis != 1:
        raise _refuse(node, f"axis {node.attrs.axis}")
    shapes = {graph.tensors[name].shape for name in node.inputs}
    if node.op == "Add" and len(shapes) != 1:
        raise _refuse(node, f"sum of different shapes {sorted(shapes)}")
    return Layer(node.op.lower())


def _softmax(graph: Graph, node: Node) -> Layer:
    shape = graph.tensors[node.inputs[0]].shape
    assert isinstance(node.attrs, AxisAttrs)
    if shape[node.attrs.axis] != graph.tensors[node.inputs[0]].values:
        raise _refuse(node, f"part of {shape} along axis {node.attrs.axis}")
    return Layer("softmax")


def _upsample(graph: Graph, node: Node) -> Layer:
    """Nearest by a whole factor, where each element is repeated."""
    attrs, shape = node.attrs, graph.tensors[node.inputs[0]].shape
    assert isinstance(attrs, ResizeAttrs)
    factor = attrs.sizes[-1] // shape[-1]
    wanted = (1, 1, factor, factor)
    good = attrs.mode == "nearest" and len(shape) == 4 and factor > 0
    good = good and attrs.sizes == tuple(a * b for a, b in zip(shape, wanted, strict=True))
    for axis in (2, 3) if good else ():
        picked = nearest_positions(source_positions(attrs, axis, shape[axis]), attrs.nearest)
        there = np.clip(picked, 0, shape[axis] - 1)
        good = good and bool((there == np.arange(attrs.sizes[axis]) // factor).all())
    if not good:
        raise _refuse(node, f"{attrs.mode} from {shape} to {attrs.sizes}")
    return Layer("upsample", (*NO_WINDOW[:10], factor, 0))


def _plain(operation: str) -> Callable[[Graph, Node], Layer]:
    return lambda graph, node: Layer(operation)


RULES: dict[str, Callable[[Graph, Node], Layer]] = {
    "Conv": _conv,
    "Gemm": _dense,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_average,
    "Relu": _plain("relu"),
    "Sigmoid": _plain("sigmoid"),
    "Clip": _clip,
    "LeakyRelu": _leaky,
    "Add": _joined,
    "Concat": _joined,
    "Resize": _upsample,
    "Softmax": _softmax,
    "Reshape": _plain("copy"),
}


def _layer(graph: Graph, node: Node, numbers: dict[str, int]) -> bytes:
    if node.op not in RULES:
        raise _refuse(node, "such operation")
    if graph.tensors[node.outputs[0]].dtype is not DType.FLOAT32:
        raise _refuse(node, f"elements but float32, not {graph.tensors[node.outputs[0]].dtype}")
    layer = RULES[node.op](graph, node)
    # Operands that are tensors: of those with weights only the first
    read = node.inputs if layer.operation in ("add", "concat") else node.inputs[:1]
    for name in read:
        if name not in numbers:
            raise _refuse(node, f"constant operand '{name}'")
    words = [OPERATIONS.index(layer.operation), len(read), *(numbers[name] for name in read)]
    words += [*_extent(graph.tensors[node.outputs[0]].shape, node), *layer.window]
    floats = [np.ascontiguousarray(one, "<f4") for one in (layer.weights, layer.bias)]
    return b"".join(
        [
            struct.pack(f"<{len(words)}I", *words),
            struct.pack("<2f", layer.low, layer.high),
            struct.pack("<2I", *(one.size for one in floats)),
            *(one.tobytes() for one in floats),
        ]
    )


def dump(graph: Graph) -> bytes:
    """The file. Raises `TesseraError` for what the naive runtime does not have."""
    if len(graph.inputs) != 1 or len(graph.outputs) > 4:
        raise TesseraError(
            f"the baseline takes one input and four outputs, not {len(graph.inputs)} and "
            f"{len(graph.outputs)}",
            where=graph.name,
            remedy="choose a network with one input",
        )
    numbers = {graph.inputs[0]: 0}
    layers = []
    for index, node in enumerate(graph.nodes):
        layers.append(_layer(graph, node, numbers))
        numbers[node.outputs[0]] = index + 1
    shape = _extent(graph.tensors[graph.inputs[0]].shape, graph.nodes[0])
    words = [1, len(layers), len(graph.outputs), *shape, *(numbers[one] for one in graph.outputs)]
    return b"".join([b"TSBL", struct.pack(f"<{len(words)}I", *words), *layers])
