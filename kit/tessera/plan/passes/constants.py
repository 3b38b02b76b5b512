"""Constant folding: what depends on constants only is computed now.

Goal: the same values, exactly: the reference executor computes them.
Non-goals: what would make a package larger. Weights stay as integers when they are (a
DequantizeLinear of a constant is kept), and nothing grows by more than `GROWTH` bytes.
"""

from __future__ import annotations

from tessera.plan.execute import run_node
from tessera.plan.graph import Graph
from tessera.plan.passes.rewrite import close, frozen

KEPT = ("DequantizeLinear", "QuantizeLinear")
GROWTH = 1 << 16
"""Bytes that a folded constant may have beyond those it was made from."""


def fold_constants(graph: Graph) -> Graph:
    """The graph with constants in place of nodes that only read constants."""
    tensors = dict(graph.tensors)
    values = {one.name: one.data for one in graph.constants() if one.data is not None}
    nodes = []
    for node in graph.nodes:
        output = tensors[node.outputs[0]]
        given = sum(tensors[name].bytes for name in node.inputs)
        known = all(name in values for name in node.inputs)
        if not known or node.op in KEPT or output.bytes > given + GROWTH:
            nodes.append(node)
            continue
        made = frozen(output, run_node(node, tensors, values))
        assert made.data is not None
        tensors[output.name], values[output.name] = made, made.data
    return close(graph, nodes, tensors)
