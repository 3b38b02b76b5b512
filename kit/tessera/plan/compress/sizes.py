"""How small the constants of a network become, tensor by tensor, beside other codes.

Goal: bytes stored for each constant (packed, or plain where that is smaller), the entropy of its
bytes, and what zlib makes of the same blocks; every stream is decoded again and compared.
Non-goals: files (`archive`).
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.compress.stream import BLOCK_BYTES, pack, unpack
from tessera.plan.graph import Array, Graph


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of one constant: plain, packed, by zlib (level 9) in the same blocks, and the entropy.

    `entropy` is that of single bytes, each plane of an element by itself, rounded up.
    """

    name: str
    dtype: str
    plain: int
    packed: int
    zlib: int
    entropy: int

    @property
    def stored(self) -> int:
        """The smaller of plain and packed."""
        return min(self.plain, self.packed)


@dataclass(frozen=True, slots=True)
class Sizes:
    """All constants of a network."""

    name: str
    block_bytes: int
    tensors: tuple[Size, ...]

    def total(self, field: str) -> int:
        """The sum of one of a size's figures."""
        return sum(int(getattr(one, field)) for one in self.tensors)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        fields = ("plain", "packed", "zlib", "entropy", "stored")
        return {
            "name": self.name,
            "block_bytes": self.block_bytes,
            **{field: self.total(field) for field in fields},
            "tensors": [{**asdict(one), "stored": one.stored} for one in self.tensors],
        }


def entropy_bytes(data: Array) -> int:
    """Least bytes for any code of single bytes that has the right counts, without a table."""
    flat = np.ascontiguousarray(data).reshape(-1)
    if flat.dtype == np.float32:
        words = flat.view(np.uint32)
        flat = words << 1 | words >> 31
    bits = 0.0
    for plane in flat.view(np.uint8).reshape(len(flat), -1).T:
        counts = np.bincount(plane)
        shares = counts[counts > 0] / plane.size
        bits -= float((shares * np.log2(shares)).sum()) * plane.size
    return int(np.ceil(bits / 8))


def size_of(name: str, data: Array, block_bytes: int = BLOCK_BYTES) -> Size:
    """Packs one array and unpacks it again. Raises `TesseraError` when that is not the same."""
    raw, stream = np.ascontiguousarray(data).tobytes(), pack(data, block_bytes)
    if unpack(stream, name) != raw:
        raise TesseraError(
            "what was packed does not come out the same", where=name, remedy="report this"
        )
    parts = (raw[at : at + block_bytes] for at in range(0, len(raw), block_bytes))
    other = sum(len(zlib.compress(part, 9)) for part in parts)
    return Size(name, data.dtype.name, len(raw), len(stream), other, entropy_bytes(data))


def sizes(graph: Graph, block_bytes: int = BLOCK_BYTES) -> Sizes:
    """Sizes of all constants of a graph, in its order."""
    rows = [
        size_of(one.name, one.data, block_bytes)
        for one in graph.constants()
        if one.data is not None
    ]
    return Sizes(graph.name, block_bytes, tuple(rows))
