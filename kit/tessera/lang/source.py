"""Reading .tess files: paths, encodings and sizes.

Goal: every way in which a file can be unreadable ends in one clear error.
Non-goals: parsing.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from tessera import resources
from tessera.errors import Span, TesseraError
from tessera.lang.diagnostics import Diagnostic, SpecError

MAX_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file; `name` is the path as shown in messages."""

    path: Path
    name: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines as the parser counts them: only a newline ends one."""
        return [line.removesuffix("\r") for line in self.text.split("\n")]


def display(path: Path) -> str:
    """A short stable name: relative to the current folder or to the kit's data, else as given."""
    for base in (Path.cwd(), resources.root()):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


def read(path: Path, where: Span | None = None) -> Source:
    """Read a spec file.

    Raises `TesseraError` when it is missing, not an ordinary file, unreadable, larger than 256 KiB,
    not UTF-8 or empty; `where` is the `use` that asked for it.
    """
    shown = display(path)
    place: Span | str = where or shown
    data = _data(path, shown, place)
    if len(data) > MAX_BYTES:
        raise TesseraError(
            f"{shown} is larger than {MAX_BYTES >> 10} KiB; no spec is",
            where=place,
            remedy="check that this is a spec; split a large one with 'use'",
        )
    data = data.removeprefix(codecs.BOM_UTF8)  # some editors put it in front
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(data, error.start, shown) from error
    if not text.strip():
        raise TesseraError(
            f"{shown} is empty", where=place, remedy='start with: spec NAME "..." and use "..."'
        )
    return Source(path, shown, text)


def _not_utf8(data: bytes, at: int, shown: str) -> SpecError:
    """The line is shown with a replacement character where it cannot be read."""
    line = data.count(b"\n", 0, at) + 1
    column = len(data[data.rfind(b"\n", 0, at) + 1 : at].decode("utf-8")) + 1
    span = Span(shown, line, column, line, column + 1)
    message = f"not UTF-8: byte 0x{data[at]:02x} cannot be read"
    lines = data.decode("utf-8", "replace").split("\n")
    return SpecError((Diagnostic(span, message, "save the file as UTF-8"),), {shown: lines})


def _data(path: Path, shown: str, place: Span | str) -> bytes:
    """The bytes of a file, at most one more than the limit."""
    try:
        if path.is_dir():
            raise TesseraError(
                f"{shown} is a folder", where=place, remedy="name a .tess file in it"
            )
        if path.exists() and not path.is_file():
            raise TesseraError(
                f"{shown} is a device, not a file", where=place, remedy="name a .tess file"
            )
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise TesseraError(
            f"no such file: {shown}", where=place, remedy="give the path of a .tess file"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TesseraError(
            f"cannot read {shown!a}: {reason}", where=place, remedy="check its name and permissions"
        ) from error
