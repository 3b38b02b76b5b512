"""Integer fusion: dequantise, compute, quantise becomes one op on integers.

Sums of products and means may differ from the float form by one step, because that rounds in
between; everything else is the same (`integer_rules`).
Goal: int8 networks without float32 tensors between their layers.
Non-goals: ops without a rule; they stay in float32 between a dequantisation and a quantisation.
"""

from __future__ import annotations

from collections.abc import Mapping

from tessera.plan.graph import Graph, Node, Tensor
from tessera.plan.passes.dead import drop_dead
from tessera.plan.passes.integer_rules import (
    ABSORBING,
    RULES,
    Fused,
    Site,
    clamp_is_free,
    real_values,
    requantised,
    same_meaning,
)
from tessera.plan.passes.rewrite import close


class _Finder:
    """What is between integers in a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers = graph.producers()
        self.consumers = graph.consumers()
        self.real = real_values(graph, self.producers)

    def behind(self, name: str) -> Tensor | None:
        """The integer tensor that a float one is dequantised from."""
        maker = self.producers.get(name)
        if maker is None or maker.op != "DequantizeLinear":
            return None
        return self.graph.tensors[maker.inputs[0]]

    def private(self, name: str) -> bool:
        """Whether one node reads the tensor, and nothing else asks for it."""
        return name not in self.graph.outputs and len(self.consumers[name]) == 1

    def core(self, quantise: Node) -> Node | None:
        """The node whose result is quantised; a clamp in between that is free is passed over."""
        name = quantise.inputs[0]
        node = self.producers.get(name)
        if node is None or not self.private(name):
            return None
        output = self.graph.tensors[quantise.outputs[0]]
        before = self.producers.get(node.inputs[0])
        if (
            before is not None
            and before.op in ABSORBING
            and self.private(node.inputs[0])
            and output.quantisation is not None
            and clamp_is_free(node, output.dtype, output.quantisation)
        ):
            return before
        return node

    def fused(self, quantise: Node) -> Fused | None:
        """What takes the place of the node that quantises and of what it quantises."""
        output = self.graph.tensors[quantise.outputs[0]]
        if output.quantisation is None or output.quantisation.axis is not None:
            return None
        x = self.behind(quantise.inputs[0])
        if x is not None and x.quantisation is not None and x.quantisation.axis is None:
            # Integers in other steps; in the same steps nothing is gained by a table.
            if x.data is not None or same_meaning(x, output) or x.dtype.bytes != 1:
                return None
            return requantised(x, output, output.name, quantise)
        node = self.core(quantise)
        rule = RULES.get(node.op) if node is not None else None
        if node is None or rule is None:
            return None
        inputs = tuple(self.behind(name) for name in node.inputs)
        return rule(Site(node, inputs, output, self.real))


def _clashes(fused: Fused, tensors: Mapping[str, Tensor], output: str) -> bool:
    return any(one.name in tensors and one.name != output for one in fused.tensors)


def fuse_integers(graph: Graph) -> Graph:
    """The graph with ops on integers wherever both sides are quantised and a rule applies."""
    finder, tensors = _Finder(graph), dict(graph.tensors)
    replaced: dict[str, tuple[Node, ...]] = {}
    for quantise in graph.nodes:
        if quantise.op != "QuantizeLinear":
            continue
        fused = finder.fused(quantise)
        if fused is None or _clashes(fused, tensors, quantise.outputs[0]):
            continue
        replaced[quantise.outputs[0]] = fused.nodes
        tensors |= {one.name: one for one in fused.tensors if one.name != quantise.outputs[0]}
    nodes = [new for node in graph.nodes for new in replaced.get(node.outputs[0], (node,))]
    return drop_dead(close(graph, nodes, tensors))
