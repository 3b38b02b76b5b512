"""What is decrypted for a part of a network's constants: the bytes as they are kept outside.

Goal: one place that says how many bytes a block of weights has where it is stored, plain or packed,
so that planner and cost model agree; each block is measured once.
Non-goals: packing (`tessera.plan.compress`), sealing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tessera.plan.compress.measure import Stored, stored
from tessera.plan.graph import Graph
from tessera.plan.tiles.rows import Rows


class Store:
    """The constants of a graph outside of secure memory. `packed`: each block in pieces, as
    streams that decode alone (`compress.stream`) where those are smaller."""

    def __init__(self, graph: Graph, packed: bool = False) -> None:
        self.graph, self.packed = graph, packed
        self._known: dict[tuple[str, tuple[Rows, ...]], Stored] = {}

    def of(self, name: str, box: Sequence[Rows]) -> Stored:
        """What is kept of a box of a constant."""
        tensor, key = self.graph.tensors[name], (name, tuple(box))
        if not self.packed:
            return Stored(math.prod(one.size for one in box) * tensor.dtype.bytes)
        if key not in self._known:
            assert tensor.data is not None
            part = tensor.data[tuple(slice(one.start, one.stop) for one in box)]
            self._known[key] = stored(part)
        return self._known[key]
