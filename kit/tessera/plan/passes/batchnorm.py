"""Batch-norm folding: a normalisation after a convolution or a dense layer becomes its weights.

With factor = scale / sqrt(variance + epsilon) per output channel, weights are multiplied by it and
the bias becomes (bias - mean) * factor + shift. Computed in float64, rounded once to float32.
Goal: the same values up to float32 rounding, one node and one activation tensor less.
Non-goals: a normalisation after anything else, or of a value that something else reads: it stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tessera.plan.graph import Array, DType, Graph, Node, Tensor
from tessera.plan.graph_ops import EpsilonAttrs, GemmAttrs
from tessera.plan.passes.rewrite import close, constant_data


def _factors(graph: Graph, node: Node) -> tuple[Array, Array, Array] | None:
    """Factor, mean and shift per channel, in float64."""
    parts = [constant_data(graph, name) for name in node.inputs[1:]]
    if any(part is None for part in parts) or not isinstance(node.attrs, EpsilonAttrs):
        return None
    scale, shift, mean, variance = (np.asarray(part, np.float64) for part in parts)
    return scale / np.sqrt(variance + node.attrs.epsilon), mean, shift


def _channel_axis(graph: Graph, node: Node) -> int | None:
    """The axis of the weights that is the output channel; None where folding does not apply."""
    if node.op not in ("Conv", "Gemm"):
        return None
    weights = constant_data(graph, node.inputs[1])
    if weights is None or any(constant_data(graph, one) is None for one in node.inputs[2:]):
        return None
    if node.op == "Conv":
        return 0
    if isinstance(node.attrs, GemmAttrs):
        plain = node.attrs.alpha == 1 and (len(node.inputs) == 2 or node.attrs.beta == 1)
        return (0 if node.attrs.transpose_b else 1) if plain else None
    return None


def _merged(graph: Graph, before: Node, norm: Node) -> tuple[Node, list[Tensor]] | None:
    """The node that does the work of both, with its new weights and bias."""
    parts, axis = _factors(graph, norm), _channel_axis(graph, before)
    if parts is None or axis is None:
        return None
    factor, mean, shift = parts
    old = graph.tensors[before.inputs[1]]
    assert old.data is not None
    along = [-1 if one == axis else 1 for one in range(old.data.ndim)]
    weights = (old.data.astype(np.float64) * factor.reshape(along)).astype(np.float32)
    bias = np.zeros_like(mean)
    if len(before.inputs) == 3:
        given = np.asarray(constant_data(graph, before.inputs[2]), np.float64)
        if given.size not in (1, mean.size):
            return None
        bias = np.broadcast_to(given.reshape(-1), mean.shape)
    bias = ((bias - mean) * factor + shift).astype(np.float32)
    output = norm.outputs[0]
    made = [
        Tensor(f"{output}.weights", weights.shape, DType.FLOAT32, old.source, data=weights),
        Tensor(f"{output}.bias", bias.shape, DType.FLOAT32, norm.source, data=bias),
    ]
    for one in (weights, bias):
        one.flags.writeable = False
    names = (before.inputs[0], *(one.name for one in made))
    return replace(before, inputs=names, outputs=(output,)), made


def fold_batch_norms(graph: Graph) -> Graph:
    """The graph with every foldable BatchNormalization in the node before it."""
    producers, consumers = graph.producers(), graph.consumers()
    tensors = dict(graph.tensors)
    replaced: dict[str, Node | None] = {}
    for norm in graph.nodes:
        before = producers.get(norm.inputs[0]) if norm.op == "BatchNormalization" else None
        value = norm.inputs[0]
        if before is None or value in graph.outputs or len(consumers[value]) > 1:
            continue
        merged = _merged(graph, before, norm)
        if merged is None or any(one.name in tensors for one in merged[1]):
            continue
        node, made = merged
        tensors |= {one.name: one for one in made}
        replaced[before.outputs[0]] = None
        replaced[norm.outputs[0]] = node
    nodes = (replaced.get(node.outputs[0], node) for node in graph.nodes)
    return close(graph, (node for node in nodes if node is not None), tensors)
