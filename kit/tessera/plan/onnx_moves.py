"""ONNX ops that move values: every one becomes a reshape, transpose, slice, concat, gather or pad.

Goal: shapes, axes, starts and scales that ONNX passes as inputs are known numbers afterwards.
Non-goals: their numbers (`execute_moves`); shapes that depend on the network's inputs.
"""

from __future__ import annotations

import math

import numpy as np

from tessera.plan import graph_ops as ops
from tessera.plan.graph import Shape, Tensor
from tessera.plan.onnx_node import Converter, NodeView

MAX_VALUES = 1 << 20
"""Most elements that ConstantOfShape and Range make: they are shapes and masks, not weights."""


def _identity(view: NodeView) -> None:
    view.emit("Identity", [view.tensor(0)])


def _dropout(view: NodeView) -> None:
    view.ignore("ratio", "seed")
    training = view.number(2, "training_mode")
    if training:
        view.refuse("training mode", "supported is inference, where it does nothing")
    if any(view.outputs[1:]):
        view.refuse("output 'mask' is asked for", "supported is the first output only")
    view.emit("Identity", [view.tensor(0)])


def _to_shape(view: NodeView, x: Tensor, shape: Shape) -> None:
    view.emit("Reshape", [x], ops.ShapeAttrs(shape))


def _reshape(view: NodeView) -> None:
    x, wanted = view.tensor(0), view.whole(1, "shape") or ()
    keep_zero = view.integer("allowzero", 0)
    shape = list(wanted)
    for axis, size in enumerate(wanted):
        if size == 0 and not keep_zero and axis < len(x.shape):
            shape[axis] = x.shape[axis]
    if shape.count(-1) == 1:
        rest = math.prod(one for one in shape if one != -1)
        if rest < 1 or x.values % rest:
            view.refuse(f"{x.shape} does not become {wanted}", "a shape of as many elements")
        shape[shape.index(-1)] = x.values // rest
    if any(one < 1 for one in shape):
        view.refuse(f"the shape {wanted}", "sizes from 1 and at most one -1")
    _to_shape(view, x, tuple(shape))


def _flatten(view: NodeView) -> None:
    x = view.tensor(0)
    axis = view.integer("axis", 1)
    axis = axis + len(x.shape) if axis < 0 else axis
    if not 0 <= axis <= len(x.shape):
        view.refuse(f"attribute 'axis' is {axis}", f"0 to {len(x.shape)}")
    _to_shape(view, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _axes(view: NodeView) -> Shape | None:
    return view.whole(1, "axes") if view.opset >= 13 else view.integers("axes")


def _squeeze(view: NodeView) -> None:
    x, given = view.tensor(0), _axes(view)
    every = tuple(axis for axis, size in enumerate(x.shape) if size == 1)
    axes = every if given is None else view.axes(given, len(x.shape))
    if any(x.shape[axis] != 1 for axis in axes):
        view.refuse(f"axes {axes} of {x.shape}", "axes of size 1")
    _to_shape(view, x, tuple(s for axis, s in enumerate(x.shape) if axis not in axes))


def _unsqueeze(view: NodeView) -> None:
    x, given = view.tensor(0), _axes(view) or ()
    axes = view.axes(given, len(x.shape) + len(given))
    shape = list(x.shape)
    for axis in axes:
        shape.insert(axis, 1)
    _to_shape(view, x, tuple(shape))


def _transpose(view: NodeView) -> None:
    x = view.tensor(0)
    order = view.integers("perm") or tuple(reversed(range(len(x.shape))))
    view.emit("Transpose", [x], ops.TransposeAttrs(order))


def _concat(view: NodeView) -> None:
    inputs = view.tensors()
    axis = view.axis(view.integer("axis", 0), len(inputs[0].shape))
    view.emit("Concat", inputs, ops.AxisAttrs(axis))


def _cut(view: NodeView, x: Tensor, axis: int, first: int, last: int, step: int) -> range:
    """The indices that ONNX's Slice takes along an axis."""
    if step == 0:
        view.refuse("a step of 0", "steps forwards or backwards")
    return range(x.shape[axis])[slice(first, last if last >= -(1 << 31) else None, step)]


def _slice(view: NodeView) -> None:
    x = view.tensor(0)
    if view.opset >= 10:
        starts, ends = view.whole(1, "starts") or (), view.whole(2, "ends") or ()
        given, steps = view.whole(3, "axes"), view.whole(4, "steps")
    else:
        starts, ends = view.integers("starts") or (), view.integers("ends") or ()
        given, steps = view.integers("axes"), None
    axes = given if given is not None else tuple(range(len(starts)))
    steps = steps or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        view.refuse("starts, ends, axes and steps differ in number", "as many of each")
    cuts = [range(size) for size in x.shape]
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        place = view.axis(axis, len(x.shape), "axes")
        # An end before the beginning means "to the first element" when going backwards.
        cuts[place] = _cut(view, x, place, first, _end(last, step, x.shape[place]), step)
    attrs = ops.SliceAttrs(
        tuple(one.start for one in cuts),
        tuple(len(one) for one in cuts),
        tuple(one.step for one in cuts),
    )
    view.emit("Slice", [x], attrs)


def _end(last: int, step: int, size: int) -> int:
    """An end as Python slices mean it; below the beginning it is passed as "no end"."""
    return -(1 << 40) if step < 0 and last < -size else last


def _split(view: NodeView) -> None:
    x = view.tensor(0)
    axis = view.axis(view.integer("axis", 0), len(x.shape))
    sizes = view.whole(1, "split") if view.opset >= 13 else view.integers("split")
    parts = view.integer("num_outputs", len(view.outputs))
    if sizes is None:
        each = -(-x.shape[axis] // parts)
        sizes = tuple(min(each, x.shape[axis] - each * i) for i in range(parts))
    if len(sizes) != len(view.outputs) or sum(sizes) != x.shape[axis] or min(sizes) < 1:
        view.refuse(f"parts {sizes} of {x.shape[axis]} elements", "parts from 1 that add up")
    first = 0
    for index, size in enumerate(sizes):
        starts, counts = [0] * len(x.shape), list(x.shape)
        starts[axis], counts[axis] = first, size
        attrs = ops.SliceAttrs(tuple(starts), tuple(counts), (1,) * len(x.shape))
        if view.outputs[index]:
            view.emit("Slice", [x], attrs, index=index)
        first += size


def _gather(view: NodeView) -> None:
    x, indices = view.tensor(0), view.tensor(1)
    view.emit(
        "Gather", [x, indices], ops.AxisAttrs(view.axis(view.integer("axis", 0), len(x.shape)))
    )


def _expand(view: NodeView) -> None:
    view.emit("Expand", [view.tensor(0)], ops.ShapeAttrs(view.whole(1, "shape") or ()))


def _tile(view: NodeView) -> None:
    x, repeats = view.tensor(0), view.whole(1, "repeats") or ()
    if len(repeats) != len(x.shape) or any(one < 1 for one in repeats):
        view.refuse(f"repeats {repeats} for {x.shape}", "a number from 1 per axis")
    view.emit("Tile", [x], ops.TileAttrs(repeats))


def _pad(view: NodeView) -> None:
    x, mode = view.tensor(0), view.text("mode", "constant")
    rank = len(x.shape)
    if view.opset >= 11:
        given, value = view.whole(1, "pads"), view.number(2, "constant_value") or 0.0
        axes = view.whole(3, "axes")
    else:
        given, value, axes = view.integers("pads"), view.real("value", 0.0), None
    places = [view.axis(one, rank, "axes") for one in axes] if axes else list(range(rank))
    if mode not in ("constant", "reflect", "edge", "wrap"):
        view.refuse(f"attribute 'mode' is {mode!r}", "constant, reflect, edge or wrap")
    if given is None or len(given) != 2 * len(places):
        view.refuse(f"pads {given}", f"supported are {2 * len(places)} numbers")
    pads = [0] * 2 * rank
    for index, axis in enumerate(places):
        pads[axis], pads[axis + rank] = given[index], given[index + len(places)]
    view.emit("Pad", [x], ops.PadAttrs(tuple(pads), mode, value))


def _depth_to_space(view: NodeView) -> None:
    x, block = view.tensor(0), view.integer("blocksize", 0)
    mode = view.text("mode", "DCR")
    if len(x.shape) != 4 or block < 1 or x.shape[1] % (block * block):
        view.refuse(f"blocks of {block} in {x.shape}", "channels divisible by blocksize squared")
    n, c, h, w = x.shape
    depth = c // (block * block)
    split = (n, block, block, depth, h, w) if mode == "DCR" else (n, depth, block, block, h, w)
    order = (0, 3, 4, 1, 5, 2) if mode == "DCR" else (0, 1, 4, 2, 5, 3)
    apart = view.step("Reshape", [x], ops.ShapeAttrs(split))
    moved = view.step("Transpose", [apart], ops.TransposeAttrs(order))
    _to_shape(view, moved, (n, depth, h * block, w * block))


def _space_to_depth(view: NodeView) -> None:
    x, block = view.tensor(0), view.integer("blocksize", 0)
    mode = view.text("mode", "DCR")
    if len(x.shape) != 4 or block < 1 or x.shape[2] % block or x.shape[3] % block:
        view.refuse(f"blocks of {block} in {x.shape}", "height and width divisible by blocksize")
    n, c, h, w = x.shape
    high, wide = h // block, w // block
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    apart = view.step("Reshape", [x], ops.ShapeAttrs((n, c, high, block, wide, block)))
    moved = view.step("Transpose", [apart], ops.TransposeAttrs(order))
    _to_shape(view, moved, (n, c * block * block, high, wide))


def _trilu(view: NodeView) -> None:
    offset = view.number(1, "k") or 0
    attrs = ops.TriluAttrs(bool(view.integer("upper", 1)), int(offset))
    view.emit("Trilu", [view.tensor(0)], attrs)


def _shape(view: NodeView) -> None:
    shape = view.tensor(0).shape
    start, end = view.integer("start", 0), view.integer("end", len(shape))
    view.value(np.asarray(shape[slice(start, end)], np.int64))


def _size(view: NodeView) -> None:
    view.value(np.asarray(view.tensor(0).values, np.int64))


def _constant(view: NodeView) -> None:
    value = view.array("value")
    one_float = view.real("value_float", math.nan)
    floats = view.reals("value_floats")
    ints, one_int = view.integers("value_ints"), view.integer("value_int", 0)
    if value is None and floats is not None:
        value = np.asarray(floats, np.float32)
    elif value is None and ints is not None:
        value = np.asarray(ints, np.int64)
    elif value is None and not math.isnan(one_float):
        value = np.asarray(one_float, np.float32)
    view.value(np.asarray(one_int, np.int64) if value is None else value)


def _constant_of_shape(view: NodeView) -> None:
    shape = view.whole(0, "shape") or ()
    value = view.array("value")
    if any(one < 0 for one in shape) or math.prod(shape) > MAX_VALUES:
        view.refuse(f"the shape {shape}", f"at most {MAX_VALUES:,} elements")
    fill = np.zeros(1, np.float32) if value is None else value
    view.value(np.full(shape, fill.reshape(-1)[0], fill.dtype))


def _range(view: NodeView) -> None:
    parts = [view.constant(i, role) for i, role in enumerate(("start", "limit", "delta"))]
    if any(one is None or one.size != 1 for one in parts):
        view.refuse("start, limit and delta are not three numbers", "three scalars")
    start, limit, delta = (one.reshape(-1)[0] for one in parts if one is not None)
    if delta == 0 or abs((limit - start) / delta) > MAX_VALUES:
        view.refuse(f"from {start} to {limit} by {delta}", f"at most {MAX_VALUES:,} elements")
    count = max(0, math.ceil((limit - start) / delta))
    view.value((start + np.arange(count) * delta).astype(start.dtype))


CONVERTERS: dict[str, Converter] = {
    "Identity": _identity,
    "Dropout": _dropout,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Trilu": _trilu,
    "Shape": _shape,
    "Size": _size,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
}
