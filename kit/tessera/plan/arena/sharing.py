"""Buffers that take each other's place: pairs become one block, which is planned as one buffer.

Goal: from aliases of equal size, blocks; from the offsets of blocks, those of the buffers.
Non-goals: deciding which operators may write over their input (an importer knows), and pairs of
different sizes, which keep places of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm

from tessera.plan.arena.buffers import Alias, Buffer


@dataclass(frozen=True, slots=True)
class Blocks:
    """`blocks` to plan; `home` gives a buffer's block; `taken` the aliases that were used."""

    blocks: tuple[Buffer, ...]
    home: Mapping[str, str]
    taken: tuple[Alias, ...]


def join(buffers: Sequence[Buffer], aliases: Sequence[Alias]) -> Blocks:
    """Each buffer gives its place to one other at most, and takes one other's at most."""
    known = {buffer.name: buffer for buffer in buffers}
    heirs: dict[str, str] = {}
    taken: dict[str, str] = {}
    for earlier, later in aliases:
        same = known[earlier].size == known[later].size
        if same and earlier not in heirs and later not in taken:
            heirs[earlier], taken[later] = later, earlier
    blocks, home = [], {}
    for buffer in buffers:
        if buffer.name in taken:
            continue
        chain = [buffer]
        while chain[-1].name in heirs:
            chain.append(known[heirs[chain[-1].name]])
        alignment = lcm(*(part.alignment for part in chain))
        blocks.append(Buffer(buffer.name, buffer.lower, chain[-1].upper, buffer.size, alignment))
        home.update({part.name: buffer.name for part in chain})
    return Blocks(tuple(blocks), home, tuple(heirs.items()))
