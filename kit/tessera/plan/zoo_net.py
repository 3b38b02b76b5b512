"""A small builder for the networks of the zoo: layers with seeded weights.

Goal: a definition reads like the layer list of its paper, and gives the same weights everywhere.
Weights are normal with variance 2 / fan-in (He), so that activations keep their size through a deep
network; means and variances of batch norms are near those that such activations have.
Non-goals: trained weights, any op that the zoo does not use.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

from tessera.plan import graph_ops as ops
from tessera.plan.graph import Array, Attrs, DType, Graph, Shape, Source, Tensor
from tessera.plan.graph_build import GraphBuilder

EPSILON = 1e-5


class SeededWeights:
    """Values for weights, by shape and role; the seed is the network's name."""

    def __init__(self, name: str) -> None:
        self._random = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))

    def take(self, shape: Shape, role: str, where: str = "") -> Array:
        """The next values, float32. `role` is bias, scale, mean, variance or weights."""
        match role:
            case "weights":
                wide = self._random.standard_normal(shape, np.float32)
                return wide * np.float32(math.sqrt(2 / math.prod(shape[1:])))
            case "scale" | "variance":
                return self._random.random(shape, np.float32) * np.float32(0.5) + np.float32(0.75)
            case _:
                return self._random.standard_normal(shape, np.float32) * np.float32(0.05)


class Net:
    """A network that grows layer by layer; methods take and return tensors."""

    def __init__(self, name: str, channels: int, height: int, width: int) -> None:
        self._name = name
        self._builder = GraphBuilder(name)
        self._weights = SeededWeights(name)
        self._count = 0
        shape = (1, channels, height, width)
        self.image = self._builder.input("image", shape, DType.FLOAT32, Source(name, "image"))

    def _node(self, label: str, op: str, inputs: list[Tensor], attrs: Attrs) -> Tensor:
        self._count += 1
        name = f"{self._count}.{label}"
        names = [one.name for one in inputs]
        return self._builder.node(
            op, names, attrs, Source(self._name, name), name=name, output=name
        )

    def _constant(self, role: str, shape: Shape) -> Tensor:
        name = f"{self._count + 1}.{role}"
        return self._builder.constant(
            name, self._weights.take(shape, role), Source(self._name, name)
        )

    def conv(
        self,
        x: Tensor,
        filters: int,
        size: int,
        *,
        stride: int = 1,
        pad: int = 0,
        group: int = 1,
        bias: bool = True,
    ) -> Tensor:
        """A square convolution, padded alike on all sides."""
        weights = self._constant("weights", (filters, x.shape[1] // group, size, size))
        biases = [self._constant("bias", (filters,))] if bias else []
        attrs = ops.ConvAttrs((size,) * 2, (stride,) * 2, (pad,) * 4, (1, 1), group)
        return self._node("conv", "Conv", [x, weights, *biases], attrs)

    def norm(self, x: Tensor) -> Tensor:
        """A batch norm."""
        roles = ("scale", "bias", "mean", "variance")
        parts = [self._constant(role, (x.shape[1],)) for role in roles]
        return self._node("norm", "BatchNormalization", [x, *parts], ops.EpsilonAttrs(EPSILON))

    def relu(self, x: Tensor) -> Tensor:
        """max(0, x)."""
        return self._node("relu", "Relu", [x], Attrs())

    def conv_norm_relu(
        self, x: Tensor, filters: int, size: int, *, stride: int = 1, pad: int = 0, group: int = 1
    ) -> Tensor:
        """A convolution without bias, a batch norm, ReLU."""
        y = self.conv(x, filters, size, stride=stride, pad=pad, group=group, bias=False)
        return self.relu(self.norm(y))

    def maxpool(
        self, x: Tensor, size: int, stride: int, pad: int = 0, *, ceil: bool = False
    ) -> Tensor:
        """The largest value of square windows; `ceil` keeps a last window that is cut off."""
        attrs = ops.PoolAttrs((size,) * 2, (stride,) * 2, (pad,) * 4, (1, 1), ceil_mode=ceil)
        return self._node("pool", "MaxPool", [x], attrs)

    def average(self, x: Tensor) -> Tensor:
        """The mean over height and width, as (1, channels)."""
        pooled = self._node("average", "GlobalAveragePool", [x], Attrs())
        return self._node("flat", "Reshape", [pooled], ops.ShapeAttrs((1, x.shape[1])))

    def dense(self, x: Tensor, outputs: int) -> Tensor:
        """A dense layer with bias."""
        weights = self._constant("weights", (outputs, x.shape[1]))
        bias = self._constant("bias", (outputs,))
        attrs = ops.GemmAttrs(transpose_b=True)
        return self._node("dense", "Gemm", [x, weights, bias], attrs)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """The sum."""
        return self._node("add", "Add", [a, b], Attrs())

    def concat(self, *parts: Tensor) -> Tensor:
        """Joined along the channels."""
        return self._node("concat", "Concat", list(parts), ops.AxisAttrs(1))

    def softmax(self, x: Tensor) -> Tensor:
        """Probabilities of classes."""
        return self._node("softmax", "Softmax", [x], ops.AxisAttrs(1))

    def finish(self, *outputs: Tensor) -> Graph:
        """The graph."""
        return self._builder.finish([one.name for one in outputs])
