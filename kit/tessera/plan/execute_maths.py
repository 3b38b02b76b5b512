"""Products, element-wise ops, comparisons and reductions of the reference executor.

Goal: each op as its definition; computed in float64 and rounded once to float32.
Non-goals: broadcasting rules (numpy's are ONNX's).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tessera.plan.execute_call import Call, Operator
from tessera.plan.graph import Array
from tessera.plan.graph_ops import (
    AlphaAttrs,
    ArgAttrs,
    CastAttrs,
    ClipAttrs,
    GeluAttrs,
    GemmAttrs,
    HardSigmoidAttrs,
    ReduceAttrs,
)

_ERF = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """The error function of every element, in float64."""
    return np.asarray(_ERF(x), np.float64)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    picked: Array = np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    return picked


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if not b.all():
        return np.asarray(np.where(b == 0, 0, _divide(a, np.where(b == 0, 1, b))))
    quotient = np.abs(a) // np.abs(b)  # towards zero, as in C
    return np.asarray(np.sign(a) * np.sign(b) * quotient)


def _unary(function: Callable[[Array], Any]) -> Operator:
    def run(call: Call) -> Array:
        with np.errstate(all="ignore"):
            return call.narrow(function(call.wide(0)))

    return run


def _binary(function: Callable[[Array, Array], Any]) -> Operator:
    def run(call: Call) -> Array:
        with np.errstate(all="ignore"):
            return call.narrow(function(call.wide(0), call.wide(1)))

    return run


def _exact(function: Callable[[Array, Array], Any]) -> Operator:
    def run(call: Call) -> Array:
        return call.narrow(function(call.values[0], call.values[1]))

    return run


def _identity(call: Call) -> Array:
    return call.values[0].copy()


def _not(call: Call) -> Array:
    return np.logical_not(call.values[0])


def _where(call: Call) -> Array:
    return call.narrow(np.where(*call.values))


def _matmul(call: Call) -> Array:
    return call.narrow(call.wide(0) @ call.wide(1))


def _gemm(call: Call) -> Array:
    gemm = call.attrs(GemmAttrs)
    a, b = call.wide(0), call.wide(1)
    product = (a.T if gemm.transpose_a else a) @ (b.T if gemm.transpose_b else b)
    if call.output.dtype.numpy.kind == "f":
        product = gemm.alpha * product
    if len(call.values) == 3:
        product = product + gemm.beta * call.wide(2)
    return call.narrow(product)


def _leaky(call: Call) -> Array:
    x = call.wide(0)
    return call.narrow(np.where(x < 0, call.attrs(AlphaAttrs).alpha * x, x))


def _elu(call: Call) -> Array:
    x = call.wide(0)
    below = call.attrs(AlphaAttrs).alpha * np.expm1(np.minimum(x, 0))
    return call.narrow(np.where(x < 0, below, x))


def _swish(call: Call) -> Array:
    x = call.wide(0)
    return call.narrow(x * sigmoid(call.attrs(AlphaAttrs).alpha * x))


def _hard_sigmoid(call: Call) -> Array:
    attrs = call.attrs(HardSigmoidAttrs)
    return call.narrow(np.clip(attrs.alpha * call.wide(0) + attrs.beta, 0, 1))


def _clip(call: Call) -> Array:
    attrs, x = call.attrs(ClipAttrs), call.values[0]
    if attrs.low is not None:
        x = np.maximum(x, np.asarray(attrs.low).astype(x.dtype))
    if attrs.high is not None:
        x = np.minimum(x, np.asarray(attrs.high).astype(x.dtype))
    return call.narrow(x)


def _gelu(call: Call) -> Array:
    x = call.wide(0)
    if call.attrs(GeluAttrs).tanh:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return call.narrow(0.5 * x * (1 + np.tanh(inner)))
    return call.narrow(0.5 * x * (1 + erf(x / math.sqrt(2))))


def _cast(call: Call) -> Array:
    return call.narrow(call.values[0].astype(call.attrs(CastAttrs).to.numpy))


def _reduce(function: Callable[..., Any]) -> Operator:
    def run(call: Call) -> Array:
        attrs = call.attrs(ReduceAttrs)
        return call.narrow(function(call.wide(0), axis=attrs.axes, keepdims=attrs.keepdims))

    return run


def _argmax(call: Call) -> Array:
    attrs, x = call.attrs(ArgAttrs), call.values[0]
    if attrs.select_last:
        found = x.shape[attrs.axis] - 1 - np.flip(x, attrs.axis).argmax(attrs.axis)
    else:
        found = x.argmax(attrs.axis)
    return call.narrow(np.expand_dims(found, attrs.axis) if attrs.keepdims else found)


OPERATORS: dict[str, Operator] = {
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _binary(_divide),
    "Pow": _binary(np.power),
    "Max": _exact(np.maximum),
    "Min": _exact(np.minimum),
    "PRelu": _binary(lambda x, slope: np.where(x < 0, slope * x, x)),
    "Equal": _exact(np.equal),
    "Greater": _exact(np.greater),
    "GreaterOrEqual": _exact(np.greater_equal),
    "Less": _exact(np.less),
    "LessOrEqual": _exact(np.less_equal),
    "And": _exact(np.logical_and),
    "Or": _exact(np.logical_or),
    "Not": _not,
    "Where": _where,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Relu": _unary(lambda x: np.maximum(x, 0)),
    "Sigmoid": _unary(sigmoid),
    "Tanh": _unary(np.tanh),
    "HardSwish": _unary(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "Mish": _unary(lambda x: x * np.tanh(_softplus(x))),
    "Softplus": _unary(_softplus),
    "Erf": _unary(erf),
    "Sqrt": _unary(np.sqrt),
    "Exp": _unary(np.exp),
    "Log": _unary(np.log),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Reciprocal": _unary(lambda x: 1 / x),
    "Sin": _unary(np.sin),
    "Cos": _unary(np.cos),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Identity": _identity,
    "LeakyRelu": _leaky,
    "Elu": _elu,
    "Swish": _swish,
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
    "Gelu": _gelu,
    "Cast": _cast,
    "ReduceMean": _reduce(np.mean),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ArgMax": _argmax,
}
