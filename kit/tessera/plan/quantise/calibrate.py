"""Calibration: which values each tensor takes, as a histogram of bounded size.

Goal: one run per sample, no values kept; a histogram grows by doubling its bins, so that it depends
on the values alone and not on where the first sample lay.
Non-goals: choosing steps (`choose`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.execute import run
from tessera.plan.graph import Array, DType, Graph, Node
from tessera.plan.quantise.samples import Samples

BINS = 4096
"""Bins of a histogram, an equal number on either side of zero."""


@dataclass(slots=True)
class Histogram:
    """Counts of values between -limit and limit, and the least and the largest; zero is inside."""

    low: float = 0.0
    high: float = 0.0
    limit: float = 2.0**-20
    counts: Array = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: Array) -> None:
        """Counts the values of an array, which are finite."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        while self.limit < max(-self.low, self.high):
            self._double()
        edges = (-self.limit, self.limit)
        self.counts += np.histogram(values, BINS, edges)[0]

    def _double(self) -> None:
        """Twice the limit: pairs of bins become one, in the middle half."""
        merged = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts = np.zeros(BINS, np.int64)
        self.counts[BINS // 4 : BINS // 4 + BINS // 2] = merged
        self.limit *= 2

    @property
    def centres(self) -> Array:
        """The middle of each bin."""
        return (np.arange(BINS) + 0.5 - BINS / 2) * (2 * self.limit / BINS)


def _finite(name: str, values: Array, node: Node | None, graph: Graph) -> None:
    if not np.isfinite(values).all():
        raise TesseraError(
            f"tensor '{name}' takes values that are not finite",
            where=str(node.source) if node else graph.name,
            remedy="no integers can stand for them; check the weights and the inputs",
        )


def calibrate(graph: Graph, samples: Samples, names: Iterable[str]) -> dict[str, Histogram]:
    """A histogram of each named float32 tensor over all samples.

    Raises `TesseraError` without samples, or for values that are not finite.
    """
    if not samples:
        raise TesseraError(
            "there is nothing to calibrate on", where=graph.name, remedy="give a sample or more"
        )
    found = {name: Histogram() for name in names}
    assert all(graph.tensors[name].dtype is DType.FLOAT32 for name in found)

    def watch(node: Node, made: Array) -> None:
        name = node.outputs[0]
        if name in found:
            _finite(name, made, node, graph)
            found[name].add(made)

    for one in samples:
        for name, values in one.items():
            if name in found:
                _finite(name, values, None, graph)
                found[name].add(values)
        run(graph, one, watch)
    return found
