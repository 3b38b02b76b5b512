"""The packed form of one tensor: a header with code tables, then blocks that decode alone.

All numbers are little-endian.

    0   4   "TSW1"
    4   1   planes: bytes of an element, 1 or 4
    5   1   1 when elements of 4 bytes are turned left by a bit, so that a float32's exponent is a
            byte of its own, else 0
    6   2   0
    8   4   elements
    12  4   elements of a block, 1 to 65536; the last block has the rest
    16  ..  per plane 1 byte: 0 stored, 1 coded; a coded one is followed by 128 bytes: the lengths
            of the symbols 2k (low nibble) and 2k+1 (high)
    ..  4n  per block where it ends, counted from the first one's start
    ..      blocks: plane after plane (the lowest byte of all elements, then the next), each from a
            whole byte on; then the CRC-32 of the elements' bytes

Goal: a decoder needs the header (at most 532 bytes) and one block at a time; whatever is damaged is
one `TesseraError`, at the latest by the checksum.
Non-goals: secrecy and authenticity: blocks are encrypted and authenticated as they are.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.compress import huffman
from tessera.plan.graph import Array

MAGIC = b"TSW1"
BLOCK_BYTES = 4096
"""Bytes of a decoded block unless said otherwise: a page."""

MOST_BLOCK = 1 << 16
_FIXED = struct.Struct("<4sBBHII")
TABLE_BYTES = huffman.SYMBOLS // 2
"""Of the table of a coded plane."""

HEAD_BYTES = _FIXED.size
"""Of a stream before what is said of its planes."""

CHECK_BYTES = 4
"""Of a block's checksum."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A stream whose header was found to be right. `ends` are offsets in `blocks`.

    `lengths` has per plane the code lengths, None for a stored one.
    """

    planes: int
    turned: bool
    elements: int
    block: int
    lengths: tuple[tuple[int, ...] | None, ...]
    ends: tuple[int, ...]
    blocks: bytes
    header_bytes: int
    where: str
    _tables: dict[int, list[int]] = field(default_factory=dict)

    def table(self, plane: int) -> list[int] | None:
        """The decoding table of a plane, made when it is first asked for; None when stored."""
        lengths = self.lengths[plane]
        if lengths is not None and plane not in self._tables:
            self._tables[plane] = huffman.windows(lengths)
        return None if lengths is None else self._tables[plane]

    def size_of(self, index: int) -> int:
        """Elements of a block."""
        return min(self.block, self.elements - index * self.block)

    def read(self, index: int) -> bytes:
        """The bytes of one block's elements. Raises `TesseraError` when it is damaged."""
        start = self.ends[index - 1] if index else 0
        count, data = self.size_of(index), self.blocks[start : self.ends[index]]
        made, position = np.empty((count, self.planes), np.uint8), 0
        for plane in range(self.planes):
            table = self.table(plane)
            try:
                if table is None:
                    values = data[position : position + count]
                    position += count
                else:
                    values, position = huffman.decode(data, position, count, table)
            except huffman.BadCode as error:
                _damaged(f"block {index}, plane {plane}: {error}", self.where)
            if len(values) < count:
                _damaged(f"block {index}, plane {plane} is too short", self.where)
            made[:, plane] = np.frombuffer(values, np.uint8)
        if self.turned:
            words = made.view("<u4")
            made = (words >> 1 | words << 31).astype("<u4").view(np.uint8)
        whole = made.tobytes()
        if position + CHECK_BYTES != len(data):
            _damaged(
                f"block {index} has {len(data)} bytes, not {position + CHECK_BYTES}", self.where
            )
        if zlib.crc32(whole).to_bytes(CHECK_BYTES, "little") != data[position:]:
            _damaged(f"block {index}: the checksum does not match", self.where)
        return whole


def _damaged(what: str, where: str) -> NoReturn:
    raise TesseraError(
        f"packed weights: {what}", where=where, remedy="the file is damaged; pack the model again"
    )


def planes_of(data: Array) -> Array:
    """The bytes of the elements as they are coded, (elements, planes): of elements of 4 bytes the
    lowest first, a float32 turned left by a bit; of elements of any other size one after another.
    """
    turn = data.dtype == np.float32
    flat = np.ascontiguousarray(data).reshape(-1)
    if flat.dtype.itemsize not in (1, 4):
        flat = flat.view(np.uint8)
    if turn:
        words = flat.view(np.uint32)
        flat = words << 1 | words >> 31
    little = flat.astype(flat.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(len(flat), -1)


def code_of(values: Array) -> tuple[int, ...] | None:
    """The code of a plane, or None where the table costs more than coding saves."""
    counted = np.bincount(values, minlength=huffman.SYMBOLS)
    shares = counted[counted > 0] / len(values)
    bits = -len(values) * float((shares * np.log2(shares)).sum())
    if len(values) - bits / 8 < TABLE_BYTES:  # no code is below the entropy: it need not be made
        return None
    counts = counted.tolist()
    lengths = huffman.code_lengths(counts)
    saved = len(values) - huffman.coded_bytes(counts, lengths)
    return lengths if saved > TABLE_BYTES else None


def pack(data: Array, block_bytes: int = BLOCK_BYTES) -> bytes:
    """The stream of an array's elements in memory order; its shape is not kept.

    Elements of 1 byte and of 4 bytes have planes of their own, others are taken as bytes. Raises
    `TesseraError` for blocks that are no multiple of 4 or too large.
    """
    if block_bytes % 4 or not 4 <= block_bytes <= MOST_BLOCK:
        raise TesseraError(
            f"blocks of {block_bytes} bytes",
            where="packing weights",
            remedy=f"give a multiple of 4 up to {MOST_BLOCK}",
        )
    turn = data.dtype == np.float32
    planes = planes_of(data)
    elements, width = planes.shape
    block = block_bytes // width
    lengths = [code_of(planes[:, plane]) for plane in range(width)]
    head = bytearray(_FIXED.pack(MAGIC, width, int(turn), 0, elements, block))
    for one in lengths:
        head.append(int(one is not None))
        if one is not None:
            head += bytes(a | b << 4 for a, b in zip(one[::2], one[1::2], strict=True))
    raw = np.ascontiguousarray(data).reshape(-1).astype(data.dtype.newbyteorder("<")).tobytes()
    blocks, ends = bytearray(), []
    for start in range(0, elements, block):
        for plane, one in enumerate(lengths):
            part = planes[start : start + block, plane]
            blocks += part.tobytes() if one is None else huffman.encode(part, one)
        whole = raw[start * width : (start + block) * width]
        blocks += zlib.crc32(whole).to_bytes(CHECK_BYTES, "little")
        ends.append(len(blocks))
    return bytes(head) + struct.pack(f"<{len(ends)}I", *ends) + bytes(blocks)


def parse(data: bytes, where: str = "stream") -> Packed:
    """A stream with everything in its header checked. Raises `TesseraError` for a damaged one."""
    if len(data) < _FIXED.size:
        _damaged("the header is cut off", where)
    magic, width, turned, zero, elements, block = _FIXED.unpack_from(data)
    if magic != MAGIC or zero:
        _damaged("they do not begin as such a stream does", where)
    if width not in (1, 4) or turned > int(width == 4):
        _damaged(f"elements of {width} bytes, turned: {turned}", where)
    if not elements or not 1 <= block <= MOST_BLOCK:
        _damaged(f"{elements} elements in blocks of {block}", where)
    position, lengths = _FIXED.size, []
    for plane in range(width):
        mode = data[position : position + 1]
        table = data[position + 1 : position + 1 + TABLE_BYTES] if mode == b"\1" else b""
        if mode not in (b"\0", b"\1") or (mode == b"\1" and len(table) < TABLE_BYTES):
            _damaged(f"the table of plane {plane} is cut off or of an unknown kind", where)
        lengths.append(_table(table, plane, where) if table else None)
        position += 1 + len(table)
    count = -(-elements // block)
    if count > (len(data) - position) // 4:
        _damaged(f"{count} blocks in {len(data)} bytes", where)
    ends = struct.unpack_from(f"<{count}I", data, position)
    position += 4 * count
    blocks = data[position:]
    if any(b <= a for a, b in zip((0, *ends), ends, strict=False)) or ends[-1] != len(blocks):
        _damaged("the blocks do not lie one after the other up to the end", where)
    return Packed(
        *(width, bool(turned), elements, block, tuple(lengths), ends, blocks, position), where
    )


def _table(nibbles: bytes, plane: int, where: str) -> tuple[int, ...]:
    lengths = tuple(half for one in nibbles for half in (one & 15, one >> 4))
    try:
        huffman.codes(lengths)
    except huffman.BadCode as error:
        _damaged(f"the table of plane {plane}: {error}", where)
    return lengths


def unpack(data: bytes, where: str = "stream") -> bytes:
    """The bytes of all elements. Raises `TesseraError` for a damaged stream."""
    packed = parse(data, where)
    return b"".join(packed.read(index) for index in range(len(packed.ends)))
