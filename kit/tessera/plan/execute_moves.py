"""Ops of the reference executor that move values without changing them, and resizing.

Goal: reshape, transpose, cut, join, gather, pad, resize as their definitions.
Non-goals: views. Every result is an array of its own.
"""

from __future__ import annotations

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.execute_call import Call, Operator
from tessera.plan.graph import Array
from tessera.plan.graph_ops import (
    AxisAttrs,
    PadAttrs,
    ResizeAttrs,
    SliceAttrs,
    TileAttrs,
    TransposeAttrs,
    TriluAttrs,
)


def _reshape(call: Call) -> Array:
    return call.values[0].reshape(call.output.shape).copy()


def _expand(call: Call) -> Array:
    return np.broadcast_to(call.values[0], call.output.shape).copy()


def _transpose(call: Call) -> Array:
    return np.ascontiguousarray(call.values[0].transpose(call.attrs(TransposeAttrs).order))


def _concat(call: Call) -> Array:
    return np.concatenate(call.values, axis=call.attrs(AxisAttrs).axis)


def _slice(call: Call) -> Array:
    cut, x = call.attrs(SliceAttrs), call.values[0]
    parts = zip(cut.starts, cut.sizes, cut.steps, strict=True)
    index = np.ix_(*(start + step * np.arange(size) for start, size, step in parts))
    return np.asarray(x[index]) if x.ndim else x.copy()


def _gather(call: Call) -> Array:
    axis, (x, indices) = call.attrs(AxisAttrs).axis, call.values
    size = x.shape[axis]
    if indices.min() < -size or indices.max() >= size:
        raise TesseraError(
            f"Gather: an index of '{call.node.inputs[1]}' lies outside {-size} to {size - 1}",
            where=str(call.node.source),
            remedy="give indices (tokens, classes) that the table has",
        )
    return np.take(x, indices, axis=axis)


def _tile(call: Call) -> Array:
    return np.tile(call.values[0], call.attrs(TileAttrs).repeats)


def _pad(call: Call) -> Array:
    attrs, x = call.attrs(PadAttrs), call.values[0]
    pairs = [(attrs.pads[i], attrs.pads[i + x.ndim]) for i in range(x.ndim)]
    kept = tuple(
        slice(max(0, -before), size - max(0, -after))
        for size, (before, after) in zip(x.shape, pairs, strict=True)
    )
    grown = [(max(0, before), max(0, after)) for before, after in pairs]
    if attrs.mode == "constant":
        value = np.asarray(attrs.value).astype(x.dtype)
        return np.pad(x[kept], grown, constant_values=value)
    if attrs.mode == "reflect":
        return np.pad(x[kept], grown, mode="reflect")
    return np.pad(x[kept], grown, mode="edge" if attrs.mode == "edge" else "wrap")


def _trilu(call: Call) -> Array:
    attrs, x = call.attrs(TriluAttrs), call.values[0]
    return np.triu(x, attrs.offset) if attrs.upper else np.tril(x, attrs.offset)


def source_positions(attrs: ResizeAttrs, axis: int, size: int) -> Array:
    """Where each output index lies on the input's axis of `size`: ONNX's coordinate formulas."""
    out, scale = attrs.sizes[axis], attrs.scales[axis]
    index = np.arange(out, dtype=np.float64)
    match attrs.coordinates:
        case "asymmetric":
            return index / scale
        case "align_corners":
            # ONNX takes the length before it is rounded down to the output's size.
            length = scale * size
            return np.zeros(out) if length <= 1 else index * ((size - 1) / (length - 1))
        case "pytorch_half_pixel" if out == 1:
            return np.zeros(1)
        case "half_pixel_symmetric":
            adjusted = out / (scale * size)
            offset = size / 2 * (1 - adjusted)
            return offset + (index + 0.5) / scale - 0.5
        case _:
            return (index + 0.5) / scale - 0.5


def nearest_positions(positions: Array, rule: str) -> Array:
    """Positions rounded to whole ones by an ONNX rule of nearest."""
    match rule:
        case "floor":
            return np.floor(positions)
        case "ceil":
            return np.ceil(positions)
        case "round_prefer_ceil":
            return np.floor(positions + 0.5)
        case _:
            return np.ceil(positions - 0.5)


def _resize(call: Call) -> Array:
    attrs, x = call.attrs(ResizeAttrs), call.values[0]
    value = x if attrs.mode == "nearest" else call.wide(0)
    for axis, size in enumerate(x.shape):
        if attrs.sizes[axis] == size and attrs.scales[axis] == 1:
            continue
        places = source_positions(attrs, axis, size)
        if attrs.mode == "nearest":
            index = np.clip(nearest_positions(places, attrs.nearest), 0, size - 1).astype(np.int64)
            value = np.take(value, index, axis=axis)
            continue
        low = np.floor(places)
        share = (places - low).reshape(-1, *(1 for _ in range(value.ndim - axis - 1)))
        ends = (np.clip(low + more, 0, size - 1).astype(np.int64) for more in (0, 1))
        first, second = (np.take(value, end, axis=axis) for end in ends)
        value = first * (1 - share) + second * share
    return call.narrow(value)


OPERATORS: dict[str, Operator] = {
    "Reshape": _reshape,
    "Expand": _expand,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "Tile": _tile,
    "Pad": _pad,
    "Trilu": _trilu,
    "Resize": _resize,
}
