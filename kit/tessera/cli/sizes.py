"""Sizes in bytes as users write them.

Goal: `8MiB`, `512 KiB`, `1048576` mean one thing in every option.
Non-goals: fractions, powers of ten.
"""

from __future__ import annotations

import re

from tessera.errors import TesseraError

_SIZE = re.compile(r"([0-9][0-9_]{0,18})\s*(KiB|MiB|GiB)?")
_SCALES = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def size_of(text: str, option: str) -> int:
    """Bytes, at least one. Raises `TesseraError` naming the option."""
    found = _SIZE.fullmatch(text.strip())
    value = int(found[1]) * _SCALES[found[2]] if found else 0
    if value < 1:
        raise TesseraError(
            f"'{text}' is not a size in bytes",
            where=option,
            remedy="write a whole number from 1, with KiB, MiB or GiB where wanted: 8MiB",
        )
    return value


def words_of(size: int) -> str:
    """A size as read best: bytes with separators, and MiB beside it from 1 MiB on."""
    if size < 1 << 20:
        return f"{size:,} bytes"
    return f"{size:,} bytes ({size / (1 << 20):.2f} MiB)"
