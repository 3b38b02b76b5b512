"""Convolutions and dense layers, in float32 and on integers, and how their weights lie.

Goal: one instruction per step; on integers, as many as it takes for the multipliers, of which there
is one per channel, to fit into blocks of code.
Non-goals: more than two axes of a window, batches, weights that are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from tessera.package import code
from tessera.package.assemble import MOST_WORDS, WORD, words_of
from tessera.package.code import NONE, Element, Instruction, Signed
from tessera.package.layouts import LANES, Lanes, Layout, Plain
from tessera.package.site import INTEGERS, LayoutRule, Rule, Site, quantisation_of
from tessera.package.views import unsupported, window_of
from tessera.plan.graph import DType, Node, Tensor
from tessera.plan.graph_ops import ConvAttrs, GemmAttrs


def _per_group(node: Node, tensors: Mapping[str, Tensor]) -> int:
    assert isinstance(node.attrs, ConvAttrs)
    return tensors[node.inputs[1]].shape[0] // node.attrs.group


def is_depthwise(node: Node, tensors: Mapping[str, Tensor]) -> bool:
    """Whether each group is one channel in and one out."""
    return tensors[node.inputs[1]].shape[1] == 1 and _per_group(node, tensors) == 1


def _conv_layout(node: Node, tensors: Mapping[str, Tensor], index: int) -> Layout:
    if index != 1 or is_depthwise(node, tensors):
        return Plain()
    return Lanes(_per_group(node, tensors))


def _dense_layout(node: Node, tensors: Mapping[str, Tensor], index: int) -> Layout:
    if index != 1:
        return Plain()
    weights = tensors[node.inputs[1]].shape
    lies = isinstance(node.attrs, GemmAttrs) and node.attrs.transpose_b
    return Lanes(weights[0 if lies else -1], turned=not lies)


LAYOUTS: dict[str, LayoutRule] = {
    **dict.fromkeys(("Conv", "QLinearConv"), _conv_layout),
    **dict.fromkeys(("Gemm", "MatMul", "QLinearMatMul"), _dense_layout),
}
"""How constant inputs lie; those of other ops lie as they are."""


def _bias(site: Site, dtype: DType) -> int:
    if len(site.node.inputs) < 3:
        return NONE
    one, part = site.input(2), site.part
    loaded = site.step.reads[2].box
    count = int(np.prod([stop - start for start, stop in loaded]))
    if one.dtype is not dtype or count != part.channel_end - part.channel:
        raise unsupported(
            site.node,
            f"the bias '{one.name}' of {one.dtype} {one.shape}",
            f"{dtype}, a number per output channel",
        )
    return site.region(2)


def _conv_parts(site: Site, bias: DType) -> code.Conv:
    attrs, weights = site.attrs(ConvAttrs), site.input(1).shape
    window = window_of(site.node, attrs, site.input().shape)
    made = code.Depthwise if is_depthwise(site.node, site.views.graph.tensors) else code.Conv
    return made(
        *(site.x(), site.y, site.part, window),
        *(weights[1], weights[0] // attrs.group, site.region(1), _bias(site, bias)),
    )


def _conv(site: Site) -> tuple[Instruction, ...]:
    site.require(Element.FLOAT32)
    return (_conv_parts(site, DType.FLOAT32),)


def _dense_parts(site: Site, bias: DType) -> code.Dense:
    node, x, weights = site.node, site.input(), site.input(1)
    attrs = node.attrs
    if isinstance(attrs, GemmAttrs) and (
        attrs.transpose_a or attrs.alpha != 1 or (attrs.beta != 1 and len(node.inputs) == 3)
    ):
        raise unsupported(
            node,
            f"alpha {attrs.alpha}, beta {attrs.beta}, transpose_a {attrs.transpose_a}",
            "alpha 1, beta 1 and an A that is not transposed",
        )
    if len(x.shape) != 2 or len(weights.shape) != 2:
        raise unsupported(
            node, f"a product of shapes {x.shape} and {weights.shape}", "a row times a matrix"
        )
    return code.Dense(*(site.x(), site.y, site.part, x.shape[1], site.region(1), _bias(site, bias)))


def _dense(site: Site) -> tuple[Instruction, ...]:
    site.require(Element.FLOAT32)
    return (_dense_parts(site, DType.FLOAT32),)


def _multipliers(site: Site) -> tuple[float, ...]:
    """x scale * weight scale / y scale in float32, for each channel of the part: as
    `tessera.plan.execute_integers` works them out."""
    weights = site.input(1)
    how = quantisation_of(site.node, weights)
    output_axis = 0 if site.node.op == "QLinearConv" else 1
    if weights.dtype is not DType.INT8 or any(how.zero_point):
        raise unsupported(
            site.node, f"weights of {weights.dtype} with a zero point", "int8 weights around 0"
        )
    if how.axis not in (None, output_axis):
        raise unsupported(
            site.node, f"a weight scale along axis {how.axis}", f"one, or along axis {output_axis}"
        )
    part = site.part
    x_scale, y_scale = (np.float32(site.steps_of(one)[0]) for one in (site.input(), site.output))
    count = part.channel_end - part.channel
    scales = np.asarray(how.scale, np.float32)
    cut = np.broadcast_to(scales, (count,)) if how.axis is None else scales[_channels(site)]
    return tuple(float(one) for one in (x_scale * cut / y_scale).astype(np.float32))


def _channels(site: Site) -> slice:
    return slice(site.part.channel, site.part.channel_end)


def _split(
    whole: code.QConv | code.QDense, unit: int, per_channel: int, limit: int
) -> Iterator[Instruction]:
    """The instruction in pieces that fit `limit` bytes, cut at multiples of `unit` channels.

    `per_channel`: bytes of the weights of a channel. One that cannot be cut is left as it is.
    """
    fixed = words_of(whole) - len(whole.multipliers)
    room = min(limit // WORD, MOST_WORDS) - fixed
    count = len(whole.multipliers) if room < unit else room // unit * unit
    for at in range(0, len(whole.multipliers), count):
        mine = whole.multipliers[at : at + count]
        start = whole.part.channel + at
        yield replace(
            whole,
            part=replace(whole.part, channel=start, channel_end=start + len(mine)),
            weights=whole.weights + at * per_channel,
            bias=NONE if whole.bias == NONE else whole.bias + 4 * at,
            multipliers=mine,
        )


def _zeros(site: Site) -> tuple[Signed, Signed]:
    return site.steps_of(site.input())[1], site.steps_of(site.output)[1]


def _q_conv(site: Site) -> tuple[Instruction, ...]:
    site.require(*INTEGERS)
    parts = _conv_parts(site, DType.INT32)
    depthwise = isinstance(parts, code.Depthwise)
    made = (code.QDepthwise if depthwise else code.QConv)(
        *(parts.x, parts.y, parts.part, parts.window, parts.in_channels, parts.out_channels),
        *(parts.weights, parts.bias, *_zeros(site), _multipliers(site)),
    )
    window = parts.window
    per_channel = parts.in_channels * window.kernel_rows * window.kernel_columns
    unit = LANES if site.attrs(ConvAttrs).group == 1 else parts.out_channels
    return tuple(_split(made, unit, per_channel, site.limit))


def _q_dense(site: Site) -> tuple[Instruction, ...]:
    site.require(*INTEGERS)
    parts = _dense_parts(site, DType.INT32)
    made = code.QDense(
        *(parts.x, parts.y, parts.part, parts.inputs, parts.weights, parts.bias),
        *(*_zeros(site), _multipliers(site)),
    )
    return tuple(_split(made, LANES, parts.inputs, site.limit))


RULES: dict[str, Rule] = {
    "Conv": _conv,
    "Gemm": _dense,
    "MatMul": _dense,
    "QLinearConv": _q_conv,
    "QLinearMatMul": _q_dense,
}
