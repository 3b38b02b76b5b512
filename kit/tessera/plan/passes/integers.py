"""Integer fusion: dequantise, convolve, quantise becomes one convolution of integers.

Sums are exact integers, then scaled once and rounded to the nearest, ties to even
(`execute_integers`). The float form rounds in between, so that an output may differ by one step.
Goal: int8 networks without float32 tensors between their convolutions.
Non-goals: other ops between the two; they stay in float32. Float biases that are not constant.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tessera.plan.graph import Array, DType, Graph, Node, Quantisation, Tensor
from tessera.plan.graph_ops import ConvAttrs
from tessera.plan.passes.dead import drop_dead
from tessera.plan.passes.rewrite import close

_BYTES = (DType.INT8, DType.UINT8)


def _bias(values: Array, x: Quantisation, w: Quantisation) -> Array | None:
    """A float bias in units of the sums: x's scale times w's. None when it leaves int32."""
    unit = np.asarray(x.scale, np.float64) * np.asarray(w.scale, np.float64)
    steps = np.rint(values.astype(np.float64) / unit)
    return steps.astype(np.int32) if np.abs(steps).max() < 2**31 else None


def _real(graph: Graph, name: str, producers: dict[str, Node]) -> Array | None:
    """The float values of a constant, which may be written as integers."""
    data = graph.tensors[name].data
    maker = producers.get(name)
    if data is not None or maker is None or maker.op != "DequantizeLinear":
        return data
    given = graph.tensors[maker.inputs[0]]
    how = given.quantisation
    if given.data is None or how is None:
        return None
    centred = given.data.astype(np.float64) - np.asarray(how.zero_point)
    return np.asarray(centred * np.asarray(how.scale, np.float64))


def _fused(
    graph: Graph, conv: Node, quantise: Node, producers: dict[str, Node]
) -> tuple[Node, Tensor | None] | None:
    """The integer convolution and its bias, or None where it does not apply."""
    makers = [producers.get(name) for name in conv.inputs[:2]]
    sources = []
    for maker in makers:
        if maker is None or maker.op != "DequantizeLinear":
            return None
        sources.append(graph.tensors[maker.inputs[0]])
    x, w = sources
    if x.dtype not in _BYTES or w.dtype not in _BYTES or not isinstance(conv.attrs, ConvAttrs):
        return None
    if x.quantisation is None or w.quantisation is None or x.quantisation.axis is not None:
        return None
    out = graph.tensors[quantise.outputs[0]].quantisation
    if w.quantisation.axis not in (None, 0) or out is None or out.axis is not None:
        return None
    names, bias = [x.name, w.name], None
    if len(conv.inputs) == 3:
        values = _real(graph, conv.inputs[2], producers)
        data = None if values is None else _bias(values, x.quantisation, w.quantisation)
        if data is None:
            return None
        data.flags.writeable = False
        name = f"{quantise.outputs[0]}.bias"
        bias = Tensor(name, data.shape, DType.INT32, conv.source, data=data)
        names.append(name)
    node = replace(conv, op="QLinearConv", inputs=tuple(names), outputs=quantise.outputs)
    return node, bias


def fuse_integers(graph: Graph) -> Graph:
    """The graph with integer convolutions where both sides are quantised."""
    producers, consumers = graph.producers(), graph.consumers()
    tensors = dict(graph.tensors)
    replaced: dict[str, Node] = {}
    for quantise in graph.nodes:
        conv = producers.get(quantise.inputs[0]) if quantise.op == "QuantizeLinear" else None
        if conv is None or conv.op != "Conv" or conv.outputs[0] in graph.outputs:
            continue
        if len(consumers[conv.outputs[0]]) > 1:
            continue
        fused = _fused(graph, conv, quantise, producers)
        if fused is None or (fused[1] is not None and fused[1].name in tensors):
            continue
        node, bias = fused
        replaced[quantise.outputs[0]] = node
        if bias is not None:
            tensors[bias.name] = bias
    nodes = [replaced.get(node.outputs[0], node) for node in graph.nodes]
    return drop_dead(close(graph, nodes, tensors))
