"""Constants in blocks: each part in each layout once, cut into pieces, packed where smaller.

Goal: where a part's run of blocks begins, and what a load of it has to say.
Non-goals: code blocks (`link`), encryption (`seal`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tessera.package.assemble import WORD
from tessera.package.layouts import Constant, cut
from tessera.plan.compress.stream import pack
from tessera.plan.graph import DType, Graph

INNER = 4096
"""Bytes of a packed stream's own blocks: a checksum is told after so many."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive blocks. `first` counts from the first block of constants; `bytes` is what lies
    in the arena once they are loaded; `streams` as in `code.Load`."""

    first: int
    bytes: int
    streams: tuple[int, ...]


def padded(data: bytes) -> bytes:
    """With zeros up to a whole word."""
    return data + bytes(-len(data) % WORD)


class Pool:
    """The blocks of constants of one package, in the order in which they are first asked for.

    `chunk`: bytes of a piece, a multiple of 4; `compress`: pieces are packed where that is smaller.
    """

    def __init__(self, graph: Graph, chunk: int, compress: bool) -> None:
        self._graph, self._chunk, self._compress = graph, chunk, compress
        self._runs: dict[Constant, Run] = {}
        self.blocks: list[bytes] = []
        self.plain = 0
        """Bytes of the constants before they were packed."""

    def run(self, constant: Constant) -> Run:
        """The blocks of a part of a constant; made when it is first asked for."""
        if constant not in self._runs:
            self._runs[constant] = self._make(constant)
        return self._runs[constant]

    def _make(self, constant: Constant) -> Run:
        tensor = self._graph.tensors[constant.tensor]
        assert tensor.data is not None
        whole = padded(constant.layout.bytes_of(cut(tensor.data, constant.box)))
        pieces = [whole[at : at + self._chunk] for at in range(0, len(whole), self._chunk)]
        first, streams = len(self.blocks), []
        for piece in pieces:
            stream = _packed(piece, tensor.dtype) if self._compress else piece
            if len(padded(stream)) >= len(piece):
                stream = piece
            self.blocks.append(padded(stream))
            streams.append(len(stream))
        self.plain += len(whole)
        some = any(size != len(piece) for size, piece in zip(streams, pieces, strict=True))
        return Run(first, len(whole), tuple(streams) if some else ())


def _packed(piece: bytes, dtype: DType) -> bytes:
    """The stream of a piece, by elements of the constant's type."""
    kind = {DType.FLOAT32: "<f4", DType.INT32: "<i4"}.get(dtype, "u1")
    return pack(np.frombuffer(piece, kind), INNER)
