"""Instructions as words: what the document says, both ways."""

from __future__ import annotations

import re
import struct
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.errors import TesseraError
from tessera.package import code
from tessera.package.assemble import assemble, disassemble, into_blocks, words_of
from tessera.package.code import KINDS, Conv, End, Instruction, Load, Part, Signed, View, Window

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/package.md"
SEED = 6


def _operand(hint: Any, random: Random) -> Any:
    if hint in (View, Part, Window):
        return hint(*(random.getrandbits(32) for _ in fields(hint)))
    if hint is int:
        return random.getrandbits(32)
    if hint is Signed:
        return random.getrandbits(32) - 2**31
    if hint is float:
        return random.getrandbits(24) / 2 ** random.randrange(60)
    inner = float if hint == tuple[float, ...] else int
    return tuple(_operand(inner, random) for _ in range(random.randrange(6)))


def _drawn(kind: type[Instruction], random: Random) -> Instruction:
    hints = get_type_hints(kind)
    return kind(**{one.name: _operand(hints[one.name], random) for one in fields(kind)})


@pytest.mark.parametrize("kind", KINDS.values())
def test_what_is_assembled_is_disassembled_again(kind: type[Instruction]) -> None:
    random = Random(SEED)
    given = [_drawn(kind, random) for _ in range(20)]
    words = b"".join(map(assemble, given))
    assert len(words) == 4 * sum(map(words_of, given))
    assert list(disassemble(words)) == given


def test_numbers_and_names_are_those_of_the_document() -> None:
    rows = re.findall(r"^\| (\d+) \| ([a-z_]+) \|", DOCUMENT.read_text(encoding="utf-8"), re.M)
    said = {int(number): name.replace("_", "") for number, name in rows}
    assert said == {number: kind.__name__.lower() for number, kind in KINDS.items()}
    assert len(said) == 26


def test_a_convolution_word_by_word() -> None:
    view = View(16, 1, 2, 3, 4, 5, code.RING | 1)
    window = Window(*range(30, 39))
    one = Conv(view, view, Part(6, 7, 8, 9), window, 40, 41, 42, code.NONE)
    words = struct.unpack("<32I", assemble(one))
    once = (16, 1, 2, 3, 4, 5, 17)
    assert words == (5 | 32 << 16, *once, *once, 6, 7, 8, 9, *range(30, 39), 40, 41, 42, 0xFFFFFFFF)


def test_signed_operands_and_floats() -> None:
    part, view = Part(0, 1, 0, 1), View(0, 0, 1, 0, 1, 1, 1)
    made = assemble(code.Quantize(view, view, part, 0.5, Signed(-128)))
    assert made[-8:] == struct.pack("<fi", 0.5, -128)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((0,), "number 0"),
        ((99 | 1 << 16,), "number 99"),
        ((1 | 1 << 8 | 1 << 16,), "number 257"),
        ((1,), "of 0 words"),
        ((1 | 2 << 16, 0), "'End' of 2 words"),
        ((2 | 4 << 16, 0, 0, 0), "'Load' of 4 words"),
        ((2 | 6 << 16, 0, 0, 0, 0), "beyond the end"),
    ],
)
def test_words_that_are_no_instruction(words: tuple[int, ...], says: str) -> None:
    with pytest.raises(TesseraError, match=says):
        disassemble(struct.pack(f"<{len(words)}I", *words))


def test_half_a_word_is_refused() -> None:
    with pytest.raises(TesseraError, match="not whole words"):
        disassemble(assemble(End()) + b"\0")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_code_or_one_error(data: bytes) -> None:
    try:
        made = disassemble(data)
    except TesseraError:
        return
    assert len(data) == 4 * sum(map(words_of, made))


def test_operands_that_no_word_holds() -> None:
    with pytest.raises(TesseraError, match="fits no word"):
        assemble(Load(2**32, 4, 0, 0))
    with pytest.raises(TesseraError, match="more than 16384"):
        assemble(Load(0, 4, 0, 1, (4,) * 16_380))


def test_blocks_are_as_full_as_they_get_and_nothing_straddles() -> None:
    loads = [Load(16 * k, 4, k, 0) for k in range(7)]
    blocks = into_blocks(loads, 48)
    assert [len(one) for one in blocks] == [2, 2, 2, 1]
    assert [one for block in blocks for one in block] == loads
    with pytest.raises(TesseraError, match="does not fit a block"):
        into_blocks(loads, 16)
