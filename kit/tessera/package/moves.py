"""Ops that only move elements: concat and slice along channels, nearest resize, reshape.

Goal: moves of channels; nothing at all where the plan made it in place.
Non-goals: moves along other axes, transposition, blending.
"""

from __future__ import annotations

import numpy as np

from tessera.package import code
from tessera.package.code import Instruction, View
from tessera.package.site import EVERY, Rule, Site
from tessera.package.views import CHANNEL_AXIS, ROW_AXIS, extent_of, unsupported
from tessera.plan.execute_moves import nearest_positions, source_positions
from tessera.plan.graph_ops import AxisAttrs, ResizeAttrs, SliceAttrs


def _concat(site: Site) -> tuple[Instruction, ...]:
    site.require(*EVERY)
    axis = site.attrs(AxisAttrs).axis
    if axis != CHANNEL_AXIS:
        raise unsupported(site.node, f"axis {axis}", "axis 1, the channels")
    made, at, part = [], 0, site.part
    for index in range(len(site.node.inputs)):
        channels = extent_of(site.input(index)).channels
        mine = code.Part(at, at + channels, part.row, part.row_end)
        made.append(code.Move(site.x(index), site.y, mine, 0))
        at += channels
    return tuple(made)


def _slice(site: Site) -> tuple[Instruction, ...]:
    site.require(*EVERY)
    attrs, shape = site.attrs(SliceAttrs), site.input().shape
    for axis, size in enumerate(shape):
        start, step = attrs.starts[axis], attrs.steps[axis]
        kept = start == 0 and attrs.sizes[axis] == size
        if (axis != CHANNEL_AXIS and not kept) or step != 1:
            raise unsupported(
                site.node,
                f"axis {axis} from {start}, {attrs.sizes[axis]} elements, step {step}",
                "slices along axis 1, the channels, with step 1",
            )
    return (code.Move(site.x(), site.y, site.part, attrs.starts[CHANNEL_AXIS]),)


def _resize(site: Site) -> tuple[Instruction, ...]:
    """Nearest by one whole factor: what the reference picks is compared, index by index."""
    site.require(*EVERY)
    attrs, shape = site.attrs(ResizeAttrs), site.input().shape
    factor = attrs.sizes[-1] // shape[-1]
    same = attrs.mode == "nearest" and len(shape) == 4 and factor > 0
    for axis, size in enumerate(shape):
        wanted = factor if axis >= ROW_AXIS else 1
        same = same and attrs.sizes[axis] == size * wanted
        if same and not (wanted == 1 and attrs.scales[axis] == 1):
            picked = nearest_positions(source_positions(attrs, axis, size), attrs.nearest)
            there = np.clip(picked, 0, size - 1)
            same = bool((there == np.arange(attrs.sizes[axis]) // wanted).all())
    if not same:
        raise unsupported(
            site.node,
            f"mode {attrs.mode} ({attrs.coordinates}, {attrs.nearest}) from {shape} to "
            f"{attrs.sizes}",
            "nearest, by one whole factor for rows and columns, each element repeated",
        )
    return (code.Upsample(site.x(), site.y, site.part, factor),)


def _without_gaps(view: View, rows: int) -> bool:
    return not view.ring and view.row == 0 and view.slots == rows


def _reshape(site: Site) -> tuple[Instruction, ...]:
    site.require(*EVERY)
    x, y = site.x(), site.y
    whole = _without_gaps(x, extent_of(site.input()).rows) and _without_gaps(
        y, extent_of(site.output).rows
    )
    if not whole:
        raise unsupported(site.node, "a part of a tensor in another shape", "whole tensors")
    return () if site.in_place else (code.Reshape(x, y, site.output.values),)


def _identity(site: Site) -> tuple[Instruction, ...]:
    site.require(*EVERY)
    if site.in_place:
        return ()
    return (code.Move(site.x(), site.y, site.part, site.part.channel),)


RULES: dict[str, Rule] = {
    "Concat": _concat,
    "Slice": _slice,
    "Resize": _resize,
    "Reshape": _reshape,
    "Identity": _identity,
}
