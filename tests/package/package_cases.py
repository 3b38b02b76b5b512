"""Networks and packages for the tests: small, made once, from fixed seeds."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from tessera.package.contents import Contents
from tessera.package.pack import Packing, pack
from tessera.package.seal import Sealed, seal
from tessera.plan import zoo
from tessera.plan.graph import Attrs, DType, Graph, Source, Tensor
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.graph_ops import (
    AlphaAttrs,
    AxisAttrs,
    ConvAttrs,
    GemmAttrs,
    PoolAttrs,
    ShapeAttrs,
)
from tessera.plan.network import plan_network
from tessera.plan.plan import Plan
from tessera.plan.prepare import Calibration, prepared

HERE = Source("hand")
MASTER = bytes(range(32))
OTHER = bytes(range(1, 33))


class Layers:
    """A network under construction, with weights from a seed."""

    def __init__(self, *shape: int, name: str = "hand", dtype: DType = DType.FLOAT32) -> None:
        self.rng = np.random.default_rng(7)
        self.builder = GraphBuilder(name)
        self.x = self.builder.input("x", shape, dtype, HERE)

    def weights(self, *shape: int) -> str:
        """A constant of random numbers."""
        data = self.rng.standard_normal(shape).astype(np.float32)
        return self.builder.constant(self.builder.fresh("w"), data, HERE).name

    def statistics(self, channels: int) -> tuple[str, str, str, str]:
        """Scale, bias, mean and variance of a batch norm."""
        scale, bias, mean = (self.weights(channels) for _ in range(3))
        data = self.rng.uniform(0.5, 2, channels).astype(np.float32)
        return scale, bias, mean, self.builder.constant("variance", data, HERE).name

    def node(self, op: str, inputs: Sequence[Tensor | str], attrs: Attrs | None = None) -> Tensor:
        """Any node."""
        names = [one if isinstance(one, str) else one.name for one in inputs]
        return self.builder.node(op, names, attrs or Attrs(), HERE)

    def conv(
        self, x: Tensor, channels: int, kernel: int = 3, stride: int = 1, group: int = 1
    ) -> Tensor:
        """A convolution with bias that keeps the size, but for the stride."""
        pad = kernel // 2
        attrs = ConvAttrs((kernel,) * 2, (stride,) * 2, (pad,) * 4, (1, 1), group)
        w = self.weights(channels, x.shape[1] // group, kernel, kernel)
        return self.node("Conv", [x, w, self.weights(channels)], attrs)

    def pool(self, x: Tensor, op: str = "MaxPool", whole: bool = False) -> Tensor:
        """Windows of 3 by 3, two apart, padded by 1."""
        attrs = PoolAttrs((3, 3), (2, 2), (1,) * 4, (1, 1), False, whole)
        return self.node(op, [x], attrs)

    def done(self, *outputs: Tensor) -> Graph:
        """The network."""
        return self.builder.finish([one.name for one in outputs])


def mixed() -> Graph:
    """Most of what the runtime has: strides, groups, depthwise, a residual sum, a concat, weights
    that are turned, two outputs, one of them read again."""
    net = Layers(1, 3, 18, 14)
    a = net.node("Relu", [net.conv(net.x, 12)])
    b = net.node("Relu", [net.conv(a, 12, group=12)])
    c = net.node("Add", [net.conv(b, 12, kernel=1), a])
    d = net.conv(c, 20, stride=2, group=2)
    e = net.node("Concat", [net.node("Sigmoid", [d]), net.pool(c)], AxisAttrs(1))
    f = net.conv(net.node("LeakyRelu", [e], AlphaAttrs(0.125)), 10, kernel=1)
    g = net.node("GlobalAveragePool", [f])
    flat = net.node("Reshape", [g], ShapeAttrs((1, 10)))
    out = net.node("Gemm", [flat, net.weights(10, 7), net.weights(7)], GemmAttrs())
    return net.done(net.node("Softmax", [out], AxisAttrs(1)), f)


@functools.cache
def network(name: str, int8: bool = False) -> Graph:
    """A network of the zoo, or `mixed`, as it is planned."""
    loaded = mixed() if name == "mixed" else zoo.build(name)
    words = "digits" if name == "lenet_digits" else None
    return prepared(loaded, Calibration(words, 4, 3) if int8 else None)


@functools.cache
def planned(name: str, int8: bool, budget: int | None) -> Plan:
    """Its plan; the least one without a budget."""
    return plan_network(network(name, int8), budget, minimise=budget is None)


@functools.cache
def contents(
    name: str = "lenet_digits",
    int8: bool = False,
    budget: int | None = 20_000,
    chunk: int = 65_536,
    compress: bool = False,
) -> Contents:
    """Its package in the clear."""
    packing = Packing(name, 3, chunk, compress)
    return pack(network(name, int8), planned(name, int8, budget), packing).contents


@functools.cache
def sealed() -> Sealed:
    """The digits network, sealed with `MASTER`."""
    return seal(contents(), MASTER)
