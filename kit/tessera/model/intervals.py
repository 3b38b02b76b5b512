"""Maps from all integers below a size to values, stored as runs of equal values.

Goal: a pool of 2^32 granules costs as much memory as it has differing runs.
Non-goals: maps over sorts (those are dicts, see `state`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from tessera.model.script import Value

Interval = tuple[int, int]
"""Half-open: `[lo, hi)`."""


class IntervalMap:
    """An immutable map from 0, 1, ..., size - 1 to values; neighbouring runs always differ."""

    __slots__ = ("size", "starts", "values")

    def __init__(self, value: Value, size: int) -> None:
        """The map of `[0, size)` that is `value` everywhere."""
        self.size = size
        self.starts: tuple[int, ...] = (0,)
        self.values: tuple[Value, ...] = (value,)

    def __getitem__(self, at: int) -> Value:
        return self.values[bisect_right(self.starts, at) - 1]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, IntervalMap)
            and self.starts == other.starts
            and self.values == other.values
        )

    def __hash__(self) -> int:
        return hash((self.starts, self.values))

    def __repr__(self) -> str:
        runs = ", ".join(f"{s}: {v!r}" for s, v in zip(self.starts, self.values, strict=True))
        return f"IntervalMap({{{runs}}})"

    def set(self, lo: int, hi: int, value: Value) -> IntervalMap:
        """A copy in which `[lo, hi)` is `value`; itself when that changes nothing."""
        if lo >= hi:
            return self
        left = bisect_left(self.starts, lo)
        right = bisect_right(self.starts, hi) - 1
        starts, values = list(self.starts[:left]), list(self.values[:left])
        _append(starts, values, lo, value)
        if hi < self.size:
            _append(starts, values, hi, self.values[right])
        for start, old in zip(self.starts[right + 1 :], self.values[right + 1 :], strict=True):
            _append(starts, values, start, old)
        if tuple(starts) == self.starts and tuple(values) == self.values:
            return self
        made = IntervalMap(value, self.size)
        made.starts, made.values = tuple(starts), tuple(values)
        return made

    def runs(self, lo: int, hi: int) -> Iterator[tuple[int, int, Value]]:
        """The runs that meet `[lo, hi)`, cut to it, from low to high."""
        at = bisect_right(self.starts, lo) - 1
        while lo < hi:
            end = self.starts[at + 1] if at + 1 < len(self.starts) else hi
            end = min(end, hi)
            yield lo, end, self.values[at]
            lo, at = end, at + 1


def _append(starts: list[int], values: list[Value], start: int, value: Value) -> None:
    """Add a run unless it continues the one before."""
    if not values or values[-1] != value or type(values[-1]) is not type(value):
        starts.append(start)
        values.append(value)


def complement(true: list[Interval], lo: int, hi: int) -> list[Interval]:
    """`[lo, hi)` without the sorted disjoint intervals `true`."""
    out: list[Interval] = []
    for a, b in true:
        if lo < a:
            out.append((lo, a))
        lo = b
    if lo < hi:
        out.append((lo, hi))
    return out


def merge(intervals: list[Interval]) -> list[Interval]:
    """Disjoint intervals sorted, with neighbours joined."""
    out: list[Interval] = []
    for lo, hi in sorted(intervals):
        if out and out[-1][1] == lo:
            out[-1] = (out[-1][0], hi)
        elif lo < hi:
            out.append((lo, hi))
    return out


def count(intervals: list[Interval]) -> int:
    """How many integers the intervals hold."""
    return sum(hi - lo for lo, hi in intervals)
