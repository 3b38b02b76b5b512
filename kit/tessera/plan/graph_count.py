"""Counting: multiply-adds of nodes, and a graph as a table.

Goal: figures that hold for any execution: a multiply-add is one product that enters a sum.
Non-goals: time, memory traffic, the cost of anything that is not a product in a sum.
"""

from __future__ import annotations

import math
from typing import Any

from tessera.plan.graph import Graph, Node
from tessera.plan.graph_ops import GemmAttrs

_PRODUCTS = ("MatMul", "QLinearMatMul")
_WINDOWS = ("Conv", "QLinearConv")


def multiply_adds(graph: Graph, node: Node) -> int:
    """Products in sums: convolutions and matrix products; 0 for every other op."""
    shapes = [graph.tensors[name].shape for name in node.inputs]
    values = graph.tensors[node.outputs[0]].values
    if node.op in _WINDOWS:
        return values * math.prod(shapes[1][1:])
    if node.op in _PRODUCTS:
        return values * shapes[0][-1]
    if isinstance(node.attrs, GemmAttrs):
        return values * shapes[0][0 if node.attrs.transpose_a else 1]
    return 0


def summary(graph: Graph) -> dict[str, Any]:
    """The graph as plain data: a row per node, and totals. Bytes are those of tensors."""
    rows = []
    for node in graph.nodes:
        made = graph.tensors[node.outputs[0]]
        weights = [graph.tensors[one] for one in node.inputs]
        rows.append(
            {
                "name": node.name,
                "op": node.op,
                "output": list(made.shape),
                "dtype": made.dtype.value,
                "output_bytes": made.bytes,
                "weight_bytes": sum(one.bytes for one in weights if one.data is not None),
                "multiply_adds": multiply_adds(graph, node),
                "source": str(node.source),
            }
        )
    named = {
        kind: {name: list(graph.tensors[name].shape) for name in names}
        for kind, names in (("inputs", graph.inputs), ("outputs", graph.outputs))
    }
    return {
        "name": graph.name,
        **named,
        "parameters": sum(one.values for one in graph.constants()),
        "weight_bytes": graph.weight_bytes,
        "multiply_adds": sum(row["multiply_adds"] for row in rows),
        "nodes": rows,
    }
