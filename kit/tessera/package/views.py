"""Views, parts and windows of a plan: from its buffers and boxes to what instructions say.

A tensor is taken as channels, rows and columns: axis 1, axis 2, and all that follows as one row's
elements; axis 0 has to be 1.
Goal: one place that knows where an access lies in the arena, and that it lies inside its view.
Non-goals: which instruction a node becomes (`lower`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.package.code import RING, Element, Part, View, Window
from tessera.plan.graph import DType, Graph, Node, Shape, Tensor
from tessera.plan.graph_ops import ConvAttrs, PoolAttrs
from tessera.plan.plan import Access, Box, BufferRow, Plan, Range

CHANNEL_AXIS, ROW_AXIS = 1, 2

ELEMENTS = {
    DType.FLOAT32: Element.FLOAT32,
    DType.INT8: Element.INT8,
    DType.UINT8: Element.UINT8,
}


def unsupported(node: Node, what: str, instead: str) -> TesseraError:
    """What cannot be lowered: the node, its op, what of it, and what could."""
    return TesseraError(
        f"node '{node.name}' ({node.op}): the secure runtime does not have {what}",
        where=str(node.source),
        remedy=f"it has {instead}",
    )


@dataclass(frozen=True, slots=True)
class Extent:
    """Channels, rows, and elements of a row of a tensor."""

    channels: int
    rows: int
    width: int


def extent_of(tensor: Tensor) -> Extent:
    """A tensor as channels, rows and columns. Raises `TesseraError` where it is no such thing."""
    shape = tensor.shape
    if len(shape) < 2 or shape[0] != 1:
        raise TesseraError(
            f"tensor '{tensor.name}' has the shape {shape}",
            where=str(tensor.source),
            remedy="the secure runtime takes a batch of 1: (1, channels, ...)",
        )
    rows = shape[ROW_AXIS] if len(shape) > ROW_AXIS else 1
    return Extent(shape[CHANNEL_AXIS], rows, math.prod(shape[ROW_AXIS + 1 :]))


def element_of(tensor: Tensor) -> Element:
    """The element type. Raises `TesseraError` for one that the runtime does not have."""
    if tensor.dtype not in ELEMENTS:
        raise TesseraError(
            f"tensor '{tensor.name}' is of {tensor.dtype}",
            where=str(tensor.source),
            remedy="the secure runtime computes with float32, int8 and uint8",
        )
    return ELEMENTS[tensor.dtype]


class Views:
    """Where the accesses of one plan lie. The graph gives shapes and types."""

    def __init__(self, plan: Plan, graph: Graph) -> None:
        self.graph = graph
        self.buffers: dict[str, BufferRow] = {one.id: one for one in plan.buffers}

    def of(self, access: Access) -> View:
        """The view of an access's tensor in its buffer, checked to hold the access's box."""
        tensor, buffer = self.graph.tensors[access.tensor], self.buffers[access.buffer]
        element, extent = element_of(tensor), extent_of(tensor)
        channels, rows = (0, extent.channels), (0, extent.rows)
        if buffer.tensor == tensor.name:
            channels, rows = _channels_rows(buffer.origin)
        slots = rows[1] - rows[0] if buffer.ring is None else buffer.ring
        ring = buffer.ring is not None
        view = View(
            buffer.offset,
            channels[0],
            channels[1] - channels[0],
            0 if ring else rows[0],
            slots,
            extent.width,
            element | (RING if ring else 0),
        )
        part = part_of(access.box)
        inside = (
            view.bytes <= buffer.size
            and channels[0] <= part.channel <= part.channel_end <= channels[1]
            and rows[0] <= part.row <= part.row_end <= rows[1]
            and part.row_end - part.row <= slots
        )
        if not inside:
            raise TesseraError(
                f"'{access.tensor}' {access.box} does not lie inside buffer '{access.buffer}'",
                where=self.graph.name,
                remedy="the plan is wrong; make it again",
            )
        return view

    def offset(self, access: Access) -> int:
        """Where a constant lies: its region."""
        return self.buffers[access.buffer].offset


def _channels_rows(box: Box) -> tuple[Range, Range]:
    return box[CHANNEL_AXIS], box[ROW_AXIS] if len(box) > ROW_AXIS else (0, 1)


def part_of(box: Box) -> Part:
    """Channels and rows of a box."""
    channels, rows = _channels_rows(box)
    return Part(*channels, *rows)


def window_of(node: Node, attrs: ConvAttrs | PoolAttrs, shape: Shape) -> Window:
    """The window of a node over an input of this shape. Raises `TesseraError` unless it slides
    over rows and columns."""
    if len(attrs.kernel) != 2 or len(shape) != 4:
        raise unsupported(
            node, f"windows over {len(attrs.kernel)} axes (kernel)", "windows over two"
        )
    (rows, columns), (down, right) = attrs.kernel, attrs.strides
    return Window(
        *(rows, columns, down, right),
        *(attrs.pads[0], attrs.pads[1], *attrs.dilations, shape[ROW_AXIS]),
    )
