"""Running one node for a part of its output, on the parts of its inputs that it needs.

Goal: the reference ops themselves, on slices, with the padding of the slice said explicitly; so a
tile is computed by the same code as the whole.
Non-goals: where the slices lie (`run`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from tessera.plan.execute import run_node
from tessera.plan.execute_moves import nearest_positions, source_positions
from tessera.plan.graph import Array, Attrs, Node, Tensor
from tessera.plan.graph_ops import ConvAttrs, PadAttrs, PoolAttrs, ResizeAttrs, ShapeAttrs
from tessera.plan.tiles.boxes import CONVOLUTIONS, input_boxes, output_box
from tessera.plan.tiles.rows import ROW_AXIS, WINDOWS, Need, Rows, need_of
from tessera.plan.tiles.steps import Box


def _part(tensor: Tensor, box: Box) -> Tensor:
    """The tensor that a box of `tensor` is."""
    quantisation = tensor.quantisation
    if quantisation is not None and quantisation.axis is not None:
        cut = slice(box[quantisation.axis].start, box[quantisation.axis].stop)
        quantisation = replace(
            quantisation, scale=quantisation.scale[cut], zero_point=quantisation.zero_point[cut]
        )
    shape = tuple(one.size for one in box)
    return replace(tensor, shape=shape, quantisation=quantisation, data=None)


def _attrs(node: Node, need: Need | None, channels: Rows | None, output: Tensor) -> Attrs:
    """The attributes for the part: its own padding and groups."""
    attrs = node.attrs
    if isinstance(attrs, ConvAttrs | PoolAttrs) and need is not None:
        pads = list(attrs.pads)
        pads[0], pads[len(attrs.kernel)] = need.before, need.after
        attrs = replace(attrs, pads=tuple(pads))
    if isinstance(attrs, PadAttrs) and need is not None:
        pads, rank = list(attrs.pads), len(attrs.pads) // 2
        pads[ROW_AXIS], pads[ROW_AXIS + rank] = need.before, need.after
        attrs = replace(attrs, pads=tuple(pads))
    if node.op in CONVOLUTIONS and channels is not None:
        conv = cast(ConvAttrs, attrs)
        if conv.group > 1:
            attrs = replace(conv, group=conv.group * channels.size // output.shape[1])
    if isinstance(attrs, ShapeAttrs):
        assert need is None
    return attrs


def _resize_rows(node: Node, tensor: Tensor, rows: Rows, need: Need, x: Array) -> Array:
    """The rows `rows` of a resized tensor, other axes as they are; blended rows in float64."""
    attrs = cast(ResizeAttrs, node.attrs)
    size = tensor.shape[ROW_AXIS]
    if attrs.sizes[ROW_AXIS] == size and attrs.scales[ROW_AXIS] == 1:
        return x
    places = source_positions(attrs, ROW_AXIS, size)[rows.start : rows.stop]
    if attrs.mode == "nearest":
        index = np.clip(nearest_positions(places, attrs.nearest), 0, size - 1).astype(np.int64)
        return np.take(x, index - need.rows.start, axis=ROW_AXIS)
    low = np.floor(places)
    share = (places - low).reshape(-1, *(1 for _ in x.shape[ROW_AXIS + 1 :]))
    ends = [np.clip(low + k, 0, size - 1).astype(np.int64) - need.rows.start for k in (0, 1)]
    wide = x.astype(np.float64 if x.dtype.kind == "f" else np.int64)
    first, second = (np.take(wide, end, axis=ROW_AXIS) for end in ends)
    return np.asarray(first * (1 - share) + second * share)


def compute(
    node: Node,
    tensors: Mapping[str, Tensor],
    rows: Rows | None,
    channels: Rows | None,
    values: Sequence[Array],
) -> Array:
    """The part of the node's output, from `values`, the boxes that `input_boxes` names."""
    boxes = input_boxes(node, tensors, rows, channels)
    output = tensors[node.outputs[0]]
    made = _part(output, output_box(node, tensors, rows, channels))
    need = None if rows is None else need_of(node, tensors, 0, rows)
    given = list(values)
    inputs = [_part(tensors[n], box) for n, box in zip(node.inputs, boxes, strict=True)]
    attrs = _attrs(node, need if node.op in (*WINDOWS, "Pad") else None, channels, output)
    if node.op == "Resize" and rows is not None and need is not None:
        given[0] = _resize_rows(node, tensors[node.inputs[0]], rows, need, given[0])
        resize = cast(ResizeAttrs, attrs)
        scales, sizes = list(resize.scales), list(resize.sizes)
        scales[ROW_AXIS], sizes[ROW_AXIS] = 1.0, rows.size
        attrs = replace(resize, scales=tuple(scales), sizes=tuple(sizes))
        inputs[0] = replace(inputs[0], shape=given[0].shape)
    # Names per place: an op may read one tensor twice, as different boxes.
    names = tuple(f"{index}" for index in range(len(given)))
    part = replace(node, inputs=names, outputs=("made",), attrs=attrs)
    known = {**dict(zip(names, inputs, strict=True)), "made": made}
    return run_node(part, known, dict(zip(names, given, strict=True)))
