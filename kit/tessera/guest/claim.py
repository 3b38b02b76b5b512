"""What a TA takes of the page pool, said from its file before it runs, to the page.

Goal: sizes of code and data out of the ELF inside a signed TA, and by them the bytes that a session
takes at most: its segments, its stack, and the loader's pages, as `tessera.plan.fragment` lists
them. Page tables are not among them, nor does it matter where the TA lies (CFG_TA_ASLR): without
CFG_CORE_PREALLOC_EL0_TBLS, which no build of ours sets, they lie in the core's own memory.
Non-goals: what OP-TEE's core takes for itself; TAs whose file is buffered while it is loaded
(`CFG_REE_FS_TA_BUFFERED`), and shared libraries.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.plan.fragment import GRANULE, TaSizes, granules

FRAMEWORK = 2048
"""Bytes of stack that the TA kit adds (user_ta_header.c, TA_FRAMEWORK_STACK_SIZE)."""
_MAGIC = b"\x7fELF\x02\x01"
_LOAD, _WRITABLE = 1, 2
_PROGRAM = struct.Struct("<IIQQQQQQ")


@dataclass(frozen=True, slots=True)
class Segments:
    """Pages of what is not written to, and of what is, with the heap. Each segment has its own."""

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
    loaded = [
        (bool(flags & _WRITABLE), granules(address % GRANULE + memory))
        for kind, flags, _, address, _, _, memory, _ in rows
        if kind == _LOAD
    ]
    return Segments(
        sum(pages for writable, pages in loaded if not writable),
        sum(pages for writable, pages in loaded if writable),
    )


def claim(image: bytes, stack: int, where: str = "TA") -> int:
    """Bytes of the page pool that a session of the TA takes at most; `stack` as it was built with.

    Raises `TesseraError` where the file is no TA.
    """
    found = segments(image, where)
    loader = granules(TaSizes().loader)
    return (found.code + found.data + granules(stack + FRAMEWORK) + loader) * GRANULE
