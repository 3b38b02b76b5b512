"""What passes share: following renamed tensors, and closing a graph around the nodes left.

Goal: a pass says which nodes stay and what replaces what; the rest is done here and validated.
Non-goals: any pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from tessera.plan.graph import Array, Graph, Node, Tensor, validate


def constant_data(graph: Graph, name: str) -> Array | None:
    """The data of a tensor that is constant, else None."""
    return graph.tensors[name].data


def frozen(tensor: Tensor, data: Array) -> Tensor:
    """The tensor as a constant."""
    kept = np.ascontiguousarray(data).reshape(tensor.shape)
    kept.flags.writeable = False
    return replace(tensor, data=kept)


def close(graph: Graph, nodes: Iterable[Node], tensors: Mapping[str, Tensor]) -> Graph:
    """The graph of these nodes: only tensors that something uses, in the order they had."""
    kept = tuple(nodes)
    used = {name for node in kept for name in (*node.inputs, *node.outputs)}
    used |= {*graph.inputs, *graph.outputs}
    rest = {name: tensor for name, tensor in tensors.items() if name in used}
    closed = replace(graph, nodes=kept, tensors=rest)
    validate(closed)
    return closed
