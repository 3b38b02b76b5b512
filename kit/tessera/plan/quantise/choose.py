"""From the values that a tensor takes to scale and zero point.

Goal: three methods, each a range: all values (`minmax`), all but a share (`percentile`), or the
range with the least mean squared error over the histogram (`mse`). Zero is always an integer of its
own, so that padding and ReLU cost nothing.
Non-goals: measuring the values (`calibrate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.graph import Array, Quantisation
from tessera.plan.quantise.calibrate import Histogram

METHODS = ("minmax", "percentile", "mse")
LEVELS = (-128, 127)
"""Integers of an activation; weights leave -128 out, so that they are symmetric."""

SHRINKS = 64
"""Ranges that `mse` tries, from all values down to half of them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How ranges are chosen. `percentile`: per cent of values inside. `symmetric`: zero is 0."""

    method: str = "minmax"
    percentile: float = 99.99
    symmetric: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise TesseraError(
                f"no method '{self.method}'",
                where="quantisation",
                remedy=f"the methods are {', '.join(METHODS)}",
            )
        if not 50 < self.percentile <= 100:
            raise TesseraError(
                f"{self.percentile:g} per cent of the values is no range",
                where="quantisation",
                remedy="give more than 50 and at most 100",
            )


def steps(low: float, high: float, symmetric: bool = False) -> Quantisation:
    """The quantisation for values from `low` (at most 0) to `high` (at least 0)."""
    least, most = LEVELS
    if symmetric:
        scale, zero = np.float32(max(-low, high) / most), 0
    else:
        scale = np.float32((high - low) / (most - least))
        zero = int(np.clip(np.rint(least - low / scale), least, most)) if scale > 0 else 0
    if not scale >= np.finfo(np.float32).tiny:  # only zeros, or nearly: any step will do
        return Quantisation((1.0,), (0,))
    return Quantisation((float(scale),), (zero,))


def _percentile(histogram: Histogram, percent: float) -> tuple[float, float]:
    """A range outside of which lies at most the rest, half of it on either side."""
    total = histogram.counts.sum()
    share = total * (100 - percent) / 200
    inside = np.cumsum(histogram.counts)
    width = 2 * histogram.limit / len(inside)
    first = int(np.searchsorted(inside, share, side="right"))
    last = int(np.searchsorted(inside, total - share, side="left"))
    low, high = first * width - histogram.limit, (last + 1) * width - histogram.limit
    return min(0.0, max(low, histogram.low)), max(0.0, min(high, histogram.high))


def expected_error(histogram: Histogram, how: Quantisation) -> float:
    """Mean squared error of values in the middle of their bins, and of the extremes, clamped."""
    scale, zero = how.scale[0], how.zero_point[0]
    used = np.nonzero(histogram.counts)[0]
    values: Array = np.clip(histogram.centres[used], histogram.low, histogram.high)
    weights = histogram.counts[used]
    integers = np.clip(np.rint(values / scale) + zero, *LEVELS)
    return float((((integers - zero) * scale - values) ** 2 * weights).sum() / weights.sum())


def _least_error(histogram: Histogram, symmetric: bool) -> tuple[float, float]:
    best, found = np.inf, (histogram.low, histogram.high)
    for share in np.linspace(1.0, 0.5, SHRINKS):
        low, high = histogram.low * share, histogram.high * share
        error = expected_error(histogram, steps(low, high, symmetric))
        if error < best:
            best, found = error, (low, high)
    return found


def range_of(histogram: Histogram, choice: Choice) -> tuple[float, float]:
    """The range of one tensor; it holds zero."""
    match choice.method:
        case "percentile":
            return _percentile(histogram, choice.percentile)
        case "mse":
            return _least_error(histogram, choice.symmetric)
        case _:
            return histogram.low, histogram.high


def shared_steps(histograms: Sequence[Histogram], choice: Choice) -> Quantisation:
    """One quantisation for tensors whose integers have to mean the same."""
    ranges = [range_of(one, choice) for one in histograms]
    low, high = min(one[0] for one in ranges), max(one[1] for one in ranges)
    return steps(low, high, choice.symmetric)
