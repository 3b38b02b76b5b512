"""The smaller network: channels are cut out of every tensor that has them.

Goal: physically smaller constants and activations, every shape worked out anew from the ops' own
rules, so that sets of channels that do not belong together are refused at the first node where
shapes do not fit. `masked` is the same network at full size with the channels' share in every sum
at zero: it computes the same, and is how the smaller one is checked.
Non-goals: which channels go.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from tessera.plan import graph_ops as ops
from tessera.plan.graph import Array, Attrs, Graph, Node, Shape, Tensor
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.passes.rewrite import close, frozen
from tessera.plan.prune.dependencies import CHANNELS, TAKES, Dependencies


def kept(sets: Array, removed: Collection[int]) -> Array:
    """Indices of an axis that stay."""
    return np.flatnonzero(~np.isin(sets, list(removed)))


def _attrs(node: Node, before: Shape, given: Shape) -> Attrs:
    """The attributes that say how many channels there are, for an input of `given`."""
    match node.attrs:
        case ops.ConvAttrs(group=group) if group > 1:
            return replace(node.attrs, group=given[CHANNELS])
        case ops.ShapeAttrs(shape) if node.op == "Reshape" and len(shape) > CHANNELS:
            if shape[CHANNELS] == before[CHANNELS]:
                return ops.ShapeAttrs((shape[0], given[CHANNELS], *shape[2:]))
            if shape == (before[0], math.prod(before[1:])):
                return ops.ShapeAttrs((given[0], math.prod(given[1:])))
            return node.attrs
        case ops.SliceAttrs(_, sizes, _) | ops.ResizeAttrs(sizes=sizes):
            return replace(node.attrs, sizes=(sizes[0], given[CHANNELS], *sizes[2:]))
        case _:
            return node.attrs


def remove(graph: Graph, found: Dependencies, removed: Collection[int]) -> Graph:
    """The graph without the channels of these sets.

    Raises `TesseraError` when the shapes do not fit any more, which is when sets are wrong.
    """
    cuts: dict[str, dict[int, Array]] = {}
    for part in found.slices:
        cuts.setdefault(part.constant, {})[part.axis] = kept(part.sets, removed)
    builder = GraphBuilder(graph.name)
    for name in graph.inputs:
        tensor = graph.tensors[name]
        builder.input(name, tensor.shape, tensor.dtype, tensor.source)
    for one in graph.constants():
        assert one.data is not None
        data = one.data
        for axis, indices in cuts.get(one.name, {}).items():
            data = data.take(indices, axis)
        builder.constant(one.name, np.ascontiguousarray(data), one.source, one.quantisation)
    for node in graph.nodes:
        made = graph.tensors[node.outputs[0]]
        before, given = (one[node.inputs[0]].shape for one in (graph.tensors, builder.tensors))
        changed = before != given
        builder.node(
            *(node.op, node.inputs, _attrs(node, before, given) if changed else node.attrs),
            node.source,
            name=node.name,
            output=made.name,
            dtype=made.dtype,
            quantisation=made.quantisation,
        )
    return builder.finish(graph.outputs)


def masked(graph: Graph, found: Dependencies, removed: Collection[int]) -> Graph:
    """The graph with the removed channels' weights at zero wherever a sum runs over them."""
    tensors: dict[str, Tensor] = dict(graph.tensors)
    for part in found.slices:
        if part.role == TAKES:
            tensor = tensors[part.constant]
            assert tensor.data is not None
            data, gone = tensor.data.copy(), np.isin(part.sets, list(removed))
            np.moveaxis(data, part.axis, 0)[gone] = 0
            tensors[part.constant] = frozen(tensor, data)
    return close(graph, graph.nodes, tensors)
