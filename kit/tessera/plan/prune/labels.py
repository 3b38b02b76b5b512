"""Sets of channels that live and die together, as numbers that can be joined.

Goal: union-find over integers; an array of labels says for every index of an axis to which set it
belongs.
Non-goals: what belongs together (`dependencies`).
"""

from __future__ import annotations

import numpy as np

from tessera.plan.graph import Array


class Labels:
    """Disjoint sets of labels; some are fixed: no channel of theirs may be removed."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._fixed: set[int] = set()

    def new(self, count: int) -> Array:
        """Labels for `count` channels, each alone."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def find(self, label: int) -> int:
        """The one that stands for the label's set."""
        while self._parent[label] != label:
            self._parent[label] = self._parent[self._parent[label]]
            label = self._parent[label]
        return label

    def join(self, first: Array, second: Array) -> None:
        """Joins the sets of two arrays' labels, index by index."""
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            # The smaller stands for both, so that numbers do not depend on the order of joins.
            low, high = sorted((self.find(a), self.find(b)))
            self._parent[high] = low

    def fix(self, labels: Array) -> None:
        """Channels that have to stay."""
        self._fixed.update(labels.tolist())

    def roots(self, labels: Array) -> Array:
        """What stands for each label's set."""
        return np.array([self.find(one) for one in labels.tolist()], np.int64)

    def fixed_roots(self) -> frozenset[int]:
        """The sets of which a label is fixed."""
        return frozenset(self.find(one) for one in self._fixed)
