"""Instructions to words and back, and into blocks.

Goal: one table, made from the types of the records' fields, serves both directions, so that they
cannot be at odds; `disassemble` accepts exactly what `assemble` can write.
Non-goals: checking what an instruction says (the runtime does).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from tessera.errors import TesseraError
from tessera.package.code import KINDS, Instruction, Part, Signed, View, Window

WORD = 4
MOST_WORDS = 16_384
"""Words of an instruction, its first one included."""

_FORMATS: dict[Any, str] = {int: "I", Signed: "i", float: "f"}
_RECORDS: dict[Any, tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind)) for kind in (View, Part, Window)
}


@dataclass(frozen=True, slots=True)
class _Form:
    """How a kind is written: `struct` codes of its fixed operands, the types of its fields by
    name, and the code of the list that its last field is (empty: none)."""

    codes: str
    hints: Mapping[str, Any]
    open_list: str


def _form(kind: type[Instruction]) -> _Form:
    hints = get_type_hints(kind)
    names = {one.name: hints[one.name] for one in fields(kind)}
    codes, open_list = "", ""
    for hint in names.values():
        assert not open_list, f"{kind.__name__}: only the last field may be a list"
        if hint in _RECORDS:
            codes += "I" * len(_RECORDS[hint])
        elif hint in _FORMATS:
            codes += _FORMATS[hint]
        else:
            open_list = "f" if hint == tuple[float, ...] else "I"
    return _Form(codes, names, open_list)


_FORMS = {number: _form(kind) for number, kind in KINDS.items()}


def words_of(instruction: Instruction) -> int:
    """How many words it takes."""
    form = _FORMS[instruction.NUMBER]
    last = getattr(instruction, list(form.hints)[-1]) if form.open_list else ()
    return 1 + len(form.codes) + len(last)


def assemble(instruction: Instruction) -> bytes:
    """The words of an instruction. Raises `TesseraError` for operands that no word holds."""
    form = _FORMS[instruction.NUMBER]
    values: list[Any] = []
    for name, hint in form.hints.items():
        value = getattr(instruction, name)
        if hint in _RECORDS:
            values += [getattr(value, field) for field in _RECORDS[hint]]
        elif isinstance(value, tuple):
            values += value
        else:
            values.append(value)
    count = words_of(instruction)
    try:
        if count > MOST_WORDS:
            raise struct.error(f"{count} words, more than {MOST_WORDS}")
        more = form.open_list * (count - 1 - len(form.codes))
        head = instruction.NUMBER | count << 16
        return struct.pack(f"<I{form.codes}{more}", head, *values)
    except (struct.error, OverflowError) as error:
        raise TesseraError(
            f"an operand of '{type(instruction).__name__}' fits no word: {error}",
            where="code of the package",
            remedy="the network is too large for this format",
        ) from None


def disassemble(code: bytes, where: str = "code") -> tuple[Instruction, ...]:
    """The instructions of a code block. Raises `TesseraError` for anything else."""

    def refuse(what: str, at: int) -> TesseraError:
        return TesseraError(
            f"word {at // WORD}: {what}", where=where, remedy="the package is not sound; pack again"
        )

    made: list[Instruction] = []
    at = 0
    if len(code) % WORD:
        raise refuse(f"the block has {len(code)} bytes, not whole words", 0)
    while at < len(code):
        (head,) = struct.unpack_from("<I", code, at)
        kind, count = KINDS.get(head & 0xFFFF), head >> 16
        if kind is None:
            raise refuse(f"no operation has the number {head & 0xFFFF}", at)
        form = _FORMS[kind.NUMBER]
        more = count - 1 - len(form.codes)
        if more < 0 or (more and not form.open_list) or count > MOST_WORDS:
            raise refuse(f"'{kind.__name__}' of {count} words", at)
        if at + count * WORD > len(code):
            raise refuse(f"'{kind.__name__}' goes beyond the end", at)
        words = form.codes + form.open_list * more
        values = struct.unpack_from(f"<{words}", code, at + WORD)
        made.append(_record(kind, values))
        at += count * WORD
    return tuple(made)


def _record(kind: type[Instruction], values: Sequence[Any]) -> Instruction:
    taken: dict[str, Any] = {}
    at = 0
    for name, hint in _FORMS[kind.NUMBER].hints.items():
        if hint in _RECORDS:
            size = len(_RECORDS[hint])
            taken[name] = hint(*values[at : at + size])
            at += size
        elif hint in _FORMATS:
            taken[name] = values[at]
            at += 1
        else:
            taken[name] = tuple(values[at:])
    return kind(**taken)


def into_blocks(
    instructions: Iterable[Instruction], limit: int
) -> tuple[tuple[Instruction, ...], ...]:
    """The instructions in runs of at most `limit` bytes, as long as they get.

    Raises `TesseraError` for one that is longer than a block.
    """
    blocks: list[list[Instruction]] = []
    room = 0
    for one in instructions:
        size = words_of(one) * WORD
        if size > limit:
            raise TesseraError(
                f"an instruction '{type(one).__name__}' of {size} bytes does not fit a block",
                where="code of the package",
                remedy=f"give blocks of {size} bytes or more: --chunk",
            )
        if size > room:
            blocks.append([])
            room = limit
        blocks[-1].append(one)
        room -= size
    return tuple(map(tuple, blocks))
