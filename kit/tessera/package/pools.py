"""Pools: the largest and the mean of windows, and of whole channels.

Goal: one instruction per step.
Non-goals: windows over another number of axes than two.
"""

from __future__ import annotations

import numpy as np

from tessera.package import code
from tessera.package.code import Element, Instruction, Window
from tessera.package.site import EVERY, INTEGERS, Rule, Site, float32
from tessera.package.views import ROW_AXIS, extent_of, unsupported, window_of
from tessera.plan.graph_ops import PoolAttrs, ReduceAttrs


def _same_type(site: Site) -> None:
    site.require(*EVERY)
    if site.input().dtype is not site.output.dtype:
        raise unsupported(site.node, "a change of type", "one type on both sides")


def _max_pool(site: Site) -> tuple[Instruction, ...]:
    _same_type(site)
    window = window_of(site.node, site.attrs(PoolAttrs), site.input().shape)
    return (code.MaxPool(site.x(), site.y, site.part, window),)


def _global_max(site: Site) -> tuple[Instruction, ...]:
    """One window as large as the channel."""
    _same_type(site)
    extent = extent_of(site.input())
    window = Window(extent.rows, extent.width, 1, 1, 0, 0, 1, 1, extent.rows)
    return (code.MaxPool(site.x(), site.y, site.part, window),)


def _average_parts(site: Site) -> code.AveragePool:
    attrs = site.attrs(PoolAttrs)
    window = window_of(site.node, attrs, site.input().shape)
    whole = int(attrs.count_include_pad)
    return code.AveragePool(site.x(), site.y, site.part, window, whole, *attrs.pads[2:])


def _average(site: Site) -> tuple[Instruction, ...]:
    site.require(Element.FLOAT32)
    return (_average_parts(site),)


def _ratio(site: Site) -> np.float32:
    x, y = (np.float32(site.steps_of(one)[0]) for one in (site.input(), site.output))
    return np.float32(x / y)


def _q_average(site: Site) -> tuple[Instruction, ...]:
    site.require(*INTEGERS)
    one = _average_parts(site)
    zeros = (site.steps_of(site.input())[1], site.steps_of(site.output)[1])
    pads = (one.whole, one.pad_rows, one.pad_columns)
    made = code.QAveragePool(
        one.x, one.y, one.part, one.window, *pads, float32(_ratio(site)), *zeros
    )
    return (made,)


def _global_average(site: Site) -> tuple[Instruction, ...]:
    site.require(Element.FLOAT32)
    return (code.GlobalAverage(site.x(), site.y, site.part, extent_of(site.input()).rows),)


def _mean(site: Site) -> tuple[Instruction, ...]:
    """A mean over all rows and columns is a global average, whether it keeps the axes or not."""
    shape, axes = site.input().shape, site.attrs(ReduceAttrs).axes
    if axes != tuple(range(ROW_AXIS, len(shape))):
        raise unsupported(
            site.node, f"axes {axes} of {shape}", "a mean over all axes behind the channels"
        )
    return _global_average(site)


def _q_global_average(site: Site) -> tuple[Instruction, ...]:
    site.require(*INTEGERS)
    extent = extent_of(site.input())
    multiplier = _ratio(site) / np.float32(extent.rows * extent.width)
    zeros = (site.steps_of(site.input())[1], site.steps_of(site.output)[1])
    made = code.QGlobalAverage(
        site.x(), site.y, site.part, extent.rows, float32(np.float32(multiplier)), *zeros
    )
    return (made,)


RULES: dict[str, Rule] = {
    "MaxPool": _max_pool,
    "GlobalMaxPool": _global_max,
    "AveragePool": _average,
    "GlobalAveragePool": _global_average,
    "ReduceMean": _mean,
    "QLinearAveragePool": _q_average,
    "QLinearGlobalAveragePool": _q_global_average,
}
