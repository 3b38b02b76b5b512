"""Dead-node removal: what no output needs, and nodes that do nothing.

Goal: the same values, exactly; inputs stay even when nothing reads them.
Non-goals: merging equal nodes.
"""

from __future__ import annotations

from dataclasses import replace

from tessera.plan.graph import Graph, Node
from tessera.plan.graph_ops import ShapeAttrs, TransposeAttrs
from tessera.plan.passes.rewrite import close


def _does_nothing(graph: Graph, node: Node) -> bool:
    """Whether the output is the first input: the same values, shape, type and meaning."""
    given, made = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if given.shape != made.shape or given.quantisation != made.quantisation:
        return False
    if node.op == "Identity":
        return True
    match node.attrs:
        case ShapeAttrs() if node.op in ("Reshape", "Expand"):
            return True
        case TransposeAttrs(order):
            return list(order) == list(range(len(order)))
        case _:
            return False


def skip_identities(graph: Graph) -> Graph:
    """Readers of a node that does nothing read its input instead; an output's maker stays."""
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        inputs = tuple(renamed.get(name, name) for name in node.inputs)
        moved = replace(node, inputs=inputs)
        if _does_nothing(graph, moved) and node.outputs[0] not in graph.outputs:
            renamed[node.outputs[0]] = inputs[0]
        else:
            nodes.append(moved)
    return close(graph, nodes, graph.tensors)


def drop_dead(graph: Graph) -> Graph:
    """Without the nodes and constants that no output needs."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return close(graph, reversed(kept), graph.tensors)
