"""Convolutions and pools of the reference executor, in one to three spatial axes.

Goal: sums in float64 (int64 for integers), rounded once; windows by strides, so that the code is
the definition.
Non-goals: speed beyond what a matrix product gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera.plan.execute_call import Call, Operator
from tessera.plan.graph import Array
from tessera.plan.graph_ops import ConvAttrs, PoolAttrs


def windows(x: Array, attrs: ConvAttrs | PoolAttrs, out: tuple[int, ...], fill: Any) -> Array:
    """A view (batch, channels, *out, *kernel) of `x` padded with `fill`.

    Padding after is stretched or cut to what the last window of `out` needs (`ceil_mode`).
    """
    spatial = len(attrs.kernel)
    pads = [(0, 0), (0, 0)]
    cut = [slice(None), slice(None)]
    for axis in range(spatial):
        reach = attrs.dilations[axis] * (attrs.kernel[axis] - 1) + 1
        need = (out[axis] - 1) * attrs.strides[axis] + reach
        before = attrs.pads[axis]
        pads.append((before, max(0, need - before - x.shape[axis + 2])))
        cut.append(slice(0, need))
    padded = np.pad(x, pads, constant_values=fill)[tuple(cut)]
    reaches = tuple(d * (k - 1) + 1 for d, k in zip(attrs.dilations, attrs.kernel, strict=True))
    axes = tuple(range(2, 2 + spatial))
    view = np.lib.stride_tricks.sliding_window_view(padded, reaches, axis=axes)
    steps = tuple(slice(None, None, s) for s in attrs.strides)
    inner = tuple(slice(None, None, d) for d in attrs.dilations)
    picked: Array = view[(slice(None), slice(None), *steps, *inner)]
    return picked


def convolve(x: Array, w: Array, attrs: ConvAttrs, out: tuple[int, ...], fill: Any = 0) -> Array:
    """Cross-correlation without bias: (batch, out channels, *out), in the type of `x`."""
    view = windows(x, attrs, out, fill)
    batch, spatial = x.shape[0], len(attrs.kernel)
    group, per_group = attrs.group, w.shape[0] // attrs.group
    grouped = view.reshape(batch, group, w.shape[1], *view.shape[2:])
    order = (1, 0, *range(3, 3 + spatial), 2, *range(3 + spatial, 3 + 2 * spatial))
    columns = grouped.transpose(order).reshape(group, -1, w[0].size)
    rows = w.reshape(group, per_group, w[0].size)
    product = columns @ rows.transpose(0, 2, 1)
    shaped = product.reshape(group, batch, *out, per_group)
    back = (1, 0, 2 + spatial, *range(2, 2 + spatial))
    return shaped.transpose(back).reshape(batch, w.shape[0], *out)


def add_bias(y: Array, bias: Array) -> Array:
    """`bias` per channel (axis 1)."""
    total: Array = y + bias.reshape(-1, *(1 for _ in y.shape[2:]))
    return total


def _conv(call: Call) -> Array:
    attrs = call.attrs(ConvAttrs)
    y = convolve(call.wide(0), call.wide(1), attrs, call.output.shape[2:])
    return call.narrow(add_bias(y, call.wide(2)) if len(call.values) == 3 else y)


def _kernel_axes(attrs: PoolAttrs) -> tuple[int, ...]:
    return tuple(range(-len(attrs.kernel), 0))


def _max_pool(call: Call) -> Array:
    attrs, x = call.attrs(PoolAttrs), call.values[0]
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    view = windows(x, attrs, call.output.shape[2:], least)
    return call.narrow(view.max(axis=_kernel_axes(attrs)))


def window_sums(x: Array, attrs: PoolAttrs, out: tuple[int, ...]) -> tuple[Array, Array]:
    """Sums of the windows of `x`, and how many values each is the mean of."""
    axes = _kernel_axes(attrs)
    total = windows(x, attrs, out, 0).sum(axis=axes)
    ones = np.ones((1, 1, *x.shape[2:]))
    if attrs.count_include_pad:
        spatial = len(attrs.kernel)
        pads = tuple((attrs.pads[i], attrs.pads[i + spatial]) for i in range(spatial))
        ones = np.pad(ones, ((0, 0), (0, 0), *pads), constant_values=1)
        none = PoolAttrs(attrs.kernel, attrs.strides, (0,) * 2 * spatial, attrs.dilations)
        return total, windows(ones, none, out, 0).sum(axis=axes)
    return total, windows(ones, attrs, out, 0).sum(axis=axes)


def _average_pool(call: Call) -> Array:
    total, count = window_sums(call.wide(0), call.attrs(PoolAttrs), call.output.shape[2:])
    return call.narrow(total / count)


def _global_axes(call: Call) -> tuple[int, ...]:
    return tuple(range(2, call.values[0].ndim))


def _global_average(call: Call) -> Array:
    return call.narrow(call.wide(0).mean(axis=_global_axes(call), keepdims=True))


def _global_max(call: Call) -> Array:
    return call.narrow(call.values[0].max(axis=_global_axes(call), keepdims=True))


OPERATORS: dict[str, Operator] = {
    "Conv": _conv,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
}
