"""A float32 graph to one with QuantizeLinear and DequantizeLinear around what runs on integers.

Weights are int8, symmetric, with a scale per output channel (largest magnitude / 127); biases int32
in units of the sums (input scale times weight scale); activations int8 with one scale.
Goal: the same inputs and outputs in float32; any runtime for ONNX understands what comes out.
Non-goals: fusing (`passes.integers`), measuring (`calibrate`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from tessera.plan.graph import Array, Attrs, DType, Graph, Node, Quantisation, Tensor
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.graph_ops import CastAttrs
from tessera.plan.passes.dead import drop_dead
from tessera.plan.passes.integer_rules import clamp_is_free
from tessera.plan.quantise.calibrate import calibrate
from tessera.plan.quantise.choose import Choice, shared_steps
from tessera.plan.quantise.cover import Cover, cover, weight_axis
from tessera.plan.quantise.samples import Samples

MOST_BIAS = 1 << 30
"""A bias in units of the sums stays below, so that the sum keeps inside int32."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """The graph, and by the name of each quantised float tensor the integer one."""

    graph: Graph
    integers: Mapping[str, str]


def weight_integers(
    data: Array, axis: int, bias: Array | None, x_scale: float
) -> tuple[Array, Quantisation]:
    """Weights as int8 with a scale per index of `axis`.

    The scale is larger than the weights ask for where the bias would not fit otherwise.
    """
    rest = tuple(one for one in range(data.ndim) if one != axis)
    scale = np.abs(data).max(axis=rest).astype(np.float64) / 127
    if bias is not None:
        scale = np.maximum(scale, np.abs(bias.reshape(-1)) / (x_scale * MOST_BIAS))
    scale = np.where(scale < np.finfo(np.float32).tiny, 1.0, scale).astype(np.float32)
    along = [-1 if one == axis else 1 for one in range(data.ndim)]
    steps = np.rint(data.astype(np.float64) / scale.astype(np.float64).reshape(along))
    how = Quantisation(tuple(float(one) for one in scale), (0,) * len(scale), axis)
    return np.clip(steps, -127, 127).astype(np.int8), how


class _Rewriter:
    """The graph in the making. `current`: where the float value of a tensor is to be read."""

    def __init__(self, graph: Graph, found: Cover, steps: Mapping[str, Quantisation]) -> None:
        self.graph, self.found, self.steps = graph, found, steps
        self.builder = GraphBuilder(graph.name)
        # All names are taken from the start: new ones must not meet a later one of the graph.
        self.taken = set(graph.tensors)
        self.current: dict[str, str] = {}
        self.dequantised: dict[str, str] = {}
        self.integers: dict[str, str] = {}

    def fresh(self, stem: str) -> str:
        """A name that nothing has."""
        name, count = stem, 0
        while name in self.taken:
            count += 1
            name = f"{stem}.{count}"
        self.taken.add(name)
        return name

    def wrap(self, tensor: Tensor, value: str, real: str) -> None:
        """Quantises and dequantises a value; readers on integers read what comes out."""
        how, source = self.steps[tensor.name], tensor.source
        to, made = CastAttrs(DType.INT8), self.fresh(f"{tensor.name}.q")
        self.builder.node(
            "QuantizeLinear", [value], to, source, name=made, output=made, quantisation=how
        )
        label = f"{made}.dequantised"  # an output has the name of its node before
        self.builder.node("DequantizeLinear", [made], Attrs(), source, name=label, output=real)
        self.dequantised[tensor.name], self.integers[tensor.name] = real, made

    def input(self, name: str) -> None:
        """An input of the network; readers in float32 go on reading it as it is."""
        tensor = self.graph.tensors[name]
        self.builder.input(name, tensor.shape, tensor.dtype, tensor.source)
        self.current[name] = name
        if name in self.steps:
            self.wrap(tensor, name, self.fresh(f"{name}.dq"))

    def constant(self, name: str) -> str:
        """A constant as it is."""
        if name not in self.builder.tensors:
            one = self.graph.tensors[name]
            assert one.data is not None
            self.builder.constant(name, one.data, one.source, one.quantisation)
        return name

    def weights(self, node: Node, axis: int) -> list[str]:
        """Dequantised weights and bias of a node."""
        how = self.steps[node.inputs[0]]
        bias = None
        if len(node.inputs) == 3:
            given = self.graph.tensors[node.inputs[2]].data
            outputs = self.graph.tensors[node.inputs[1]].shape[axis]
            assert given is not None
            bias = np.broadcast_to(given.reshape(-1), (outputs,))
        data = self.graph.tensors[node.inputs[1]].data
        assert data is not None
        steps, meaning = weight_integers(data, axis, bias, how.scale[0])
        names = [self._dequantised(f"{node.name}.w", steps, meaning, node)]
        if bias is not None:
            unit = np.float32(how.scale[0]) * np.asarray(meaning.scale, np.float32)
            rounded = np.rint(bias.astype(np.float64) / unit.astype(np.float64)).astype(np.int32)
            zeros = (0,) * len(unit)
            meaning = Quantisation(tuple(float(one) for one in unit), zeros, 0)
            names.append(self._dequantised(f"{node.name}.b", rounded, meaning, node))
        return names

    def _dequantised(self, stem: str, data: Array, how: Quantisation, node: Node) -> str:
        name, real = self.fresh(f"{stem}.q"), self.fresh(f"{stem}.dq")
        self.builder.constant(name, data, node.source, how)
        self.builder.node("DequantizeLinear", [name], Attrs(), node.source, name=real, output=real)
        return real

    def node(self, node: Node) -> None:
        """A node on dequantised values when it is covered, else on what there is."""
        on_integers = node.name in self.found.nodes
        axis = weight_axis(node, self.graph) if on_integers else None
        names = []
        for name in node.inputs if axis is None else node.inputs[:1]:
            if self.graph.tensors[name].data is not None:
                names.append(self.constant(name))
            else:
                read = self.dequantised if on_integers else self.current
                names.append(read.get(name, self.current[name]))
        if axis is not None:
            names += self.weights(node, axis)
        name = node.outputs[0]
        tensor = self.graph.tensors[name]
        wrapped = name in self.steps
        # An output keeps its name: it is what comes out at the end.
        asked = wrapped and name in self.graph.outputs
        made = self.fresh(f"{name}.real") if asked else name
        self.builder.node(
            *(node.op, names, node.attrs, node.source),
            name=node.name,
            output=made,
            dtype=tensor.dtype,
            quantisation=tensor.quantisation,
        )
        self.current[name] = made
        if wrapped:
            self.wrap(tensor, made, name if asked else self.fresh(f"{name}.dq"))
            if on_integers:  # everybody reads the integers; of others' results only who must
                self.current[name] = self.dequantised[name]


def insert(graph: Graph, found: Cover, steps: Mapping[str, Quantisation]) -> Quantised:
    """The graph with quantisation written into it. `steps`: what each tensor's integers mean.

    A tensor before a clamp stays unquantised where the clamp costs nothing on integers.
    """
    producers = graph.producers()
    wanted = dict(steps)
    for clamped, inner in found.inner.items():
        if clamp_is_free(producers[clamped], DType.INT8, steps[clamped]):
            del wanted[inner]
    rewriter = _Rewriter(graph, found, wanted)
    for name in graph.inputs:
        rewriter.input(name)
    for node in graph.nodes:
        rewriter.node(node)
    for name in graph.outputs:
        if graph.tensors[name].data is not None:
            rewriter.constant(name)
    made = drop_dead(rewriter.builder.finish(graph.outputs))
    return Quantised(made, rewriter.integers)


def quantise(
    graph: Graph, samples: Samples, choice: Choice | None = None, keep: Collection[str] = ()
) -> Quantised:
    """The int8 form of a float32 graph, calibrated on the samples.

    Best after `passes.simplify`: a batch norm that is not folded stays in float32. Nodes named in
    `keep` stay, too. Raises `TesseraError` when nothing can be quantised.
    """
    found = cover(graph, keep)
    chosen = choice or Choice()
    histograms = calibrate(graph, samples, [name for one in found.classes for name in one])
    steps: dict[str, Quantisation] = {}
    for names in found.classes:
        how = shared_steps([histograms[name] for name in names], chosen)
        steps |= dict.fromkeys(names, how)
    return insert(graph, found, steps)
