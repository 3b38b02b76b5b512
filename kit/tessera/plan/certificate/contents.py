"""What every buffer holds while a plan runs, as boxes of tensors, step by step.

Goal: writing a box makes it readable and makes unreadable whatever its bytes held before; a read is
answered with the part of it that is not there. Row-major order; a ring keeps row r in slot r modulo
its rows; tensors computed in place lie over each other.
Non-goals: bytes of several buffers that share addresses: a plan in which two buffers that are alive
share a byte is refused before anything is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tessera.plan.plan import Access, Box, BufferRow, Range, TensorRow

ROWS = 2
"""The axis of rows."""


class Contents:
    """Of each buffer the boxes of tensors that can be read; nothing at the start."""

    def __init__(self, buffers: Mapping[str, BufferRow], tensors: Mapping[str, TensorRow]) -> None:
        self._buffers, self._tensors = buffers, tensors
        self._held: dict[str, dict[str, list[Box]]] = {name: {} for name in buffers}

    def missing(self, read: Access) -> Box | None:
        """A part of what is read that is not there, or None."""
        return next(uncovered(read.box, self._held[read.buffer].get(read.tensor, ())), None)

    def write(self, made: Access) -> None:
        """Its bytes hold `made` from now on, and nothing else."""
        held = self._held[made.buffer]
        for tensor in [*held]:
            rest = [part for old in held[tensor] for part in self._kept(made, tensor, old)]
            if rest:
                held[tensor] = rest
            else:
                del held[tensor]
        held[made.tensor] = _joined(held.get(made.tensor, []), made.box)

    def _kept(self, made: Access, tensor: str, old: Box) -> list[Box]:
        """What is left of `old` when `made` is written over it."""
        here, there = self._tensors[made.tensor], self._tensors[tensor]
        if here.shape != there.shape or here.dtype != there.dtype:
            rolls = self._buffers[made.buffer].ring is not None
            return [] if rolls or self._may_meet(made.box, here, old, there) else [old]
        ring = self._buffers[made.buffer].ring
        boxes = [made.box] if ring is None else [*_wrapped(made.box, old, ring)]
        left = [old]
        for box in boxes:
            left = [part for one in left for part in outside(one, box)]
        return left

    @staticmethod
    def _may_meet(box: Box, here: TensorRow, old: Box, there: TensorRow) -> bool:
        """By the first and last byte of each: never no where a byte is shared (without rings)."""
        one, two = _span(box, here), _span(old, there)
        return one[0] < two[1] and two[0] < one[1]


def _span(box: Box, tensor: TensorRow) -> Range:
    first, last = 0, 0
    for (low, high), size in zip(box, tensor.shape, strict=True):
        first, last = first * size + low, last * size + high - 1
    each = tensor.bytes
    for size in tensor.shape:
        each //= size
    return first * each, (last + 1) * each


def _wrapped(box: Box, old: Box, ring: int) -> Iterator[Box]:
    """The boxes of rows that share a slot with a row of `box`, where `old` has such rows."""
    low, high = box[ROWS]
    first = (old[ROWS][0] - high) // ring
    for turn in range(first, (old[ROWS][1] - low) // ring + 1):
        rows = (low + turn * ring, high + turn * ring)
        yield (*box[:ROWS], rows, *box[ROWS + 1 :])


def outside(box: Box, other: Box) -> Iterator[Box]:
    """`box` without `other`, as boxes that share nothing."""
    if any(a[1] <= b[0] or b[1] <= a[0] for a, b in zip(box, other, strict=True)):
        yield box
        return
    rest = box
    for axis, (low, high) in enumerate(other):
        start, stop = rest[axis]
        if start < low:
            yield (*rest[:axis], (start, low), *rest[axis + 1 :])
        if high < stop:
            yield (*rest[:axis], (high, stop), *rest[axis + 1 :])
        rest = (*rest[:axis], (max(start, low), min(stop, high)), *rest[axis + 1 :])


def uncovered(box: Box, held: list[Box] | tuple[Box, ...]) -> Iterator[Box]:
    """Parts of `box` that are in none of `held`."""
    left = [box]
    for one in held:
        left = [part for old in left for part in outside(old, one)]
    yield from left


def _joined(held: list[Box], box: Box) -> list[Box]:
    """`held` and `box`, which share nothing, neighbours made one where they are a box again."""
    rest = list(held)
    place = 0
    while place < len(rest):
        whole = _union(rest[place], box)
        if whole is None:
            place += 1
        else:
            del rest[place]
            box, place = whole, 0
    return [*rest, box]


def _union(one: Box, two: Box) -> Box | None:
    differ = [axis for axis, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    if len(differ) != 1:
        return None
    (axis,) = differ
    low, high = sorted((one[axis], two[axis]))
    if low[1] != high[0]:
        return None
    return (*one[:axis], (low[0], high[1]), *one[axis + 1 :])
