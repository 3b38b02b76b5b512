"""The file of a sealed package (.tsp): header, table of blocks, feed, ciphertexts.

Goal: the bytes of docs/package.md, each at the one place where `to_bytes` puts it, so that a file
is read only if it is what was written.
Non-goals: what the blocks hold.
"""

from __future__ import annotations

import struct
from pathlib import Path

from tessera.dnn.files import read_bytes
from tessera.errors import TesseraError
from tessera.package.code import Instruction
from tessera.package.contents import Contents, opened
from tessera.package.manifest import MOST_CHUNK
from tessera.package.seal import TAG_BYTES, Sealed, require_consistent, unseal

MAGIC = b"TSPK"
FORMAT = 1
HEADER_BYTES = 64
_HEADER = struct.Struct("<4sIII16s8I")
assert _HEADER.size == HEADER_BYTES


def to_bytes(sealed: Sealed) -> bytes:
    """The file. Raises `TesseraError` for one of 4 GiB or more."""
    blocks, feed = sealed.blocks, (*sealed.once, *sealed.each)
    feed_at = HEADER_BYTES + 8 * len(blocks)
    at = feed_at + 4 * len(feed)
    if at + sum(map(len, blocks)) >= 1 << 32:
        raise TesseraError(
            "the package is 4 GiB or more", where="package", remedy="use a smaller network"
        )
    made = [
        _HEADER.pack(
            *(MAGIC, FORMAT, HEADER_BYTES, sealed.version, sealed.identity, sealed.chunk),
            *(sealed.codes, len(blocks), len(sealed.once), len(feed), HEADER_BYTES, feed_at, 0),
        )
    ]
    for one in blocks:
        made.append(struct.pack("<II", at, len(one) - TAG_BYTES))
        at += len(one)
    made.append(struct.pack(f"<{len(feed)}I", *feed))
    return b"".join((*made, *blocks))


def parse(data: bytes, where: str) -> Sealed:
    """A file with everything checked that can be without the key. Raises `TesseraError`."""

    def require(holds: bool, what: str, remedy: str = "get the file again, or pack again") -> None:
        if not holds:
            raise TesseraError(what, where=where, remedy=remedy)

    made_by = "give a file that `tessera pack` wrote"
    require(data[:4] == MAGIC, "this is not a sealed package", made_by)
    require(len(data) >= HEADER_BYTES, "the package is cut off in its header")
    _, fmt, header, version, identity, chunk, *rest = _HEADER.unpack_from(data)
    codes, count, onces, feeds, table_at, feed_at, zero = rest
    require(fmt == FORMAT, f"a package of format {fmt}; this is for format {FORMAT}", made_by)
    require((header, table_at, zero) == (HEADER_BYTES, HEADER_BYTES, 0), "the header is damaged")
    require(4 <= chunk <= MOST_CHUNK and chunk % 4 == 0, f"blocks of {chunk} bytes")
    require(2 <= codes < count, f"{codes} code blocks of {count}")
    require(feed_at == HEADER_BYTES + 8 * count, "the table of blocks has another size")
    require(1 <= onces < feeds, f"{onces} of {feeds} blocks are taken once")
    at = feed_at + 4 * feeds
    require(at <= len(data), "the package is cut off in its tables")
    blocks = []
    for index in range(count):
        offset, size = struct.unpack_from("<II", data, HEADER_BYTES + 8 * index)
        require(4 <= size <= chunk and size % 4 == 0, f"block {index} of {size} bytes")
        require(offset == at, f"block {index} does not follow the one before")
        at += size + TAG_BYTES
        require(at <= len(data), f"the package is cut off in block {index} of {count}")
        blocks.append(data[offset:at])
    require(at == len(data), f"{len(data) - at} bytes too many")
    feed = struct.unpack_from(f"<{feeds}I", data, feed_at)
    require(all(0 < one < count for one in feed), "the feed names blocks that are not there")
    return Sealed(version, identity, chunk, codes, tuple(blocks), feed[:onces], feed[onces:])


def read(path: Path) -> Sealed:
    """A file, as far as it can be checked without the key. Raises `TesseraError`."""
    return parse(read_bytes(path, "package"), str(path))


def open_sealed(
    sealed: Sealed, master: bytes, where: str
) -> tuple[Contents, tuple[Instruction, ...]]:
    """The contents and all instructions, with everything checked. Raises `TesseraError`."""
    contents, code = opened(unseal(sealed, master, where), where)
    require_consistent(sealed, contents, master, where)
    return contents, code
