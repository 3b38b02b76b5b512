"""The constants of a network in one file: names, types, shapes, and a packed or plain body each.

    0   4   "TSWA"
    4   4   constants; then for each:
            2 bytes length of the name, the name in UTF-8, 1 byte type, 1 byte axes, 4 bytes per
            axis, 1 byte: 0 plain, 1 packed (`stream`), 4 bytes length of the body, the body
    ..  4   CRC-32 of all before

Goal: what a packer takes and a test can read back; the same graph gives the same bytes.
Non-goals: encryption, the network itself.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import NoReturn

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.compress.stream import BLOCK_BYTES, pack, unpack
from tessera.plan.graph import Array, DType, Graph

MAGIC = b"TSWA"
_TYPES = tuple(DType)


def write(graph: Graph, block_bytes: int = BLOCK_BYTES) -> bytes:
    """The archive of a graph's constants."""
    constants = graph.constants()
    made = bytearray(MAGIC + struct.pack("<I", len(constants)))
    for one in constants:
        assert one.data is not None
        name = one.name.encode()
        plain = np.ascontiguousarray(one.data).tobytes()
        packed = pack(one.data, block_bytes)
        body = min(plain, packed, key=len)
        made += struct.pack("<H", len(name)) + name
        made += struct.pack("<BB", _TYPES.index(one.dtype), len(one.shape))
        made += struct.pack(f"<{len(one.shape)}I", *one.shape)
        made += struct.pack("<BI", int(body is packed), len(body)) + body
    return bytes(made) + struct.pack("<I", zlib.crc32(made))


class _Reader:
    """Takes parts off the data; never beyond its end."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where, self.at = data, where, 0

    def refuse(self, what: str) -> NoReturn:
        raise TesseraError(
            f"weights archive: {what}",
            where=self.where,
            remedy="the file is damaged; write it again with `tessera model compress`",
        )

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) < count:
            self.refuse("it ends too early")
        self.at += count
        return part

    def numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def tensor(self) -> tuple[str, Array]:
        try:
            name = self.take(self.numbers("<H")[0]).decode()
        except UnicodeDecodeError:
            self.refuse("a name is not UTF-8")
        kind, rank = self.numbers("<BB")
        shape = self.numbers(f"<{rank}I")
        packed, length = self.numbers("<BI")
        if kind >= len(_TYPES) or packed > 1:
            self.refuse(f"'{name}' is of an unknown kind")
        body = self.take(length)
        raw = unpack(body, f"{self.where}: {name}") if packed else body
        dtype = _TYPES[kind]
        if len(raw) != math.prod(shape) * dtype.bytes:
            self.refuse(f"'{name}' has {len(raw)} bytes for {shape} of {dtype}")
        return name, np.frombuffer(raw, dtype.numpy).reshape(shape)


def read(data: bytes, where: str = "archive") -> dict[str, Array]:
    """The constants by name. Raises `TesseraError` for a damaged archive."""
    reader = _Reader(data, where)
    if reader.take(4) != MAGIC or len(data) < 12:
        reader.refuse("it does not begin as one does")
    if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        reader.refuse("the checksum does not match")
    reader.data = data[:-4]
    found: dict[str, Array] = {}
    for _ in range(reader.numbers("<I")[0]):
        name, array = reader.tensor()
        if name in found:
            reader.refuse(f"'{name}' is there twice")
        found[name] = array
    if reader.at != len(reader.data):
        reader.refuse("it goes on after the last constant")
    return found
