"""Which boxes of its inputs a box of a node's output depends on, worked out from the node alone.

Goal: the checker's own answer, from the rows of a plan as data and nothing of the planner; never
less than what the op reads. For an op that is not listed it is the whole of every input.
Non-goals: tightness where no plan asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tessera.plan.plan import Box, NodeRow, Range, TensorRow

POINTWISE = frozenset(
    [
        *("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu", "Equal", "Greater", "Less"),
        *("GreaterOrEqual", "LessOrEqual", "And", "Or", "Not", "Where", "Relu", "Sigmoid", "Tanh"),
        *("HardSwish", "Mish", "Softplus", "Erf", "Sqrt", "Exp", "Log", "Neg", "Abs", "Sin", "Cos"),
        *("Reciprocal", "Floor", "Ceil", "Identity", "LeakyRelu", "Elu", "Swish", "HardSigmoid"),
        *("Clip", "Gelu", "Cast", "QuantizeLinear", "DequantizeLinear", "QLinearAdd", "Expand"),
    ]
)
"""Element i of the output depends on element i of each input, after broadcasting."""

Shapes = Sequence[tuple[int, ...]]
_Rule = Callable[[Mapping[str, Any], Shapes, tuple[int, ...], Box], list[Box | None]]


def needs(node: NodeRow, tensors: Mapping[str, TensorRow], box: Box) -> list[Box | None]:
    """Per input the box that the output's `box` depends on; None: nothing of it."""
    shapes = [tensors[name].shape for name in node.inputs]
    made = tensors[node.outputs[0]].shape
    if node.op in POINTWISE:
        return [_broadcast(shape, box) for shape in shapes]
    rule = _RULES.get(node.op)
    return (
        [whole(shape) for shape in shapes] if rule is None else rule(node.attrs, shapes, made, box)
    )


def whole(shape: Sequence[int]) -> Box:
    """All of a tensor."""
    return tuple((0, size) for size in shape)


def _broadcast(shape: Sequence[int], box: Box) -> Box:
    """Axes line up from the right; one of size 1 stands for all."""
    behind = box[len(box) - len(shape) :] if shape else ()
    return tuple((0, 1) if size == 1 else one for size, one in zip(shape, behind, strict=True))


def _hull(places: Sequence[int], size: int) -> Range:
    return max(0, min(places)), min(size, max(places) + 1)


def _window(attrs: Mapping[str, Any], axis: int, size: int, out: Range) -> Range | None:
    """Indices under the windows of `out` on spatial axis number `axis`; None: only padding."""
    step, before = attrs["strides"][axis], attrs["pads"][axis]
    reach = attrs["dilations"][axis] * (attrs["kernel"][axis] - 1)
    low = max(0, out[0] * step - before)
    high = min(size, (out[1] - 1) * step - before + reach + 1)
    return (low, high) if low < high else None


def _windows(attrs: Mapping[str, Any], shape: Sequence[int], box: Box) -> list[Range] | None:
    found = [_window(attrs, k, shape[2 + k], box[2 + k]) for k in range(len(shape) - 2)]
    return None if None in found else [one for one in found if one is not None]


def _conv(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    """Weights are (output channels, input channels of a group, window...)."""
    outs, per_group = made[1] // attrs["group"], shapes[1][1]
    channels = (box[1][0] // outs * per_group, ((box[1][1] - 1) // outs + 1) * per_group)
    under = _windows(attrs, shapes[0], box)
    image = None if under is None else (box[0], channels, *under)
    constants: list[Box | None] = [(box[1], *whole(shape[1:])) for shape in shapes[1:]]
    return [image, *constants]


def _pool(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    under = _windows(attrs, shapes[0], box)
    return [None if under is None else (box[0], box[1], *under)]


def _over_space(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    return [(box[0], box[1], *whole(shapes[0][2:]))]


def _batch_norm(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    return [box, *((box[1],) for _ in shapes[1:])]


def _along(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    """All of the axis that is worked along."""
    axis = attrs.get("axis", 1)
    return [tuple((0, made[k]) if k == axis else one for k, one in enumerate(box))]


def _concat(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    axis, begin = attrs["axis"], 0
    found: list[Box | None] = []
    for shape in shapes:
        low, high = max(box[axis][0] - begin, 0), min(box[axis][1] - begin, shape[axis])
        part = (*box[:axis], (low, high), *box[axis + 1 :])
        found.append(part if low < high else None)
        begin += shape[axis]
    return found


def _pad(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    if attrs["mode"] != "constant":
        return [whole(shapes[0])]
    found = []
    for axis, size in enumerate(shapes[0]):
        before = attrs["pads"][axis]
        found.append((max(0, box[axis][0] - before), min(size, box[axis][1] - before)))
    return [tuple(found) if all(low < high for low, high in found) else None]


def _gemm(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    left, right = shapes[0], shapes[1]
    one = ((0, left[0]), box[0]) if attrs["transpose_a"] else (box[0], (0, left[1]))
    two = (box[1], (0, right[1])) if attrs["transpose_b"] else ((0, right[0]), box[1])
    return [one, two, *(_broadcast(shape, box) for shape in shapes[2:])]


def _product(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    left, right = shapes[0], shapes[1]
    if len(left) < 2 or len(right) < 2:
        return [whole(shape) for shape in shapes]
    one = (*_broadcast(left[:-2], box[:-2]), box[-2], (0, left[-1]))
    two = (*_broadcast(right[:-2], box[:-2]), (0, right[-2]), box[-1])
    return [one, two, *(_broadcast(shape, box) for shape in shapes[2:])]


def _transpose(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    found: dict[int, Range] = {source: box[k] for k, source in enumerate(attrs["order"])}
    return [tuple(found[axis] for axis in range(len(box)))]


def _slice(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    found = []
    for axis, (first, step) in enumerate(zip(attrs["starts"], attrs["steps"], strict=True)):
        ends = [first + step * box[axis][0], first + step * (box[axis][1] - 1)]
        found.append(_hull(ends, shapes[0][axis]))
    return [tuple(found)]


def _resize(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    return [tuple(_resized(attrs, k, size, box[k]) for k, size in enumerate(shapes[0]))]


def _resized(attrs: Mapping[str, Any], axis: int, size: int, out: Range) -> Range:
    if attrs["sizes"][axis] == size and attrs["scales"][axis] == 1:
        return out
    ends = [_source(attrs, axis, size, place) for place in (out[0], out[1] - 1)]
    if attrs["mode"] == "linear":
        places = [math.floor(min(ends)), math.floor(max(ends)) + 1]
    else:
        places = [_nearest(attrs["nearest"], end) for end in ends]
    return _hull([min(max(place, 0), size - 1) for place in places], size)


def _nearest(rule: str, place: float) -> int:
    if rule in ("floor", "ceil"):
        return math.floor(place) if rule == "floor" else math.ceil(place)
    return math.floor(place + 0.5) if rule == "round_prefer_ceil" else math.ceil(place - 0.5)


def _source(attrs: Mapping[str, Any], axis: int, size: int, place: int) -> float:
    """Where an output index lies on the input's axis (ONNX, Resize, coordinate transformation)."""
    scale, out = attrs["scales"][axis], attrs["sizes"][axis]
    match attrs["coordinates"]:
        case "asymmetric":
            return float(place / scale)
        case "align_corners":
            length = scale * size
            return 0.0 if length <= 1 else float(place * ((size - 1) / (length - 1)))
        case "pytorch_half_pixel" if out == 1:
            return 0.0
        case "half_pixel_symmetric":
            shift = size / 2 * (1 - out / (scale * size))
            return float(shift + (place + 0.5) / scale - 0.5)
        case _:
            return float((place + 0.5) / scale - 0.5)


def _table(
    attrs: Mapping[str, Any], shapes: Shapes, made: tuple[int, ...], box: Box
) -> list[Box | None]:
    """Each integer is looked up in the whole table."""
    return [_broadcast(shapes[0], box), whole(shapes[1])]


_RULES: dict[str, _Rule] = {
    "Conv": _conv,
    "QLinearConv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "QLinearAveragePool": _pool,
    "GlobalAveragePool": _over_space,
    "GlobalMaxPool": _over_space,
    "QLinearGlobalAveragePool": _over_space,
    "BatchNormalization": _batch_norm,
    "Softmax": _along,
    "LogSoftmax": _along,
    "LRN": _along,
    "Concat": _concat,
    "Pad": _pad,
    "Gemm": _gemm,
    "MatMul": _product,
    "QLinearMatMul": _product,
    "QLinearTable": _table,
    "Transpose": _transpose,
    "Slice": _slice,
    "Resize": _resize,
}
