"""Packages written by hand: what lies where, what is loaded, and code by instructions."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.package.assemble import assemble
from tessera.package.code import (
    RING,
    Element,
    Emit,
    End,
    Instruction,
    Load,
    Part,
    View,
)
from tessera.package.manifest import Manifest, Side

Array = NDArray[Any]
ELEMENTS = {"float32": Element.FLOAT32, "int8": Element.INT8, "uint8": Element.UINT8}
FAMILY = bytes(range(16))


def whole(view: View) -> Part:
    """All that a view holds."""
    return Part(view.channel, view.channel + view.channels, view.row, view.row + view.slots)


@dataclass(slots=True)
class Draft:
    """A package under construction. `once` and `each` are code blocks, lists of instructions, to
    which `dump` adds the ends; the `first` of a load counts constants from 0."""

    arena: int = 4096
    chunk: int = 256
    once: list[list[Instruction]] = field(default_factory=lambda: [[]])
    each: list[list[Instruction]] = field(default_factory=lambda: [[]])
    constants: list[bytes] = field(default_factory=list)
    inputs: list[Side] = field(default_factory=list)
    outputs: list[Side] = field(default_factory=list)
    taken: int = 0

    def place(self, size: int) -> int:
        """Bytes of the arena that nothing else takes, aligned to 16."""
        at = self.taken
        self.taken += -(-size // 16) * 16
        assert self.taken <= self.arena, "a larger arena"
        return at

    def view(self, shape: tuple[int, int, int], kind: str, ring: bool = False) -> View:
        """Room for a tensor of channels, rows and columns, from channel 0 and row 0 on."""
        element = ELEMENTS[kind]
        at = self.place(int(np.prod(shape)) * element.bytes)
        return View(at, 0, shape[0], 0, shape[1], shape[2], int(element) | (RING if ring else 0))

    def region(self, data: Array) -> int:
        """Constants in the arena, loaded once; each load begins a block of code of its own if the
        last one is full."""
        raw = data.tobytes()
        raw += bytes(-len(raw) % 4)
        at = self.place(len(raw))
        self.load(at, raw)
        return at

    def load(self, at: int, raw: bytes) -> None:
        """A load of these bytes."""
        if len(self.once[-1]) * 20 + 24 > self.chunk:
            self.once.append([])
        self.once[-1].append(Load(at, len(raw), len(self.constants), 0))
        self.constants += [raw[k : k + self.chunk] for k in range(0, len(raw), self.chunk)]

    def tensor(self, data: Array) -> View:
        """A view of a tensor that is loaded once."""
        view = self.view(data.shape, str(data.dtype))
        raw = data.tobytes()
        self.load(view.offset, raw + bytes(-len(raw) % 4))
        return view

    def do(self, instruction: Instruction) -> None:
        """An instruction of the inference, in a block of code of its own."""
        self.each.append([instruction])

    def show_arena(self) -> None:
        """One output: all of the arena, as bytes."""
        self.inputs = self.inputs or [Side(Element.UINT8, 1, 1, 1)]
        self.outputs = [Side(Element.UINT8, 1, 1, self.arena)]
        view = View(0, 0, 1, 0, 1, self.arena, int(Element.UINT8))
        self.do(Emit(0, view, Part(0, 1, 0, 1)))

    def _parts(self) -> list[list[list[Instruction]]]:
        """Both parts, without empty blocks, with their ends."""
        made = []
        for part in (self.once, self.each):
            blocks = [one for one in part if one] or [[]]
            made.append([*blocks[:-1], [*blocks[-1], End()]])
        return made

    def code(self) -> list[bytes]:
        """The code blocks."""
        blocks = [block for part in self._parts() for block in part]
        base = 1 + len(blocks)
        return [
            b"".join(
                assemble(replace(one, first=one.first + base) if isinstance(one, Load) else one)
                for one in block
            )
            for block in blocks
        ]

    def manifest(self) -> bytes:
        """Block 0."""
        code = self.code()
        return Manifest(
            *(FAMILY, 1, self.chunk, self.arena, len(self._parts()[0])),
            *(1 + len(code) + len(self.constants), tuple(self.inputs), tuple(self.outputs)),
            tuple(map(len, code)),
        ).to_bytes()

    def dump(self) -> bytes:
        """The package in the clear: see models/dnn/host/plain.h."""
        return dump([self.manifest(), *self.code(), *self.constants])


def dump(blocks: list[bytes]) -> bytes:
    """Plaintexts in one file."""
    made = b"TSPP" + struct.pack("<I", len(blocks))
    return made + b"".join(struct.pack("<I", len(one)) + one for one in blocks)
