"""What a package holds before it is sealed: the plaintexts of its blocks and the order they go in.

Goal: `link` makes the blocks of a program; `opened` reads them back, and works out the feed from
the code itself, so that a feed that is at odds with the code is seen.
Non-goals: encryption (`seal`), the file (`file`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tessera.errors import TesseraError
from tessera.package.assemble import WORD, assemble, disassemble, into_blocks
from tessera.package.code import PACKED, End, Instruction, Load
from tessera.package.lower import Program
from tessera.package.manifest import MOST_CHUNK, Manifest, Side, read_manifest

_PLAIN_MAGIC = b"TSPP"


@dataclass(frozen=True, slots=True)
class Contents:
    """A package in the clear. `blocks` are plaintexts, the manifest's first; `once` and `each` are
    indices of blocks in the order in which the runtime takes them."""

    manifest: Manifest
    blocks: tuple[bytes, ...]
    once: tuple[int, ...]
    each: tuple[int, ...]

    def dump_plain(self) -> bytes:
        """All plaintexts in one file, for the host driver of tests and measurements only."""
        made = [_PLAIN_MAGIC, struct.pack("<I", len(self.blocks))]
        for one in self.blocks:
            made += [struct.pack("<I", len(one)), one]
        return b"".join(made)


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds a program. `chunk`: bytes of the largest block allowed; `arena`: bytes of
    the plan; `family` and `version`: see `Manifest`."""

    family: bytes
    version: int
    chunk: int
    arena: int
    inputs: tuple[Side, ...]
    outputs: tuple[Side, ...]


def require_chunk(chunk: int) -> None:
    """Raises `TesseraError` for a size that no block has."""
    if chunk % 4 or not 256 <= chunk <= MOST_CHUNK:
        raise TesseraError(
            f"blocks of {chunk} bytes",
            where="--chunk",
            remedy=f"give a multiple of 4 from 256 to {MOST_CHUNK:,}",
        )


def link(program: Program, frame: Frame) -> Contents:
    """The blocks of a program.

    The chunk written is the largest piece or code block that there is: the runtime has buffers of
    that size. Raises `TesseraError` when the manifest is larger than a block may be.
    """
    require_chunk(frame.chunk)
    once, each = (into_blocks(one, frame.chunk) for one in (program.once, program.each))
    runs = (*once, *each)
    base = 1 + len(runs)
    placed = [tuple(_placed(one, base) for one in run) for run in runs]
    code = tuple(b"".join(map(assemble, run)) for run in placed)
    sizes = tuple(map(len, code))
    loads = [min(one.bytes, frame.chunk) for run in runs for one in run if isinstance(one, Load)]
    manifest = Manifest(
        *(frame.family, frame.version, frame.chunk, frame.arena, len(once)),
        *(base + len(program.constants), frame.inputs, frame.outputs, sizes),
    )
    largest = max(*sizes, *loads, len(manifest.to_bytes()))
    if largest > frame.chunk:
        raise TesseraError(
            f"the manifest takes {largest} bytes, more than a block of {frame.chunk}",
            where="manifest",
            remedy="give larger blocks: --chunk",
        )
    manifest = replace(manifest, chunk=largest)
    feed = [_feed(base - len(runs) + k, run, largest) for k, run in enumerate(placed)]
    return Contents(
        manifest,
        (manifest.to_bytes(), *code, *program.constants),
        tuple(index for part in feed[: len(once)] for index in part),
        tuple(index for part in feed[len(once) :] for index in part),
    )


def _placed(one: Instruction, base: int) -> Instruction:
    return replace(one, first=base + one.first) if isinstance(one, Load) else one


def blocks_of(load: Load, chunk: int) -> range:
    """The indices of the blocks that a load takes."""
    return range(load.first, load.first + -(-load.bytes // chunk))


def _feed(index: int, run: Sequence[Instruction], chunk: int) -> list[int]:
    """A code block, then what its loads take."""
    loads = [k for one in run if isinstance(one, Load) for k in blocks_of(one, chunk)]
    return [index, *loads]


def opened(blocks: Sequence[bytes], where: str) -> tuple[Contents, tuple[Instruction, ...]]:
    """The contents that plaintexts are, and all instructions in order.

    Raises `TesseraError` unless manifest, code and blocks are at one with each other.
    """

    def require(holds: bool, what: str) -> None:
        if not holds:
            raise TesseraError(what, where=where, remedy="pack the network again")

    manifest = read_manifest(blocks[0], where)
    require(manifest.blocks == len(blocks), f"{len(blocks)} blocks, not {manifest.blocks}")
    codes = len(manifest.code)
    parts: list[list[int]] = []
    code: list[Instruction] = []
    for index in range(1, codes + 1):
        size = manifest.code[index - 1]
        require(len(blocks[index]) == size, f"block {index} has not {size} bytes")
        run = disassemble(blocks[index], f"{where}: block {index}")
        ends = [isinstance(one, End) for one in run]
        last = index in (manifest.onces, codes)
        require(not any(ends[:-1]) and ends[-1] == last, f"block {index}: an end out of place")
        # Before the feed is written out, which a load of anything could make very long.
        for one in run:
            if isinstance(one, Load):
                require(_loads(one, manifest, blocks), f"a load of blocks from {one.first} on")
        parts.append(_feed(index, run, manifest.chunk))
        code += run
    once = tuple(index for part in parts[: manifest.onces] for index in part)
    each = tuple(index for part in parts[manifest.onces :] for index in part)
    return Contents(manifest, tuple(blocks), once, each), tuple(code)


def _loads(load: Load, manifest: Manifest, blocks: Sequence[bytes]) -> bool:
    """Whether a load's blocks are there, are constants, and have the sizes that it says."""
    taken = blocks_of(load, manifest.chunk)
    inside = len(manifest.code) < load.first and taken.stop <= len(blocks)
    if not inside or load.bytes % WORD or load.flags not in (0, PACKED):
        return False
    rest = load.bytes - (len(taken) - 1) * manifest.chunk if taken else 0
    pieces = [manifest.chunk] * (len(taken) - 1) + [rest]
    sizes = load.streams if load.flags else pieces
    if not taken or len(sizes) != len(taken) or (load.streams and not load.flags):
        return False
    return all(
        len(blocks[index]) == size + -size % WORD for index, size in zip(taken, sizes, strict=True)
    )
