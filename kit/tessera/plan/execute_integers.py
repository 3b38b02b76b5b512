"""Quantised ops of the reference executor: exact integers, one stated rounding.

Goal: the same integers on every machine. A sum of products is exact (float64 holds every integer
below 2**53, and such a sum is below 2**31). It is then scaled by one float32 multiplier,
float32(x_scale * w_scale / y_scale), rounded to the nearest integer, ties to even, moved by the
zero point and kept inside the type's range.
Non-goals: fixed-point multipliers; a runtime that uses them has to say so.
"""

from __future__ import annotations

import math

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.execute_call import Call, Operator
from tessera.plan.execute_windows import convolve, window_sums
from tessera.plan.graph import Array, Quantisation, Tensor
from tessera.plan.graph_ops import ConvAttrs, PoolAttrs


def _quantisation(tensor: Tensor) -> Quantisation:
    if tensor.quantisation is None:
        raise TesseraError(
            f"tensor '{tensor.name}' has no scale and zero point",
            where=str(tensor.source),
            remedy="quantised ops need both on every tensor that they touch",
        )
    return tensor.quantisation


def _along(values: tuple[float, ...], axis: int | None, rank: int, kind: type) -> Array:
    array: Array = np.asarray(values, kind)
    if axis is None:
        return array.reshape(())
    return array.reshape([-1 if one == axis else 1 for one in range(rank)])


def scale_of(tensor: Tensor) -> Array:
    """The scale, float32, in a shape that broadcasts against the tensor's."""
    one = _quantisation(tensor)
    return _along(one.scale, one.axis, len(tensor.shape), np.float32)


def zero_of(tensor: Tensor) -> Array:
    """The zero point, int64, in a shape that broadcasts against the tensor's."""
    one = _quantisation(tensor)
    return _along(one.zero_point, one.axis, len(tensor.shape), np.int64)


def saturate(values: Array, tensor: Tensor) -> Array:
    """Rounded to the nearest integer (ties to even) and kept inside the tensor's type."""
    limits = np.iinfo(tensor.dtype.numpy)
    return np.clip(np.rint(values), limits.min, limits.max).astype(tensor.dtype.numpy)


def _quantise(call: Call) -> Array:
    # Division in float32 and the sum in float64, so that no tie is lost to rounding.
    ratio = call.values[0].astype(np.float32) / scale_of(call.output)
    return saturate(np.rint(ratio).astype(np.float64) + zero_of(call.output), call.output)


def _dequantise(call: Call) -> Array:
    tensor = call.inputs[0]
    centred = call.values[0].astype(np.int64) - zero_of(tensor)
    return np.asarray(centred.astype(np.float32) * scale_of(tensor))


def _centred(call: Call, index: int) -> Array:
    """An input less its zero point: an integer of at most 9 bits, as float64 for the products."""
    centred: Array = call.values[index].astype(np.int64) - zero_of(call.inputs[index])
    return centred.astype(np.float64)


def _requantise(call: Call, total: Array, weight_scale: Array) -> Array:
    multiplier = scale_of(call.inputs[0]) * weight_scale / scale_of(call.output)
    scaled = total.astype(np.float32) * multiplier.astype(np.float32)
    return saturate(np.rint(scaled).astype(np.float64) + zero_of(call.output), call.output)


def _conv(call: Call) -> Array:
    attrs, shape = call.attrs(ConvAttrs), call.output.shape
    total = convolve(_centred(call, 0), _centred(call, 1), attrs, shape[2:])
    channels = (1, -1, *(1 for _ in attrs.kernel))
    if len(call.values) == 3:
        total = total + call.values[2].reshape(channels)
    return _requantise(call, total, scale_of(call.inputs[1]).reshape(channels))


def _matmul(call: Call) -> Array:
    total = _centred(call, 0) @ _centred(call, 1)
    if len(call.values) == 3:
        total = total + call.values[2]
    weight = _quantisation(call.inputs[1])
    scale = np.asarray(weight.scale, np.float32)
    return _requantise(call, total, scale if weight.axis is not None else scale.reshape(()))


def _add(call: Call) -> Array:
    real = [
        _centred(call, index).astype(np.float32) * scale_of(call.inputs[index]) for index in (0, 1)
    ]
    ratio = (real[0] + real[1]) / scale_of(call.output)
    return saturate(np.rint(ratio).astype(np.float64) + zero_of(call.output), call.output)


def _mean(call: Call, total: Array, count: Array) -> Array:
    """Sums of centred integers over `count` values each, in steps of the output."""
    multiplier = scale_of(call.inputs[0]) / scale_of(call.output) / count.astype(np.float32)
    ratio = total.astype(np.float32) * multiplier.astype(np.float32)
    return saturate(np.rint(ratio).astype(np.float64) + zero_of(call.output), call.output)


def _average_pool(call: Call) -> Array:
    # Padding is zero, which is what a centred integer of 0 stands for.
    return _mean(
        call, *window_sums(_centred(call, 0), call.attrs(PoolAttrs), call.output.shape[2:])
    )


def _global_average(call: Call) -> Array:
    x = _centred(call, 0)
    axes = tuple(range(2, x.ndim))
    return _mean(call, x.sum(axis=axes, keepdims=True), np.asarray(math.prod(x.shape[2:])))


def _table(call: Call) -> Array:
    """Any function of one 8-bit value: the table's first entry is for the type's least value."""
    x, table = call.values
    return table[x.astype(np.int64) - np.iinfo(x.dtype).min]


OPERATORS: dict[str, Operator] = {
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QLinearAdd": _add,
    "QLinearAveragePool": _average_pool,
    "QLinearGlobalAveragePool": _global_average,
    "QLinearTable": _table,
}
