"""Which rows of its inputs a band of a node's output rows needs: the halo, op by op.

Goal: integer arithmetic with clipping at the borders; rows outside of what is claimed never change
the band. Rows are axis 2 of (batch, channels, rows, ...). What lies beyond a border is told as
padding rows before and after.
Non-goals: tightness inside the interval (a dilated window skips rows of it); columns, which are
never cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from tessera.plan import graph_ops as ops
from tessera.plan.execute_moves import nearest_positions, source_positions
from tessera.plan.graph import Node, Shape, Tensor

ROW_AXIS = 2


@dataclass(frozen=True, slots=True, order=True)
class Rows:
    """Indices of one axis, from `start`, up to and without `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many."""
        return self.stop - self.start

    def __str__(self) -> str:
        return f"{self.start}:{self.stop}"


@dataclass(frozen=True, slots=True)
class Need:
    """Rows of an input, and how many padding rows stand before and after them in the band."""

    rows: Rows
    before: int = 0
    after: int = 0


SAME_ROWS = frozenset(
    [
        *(*ops.BINARY, *ops.COMPARE, *ops.LOGIC, *ops.UNARY, "Not", "Where", "LeakyRelu", "Elu"),
        *("Swish", "HardSigmoid", "Clip", "Gelu", "Cast", "QuantizeLinear", "DequantizeLinear"),
        *("QLinearAdd", "QLinearTable", "BatchNormalization", "LRN"),
    ]
)
"""Ops whose output row depends on the same row of each input (or on an input without rows)."""

WINDOWS = frozenset(("Conv", "QLinearConv", "MaxPool", "AveragePool", "QLinearAveragePool"))


def height(shape: Shape) -> int | None:
    """The number of rows, or None when the shape has no axis of rows."""
    return shape[ROW_AXIS] if len(shape) > ROW_AXIS else None


def window_need(attrs: ops.ConvAttrs | ops.PoolAttrs, size: int, out: Rows) -> Need:
    """Rows of an input of `size` rows under the windows of `out`.

    Output row r reads r * stride - pad + dilation * (0 .. kernel - 1). Rows that only `ceil_mode`
    reaches, behind the padding, are not counted in `after`.
    """
    reach = attrs.dilations[0] * (attrs.kernel[0] - 1) + 1
    first = out.start * attrs.strides[0] - attrs.pads[0]
    last = (out.stop - 1) * attrs.strides[0] - attrs.pads[0] + reach
    end = min(last, size + attrs.pads[len(attrs.kernel)])
    rows = Rows(min(max(first, 0), size), min(max(last, 0), size))
    return Need(rows, min(max(0, -first), last - first), max(0, end - max(size, first)))


def resize_need(attrs: ops.ResizeAttrs, size: int, out: Rows) -> Need:
    """Rows of an input of `size` rows from which the rows `out` are picked or blended."""
    places = source_positions(attrs, ROW_AXIS, size)[out.start : out.stop]
    if attrs.sizes[ROW_AXIS] == size and attrs.scales[ROW_AXIS] == 1:
        return Need(out)
    if attrs.mode == "nearest":
        low = high = nearest_positions(places, attrs.nearest)
    else:
        low, high = np.floor(places), np.floor(places) + 1
    ends = np.clip((low.min(), high.max()), 0, size - 1)
    return Need(Rows(int(ends[0]), int(ends[1]) + 1))


def _pad_need(attrs: ops.PadAttrs, rank: int, size: int, out: Rows) -> Need:
    before = attrs.pads[ROW_AXIS]
    first, last = out.start - before, out.stop - before
    # A negative padding cuts rows; those are no input rows of any band.
    low, high = max(0, -before), size - max(0, -attrs.pads[ROW_AXIS + rank])
    rows = Rows(min(max(first, low), high), min(max(last, low), high))
    return Need(rows, min(max(0, low - first), out.size), min(max(0, last - high), out.size))


def _row_wise(node: Node, tensors: Mapping[str, Tensor]) -> bool:
    """Whether inputs of a same-row op line up with the rows of its output."""
    if node.op == "BatchNormalization":  # its vectors lie along the channels
        return True
    shape = tensors[node.outputs[0]].shape
    for name in node.inputs:
        one = tensors[name].shape
        axis = len(one) - len(shape) + ROW_AXIS
        if len(one) < len(shape) and axis >= 0 and one[axis] != 1:
            return False
    return True


def is_row_local(node: Node, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the node can be computed band by band, each band from few rows of its inputs."""
    if height(tensors[node.outputs[0]].shape) is None:
        return False
    if node.op in SAME_ROWS:
        return _row_wise(node, tensors)
    if node.op in ("Concat", "Softmax", "LogSoftmax"):
        return cast(ops.AxisAttrs, node.attrs).axis != ROW_AXIS
    if node.op == "Pad":
        return cast(ops.PadAttrs, node.attrs).mode == "constant"
    return node.op in WINDOWS or node.op == "Resize"


def need_of(node: Node, tensors: Mapping[str, Tensor], index: int, out: Rows) -> Need | None:
    """What input `index` of a row-local node gives to the output rows `out`; None is all of it."""
    shape = tensors[node.inputs[index]].shape
    rows = height(shape)
    made = tensors[node.outputs[0]].shape
    if node.op in WINDOWS:
        attrs = cast(ops.ConvAttrs, node.attrs)
        return window_need(attrs, shape[ROW_AXIS], out) if index == 0 else None
    if node.op == "Resize":
        return resize_need(cast(ops.ResizeAttrs, node.attrs), shape[ROW_AXIS], out)
    if node.op == "Pad":
        return _pad_need(cast(ops.PadAttrs, node.attrs), len(shape), shape[ROW_AXIS], out)
    if rows is None or len(shape) != len(made) or (rows == 1 and made[ROW_AXIS] != 1):
        return None
    return Need(out)
