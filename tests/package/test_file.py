"""The file: read if it is what was written, else one clear error."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from package_cases import MASTER, contents, sealed

from tessera.errors import TesseraError
from tessera.package.assemble import assemble, disassemble, words_of
from tessera.package.code import End, Load
from tessera.package.contents import opened
from tessera.package.file import open_sealed, parse, read, to_bytes

DATA = to_bytes(sealed())


def _patched(at: int, value: int) -> bytes:
    return DATA[:at] + struct.pack("<I", value) + DATA[at + 4 :]


def test_the_header_is_the_one_of_the_document() -> None:
    words = struct.unpack_from("<4sIII16s8I", DATA)
    made = sealed()
    feeds = len(made.once) + len(made.each)
    table = 64 + 8 * len(made.blocks)
    assert words == (
        *(b"TSPK", 1, 64, 3, made.identity, made.chunk, made.codes, len(made.blocks)),
        *(len(made.once), feeds, 64, table, 0),
    )
    first = table + 4 * feeds
    assert struct.unpack_from("<II", DATA, 64) == (first, len(contents().blocks[0]))
    assert struct.unpack_from(f"<{feeds}I", DATA, table) == (*made.once, *made.each)
    assert parse(DATA, "x") == made


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a sealed package"),
        (b"\x7fELF" + DATA[4:], "not a sealed package"),
        (DATA[:40], "cut off in its header"),
        (_patched(4, 2), "format 2; this is for format 1"),
        (_patched(8, 60), "header is damaged"),
        (_patched(32, 65_540), "blocks of 65540 bytes"),
        (_patched(36, 1), "1 code blocks"),
        (_patched(40, 1 << 31), "code blocks|table"),
        (_patched(44, 0), "taken once"),
        (_patched(48, 1 << 30), "cut off in its tables"),
        (_patched(56, 72), "table of blocks"),
        (_patched(60, 1), "header is damaged"),
        (_patched(64, 0), "block 0 does not follow"),
        (_patched(68, 6), "block 0 of 6 bytes"),
        (_patched(64 + 8 * len(sealed().blocks), 0), "the feed names blocks"),
        (_patched(64 + 8 * len(sealed().blocks), 63), "the feed names blocks"),
        (DATA[:-1], "cut off in block 62 of 63"),
        (DATA[: len(DATA) // 2], "cut off in block"),
        (DATA + b"\0", "1 bytes too many"),
    ],
)
def test_files_that_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(TesseraError, match=says) as caught:
        parse(data, "net.tsp")
    assert caught.value.where == "net.tsp" and caught.value.remedy


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_every_byte_of_the_header_counts(step: int) -> None:
    """Each flipped in turn: nothing of a package opens then."""
    ends = 64 + 8 * 3
    for at in range(step, ends, 4):
        broken = bytearray(DATA)
        broken[at] ^= 1 << step
        with pytest.raises(TesseraError):
            open_sealed(parse(bytes(broken), "x"), MASTER, "x")


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_changed_files_are_one_error(data: st.DataObject) -> None:
    """Bytes overwritten, cut out, doubled: `TesseraError`, or the very same package."""
    broken = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken)))
        many = data.draw(st.integers(0, 12))
        put = data.draw(st.one_of(st.binary(max_size=12), st.just(bytes(broken[at : at + 8]) * 2)))
        broken[at : at + many] = put
    try:
        found, _ = open_sealed(parse(bytes(broken), "x"), MASTER, "x")
    except TesseraError:
        return
    assert bytes(broken) == DATA and found == contents()


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_changed_plaintexts_are_one_error(data: st.DataObject) -> None:
    """Who has the key may seal anything: it opens as what it says, or is one error."""
    blocks = [bytearray(one) for one in contents().blocks]
    codes = len(contents().manifest.code)
    for _ in range(data.draw(st.integers(1, 3))):
        block = blocks[data.draw(st.integers(0, codes))]
        at = 4 * data.draw(st.integers(0, len(block) // 4 - 1))
        block[at : at + 4] = struct.pack("<I", data.draw(st.integers(0, 2**32 - 1)))
    try:
        made, _ = opened([bytes(one) for one in blocks], "x")
    except TesseraError:
        return
    assert made.blocks == tuple(bytes(one) for one in blocks)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bytes": 0xFFFFFFFC}, "a load of blocks"),
        ({"bytes": 0}, "a load of blocks"),
        ({"first": 0}, "a load of blocks"),
        ({"first": 1}, "a load of blocks"),
        ({"first": 0xFFFFFFFF}, "a load of blocks"),
        ({"flags": 2}, "a load of blocks"),
        ({"flags": 1}, "a load of blocks"),
    ],
)
def test_loads_that_do_not_fit_their_blocks(change: dict[str, int], says: str) -> None:
    """Also what is authentic is told apart from what can be run."""
    blocks = list(contents().blocks)
    code = list(disassemble(blocks[2]))
    at = next(k for k, one in enumerate(code) if isinstance(one, Load))
    code[at] = replace(code[at], **change)
    blocks[2] = b"".join(map(assemble, code))
    with pytest.raises(TesseraError, match=says):
        opened(blocks, "x")


def test_an_end_out_of_place() -> None:
    blocks = list(contents().blocks)
    code = list(disassemble(blocks[2]))
    blocks[2] = b"".join(map(assemble, (End(), *code[1:]))) + assemble(End()) * (
        words_of(code[0]) - 1
    )
    with pytest.raises(TesseraError, match="an end out of place"):
        opened(blocks, "x")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="cannot read the package"):
        read(tmp_path / "none.tsp")
