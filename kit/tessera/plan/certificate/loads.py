"""What a plan says it loads, against its steps, and packed blocks against packing them.

Goal: the bytes that each load claims are those of its blocks: plain ones by their shapes; packed
ones, with the network at hand, by packing the very block; and the sums per run are those of the
steps. It shares no code with the planner, which works sizes out without packing.
Non-goals: what loading costs, and whether another cut would load less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from tessera.plan.compress.stream import MOST_BLOCK, pack, parse
from tessera.plan.graph import Graph
from tessera.plan.plan import Access, Plan, StepRow, TensorRow

_Kept = tuple[int, int]
"""Bytes, and code words."""


def wrong_loads(plan: Plan, graph: Graph | None) -> Iterator[str]:
    """What is claimed and does not hold; nothing is said of code words without the network."""
    if plan.chunk is not None and (plan.chunk % 4 or not 4 <= plan.chunk <= MOST_BLOCK):
        yield f"pieces of {plan.chunk} bytes, which no package has"
        return
    blocks = _Blocks(plan, graph)
    loaded = decoded = switches = 0
    for number, step in enumerate(plan.steps):
        if step.kind != "load":
            continue
        kept, words = blocks.of(step)
        claimed = kept if step.stored is None else step.stored
        least = 1 if blocks.unknown else kept
        if not least <= claimed <= kept:
            yield f"step {number} claims {claimed} bytes stored; its blocks have {kept}"
        if step.group >= 0:
            loaded, decoded, switches = loaded + claimed, decoded + words, switches + 1
    sums = {"bytes loaded": (plan.costs.loaded, loaded), "loads": (plan.costs.switches, switches)}
    if not blocks.unknown:
        sums["code words"] = (plan.costs.decoded, decoded)
    for what, (claimed, right) in sums.items():
        if claimed != right:
            yield f"{claimed} {what} per run are claimed; the steps come to {right}"


class _Blocks:
    """The blocks of a plan's constants where they are kept; each is packed once."""

    def __init__(self, plan: Plan, graph: Graph | None) -> None:
        self._tensors: Mapping[str, TensorRow] = {one.name: one for one in plan.tensors}
        self._graph, self._chunk = graph, plan.chunk
        self._known: dict[tuple[object, ...], _Kept] = {}
        self.unknown = plan.chunk is not None and graph is None

    def of(self, step: StepRow) -> _Kept:
        """All blocks of a load."""
        found = [self._block(one) for one in step.writes]
        return sum(one[0] for one in found), sum(one[1] for one in found)

    def _block(self, one: Access) -> _Kept:
        tensor = self._tensors[one.tensor]
        each = tensor.bytes // prod(tensor.shape)
        plain = each * prod(high - low for low, high in one.box)
        if self._chunk is None or self._graph is None:
            return plain, 0
        key = (one.tensor, one.box)
        if key not in self._known:
            data = self._graph.tensors[one.tensor].data
            assert data is not None  # a load of anything else breaks another rule before
            part = data[tuple(slice(low, high) for low, high in one.box)].reshape(-1)
            self._known[key] = _packed(part, max(1, self._chunk // each))
        return self._known[key]


def _packed(part: np.ndarray, per: int) -> _Kept:
    """In pieces of so many elements, each as a stream where that is smaller."""
    kept = words = 0
    for start in range(0, len(part), per):
        piece = part[start : start + per]
        stream = pack(piece)
        if len(stream) >= piece.nbytes:
            kept += piece.nbytes
            continue
        one = parse(stream)
        kept += len(stream)
        words += one.elements * sum(lengths is not None for lengths in one.lengths)
    return kept, words
