"""Reading .tess files: paths, encodings and sizes.

Goal: every way in which a file can be unreadable ends in one clear error.
Non-goals: parsing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tessera import resources
from tessera.errors import Span, TesseraError

MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file; `name` is the path as shown in messages."""

    path: Path
    name: str
    text: str


def _display(path: Path) -> str:
    """A short stable name: relative to the current folder or to the kit's data, else as given."""
    for base in (Path.cwd(), resources.root()):
        try:
            return str(path.relative_to(base))
        except ValueError:
            continue
    return str(path)


def read(path: Path, where: Span | None = None) -> Source:
    """Read a spec file.

    Raises `TesseraError` when it is missing, a folder, unreadable, larger than 1 MiB, not UTF-8 or
    empty; `where` is the `use` that asked for it.
    """
    shown = _display(path)
    place: Span | str = where or shown
    if not path.exists():
        raise TesseraError(
            f"no such file: {shown}", where=place, remedy="give the path of a .tess file"
        )
    if path.is_dir():
        raise TesseraError(f"{shown} is a folder", where=place, remedy="name a .tess file in it")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise TesseraError(
                f"{shown} has {size} bytes; a spec has at most {MAX_BYTES}",
                where=place,
                remedy="check that this is a spec; split a large one with 'use'",
            )
        data = path.read_bytes()
    except OSError as error:
        raise TesseraError(
            f"cannot read {shown}: {error.strerror}", where=place, remedy="check its permissions"
        ) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - (data[: error.start].rfind(b"\n") + 1) + 1
        raise TesseraError(
            f"not UTF-8: byte 0x{data[error.start]:02x} cannot be read",
            where=Span(shown, line, column, line, column + 1),
            remedy="save the file as UTF-8",
        ) from error
    if not text.strip():
        raise TesseraError(
            f"{shown} is empty", where=place, remedy="start with: spec NAME, then use ..."
        )
    return Source(path, shown, text)
