"""How many bytes a part of a tensor takes as packed streams, without writing them.

Goal: the exact sizes that `stream.pack` would come to, fast enough to ask for every block of every
layer that a plan may load.
Non-goals: the streams themselves, and other codes (`sizes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tessera.plan.compress.stream import (
    BLOCK_BYTES,
    CHECK_BYTES,
    HEAD_BYTES,
    TABLE_BYTES,
    code_of,
    planes_of,
)
from tessera.plan.graph import Array

CHUNK = 1 << 16
"""Plain bytes of a piece at most: what is sealed as one block of a package."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of an array: its bytes, and the code words that a decoder reads of it."""

    bytes: int
    words: int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(self.bytes + other.bytes, self.words + other.words)


def measured(data: Array, block_bytes: int = BLOCK_BYTES) -> Stored:
    """The length of `stream.pack(data, block_bytes)`, and its code words."""
    planes = planes_of(data)
    elements, width = planes.shape
    starts = np.arange(0, elements, block_bytes // width)
    made = Stored(HEAD_BYTES + width + len(starts) * (4 + CHECK_BYTES))
    for plane in range(width):
        values = planes[:, plane]
        lengths = code_of(values)
        if lengths is None:
            made += Stored(elements)
            continue
        bits = np.add.reduceat(np.asarray(lengths, np.int64)[values], starts)
        made += Stored(TABLE_BYTES + int(((bits + 7) // 8).sum()), elements)
    return made


def stored(data: Array, chunk: int = CHUNK) -> Stored:
    """An array in pieces of at most `chunk` plain bytes, each packed where that is smaller.

    A `chunk` is a multiple of 4, as in a package, whose pieces these are.
    """
    flat = np.ascontiguousarray(data).reshape(-1)
    per = chunk // flat.dtype.itemsize
    made = Stored(0)
    for start in range(0, len(flat), per):
        piece = flat[start : start + per]
        packed = measured(piece)
        made += packed if packed.bytes < piece.nbytes else Stored(piece.nbytes)
    return made
