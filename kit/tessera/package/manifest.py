"""The manifest: block 0 of a package, what the runtime knows before it runs anything.

Goal: a record and its words; reading checks every field on its own.
Non-goals: whether the code keeps to it (the runtime checks each instruction).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.package.assemble import WORD
from tessera.package.code import Element

MAGIC = b"TSPM"
CODE_FORMAT = 1
MOST_CHUNK = 65_536
MOST_TENSORS = 4
FAMILY_BYTES = 16
_HEAD = struct.Struct("<4sI16s8I")
_TENSOR = struct.Struct("<4I")


@dataclass(frozen=True, slots=True)
class Side:
    """An input or output as it lies in the normal world: without gaps, columns fastest."""

    element: Element
    channels: int
    rows: int
    columns: int

    @property
    def bytes(self) -> int:
        """Bytes of the whole tensor."""
        return self.element.bytes * self.channels * self.rows * self.columns


@dataclass(frozen=True, slots=True)
class Manifest:
    """Block 0. `code` has the plaintext bytes of each code block, the first `onces` of which are
    run once; `blocks` counts all, this one included. `family`: see `family_of`."""

    family: bytes
    version: int
    chunk: int
    arena: int
    onces: int
    blocks: int
    inputs: tuple[Side, ...]
    outputs: tuple[Side, ...]
    code: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The words. Raises `TesseraError` for a network that they have no room for."""
        for sides, what in ((self.inputs, "inputs"), (self.outputs, "outputs")):
            if not 1 <= len(sides) <= MOST_TENSORS:
                raise TesseraError(
                    f"the network has {len(sides)} {what}",
                    where="manifest",
                    remedy=f"a package has 1 to {MOST_TENSORS}",
                )
        made = _HEAD.pack(
            *(MAGIC, CODE_FORMAT, self.family, self.version, self.chunk, self.arena),
            *(len(self.code), self.onces, self.blocks, len(self.inputs), len(self.outputs)),
        )
        for one in (*self.inputs, *self.outputs):
            made += _TENSOR.pack(one.element, one.channels, one.rows, one.columns)
        return made + struct.pack(f"<{len(self.code)}I", *self.code)


def family_of(name: str) -> bytes:
    """What a version counter belongs to: the first 16 bytes of SHA-256 over the name."""
    return hashlib.sha256(name.encode()).digest()[:FAMILY_BYTES]


def read_manifest(data: bytes, where: str) -> Manifest:
    """A manifest with every field in its range. Raises `TesseraError` otherwise."""

    def require(holds: bool, what: str) -> None:
        if not holds:
            raise TesseraError(f"manifest: {what}", where=where, remedy="pack the network again")

    require(len(data) >= _HEAD.size, "it is cut off")
    magic, fmt, family, version, chunk, arena, codes, onces, blocks, inputs, outputs = (
        _HEAD.unpack_from(data)
    )
    require(magic == MAGIC, "it does not begin as one does")
    require(fmt == CODE_FORMAT, f"code of format {fmt}, not {CODE_FORMAT}")
    require(4 <= chunk <= MOST_CHUNK and chunk % WORD == 0, f"blocks of {chunk} bytes")
    require(arena % 16 == 0 and arena > 0, f"an arena of {arena} bytes")
    require(1 <= onces < codes < blocks, f"{onces} of {codes} code blocks of {blocks}")
    sides = (inputs, outputs)
    require(all(1 <= one <= MOST_TENSORS for one in sides), f"{inputs} inputs, {outputs} outputs")
    end = _HEAD.size + _TENSOR.size * (inputs + outputs)
    require(len(data) == end + WORD * codes, f"it has {len(data)} bytes")
    tensors = []
    for at in range(_HEAD.size, end, _TENSOR.size):
        element, *sizes = _TENSOR.unpack_from(data, at)
        require(element in tuple(Element) and min(sizes) > 0, "a tensor is of no size or type")
        tensors.append(Side(Element(element), *sizes))
    code = struct.unpack_from(f"<{codes}I", data, end)
    require(all(4 <= one <= chunk and one % WORD == 0 for one in code), "a size of a code block")
    return Manifest(
        *(family, version, chunk, arena, onces, blocks),
        *(tuple(tensors[:inputs]), tuple(tensors[inputs:]), code),
    )
