"""What a TA takes of the page pool, said from its file before it runs.

Goal: sizes of code and data out of the ELF inside a signed TA, and by them the bytes that a session
takes, as `tessera.plan.fragment` counts them; what the guest then shows can be held against it.
Non-goals: what OP-TEE's core takes for itself; TAs whose file is buffered while it is loaded
(`CFG_REE_FS_TA_BUFFERED`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.plan.fragment import GRANULE, TaSizes, demand_for

FRAMEWORK = 2048
"""Bytes of stack that the TA kit adds (user_ta_header.c, TA_FRAMEWORK_STACK_SIZE)."""
_MAGIC = b"\x7fELF\x02\x01"
_LOAD, _WRITABLE = 1, 2
_PROGRAM = struct.Struct("<IIQQQQQQ")


@dataclass(frozen=True, slots=True)
class Segments:
    """Bytes in memory: what is not written to, and what is, with the heap."""

    code: int
    data: int


def segments(image: bytes, where: str) -> Segments:
    """The sizes of a TA. Raises `TesseraError` where the file holds no 64-bit little-endian ELF."""
    at = image.find(_MAGIC)
    try:
        if at < 0:
            raise ValueError
        (table,) = struct.unpack_from("<Q", image, at + 32)
        (count,) = struct.unpack_from("<H", image, at + 56)
        rows = [_PROGRAM.unpack_from(image, at + table + _PROGRAM.size * k) for k in range(count)]
    except (ValueError, struct.error):
        raise TesseraError(
            "this is no signed TA for 64-bit Arm",
            where=where,
            remedy="give the .ta file that the TA's Makefile makes",
        ) from None
    loaded = [(flags, memory) for kind, flags, _, _, _, _, memory, _ in rows if kind == _LOAD]
    return Segments(
        sum(memory for flags, memory in loaded if not flags & _WRITABLE),
        sum(memory for flags, memory in loaded if flags & _WRITABLE),
    )


def claim(image: bytes, heap: int, stack: int, shared: int, where: str = "TA") -> int:
    """Bytes of the page pool that a session of the TA takes at most.

    `heap` and `stack` as the TA was built with, `shared` the bytes of normal memory that it maps.
    """
    found = segments(image, where)
    sizes = TaSizes(
        code=found.code,
        data=found.data - heap,
        stack=stack + FRAMEWORK,
        image=0,  # it is read piece by piece
        beside=0,
        shared=shared,
    )
    return demand_for(heap, sizes).total * GRANULE
