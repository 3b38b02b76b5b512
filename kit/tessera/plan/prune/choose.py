"""Which channels go for a network of a given size: the least important first.

Goal: the smallest number of sets whose removal brings the weights to the size asked for; every
layer keeps some channels.
Non-goals: what importance is; removing anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from tessera.errors import TesseraError
from tessera.plan.graph import Graph
from tessera.plan.prune.dependencies import MAKES, Dependencies
from tessera.plan.prune.remove import kept

LEAST = 2
"""Channels that every layer keeps unless told otherwise."""


def parameters_after(graph: Graph, found: Dependencies, removed: Collection[int]) -> int:
    """Values of all constants when the channels of these sets are gone."""
    shapes = {one.name: list(one.shape) for one in graph.constants()}
    for part in found.slices:
        shapes[part.constant][part.axis] = len(kept(part.sets, removed))
    total = 0
    for shape in shapes.values():
        values = 1
        for size in shape:
            values *= size
        total += values
    return total


def order(
    found: Dependencies, importance: Mapping[int, float], least: int = LEAST
) -> Sequence[int]:
    """The sets in the order in which they may go, none that would leave a layer too few."""
    left: dict[tuple[str, int], Counter[int]] = {}
    for part in found.slices:
        if part.role == MAKES:
            left[part.constant, part.axis] = Counter(part.sets.tolist())
    sizes = {layer: counts.total() for layer, counts in left.items()}
    layers: dict[int, list[tuple[str, int]]] = {}
    for layer, counts in left.items():
        for one in counts:
            layers.setdefault(one, []).append(layer)
    chosen = []
    for one in sorted(found.free, key=lambda one: (importance[one], one)):
        if all(sizes[layer] - left[layer][one] >= least for layer in layers[one]):
            chosen.append(one)
            for layer in layers[one]:
                sizes[layer] -= left[layer][one]
    return chosen


def choose(
    graph: Graph,
    found: Dependencies,
    importance: Mapping[int, float],
    parameters: int,
    least: int = LEAST,
) -> frozenset[int]:
    """The fewest least important sets without which at most `parameters` values are left.

    Raises `TesseraError` when no number of them is enough; it names the size that can be reached.
    """
    going = order(found, importance, least)
    smallest = parameters_after(graph, found, going)
    if smallest > parameters:
        raise TesseraError(
            f"pruning to {parameters:,} parameters leaves layers without channels",
            where=graph.name,
            remedy=f"the least it can reach from here is {smallest:,}, each layer keeping {least}; "
            "channels of inputs, outputs and ops without a rule stay",
        )
    low, high = 0, len(going)
    while low < high:
        middle = (low + high) // 2
        if parameters_after(graph, found, going[:middle]) <= parameters:
            high = middle
        else:
            low = middle + 1
    return frozenset(going[:low])
