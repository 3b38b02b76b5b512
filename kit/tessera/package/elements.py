"""Functions of single elements: curves, sums, tables, changes of type, and softmax.

Goal: one instruction per step, in place where the plan says so. A batch norm that was not folded
into a layer becomes a factor and a summand per channel.
Non-goals: broadcasting; other operands that are constants (fold them into the layer before).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tessera.package import code
from tessera.package.code import Curve, Element, Instruction
from tessera.package.layouts import Instead, Layout, Plain
from tessera.package.site import INTEGERS, LayoutRule, Rule, Site, float32
from tessera.package.views import unsupported
from tessera.plan.graph import Attrs, Node, Tensor
from tessera.plan.graph_ops import (
    AlphaAttrs,
    AxisAttrs,
    ClipAttrs,
    EpsilonAttrs,
    HardSigmoidAttrs,
)

_CURVES = {
    "Relu": Curve.RELU,
    "LeakyRelu": Curve.LEAKY,
    "Clip": Curve.CLIP,
    "Sigmoid": Curve.SIGMOID,
    "Tanh": Curve.TANH,
    "HardSwish": Curve.HARD_SWISH,
    "HardSigmoid": Curve.HARD_SIGMOID,
    "Erf": Curve.ERF,
    "Exp": Curve.EXP,
}


def _numbers(attrs: Attrs) -> tuple[float, float]:
    """What a curve takes as `low` and `high`."""
    match attrs:
        case AlphaAttrs(alpha):
            return float32(np.float32(alpha)), 0.0
        case HardSigmoidAttrs(alpha, beta):
            return float32(np.float32(alpha)), float32(np.float32(beta))
        case ClipAttrs(low, high):
            return (
                -math.inf if low is None else float32(np.float32(low)),
                math.inf if high is None else float32(np.float32(high)),
            )
    return 0.0, 0.0


def _apply(site: Site) -> tuple[Instruction, ...]:
    site.require(Element.FLOAT32)
    curve = _CURVES[site.node.op]
    return (code.Apply(site.x(), site.y, site.part, curve, *_numbers(site.node.attrs)),)


def _require_shapes(site: Site) -> None:
    for name in site.node.inputs:
        one = site.views.graph.tensors[name]
        if one.shape != site.output.shape:
            raise unsupported(
                site.node,
                f"broadcasting ('{name}' {one.shape} to {site.output.shape})",
                "operands of one shape",
            )


def _add(site: Site) -> tuple[Instruction, ...]:
    site.require(Element.FLOAT32)
    _require_shapes(site)
    return (code.Add(site.x(0), site.x(1), site.y, site.part),)


def _q_add(site: Site) -> tuple[Instruction, ...]:
    site.require(*INTEGERS)
    _require_shapes(site)
    a, b, y = (site.steps_of(one) for one in (site.input(0), site.input(1), site.output))
    return (code.QAdd(site.x(0), site.x(1), site.y, site.part, *a, *b, *y),)


def _table(site: Site) -> tuple[Instruction, ...]:
    site.require(*INTEGERS)
    table: Tensor = site.input(1)
    if table.shape != (256,) or table.dtype is not site.output.dtype:
        raise unsupported(
            site.node,
            f"a table of {table.dtype} {table.shape}",
            f"256 entries of {site.output.dtype}",
        )
    return (code.QTable(site.x(), site.y, site.part, site.region(1)),)


def _quantize(site: Site) -> tuple[Instruction, ...]:
    given, made = site.input(), site.output
    steps = site.steps_of(made)
    if given.dtype.value != "float32" or made.dtype.bytes != 1:
        raise unsupported(site.node, f"{given.dtype} to {made.dtype}", "float32 to int8 or uint8")
    return (code.Quantize(site.x(), site.y, site.part, *steps),)


def _dequantize(site: Site) -> tuple[Instruction, ...]:
    given, made = site.input(), site.output
    steps = site.steps_of(given)
    if made.dtype.value != "float32" or given.dtype.bytes != 1:
        raise unsupported(site.node, f"{given.dtype} to {made.dtype}", "int8 or uint8 to float32")
    return (code.Dequantize(site.x(), site.y, site.part, *steps),)


def _norm_layout(node: Node, tensors: Mapping[str, Tensor], index: int) -> Layout:
    """Factors in the place of the scale, summands in that of the bias; worked out in float64. The
    statistics are loaded as they are, since the plan says so, and nothing reads them."""
    assert isinstance(node.attrs, EpsilonAttrs)
    given = [tensors[name].data for name in node.inputs[1:]]
    if index not in (1, 2) or any(one is None for one in given):
        return Plain()
    scale, bias, mean, variance = (np.asarray(one, np.float64) for one in given)
    factors = scale / np.sqrt(variance + node.attrs.epsilon)
    numbers = factors if index == 1 else bias - mean * factors
    return Instead(numbers.astype("<f4").tobytes())


def _norm(site: Site) -> tuple[Instruction, ...]:
    site.require(Element.FLOAT32)
    for index in (3, 4):
        site.region(index)
    return (code.Scale(site.x(), site.y, site.part, site.region(1), site.region(2)),)


LAYOUTS: dict[str, LayoutRule] = {"BatchNormalization": _norm_layout}


def _softmax(site: Site) -> tuple[Instruction, ...]:
    site.require(Element.FLOAT32)
    axis, shape = site.attrs(AxisAttrs).axis, site.output.shape
    if shape[axis] != site.output.values:
        raise unsupported(
            site.node, f"axis {axis} of {shape}", "a softmax over all elements at once"
        )
    return (code.Softmax(site.x(), site.y, site.output.values),)


RULES: dict[str, Rule] = {
    **dict.fromkeys(_CURVES, _apply),
    "Add": _add,
    "QLinearAdd": _q_add,
    "QLinearTable": _table,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "BatchNormalization": _norm,
    "Softmax": _softmax,
}
