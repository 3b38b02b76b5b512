"""A canonical Huffman code over bytes, no code word longer than 12 bits.

Lengths by package-merge (Larmore and Hirschberg, 1990), which is optimal under the limit. Code
words are numbered by length, then by symbol, so that the 256 lengths are the whole table. Bits are
written from the most significant one of each byte; the last byte is filled with zeros.
Goal: encode and decode one run of bytes; a decoder that reads `count` symbols and stops.
Non-goals: headers and checksums (`stream`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tessera.plan.graph import Array

LIMIT = 12
"""Longest code word in bits: a table of all windows has 4096 entries, a length fits a nibble."""

SYMBOLS = 256
_WINDOWS = 1 << LIMIT


class BadCode(ValueError):
    """Lengths that are no complete code, or bits that end too early or too late."""


def code_lengths(counts: Sequence[int]) -> tuple[int, ...]:
    """Bits for each of 256 symbols; 0 for one that does not occur, which then has no code.

    A single symbol gets a second one beside it that never occurs: the code is complete, always.
    """
    items = sorted((count, (symbol,)) for symbol, count in enumerate(counts) if count)
    if len(items) < 2:
        first = items[0][1][0] if items else 0
        items = [(1, (first,)), (1, (first ^ 1,))]
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(LIMIT):
        merged = sorted([*items, *packages])
        pairs = zip(merged[::2], merged[1::2], strict=False)
        packages = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
    lengths = [0] * SYMBOLS
    for _, symbols in packages[: len(items) - 1]:
        for symbol in symbols:
            lengths[symbol] += 1
    return tuple(lengths)


def codes(lengths: Sequence[int]) -> tuple[int, ...]:
    """The code word of each symbol, canonical. Raises `BadCode` unless the code is complete."""
    if len(lengths) != SYMBOLS or max(lengths) > LIMIT or min(lengths) < 0:
        raise BadCode(f"lengths are not 256 numbers from 0 to {LIMIT}")
    if sum(_WINDOWS >> one for one in lengths if one) != _WINDOWS:
        raise BadCode("the lengths are those of no complete code")
    words, following = [0] * SYMBOLS, 0
    for length in range(1, LIMIT + 1):
        following <<= 1
        for symbol in range(SYMBOLS):
            if lengths[symbol] == length:
                words[symbol] = following
                following += 1
    return tuple(words)


def coded_bytes(counts: Sequence[int], lengths: Sequence[int]) -> int:
    """Bytes that symbols with these counts take."""
    return (sum(n * bits for n, bits in zip(counts, lengths, strict=True)) + 7) // 8


def encode(data: Array, lengths: Sequence[int]) -> bytes:
    """The code words of bytes one after the other. `data` is uint8; every symbol has a code."""
    bits = np.asarray(lengths, np.int64)[data]
    assert bits.all()
    aligned = np.asarray(codes(lengths), np.int64)[data] << (LIMIT - bits)
    matrix = (aligned[:, None] >> np.arange(LIMIT - 1, -1, -1)) & 1
    used = np.arange(LIMIT) < bits[:, None]
    return np.packbits(matrix[used].astype(np.uint8)).tobytes()


def windows(lengths: Sequence[int]) -> list[int]:
    """For every 12 bits that may come next: 256 * length + symbol of the first code word in them.

    Raises `BadCode`.
    """
    table = [0] * _WINDOWS
    for symbol, (word, length) in enumerate(zip(codes(lengths), lengths, strict=True)):
        if length:
            span = 1 << (LIMIT - length)
            table[word * span : (word + 1) * span] = [length << 8 | symbol] * span
    return table


def decode(data: bytes, start: int, count: int, table: Sequence[int]) -> tuple[bytes, int]:
    """`count` symbols from byte `start` on, and the byte after the last one used.

    Raises `BadCode` when the data ends before, or when the bits that fill up are not zero.
    """
    made = bytearray(count)
    position, end = start, len(data)
    held = bits = 0
    for index in range(count):
        while bits < LIMIT:
            # Beyond the end come zeros; that they were used is seen below.
            held = (held << 8 | (data[position] if position < end else 0)) & 0xFFFFFF
            position += 1
            bits += 8
        entry = table[held >> (bits - LIMIT) & (_WINDOWS - 1)]
        made[index] = entry & 0xFF
        bits -= entry >> 8
    used = position - bits // 8
    if used > end:
        raise BadCode("the data ends inside a code word")
    if held & ((1 << bits % 8) - 1) << bits // 8 * 8:
        raise BadCode("the last byte is not filled with zeros")
    return bytes(made), used
