"""ONNX Resize and Upsample: sizes and factors of every axis, worked out.

Goal: one canonical Resize, nearest or linear, for all opsets.
Non-goals: cubic interpolation, anti-aliasing, cropping.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tessera.plan.graph import Shape
from tessera.plan.graph_ops import ResizeAttrs
from tessera.plan.onnx_node import Converter, NodeView

COORDINATES = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"),
    *("asymmetric", "align_corners"),
)


def _emit(
    view: NodeView,
    axes: Sequence[int],
    scales: Sequence[float] | None,
    sizes: Shape | None,
    coordinates: str,
    nearest: str,
) -> None:
    x, mode = view.tensor(0), view.text("mode", "nearest")
    if mode not in ("nearest", "linear"):
        view.refuse(f"attribute 'mode' is {mode!r}", "supported are 'nearest' and 'linear'")
    given = sizes if sizes is not None else scales
    if given is None or len(given) != len(axes) or any(one <= 0 for one in given):
        view.refuse(f"scales {scales}, sizes {sizes}", "one of them, a number per axis")
    factors, shape = [1.0] * len(x.shape), list(x.shape)
    policy = view.text("keep_aspect_ratio_policy", "stretch")
    for axis, value in zip(axes, given, strict=True):
        if sizes is None:
            factors[axis], shape[axis] = float(value), math.floor(x.shape[axis] * value)
        else:
            factors[axis], shape[axis] = value / x.shape[axis], int(value)
    if sizes is not None and policy != "stretch":
        pick = min if policy == "not_larger" else max
        factor = pick(factors[axis] for axis in axes)
        for axis in axes:
            factors[axis], shape[axis] = factor, math.floor(x.shape[axis] * factor + 0.5)
    attrs = ResizeAttrs(mode, coordinates, nearest, tuple(factors), tuple(shape))
    view.emit("Resize", [x], attrs)


def _resize(view: NodeView) -> None:
    rank = len(view.tensor(0).shape)
    if view.opset == 10:
        _emit(view, range(rank), _floats(view, 1), None, "asymmetric", "floor")
        return
    coordinates = view.text("coordinate_transformation_mode", "half_pixel")
    if coordinates not in COORDINATES:
        view.refuse(
            f"attribute 'coordinate_transformation_mode' is {coordinates!r}",
            f"supported are {', '.join(COORDINATES)}",
        )
    view.only("antialias", 0, 0)
    view.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value")
    given = view.integers("axes")
    axes = [view.axis(one, rank, "axes") for one in given] if given else range(rank)
    nearest = view.text("nearest_mode", "round_prefer_floor")
    _emit(view, axes, _floats(view, 2), view.whole(3, "sizes") or None, coordinates, nearest)


def _floats(view: NodeView, index: int) -> tuple[float, ...] | None:
    found = view.constant(index, "scales")
    return None if found is None or not found.size else tuple(map(float, found.reshape(-1)))


def _upsample(view: NodeView) -> None:
    scales = _floats(view, 1) if view.opset >= 9 else view.reals("scales")
    _emit(view, range(len(view.tensor(0).shape)), scales, None, "asymmetric", "floor")


CONVERTERS: dict[str, Converter] = {"Resize": _resize, "Upsample": _upsample}
