"""Normalisations and softmax of the reference executor.

Goal: each as its definition, in float64, rounded once to float32.
Non-goals: training mode (running means, dropout).
"""

from __future__ import annotations

import numpy as np

from tessera.plan.execute_call import Call, Operator
from tessera.plan.graph import Array
from tessera.plan.graph_ops import AxisAttrs, EpsilonAttrs, LrnAttrs, NormAttrs


def _batch_norm(call: Call) -> Array:
    x = call.wide(0)
    shape = (-1, *(1 for _ in x.shape[2:]))
    scale, bias, mean, variance = (call.wide(i).reshape(shape) for i in range(1, 5))
    root = np.sqrt(variance + call.attrs(EpsilonAttrs).epsilon)
    return call.narrow((x - mean) / root * scale + bias)


def _layer_norm(call: Call) -> Array:
    attrs, x = call.attrs(NormAttrs), call.wide(0)
    axes = tuple(range(attrs.axis, x.ndim))
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred**2).mean(axis=axes, keepdims=True)
    scaled = centred / np.sqrt(variance + attrs.epsilon) * call.wide(1)
    return call.narrow(scaled + call.wide(2) if len(call.values) == 3 else scaled)


def _rms_norm(call: Call) -> Array:
    attrs, x = call.attrs(NormAttrs), call.wide(0)
    square = (x**2).mean(axis=tuple(range(attrs.axis, x.ndim)), keepdims=True)
    return call.narrow(x / np.sqrt(square + attrs.epsilon) * call.wide(1))


def _lrn(call: Call) -> Array:
    attrs, x = call.attrs(LrnAttrs), call.wide(0)
    before, after = (attrs.size - 1) // 2, attrs.size // 2
    rest = ((0, 0),) * (x.ndim - 2)
    padded = np.pad(x**2, ((0, 0), (before, after), *rest))
    around = np.lib.stride_tricks.sliding_window_view(padded, attrs.size, axis=1).sum(axis=-1)
    return call.narrow(x / (attrs.bias + attrs.alpha / attrs.size * around) ** attrs.beta)


def _shifted(call: Call) -> tuple[Array, int]:
    axis, x = call.attrs(AxisAttrs).axis, call.wide(0)
    return x - x.max(axis=axis, keepdims=True), axis


def _softmax(call: Call) -> Array:
    x, axis = _shifted(call)
    powers = np.exp(x)
    return call.narrow(powers / powers.sum(axis=axis, keepdims=True))


def _log_softmax(call: Call) -> Array:
    x, axis = _shifted(call)
    return call.narrow(x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))


OPERATORS: dict[str, Operator] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "LRN": _lrn,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
}
