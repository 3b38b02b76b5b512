"""Darknet `.cfg` and `.weights` to graph.

Goal: the layers of classifiers and YOLO-like detectors, with Darknet's own rules for padding,
pooling and batch norm; every node knows its line.
Non-goals: decoding of boxes. A detection head ([yolo], [region]) makes its input an output of the
network, as the layer before it left it; training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tessera.plan import graph_ops as ops
from tessera.plan.darknet_cfg import HEADS, Section, parse
from tessera.plan.darknet_weights import WeightFile, WeightSource
from tessera.plan.graph import Attrs, DType, Graph, Tensor
from tessera.plan.graph_build import GraphBuilder

LEAKY = float(np.float32(0.1))
VARIANCE_FLOOR = 1e-6
"""Darknet divides by sqrt(variance) + 1e-6, not by sqrt(variance + epsilon)."""

ACTIVATIONS: dict[str, tuple[str, Attrs]] = {
    "leaky": ("LeakyRelu", ops.AlphaAttrs(LEAKY)),
    "relu": ("Relu", Attrs()),
    "relu6": ("Clip", ops.ClipAttrs(0.0, 6.0)),
    "logistic": ("Sigmoid", Attrs()),
    "tanh": ("Tanh", Attrs()),
    "elu": ("Elu", ops.AlphaAttrs(1.0)),
    "mish": ("Mish", Attrs()),
    "swish": ("Swish", ops.AlphaAttrs(1.0)),
}


class _Reader:
    """Layers so far; the output of layer i is `made[i]`."""

    def __init__(self, name: str, weights: WeightSource) -> None:
        self.builder = GraphBuilder(name)
        self.weights = weights
        self.made: list[Tensor] = []
        self.heads: list[str] = []
        self.last: Tensor

    def node(self, part: Section, op: str, inputs: list[Tensor], attrs: Attrs) -> Tensor:
        """A node of a layer."""
        return self.builder.node(
            op,
            [one.name for one in inputs],
            attrs,
            part.source,
            name=f"{len(self.made)}.{part.name}.{op.lower()}",
        )

    def constant(self, part: Section, role: str, shape: tuple[int, ...]) -> Tensor:
        """The next weights of the file, as a constant."""
        where = f"layer {len(self.made)} [{part.name}] ({part.source})"
        data = self.weights.take(shape, role, where)
        return self.builder.constant(f"{len(self.made)}.{part.name}.{role}", data, part.source)

    def norm(self, part: Section, channels: int) -> list[Tensor]:
        """Scale, mean and variance of a batch norm; the variance such that epsilon is 0."""
        scale = self.constant(part, "scale", (channels,))
        mean = self.constant(part, "mean", (channels,))
        where = f"layer {len(self.made)} [{part.name}] ({part.source})"
        variance = self.weights.take((channels,), "variance", where).astype(np.float64)
        if (variance < 0).any():
            part.refuse("a variance is negative", "the weights belong to another .cfg")
        root = np.sqrt(variance) + VARIANCE_FLOOR
        name = f"{len(self.made)}.{part.name}.variance"
        square = self.builder.constant(name, (root * root).astype(np.float32), part.source)
        return [scale, mean, square]

    def activation(self, part: Section, x: Tensor, default: str) -> Tensor:
        """The activation that ends a layer."""
        kind = part.text("activation", default)
        if kind == "linear":
            return x
        if kind not in ACTIVATIONS:
            known = ", ".join(sorted((*ACTIVATIONS, "linear")))
            part.refuse(
                f"activation '{kind}' is not supported", f"supported are {known}", "activation"
            )
        op, attrs = ACTIVATIONS[kind]
        return self.node(part, op, [x], attrs)

    def earlier(self, part: Section, index: int, key: str) -> Tensor:
        """The output of an earlier layer, by its number or counted back from here."""
        place = index if index >= 0 else len(self.made) + index
        if not 0 <= place < len(self.made):
            part.refuse(
                f"{key}={index} is not a layer before this one",
                f"this is layer {len(self.made)}; name one before it",
                key,
            )
        return self.made[place]


def _convolutional(reader: _Reader, part: Section) -> Tensor:
    x = reader.last
    if len(x.shape) != 4:
        part.refuse(f"the input is {x.shape}", "a convolution takes channels, height and width")
    filters, size = part.integer("filters", 1, 1), part.integer("size", 1, 1)
    stride, groups = part.integer("stride", 1, 1), part.integer("groups", 1, 1)
    pad = size // 2 if part.integer("pad", 0) else part.integer("padding", 0)
    if x.shape[1] % groups or filters % groups:
        part.refuse(f"{groups} groups of {x.shape[1]} channels", "groups divide both", "groups")
    normed = part.integer("batch_normalize", 0)
    bias = reader.constant(part, "bias", (filters,))
    norm = reader.norm(part, filters) if normed else []
    weights = reader.constant(part, "weights", (filters, x.shape[1] // groups, size, size))
    attrs = ops.ConvAttrs((size,) * 2, (stride,) * 2, (pad,) * 4, (1, 1), groups)
    if normed:
        y = reader.node(part, "Conv", [x, weights], attrs)
        y = reader.node(
            part, "BatchNormalization", [y, norm[0], bias, *norm[1:]], ops.EpsilonAttrs(0.0)
        )
    else:
        y = reader.node(part, "Conv", [x, weights, bias], attrs)
    return reader.activation(part, y, "logistic")


def _flat(reader: _Reader, part: Section) -> Tensor:
    x = reader.last
    if len(x.shape) == 2:
        return x
    return reader.node(part, "Reshape", [x], ops.ShapeAttrs((1, x.values)))


def _connected(reader: _Reader, part: Section) -> Tensor:
    x, output = _flat(reader, part), part.integer("output", 1, 1)
    bias = reader.constant(part, "bias", (output,))
    weights = reader.constant(part, "weights", (output, x.values))
    gemm = ops.GemmAttrs(transpose_b=True)
    if part.integer("batch_normalize", 0):
        norm = reader.norm(part, output)
        y = reader.node(part, "Gemm", [x, weights], gemm)
        y = reader.node(
            part, "BatchNormalization", [y, norm[0], bias, *norm[1:]], ops.EpsilonAttrs(0.0)
        )
    else:
        y = reader.node(part, "Gemm", [x, weights, bias], gemm)
    return reader.activation(part, y, "logistic")


def _maxpool(reader: _Reader, part: Section) -> Tensor:
    stride = part.integer("stride", 1, 1)
    size = part.integer("size", stride, 1)
    # Darknet's padding is the sum of both sides; the smaller half stands before.
    pad = part.integer("padding", size - 1)
    before, after = pad // 2, pad - pad // 2
    attrs = ops.PoolAttrs((size,) * 2, (stride,) * 2, (before,) * 2 + (after,) * 2, (1, 1))
    return reader.node(part, "MaxPool", [reader.last], attrs)


def _avgpool(reader: _Reader, part: Section) -> Tensor:
    return reader.node(part, "GlobalAveragePool", [reader.last], Attrs())


def _softmax(reader: _Reader, part: Section) -> Tensor:
    if part.text("temperature", "1") not in ("1", "1.0"):
        part.refuse("a temperature", "supported is 1", "temperature")
    x, groups = _flat(reader, part), part.integer("groups", 1, 1)
    if groups == 1:
        return reader.node(part, "Softmax", [x], ops.AxisAttrs(1))
    if x.values % groups:
        part.refuse(f"{groups} groups of {x.values} values", "groups divide it", "groups")
    grouped = reader.node(part, "Reshape", [x], ops.ShapeAttrs((groups, x.values // groups)))
    powers = reader.node(part, "Softmax", [grouped], ops.AxisAttrs(1))
    return reader.node(part, "Reshape", [powers], ops.ShapeAttrs((1, x.values)))


def _dropout(reader: _Reader, part: Section) -> Tensor:
    return reader.last


def _shortcut(reader: _Reader, part: Section) -> Tensor:
    if "from" not in part.values:
        part.refuse("'from' is missing", "write from=-3 or the like")
    other = reader.earlier(part, part.integers("from")[0], "from")
    if other.shape != reader.last.shape:
        part.refuse(
            f"it adds {other.shape} to {reader.last.shape}", "supported are equal shapes", "from"
        )
    total = reader.node(part, "Add", [reader.last, other], Attrs())
    return reader.activation(part, total, "linear")


def _route(reader: _Reader, part: Section) -> Tensor:
    if "layers" not in part.values:
        part.refuse("'layers' is missing", "write layers=-1,8 or the like")
    parts = [reader.earlier(part, one, "layers") for one in part.integers("layers")]
    groups, index = part.integer("groups", 1, 1), part.integer("group_id", 0)
    if groups > 1:
        parts = [_group(reader, part, one, groups, index) for one in parts]
    if len(parts) == 1:
        return parts[0]
    return reader.node(part, "Concat", parts, ops.AxisAttrs(1))


def _group(reader: _Reader, part: Section, x: Tensor, groups: int, index: int) -> Tensor:
    if x.shape[1] % groups or index >= groups:
        part.refuse(
            f"group {index} of {groups} in {x.shape[1]} channels", "groups divide it", "groups"
        )
    each = x.shape[1] // groups
    starts = (0, index * each, *(0 for _ in x.shape[2:]))
    sizes = (x.shape[0], each, *x.shape[2:])
    return reader.node(part, "Slice", [x], ops.SliceAttrs(starts, sizes, (1,) * len(sizes)))


def _upsample(reader: _Reader, part: Section) -> Tensor:
    x, stride = reader.last, part.integer("stride", 2, 1)
    if part.text("scale", "1") not in ("1", "1.0") or len(x.shape) != 4:
        part.refuse("a scale, or an input without height", "supported is scale=1", "scale")
    sizes = (*x.shape[:2], x.shape[2] * stride, x.shape[3] * stride)
    factors = (1.0, 1.0, float(stride), float(stride))
    attrs = ops.ResizeAttrs("nearest", "asymmetric", "floor", factors, sizes)
    return reader.node(part, "Resize", [x], attrs)


_LAYERS = {
    "convolutional": _convolutional,
    "connected": _connected,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "softmax": _softmax,
    "dropout": _dropout,
    "shortcut": _shortcut,
    "route": _route,
    "upsample": _upsample,
}


def build(cfg: Path, weights: WeightSource) -> Graph:
    """The graph of a `.cfg`, with weights from anywhere. Raises `TesseraError` with the line."""
    net, layers = parse(cfg)
    reader = _Reader(cfg.name, weights)
    shape = (1, *(net.integer(key, 0, 1) for key in ("channels", "height", "width")))
    reader.last = reader.builder.input("data", shape, DType.FLOAT32, net.source)
    for part in layers:
        if part.name in HEADS:
            reader.heads.append(reader.last.name)
        else:
            reader.last = _LAYERS[part.name](reader, part)
        reader.made.append(reader.last)
    return reader.builder.finish(list(dict.fromkeys([*reader.heads, reader.last.name])))


def read(cfg: Path, weights: Path) -> Graph:
    """The graph of a `.cfg` with its `.weights`, of which nothing may be missing or left over."""
    source = WeightFile(weights)
    graph = build(cfg, source)
    source.finish()
    return graph
