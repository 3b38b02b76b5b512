"""Shape and type of every op's output, from those of its inputs.

Goal: one rule per op, so that a reader, a pass or a test can make a node and know what comes out;
a rule refuses what does not fit together.
Non-goals: unknown sizes. Every shape here is numbers; readers ask for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np

from tessera.plan import graph_ops as ops
from tessera.plan.graph import Attrs, DType, Shape, Tensor

Inputs = Sequence[Tensor]


class Typed(NamedTuple):
    """Shape and element type of an output."""

    shape: Shape
    dtype: DType


class Misfit(ValueError):
    """Inputs or attributes that do not fit together; the text says which and how."""


def broadcast(*shapes: Shape) -> Shape:
    """The shape that all shapes broadcast to, by ONNX's (numpy's) rule. Raises `Misfit`."""
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        said = " and ".join(map(str, shapes))
        raise Misfit(f"shapes {said} do not broadcast") from None


def window_output(size: int, attrs: ops.ConvAttrs | ops.PoolAttrs, axis: int) -> int:
    """How many windows fit along a spatial axis of `size`. Raises `Misfit` when none does.

    With `ceil_mode` a last window may end outside, but must begin inside or in the padding before.
    """
    spatial = len(attrs.kernel)
    reach = attrs.dilations[axis] * (attrs.kernel[axis] - 1) + 1
    before, after = attrs.pads[axis], attrs.pads[axis + spatial]
    room = size + before + after - reach
    if room < 0:
        raise Misfit(f"a window of {reach} does not fit into {size} with padding {before}+{after}")
    stride = attrs.strides[axis]
    if not (isinstance(attrs, ops.PoolAttrs) and attrs.ceil_mode):
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + before else count


def _same(inputs: Inputs, attrs: Attrs) -> Typed:
    return Typed(inputs[0].shape, inputs[0].dtype)


def _one_type(inputs: Inputs) -> DType:
    kinds = sorted({one.dtype.value for one in inputs})
    if len(kinds) > 1:
        raise Misfit(f"inputs of types {' and '.join(kinds)}; they must be one type")
    return inputs[0].dtype


def _binary(inputs: Inputs, attrs: Attrs) -> Typed:
    return Typed(broadcast(*(one.shape for one in inputs)), _one_type(inputs))


def _power(inputs: Inputs, attrs: Attrs) -> Typed:
    return Typed(broadcast(*(one.shape for one in inputs)), inputs[0].dtype)


def _compare(inputs: Inputs, attrs: Attrs) -> Typed:
    return Typed(_binary(inputs, attrs).shape, DType.BOOL)


def _where(inputs: Inputs, attrs: Attrs) -> Typed:
    if inputs[0].dtype is not DType.BOOL:
        raise Misfit(f"the condition is {inputs[0].dtype}, not bool")
    return Typed(broadcast(*(one.shape for one in inputs)), _one_type(inputs[1:]))


def _prelu(inputs: Inputs, attrs: Attrs) -> Typed:
    typed = _binary(inputs, attrs)
    if typed.shape != inputs[0].shape:
        raise Misfit(f"a slope of {inputs[1].shape} does not broadcast to {inputs[0].shape}")
    return typed


def matmul_shape(a: Shape, b: Shape) -> Shape:
    """numpy's matmul: vectors become matrices, leading axes broadcast. Raises `Misfit`."""
    if not a or not b:
        raise Misfit("a scalar has no matrix product")
    left, right = ((1, *a) if len(a) == 1 else a), ((*b, 1) if len(b) == 1 else b)
    if left[-1] != right[-2]:
        raise Misfit(f"inner sizes {left[-1]} and {right[-2]} of {a} and {b} differ")
    shape = broadcast(left[:-2], right[:-2])
    return shape + left[-2:-1] * (len(a) > 1) + right[-1:] * (len(b) > 1)


def _matmul(inputs: Inputs, attrs: Attrs) -> Typed:
    return Typed(matmul_shape(inputs[0].shape, inputs[1].shape), _one_type(inputs[:2]))


def _gemm(inputs: Inputs, attrs: Attrs) -> Typed:
    gemm = cast(ops.GemmAttrs, attrs)
    if len(inputs[0].shape) != 2 or len(inputs[1].shape) != 2:
        raise Misfit(f"Gemm takes matrices, not {inputs[0].shape} and {inputs[1].shape}")
    a = inputs[0].shape[::-1] if gemm.transpose_a else inputs[0].shape
    b = inputs[1].shape[::-1] if gemm.transpose_b else inputs[1].shape
    shape = matmul_shape(a, b)
    if len(inputs) == 3 and broadcast(shape, inputs[2].shape) != shape:
        raise Misfit(f"a bias of {inputs[2].shape} does not broadcast to {shape}")
    return Typed(shape, _one_type(inputs))


def _conv(inputs: Inputs, attrs: Attrs) -> Typed:
    conv = cast(ops.ConvAttrs, attrs)
    x, w = inputs[0].shape, inputs[1].shape
    if len(x) != len(conv.kernel) + 2 or len(w) != len(x):
        raise Misfit(f"{len(conv.kernel)} window axes for input {x} and weights {w}")
    if conv.group < 1 or w[0] % conv.group or x[1] != w[1] * conv.group:
        raise Misfit(f"input {x}, weights {w} and {conv.group} groups do not fit")
    if w[2:] != conv.kernel:
        raise Misfit(f"the window is {conv.kernel}, but the weights are {w}")
    if len(inputs) == 3 and inputs[2].shape != w[:1]:
        raise Misfit(f"a bias of {inputs[2].shape} for {w[0]} output channels")
    spatial = (window_output(size, conv, axis) for axis, size in enumerate(x[2:]))
    return Typed((x[0], w[0], *spatial), inputs[0].dtype)


def _pool(inputs: Inputs, attrs: Attrs) -> Typed:
    pool, x = cast(ops.PoolAttrs, attrs), inputs[0].shape
    if len(x) != len(pool.kernel) + 2:
        raise Misfit(f"{len(pool.kernel)} window axes for input {x}")
    spatial = (window_output(size, pool, axis) for axis, size in enumerate(x[2:]))
    return Typed((*x[:2], *spatial), inputs[0].dtype)


def _global_pool(inputs: Inputs, attrs: Attrs) -> Typed:
    x = inputs[0].shape
    if len(x) < 3:
        raise Misfit(f"an input of {x} has no spatial axes")
    return Typed((*x[:2], *(1 for _ in x[2:])), inputs[0].dtype)


def _kept(shape: Shape, axes: Shape, keepdims: bool) -> Shape:
    sizes = ((1 if axis in axes else size) for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(sizes) if keepdims or axis not in axes)


def _reduce(inputs: Inputs, attrs: Attrs) -> Typed:
    reduce = cast(ops.ReduceAttrs, attrs)
    return Typed(_kept(inputs[0].shape, reduce.axes, reduce.keepdims), inputs[0].dtype)


def _argmax(inputs: Inputs, attrs: Attrs) -> Typed:
    arg = cast(ops.ArgAttrs, attrs)
    return Typed(_kept(inputs[0].shape, (arg.axis,), arg.keepdims), DType.INT64)


def _cast(inputs: Inputs, attrs: Attrs) -> Typed:
    return Typed(inputs[0].shape, cast(ops.CastAttrs, attrs).to)


def _reshape(inputs: Inputs, attrs: Attrs) -> Typed:
    shape = cast(ops.ShapeAttrs, attrs).shape
    if math.prod(shape) != inputs[0].values:
        raise Misfit(f"{inputs[0].shape} has {inputs[0].values} elements, {shape} has not")
    return Typed(shape, inputs[0].dtype)


def _expand(inputs: Inputs, attrs: Attrs) -> Typed:
    return Typed(broadcast(inputs[0].shape, cast(ops.ShapeAttrs, attrs).shape), inputs[0].dtype)


def _transpose(inputs: Inputs, attrs: Attrs) -> Typed:
    order, x = cast(ops.TransposeAttrs, attrs).order, inputs[0].shape
    if sorted(order) != list(range(len(x))):
        raise Misfit(f"{order} is no order of the axes of {x}")
    return Typed(tuple(x[axis] for axis in order), inputs[0].dtype)


def _concat(inputs: Inputs, attrs: Attrs) -> Typed:
    axis = cast(ops.AxisAttrs, attrs).axis
    first = inputs[0].shape
    rest = {one.shape[:axis] + one.shape[axis + 1 :] for one in inputs}
    if len(rest) > 1 or {len(one.shape) for one in inputs} != {len(first)}:
        said = ", ".join(str(one.shape) for one in inputs)
        raise Misfit(f"shapes {said} differ elsewhere than along axis {axis}")
    total = sum(one.shape[axis] for one in inputs)
    return Typed((*first[:axis], total, *first[axis + 1 :]), _one_type(inputs))


def _slice(inputs: Inputs, attrs: Attrs) -> Typed:
    cut = cast(ops.SliceAttrs, attrs)
    parts = zip(inputs[0].shape, cut.starts, cut.sizes, cut.steps, strict=True)
    for size, start, count, step in parts:
        if count and not (0 <= start < size and 0 <= start + (count - 1) * step < size):
            raise Misfit(f"{count} elements from {start} by {step} are not inside {size}")
    return Typed(cut.sizes, inputs[0].dtype)


def _gather(inputs: Inputs, attrs: Attrs) -> Typed:
    axis, x = cast(ops.AxisAttrs, attrs).axis, inputs[0].shape
    if inputs[1].dtype not in (DType.INT32, DType.INT64):
        raise Misfit(f"indices are {inputs[1].dtype}, not int32 or int64")
    return Typed(x[:axis] + inputs[1].shape + x[axis + 1 :], inputs[0].dtype)


def _tile(inputs: Inputs, attrs: Attrs) -> Typed:
    pairs = zip(inputs[0].shape, cast(ops.TileAttrs, attrs).repeats, strict=True)
    return Typed(tuple(size * times for size, times in pairs), inputs[0].dtype)


def _pad(inputs: Inputs, attrs: Attrs) -> Typed:
    pads, x = cast(ops.PadAttrs, attrs).pads, inputs[0].shape
    return Typed(tuple(s + pads[i] + pads[i + len(x)] for i, s in enumerate(x)), inputs[0].dtype)


def _resize(inputs: Inputs, attrs: Attrs) -> Typed:
    sizes = cast(ops.ResizeAttrs, attrs).sizes
    if len(sizes) != len(inputs[0].shape):
        raise Misfit(f"sizes {sizes} for an input of {inputs[0].shape}")
    return Typed(sizes, inputs[0].dtype)


def _batch_norm(inputs: Inputs, attrs: Attrs) -> Typed:
    x = inputs[0].shape
    if len(x) < 2 or any(one.shape != x[1:2] for one in inputs[1:]):
        raise Misfit(f"scale, bias, mean and variance must be {x[1:2]} for an input of {x}")
    return _same(inputs, attrs)


def _norm(inputs: Inputs, attrs: Attrs) -> Typed:
    axis, x = cast(ops.NormAttrs, attrs).axis, inputs[0].shape
    for one in inputs[1:]:
        if broadcast(x, one.shape) != x:
            raise Misfit(f"scale or bias of {one.shape} does not broadcast to {x} (axis {axis})")
    return _same(inputs, attrs)


def _lrn(inputs: Inputs, attrs: Attrs) -> Typed:
    if len(inputs[0].shape) < 3:
        raise Misfit(f"an input of {inputs[0].shape} has no channels and spatial axes")
    return _same(inputs, attrs)


def _table(inputs: Inputs, attrs: Attrs) -> Typed:
    x, table = inputs
    if x.dtype not in (DType.INT8, DType.UINT8) or table.shape != (256,):
        raise Misfit(f"a table of {table.shape} for {x.dtype}; it is 256 values for 8 bits")
    return Typed(x.shape, table.dtype)


def _dequantise(inputs: Inputs, attrs: Attrs) -> Typed:
    return Typed(inputs[0].shape, DType.FLOAT32)


Rule = Callable[[Inputs, Attrs], Typed]

RULES: dict[str, Rule] = {
    **dict.fromkeys((*ops.UNARY, "Not", "LeakyRelu", "Elu", "Swish", "HardSigmoid"), _same),
    **dict.fromkeys(("Clip", "Gelu", "Trilu", "Softmax", "LogSoftmax"), _same),
    **dict.fromkeys((*ops.BINARY, *ops.LOGIC, "QLinearAdd"), _binary),
    **dict.fromkeys(ops.COMPARE, _compare),
    **dict.fromkeys(ops.REDUCE, _reduce),
    **dict.fromkeys(("MaxPool", "AveragePool", "QLinearAveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    "QLinearGlobalAveragePool": _global_pool,
    **dict.fromkeys(("Conv", "QLinearConv"), _conv),
    **dict.fromkeys(("Cast", "QuantizeLinear"), _cast),
    **dict.fromkeys(("MatMul", "QLinearMatMul"), _matmul),
    "Pow": _power,
    "PRelu": _prelu,
    "Gemm": _gemm,
    "Where": _where,
    "ArgMax": _argmax,
    "Reshape": _reshape,
    "Expand": _expand,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "Tile": _tile,
    "Pad": _pad,
    "Resize": _resize,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _norm,
    "RMSNormalization": _norm,
    "LRN": _lrn,
    "DequantizeLinear": _dequantise,
    "QLinearTable": _table,
}


def output_of(op: str, inputs: Inputs, attrs: Attrs) -> Typed:
    """Shape and type of what `op` makes. Raises `Misfit` when its inputs do not fit together."""
    spec = ops.OPS[op]
    if not spec.fewest <= len(inputs) <= spec.most:
        raise Misfit(f"{len(inputs)} inputs; {op} takes {spec.fewest} to {spec.most}")
    if type(attrs) is not spec.attrs:
        raise Misfit(f"attributes {type(attrs).__name__}; {op} takes {spec.attrs.__name__}")
    return RULES[op](inputs, attrs)
