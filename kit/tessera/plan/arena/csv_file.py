"""Buffers in CSV files: `id,lower,upper,size[,alignment][,offset]`, in any order of columns.

Goal: read what memory planners exchange and write it back with offsets; a bad row is one error
with its line.
Non-goals: anything but buffers; gaps inside a lifetime are not supported and said so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import TesseraError
from tessera.plan.arena.buffers import LARGEST, Buffer, fault

_DIGITS = 20
"""Of a number that is surely too large, so that it is not even converted."""

NEEDED = ("id", "lower", "upper", "size")
OPTIONAL = ("alignment", "offset")
_NAMES = {"buffer_id": "id", "buffer": "id", "name": "id", "start": "lower", "end": "upper"}
LARGEST_FILE = 64 << 20
"""Bytes; a file beyond is refused before it is read."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file; `offsets` has a buffer's name where its row gave one."""

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]


def read_csv(file: Path) -> Table:
    """The buffers of a file. Raises `TesseraError` with file, line and remedy."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise TesseraError(
                f"more than {LARGEST_FILE} bytes", where=str(file), remedy="give a smaller file"
            )
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TesseraError(
            f"cannot be read as text: {error}",
            where=str(file),
            remedy=f"give a CSV file in UTF-8 with the columns {', '.join(NEEDED)}",
        ) from error
    return parse_csv(text, str(file))


def parse_csv(text: str, name: str) -> Table:
    """As `read_csv`, of a text; `name` stands in errors."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    buffers: list[Buffer] = []
    offsets: dict[str, int] = {}
    first: dict[str, int] = {}
    columns: list[str] | None = None
    try:
        for cells in reader:
            at = f"{name}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _columns(cells, at)
                continue
            buffer, offset = _row(cells, columns, at)
            if buffer.name in first:
                raise TesseraError(
                    f"id {buffer.name} stands in line {first[buffer.name]} already",
                    where=at,
                    remedy="give every buffer its own id",
                )
            first[buffer.name] = reader.line_num
            buffers.append(buffer)
            if offset is not None:
                offsets[buffer.name] = offset
    except csv.Error as error:
        raise TesseraError(
            f"not CSV: {error}", where=f"{name}:{reader.line_num}", remedy="mend the quotes"
        ) from error
    if not buffers:
        raise TesseraError(
            "no buffers",
            where=name,
            remedy=f"write a header line {','.join(NEEDED)} and one line per buffer",
        )
    return Table(tuple(buffers), offsets)


def _columns(cells: Sequence[str], at: str) -> list[str]:
    named = [cell.strip().lower() for cell in cells]
    columns = [_NAMES.get(cell, cell) for cell in named]
    missing = [name for name in NEEDED if name not in columns]
    odd = [name for name in columns if name not in (*NEEDED, *OPTIONAL)]
    if missing or odd or len(set(columns)) != len(columns):
        what = "a column stands there twice"
        if missing or odd:
            what = f"no column {missing[0]}" if missing else f"column `{odd[0]}` is not known"
        raise TesseraError(
            what,
            where=at,
            remedy=f"the header is {','.join(NEEDED)}, and {' and '.join(OPTIONAL)} where wanted",
        )
    return columns


def _row(cells: Sequence[str], columns: Sequence[str], at: str) -> tuple[Buffer, int | None]:
    if len(cells) != len(columns):
        raise TesseraError(
            f"{len(cells)} cells, where the header has {len(columns)}",
            where=at,
            remedy=f"write one value per column: {','.join(columns)}",
        )
    row = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    if not row["id"] or not row["id"].isprintable():
        what = "an id with characters that cannot be printed" if row["id"] else "no id"
        raise TesseraError(what, where=at, remedy="give the buffer a name or a number")
    lower, upper, size = (_number(row[name], name, at) for name in ("lower", "upper", "size"))
    alignment = _number(row["alignment"], "alignment", at) if row.get("alignment") else 1
    buffer = Buffer(row["id"], lower, upper, size, alignment)
    complaint = fault(buffer)
    if complaint is not None:
        what, remedy = complaint
        raise TesseraError(f"buffer {buffer.name}: {what}", where=at, remedy=remedy)
    return buffer, _number(row["offset"], "offset", at) if row.get("offset") else None


def _number(text: str, name: str, at: str) -> int:
    if text.isascii() and text.isdigit() and len(text) >= _DIGITS:
        raise TesseraError(
            f"{name} is `{text[:40]}`, more than any step or size can be",
            where=at,
            remedy=f"numbers go up to {LARGEST}; sizes are in bytes",
        )
    if not (text.isascii() and text.isdigit()):
        raise TesseraError(
            f"{name} is `{text[:40]}`, not a whole number from 0",
            where=at,
            remedy="write decimal digits only; steps count from 0, sizes are bytes",
        )
    return int(text)


def csv_text(buffers: Sequence[Buffer], offsets: Mapping[str, int] | None = None) -> str:
    """The file's text; a column alignment only where one is not 1, offset only when given."""
    aligned = any(buffer.alignment != 1 for buffer in buffers)
    columns = [*NEEDED, *(["alignment"] if aligned else []), *(["offset"] if offsets else [])]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for buffer in buffers:
        cells: list[str | int] = [buffer.name, buffer.lower, buffer.upper, buffer.size]
        cells += [buffer.alignment] if aligned else []
        cells += [offsets[buffer.name]] if offsets else []
        writer.writerow(cells)
    return out.getvalue()
