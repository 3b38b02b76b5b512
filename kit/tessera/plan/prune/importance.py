"""How much each set of channels matters: by its weights, or by what flows through it.

`l1`: mean magnitude of the weights that make the channel, relative to the mean of their layer
(Li et al., "Pruning Filters for Efficient ConvNets", 2017, made comparable between layers).
`activation`: mean magnitude of the channel on calibration inputs times that of the weights that
take it: a bound of what its loss changes in the next sums, relative to the mean of their layer.
Where several layers make or take a channel, the mean over them counts.
Goal: one number per set, larger is more important.
Non-goals: gradients; a network here has no backward pass.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph, Node
from tessera.plan.prune.dependencies import CHANNELS, MAKES, TAKES, Dependencies, Slices
from tessera.plan.quantise.samples import Samples

METHODS = ("l1", "activation")


def _magnitudes(graph: Graph, part: Slices) -> Array:
    """Mean magnitude of a constant's values at each index of the axis."""
    data = graph.tensors[part.constant].data
    assert data is not None
    rest = tuple(axis for axis in range(data.ndim) if axis != part.axis)
    return np.asarray(np.abs(data.astype(np.float64)).mean(axis=rest))


class _Means:
    """The mean of the values given for each set."""

    def __init__(self) -> None:
        self._sums: dict[int, float] = {}
        self._counts: dict[int, int] = {}

    def add(self, sets: Array, values: Array) -> None:
        level = values.mean()
        for one, value in zip(sets.tolist(), (values / (level or 1.0)).tolist(), strict=True):
            self._sums[one] = self._sums.get(one, 0.0) + value
            self._counts[one] = self._counts.get(one, 0) + 1

    def of(self, wanted: tuple[int, ...]) -> dict[int, float]:
        """By set; one of which nothing is known, and which nothing reads, matters not."""
        return {one: self._sums.get(one, 0.0) / self._counts.get(one, 1) for one in wanted}


def _flow(graph: Graph, samples: Samples) -> dict[str, Array]:
    """Mean magnitude per index of axis 1 of every activation, over all samples."""
    sums: dict[str, Array] = {}

    def watch(node: Node, made: Array) -> None:
        if made.ndim > CHANNELS and made.dtype.kind == "f":
            rest = tuple(axis for axis in range(made.ndim) if axis != CHANNELS)
            mean = np.abs(made.astype(np.float64)).mean(axis=rest)
            sums[node.outputs[0]] = sums.get(node.outputs[0], 0.0) + mean

    for one in samples:
        run(graph, one, watch)
    return sums


def importance(
    graph: Graph, found: Dependencies, method: str, samples: Samples = ()
) -> Mapping[int, float]:
    """The importance of every set that may go. Raises `TesseraError` for an unknown method."""
    means = _Means()
    match method:
        case "l1":
            for part in found.slices:
                # A vector is a bias: it says little about what a channel carries.
                if part.role == MAKES and len(graph.tensors[part.constant].shape) > 1:
                    means.add(part.sets, _magnitudes(graph, part))
        case "activation":
            flow, readers = _flow(graph, samples), graph.consumers()
            for part in found.slices:
                if part.role == TAKES:
                    through = flow.get(readers[part.constant][0].inputs[0])
                    if through is not None:
                        means.add(part.sets, through * _magnitudes(graph, part))
        case _:
            raise TesseraError(
                f"no importance is called '{method}'",
                where="pruning",
                remedy=f"the methods are {', '.join(METHODS)}",
            )
    return means.of(found.free)
