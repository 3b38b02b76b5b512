"""Small networks for the tests of tiles, made by hand; weights from a fixed seed."""

from __future__ import annotations

import numpy as np

from tessera.plan.graph import Attrs, DType, Graph, Quantisation, Source, Tensor
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.graph_ops import AxisAttrs, ClipAttrs, ConvAttrs, GemmAttrs, PoolAttrs, ShapeAttrs

SEED = 20
HERE = Source("hand")


class Net:
    """A builder with the few layers that the tests use."""

    def __init__(self, *shape: int, dtype: DType = DType.FLOAT32) -> None:
        self.rng = np.random.default_rng(SEED)
        self.builder = GraphBuilder("hand")
        self.x = self.builder.input("x", shape, dtype, HERE)

    def weights(self, *shape: int) -> str:
        name = self.builder.fresh("w")
        data = self.rng.standard_normal(shape).astype(np.float32)
        return self.builder.constant(name, data, HERE).name

    def node(self, op: str, *inputs: str, attrs: Attrs | None = None, name: str = "") -> Tensor:
        return self.builder.node(op, inputs, attrs or Attrs(), HERE, name=name)

    def conv(
        self,
        x: Tensor,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        pad: int | None = None,
        group: int = 1,
        dilation: int = 1,
        name: str = "",
    ) -> Tensor:
        pad = dilation * (kernel // 2) if pad is None else pad
        w = self.weights(channels, x.shape[1] // group, kernel, kernel)
        attrs = ConvAttrs((kernel,) * 2, (stride,) * 2, (pad,) * 4, (dilation,) * 2, group)
        return self.node("Conv", x.name, w, self.weights(channels), attrs=attrs, name=name)

    def pool(self, x: Tensor, op: str = "MaxPool", kernel: int = 2, stride: int = 2) -> Tensor:
        pads = (0,) * 4
        return self.node(op, x.name, attrs=PoolAttrs((kernel,) * 2, (stride,) * 2, pads, (1, 1)))

    def relu6(self, x: Tensor) -> Tensor:
        return self.node("Clip", x.name, attrs=ClipAttrs(0.0, 6.0))

    def head(self, x: Tensor, classes: int) -> Tensor:
        pooled = self.node("GlobalAveragePool", x.name)
        flat = self.node("Reshape", pooled.name, attrs=ShapeAttrs((1, x.shape[1])))
        w = self.weights(classes, x.shape[1])
        gemm = GemmAttrs(transpose_b=True)
        made = self.node("Gemm", flat.name, w, self.weights(classes), attrs=gemm, name="fc")
        return self.node("Softmax", made.name, attrs=AxisAttrs(1))

    def finish(self, *outputs: Tensor) -> Graph:
        return self.builder.finish([one.name for one in outputs])


def mobile() -> Graph:
    """Depthwise-separable blocks, in the manner of MobileNet."""
    net = Net(1, 3, 32, 32)
    x = net.relu6(net.conv(net.x, 8, stride=2, name="stem"))
    for channels, stride in ((16, 1), (24, 2), (24, 1)):
        deep = net.conv(x, x.shape[1], stride=stride, group=x.shape[1])
        x = net.relu6(net.conv(net.relu6(deep), channels, kernel=1))
    return net.finish(net.head(x, 10))


def residual() -> Graph:
    """Two residual blocks, the second with a projection, and a concat of two branches."""
    net = Net(1, 3, 20, 20)
    x = net.node("Relu", net.conv(net.x, 6, name="stem").name)
    y = net.conv(net.node("Relu", net.conv(x, 6).name), 6)
    x = net.node("Relu", net.node("Add", y.name, x.name).name)
    y = net.conv(net.node("Relu", net.conv(x, 8, stride=2).name), 8)
    side = net.conv(x, 8, kernel=1, stride=2, name="side")
    x = net.node("Relu", net.node("Add", y.name, side.name).name)
    left, right = net.conv(x, 4, kernel=1), net.conv(x, 5)
    x = net.node("Concat", left.name, right.name, attrs=AxisAttrs(1))
    return net.finish(net.head(x, 7))


def quantised() -> Graph:
    """An int8 chain with a residual sum, weights quantised per channel."""
    net = Net(1, 4, 17, 13, dtype=DType.INT8)
    build = net.builder
    build.annotate("x", Quantisation((0.05,), (3,)))

    def conv(x: Tensor, channels: int, stride: int = 1, group: int = 1) -> Tensor:
        data = net.rng.integers(-127, 128, (channels, x.shape[1] // group, 3, 3), dtype=np.int8)
        scale = tuple(float(s) for s in net.rng.uniform(0.001, 0.01, channels))
        w = build.constant(build.fresh("w"), data, HERE, Quantisation(scale, (0,) * channels, 0))
        bias = net.rng.integers(-500, 500, channels).astype(np.int32)
        b = build.constant(build.fresh("b"), bias, HERE)
        attrs = ConvAttrs((3, 3), (stride,) * 2, (1,) * 4, (1, 1), group)
        quant = Quantisation((0.08,), (-4,))
        ins = (x.name, w.name, b.name)
        return build.node("QLinearConv", ins, attrs, HERE, quantisation=quant)

    x = conv(net.x, 8)
    y = conv(conv(x, 8, group=8), 8)
    quant = Quantisation((0.1,), (1,))
    z = build.node("QLinearAdd", (y.name, x.name), Attrs(), HERE, quantisation=quant)
    z = conv(z, 12, stride=2)
    return net.finish(z)


def inputs_of(graph: Graph) -> dict[str, np.ndarray]:
    """Inputs from a fixed seed."""
    rng = np.random.default_rng(SEED + 1)
    made = {}
    for name in graph.inputs:
        one = graph.tensors[name]
        if one.dtype is DType.FLOAT32:
            made[name] = rng.standard_normal(one.shape).astype(np.float32)
        else:
            made[name] = rng.integers(-128, 128, one.shape).astype(one.dtype.numpy)
    return made


__all__ = ["HERE", "SEED", "Net", "inputs_of", "mobile", "quantised", "residual"]
