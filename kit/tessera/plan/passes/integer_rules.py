"""How each float op between integers becomes an op on the integers themselves.

Goal: one rule per kind of op: sums of products and means are exact integers, scaled once and
rounded to the nearest, ties to even (`execute_integers`); functions of one value become a table of
256 entries, and values that only move stay as they are, both exactly what the float form gives.
Non-goals: finding the places (`integers`); functions of two values other than a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tessera.plan import graph_ops as ops
from tessera.plan.execute import run
from tessera.plan.graph import Array, Attrs, DType, Graph, Node, Quantisation, Tensor
from tessera.plan.graph_build import GraphBuilder

BYTES = (DType.INT8, DType.UINT8)
TABLES = frozenset(
    [
        *(op for op in ops.UNARY if op != "Identity"),
        *("LeakyRelu", "Elu", "Swish", "HardSigmoid", "Clip", "Gelu"),
    ]
)
"""Functions of one value."""

MOVES = frozenset(
    [
        *("Identity", "Reshape", "Transpose", "Slice", "Expand", "Tile", "Resize"),
        *("MaxPool", "GlobalMaxPool", "Concat"),
    ]
)
"""Ops that pick values and make none: integers take the place of what they stand for."""

_LEAST, _MOST = -(2**31), 2**31 - 1


def moves(node: Node) -> bool:
    """Whether the node only picks values; a resize that blends does not."""
    blends = isinstance(node.attrs, ops.ResizeAttrs) and node.attrs.mode != "nearest"
    return node.op in MOVES and not blends


@dataclass(frozen=True, slots=True)
class Site:
    """A float node between integers.

    `inputs` are the integer tensors that its inputs are dequantised from, None for an input that is
    not; `output` is the quantised one; `real` gives the float values of a constant.
    """

    node: Node
    inputs: tuple[Tensor | None, ...]
    output: Tensor
    real: Callable[[str], Array | None]

    def flat(self, index: int) -> Tensor | None:
        """An 8-bit input with one scale, else None."""
        one = self.inputs[index]
        if one is None or one.dtype not in BYTES or one.quantisation is None:
            return None
        return one if one.quantisation.axis is None else None


@dataclass(frozen=True, slots=True)
class Fused:
    """Nodes, the last of which makes the site's output, and the tensors that they bring along."""

    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...] = ()


def _constant(name: str, data: Array, like: Tensor, how: Quantisation | None = None) -> Tensor:
    kept = np.ascontiguousarray(data)
    kept.flags.writeable = False
    return Tensor(name, kept.shape, DType(kept.dtype.name), like.source, how, kept)


def table_of(x: Tensor, y: Tensor, op: str = "", attrs: Attrs | None = None) -> Array:
    """The 256 integers of `y` for those of `x`, by the executor: dequantise, `op`, quantise."""
    assert x.quantisation is not None and y.quantisation is not None
    limits = np.iinfo(x.dtype.numpy)
    builder = GraphBuilder("table")
    given = builder.input("x", (256,), x.dtype, x.source)
    builder.annotate("x", x.quantisation)
    made = builder.node("DequantizeLinear", [given.name], Attrs(), x.source)
    if op:
        made = builder.node(op, [made.name], attrs or Attrs(), x.source)
    to = ops.CastAttrs(y.dtype)
    made = builder.node("QuantizeLinear", [made.name], to, x.source, quantisation=y.quantisation)
    every = np.arange(limits.min, limits.max + 1).astype(x.dtype.numpy)
    return run(builder.finish([made.name]), {"x": every})[made.name]


def same_meaning(x: Tensor, y: Tensor) -> bool:
    """Whether equal integers stand for equal numbers."""
    return x.dtype is y.dtype and x.quantisation == y.quantisation


def requantised(x: Tensor, like: Tensor, name: str, node: Node) -> Fused:
    """The integers of `x` in the steps of `like`, by a table, under a new name."""
    table = _constant(f"{name}.table", table_of(x, like), x)
    made = replace(like, name=name, shape=x.shape, data=None)
    step = replace(node, name=name, op="QLinearTable", attrs=Attrs(), outputs=(name,))
    return Fused((replace(step, inputs=(x.name, table.name)),), (table, made))


def _bias(site: Site, x: Quantisation, w: Quantisation, outputs: int) -> Array | None:
    """A bias in units of the sums: x's scale times w's. None when it leaves int32 or is no row."""
    values = site.real(site.node.inputs[2])
    if values is None or values.size not in (1, outputs):
        return None
    unit = np.asarray(x.scale, np.float64) * np.asarray(w.scale, np.float64)
    steps = np.rint(np.broadcast_to(values.reshape(-1), (outputs,)).astype(np.float64) / unit)
    fits = (steps >= _LEAST).all() and (steps <= _MOST).all()
    return steps.astype(np.int32) if fits else None


def _product(site: Site, op: str, w: Tensor, attrs: Attrs, own: tuple[Tensor, ...]) -> Fused | None:
    """A sum of products with weights `w` (a constant, or another input), and its bias."""
    x, how = site.flat(0), w.quantisation
    if x is None or x.quantisation is None or how is None:
        return None
    names, made = [x.name, w.name], list(own)
    if len(site.node.inputs) == 3:
        outputs = w.shape[0] if op == "QLinearConv" else w.shape[-1]
        data = _bias(site, x.quantisation, how, outputs)
        if data is None:
            return None
        made.append(_constant(f"{site.output.name}.bias", data, site.output))
        names.append(made[-1].name)
    node = replace(site.node, op=op, inputs=tuple(names), attrs=attrs, outputs=(site.output.name,))
    return Fused((node,), tuple(made))


def _conv(site: Site) -> Fused | None:
    w = site.inputs[1]
    if w is None or w.dtype not in BYTES or w.quantisation is None:
        return None
    if w.quantisation.axis not in (None, 0):
        return None
    return _product(site, "QLinearConv", w, site.node.attrs, ())


def _matmul(site: Site) -> Fused | None:
    w = site.inputs[1]
    if w is None or w.dtype not in BYTES or w.quantisation is None:
        return None
    if w.quantisation.axis not in (None, len(w.shape) - 1):
        return None
    return _product(site, "QLinearMatMul", w, Attrs(), ())


def _gemm(site: Site) -> Fused | None:
    """As `_matmul`; weights that are transposed in the sum are turned once and for all."""
    gemm, w = site.node.attrs, site.inputs[1]
    if not isinstance(gemm, ops.GemmAttrs) or gemm.transpose_a or gemm.alpha != 1:
        return None
    if w is None or w.dtype not in BYTES or w.quantisation is None or w.data is None:
        return None
    if len(site.node.inputs) == 3 and gemm.beta != 1:
        return None
    axis = w.quantisation.axis
    if axis not in (None, 0 if gemm.transpose_b else 1):
        return None
    if not gemm.transpose_b:
        return _product(site, "QLinearMatMul", w, Attrs(), ())
    how = replace(w.quantisation, axis=None if axis is None else 1)
    turned = _constant(f"{site.output.name}.weights", w.data.T, w, how)
    return _product(site, "QLinearMatMul", turned, Attrs(), (turned,))


def _renamed(op: str) -> Callable[[Site], Fused | None]:
    """The same node on integers: sums and means, whose rounding the executor states."""

    def rule(site: Site) -> Fused | None:
        given = [site.flat(index) for index in range(len(site.inputs))]
        names = tuple(one.name for one in given if one is not None)
        if len(names) < len(given):
            return None
        return Fused((replace(site.node, op=op, inputs=names, outputs=(site.output.name,)),))

    return rule


def _table(site: Site) -> Fused | None:
    x = site.flat(0)
    if x is None:
        return None
    data = table_of(x, site.output, site.node.op, site.node.attrs)
    table = _constant(f"{site.output.name}.table", data, x)
    made = replace(site.node, op="QLinearTable", attrs=Attrs(), inputs=(x.name, table.name))
    return Fused((replace(made, outputs=(site.output.name,)),), (table,))


def _move(site: Site) -> Fused | None:
    """Picks integers; inputs in other steps than the output's go through a table first."""
    if not moves(site.node):
        return None
    names: list[str] = []
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    for index in range(len(site.inputs)):
        x = site.flat(index)
        if x is None:
            return None
        if same_meaning(x, site.output):
            names.append(x.name)
            continue
        step = requantised(x, site.output, f"{site.output.name}.{index}", site.node)
        nodes += step.nodes
        tensors += step.tensors
        names.append(step.nodes[0].outputs[0])
    moved = replace(site.node, inputs=tuple(names), outputs=(site.output.name,))
    return Fused((*nodes, moved), tuple(tensors))


RULES: Mapping[str, Callable[[Site], Fused | None]] = {
    "Conv": _conv,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Add": _renamed("QLinearAdd"),
    "AveragePool": _renamed("QLinearAveragePool"),
    "GlobalAveragePool": _renamed("QLinearGlobalAveragePool"),
    **dict.fromkeys(TABLES, _table),
    **dict.fromkeys(MOVES, _move),
}

ABSORBING = ("Conv", "MatMul", "Gemm", "Add", "AveragePool", "GlobalAveragePool")
"""Ops that end in a rounding which keeps the result inside the type: a clamp after them is free
when the type's range is inside the clamp's."""


def clamp_of(node: Node) -> tuple[float, float] | None:
    """The bounds of a Relu or a Clip, else None."""
    if node.op == "Relu":
        return 0.0, np.inf
    if isinstance(node.attrs, ops.ClipAttrs):
        low, high = node.attrs.low, node.attrs.high
        return -np.inf if low is None else low, np.inf if high is None else high
    return None


def clamp_is_free(node: Node, dtype: DType, how: Quantisation) -> bool:
    """Whether keeping the integers inside their type does what the clamp does, for every input."""
    bounds = clamp_of(node)
    if bounds is None or how.axis is not None or bounds[0] > bounds[1]:
        return False
    limits = np.iinfo(dtype.numpy)
    scale, zero = np.float32(how.scale[0]), how.zero_point[0]
    low, high = (np.rint(np.float32(one) / scale) + zero for one in bounds)
    return bool(low <= limits.min and high >= limits.max)


def real_values(graph: Graph, producers: Mapping[str, Node]) -> Callable[[str], Array | None]:
    """A function that gives the float values of a constant, which may be written as integers."""

    def real(name: str) -> Array | None:
        data, maker = graph.tensors[name].data, producers.get(name)
        if data is not None or maker is None or maker.op != "DequantizeLinear":
            return data
        given = graph.tensors[maker.inputs[0]]
        how = given.quantisation
        if given.data is None or how is None:
            return None
        axis = [-1 if one == how.axis else 1 for one in range(given.data.ndim)]
        zero, scale = (
            np.asarray(part, np.float64).reshape(() if how.axis is None else axis)
            for part in (how.zero_point, how.scale)
        )
        return np.asarray((given.data.astype(np.float64) - zero) * scale)

    return real
