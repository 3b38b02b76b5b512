"""Which boxes of its inputs a part of a node's output needs: rows by `rows`, channels by blocks.

Goal: one answer for the scheduler, the cost and the executor.
Non-goals: parts that are cut along columns or batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from tessera.plan.graph import Node, Tensor
from tessera.plan.graph_ops import ConvAttrs, GemmAttrs
from tessera.plan.tiles.rows import ROW_AXIS, Rows, need_of
from tessera.plan.tiles.steps import Box, whole

CONVOLUTIONS = ("Conv", "QLinearConv")
PRODUCTS = ("MatMul", "QLinearMatMul")


@dataclass(frozen=True, slots=True)
class Blocking:
    """Output channels lie along `axis`; they can be cut at every multiple of `unit`."""

    axis: int
    channels: int
    unit: int

    def cut(self, blocks: int) -> tuple[Rows, ...]:
        """At most `blocks` ranges of channels, as equal as can be, the largest first."""
        units = self.channels // self.unit
        count = min(blocks, units)
        ends = [(units * (k + 1) + count - 1) // count * self.unit for k in range(count)]
        return tuple(Rows(a, b) for a, b in zip([0, *ends], ends, strict=False))


def blocking_of(node: Node, tensors: Mapping[str, Tensor]) -> Blocking | None:
    """How the node's constants can be cut along its output channels; None when they cannot."""
    if len(node.inputs) < 2 or tensors[node.inputs[1]].data is None:
        return None
    made, weights = tensors[node.outputs[0]].shape, tensors[node.inputs[1]].shape
    if node.op in CONVOLUTIONS:
        group = cast(ConvAttrs, node.attrs).group
        return Blocking(1, weights[0], weights[0] // group if group > 1 else 1)
    if node.op == "Gemm" or (node.op in PRODUCTS and len(weights) == 2):
        return Blocking(len(made) - 1, made[-1], 1)
    return None


def _constant_axis(node: Node, tensors: Mapping[str, Tensor], index: int) -> int | None:
    """The axis of constant input `index` that runs along the output channels."""
    shape = tensors[node.inputs[index]].shape
    if node.op in CONVOLUTIONS:
        return 0
    if index == 2:
        made = tensors[node.outputs[0]].shape
        return len(shape) - 1 if shape and shape[-1] == made[-1] else None
    transposed = node.op == "Gemm" and cast(GemmAttrs, node.attrs).transpose_b
    return 0 if transposed else 1


def channel_box(
    node: Node, tensors: Mapping[str, Tensor], index: int, channels: Rows
) -> tuple[int, Rows] | None:
    """Axis and range of input `index` that the output channels need; None is all of it."""
    if index > 0:
        axis = _constant_axis(node, tensors, index)
        return None if axis is None else (axis, channels)
    if node.op not in CONVOLUTIONS or cast(ConvAttrs, node.attrs).group == 1:
        return None
    weights = tensors[node.inputs[1]].shape
    per_group = weights[0] // cast(ConvAttrs, node.attrs).group
    start, stop = channels.start // per_group, channels.stop // per_group
    return 1, Rows(start * weights[1], stop * weights[1])


def input_boxes(
    node: Node, tensors: Mapping[str, Tensor], rows: Rows | None, channels: Rows | None
) -> tuple[Box, ...]:
    """The box of every input for a part of the output; None stands for all rows or channels."""
    boxes = []
    for index, name in enumerate(node.inputs):
        box = list(whole(tensors[name].shape))
        need = None if rows is None else need_of(node, tensors, index, rows)
        if need is not None:
            box[ROW_AXIS] = need.rows
        cut = None if channels is None else channel_box(node, tensors, index, channels)
        if cut is not None:
            box[cut[0]] = cut[1]
        boxes.append(tuple(box))
    return tuple(boxes)


def output_box(
    node: Node, tensors: Mapping[str, Tensor], rows: Rows | None, channels: Rows | None
) -> Box:
    """The box of the output that is made."""
    box = list(whole(tensors[node.outputs[0]].shape))
    if rows is not None:
        box[ROW_AXIS] = rows
    if channels is not None:
        blocking = blocking_of(node, tensors)
        assert blocking is not None, f"{node.name} is not cut into channels"
        box[blocking.axis] = channels
    return tuple(box)
