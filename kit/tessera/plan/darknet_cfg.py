"""Darknet `.cfg` files: sections of `key=value` lines, each with its place.

Goal: text to sections; a line that says nothing we understand is an error with file and line.
Non-goals: what a section means (`darknet_reader`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tessera.errors import TesseraError
from tessera.plan.graph import Source

LAYERS: dict[str, tuple[str, ...]] = {
    "convolutional": (
        *("batch_normalize", "filters", "size", "stride", "pad", "padding", "activation"),
        "groups",
    ),
    "connected": ("batch_normalize", "output", "activation"),
    "maxpool": ("size", "stride", "padding"),
    "avgpool": (),
    "softmax": ("groups", "temperature"),
    "dropout": ("probability",),
    "shortcut": ("from", "activation"),
    "route": ("layers", "groups", "group_id"),
    "upsample": ("stride", "scale"),
}
"""Supported layers and the keys that each may have."""

HEADS = ("yolo", "region")
"""Detection heads. Their keys speak of decoding and training; their input is an output."""

ALIASES = {"conv": "convolutional", "max": "maxpool", "avg": "avgpool", "conn": "connected"}
MAX_NUMBER = 1 << 24


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its name, where it begins, and its values with their lines."""

    name: str
    source: Source
    values: dict[str, tuple[str, int]]

    def refuse(self, what: str, remedy: str, key: str = "") -> NoReturn:
        """Raises the error for something in this section; at the line of `key` when given."""
        line = self.values[key][1] if key in self.values else self.source.line
        raise TesseraError(
            f"[{self.name}]: {what}", where=f"{self.source.file}:{line}", remedy=remedy
        )

    def text(self, key: str, default: str) -> str:
        """The value of a key as it is written."""
        return self.values[key][0] if key in self.values else default

    def integer(self, key: str, default: int, least: int = 0) -> int:
        """The value of a key as an integer from `least` to `MAX_NUMBER`."""
        return self._integer(key, self.text(key, str(default)), least)

    def integers(self, key: str) -> list[int]:
        """A list of integers with commas; they may be negative."""
        parts = self.text(key, "").split(",")
        return [self._integer(key, part, -MAX_NUMBER) for part in parts]

    def _integer(self, key: str, text: str, least: int) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= MAX_NUMBER:
            wanted = f"from {least}" if least >= 0 else "of either sign"
            self.refuse(
                f"{key} is '{text}'", f"write a whole number {wanted}, up to {MAX_NUMBER}", key
            )
        return value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TesseraError(
            f"cannot read the file: {said}", where=str(path), remedy="give a Darknet .cfg file"
        ) from None


def _check_keys(section: Section) -> None:
    known = LAYERS.get(section.name)
    if section.name == "net" or section.name in HEADS:
        return
    if known is None:
        every = ", ".join(sorted((*LAYERS, *HEADS)))
        section.refuse("this layer is not supported", f"supported are {every}")
    for key in section.values:
        if key not in known:
            said = ", ".join(known) or "none"
            section.refuse(f"key '{key}' is not supported", f"supported keys: {said}", key)


def parse(path: Path) -> tuple[Section, list[Section]]:
    """The `[net]` section and the layers. Raises `TesseraError` with file and line."""
    sections: list[Section] = []
    name = path.name
    for number, raw in enumerate(_read(path).splitlines(), 1):
        line = raw.split("#")[0].split(";")[0].strip()
        if not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            kind = line[1:-1].strip().lower()
            place = Source(name, node=kind, line=number)
            sections.append(Section(ALIASES.get(kind, kind), place, {}))
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not key or not sections:
            raise TesseraError(
                f"'{line}' is neither a section nor key=value inside of one",
                where=f"{name}:{number}",
                remedy="write [section] or key=value",
            )
        sections[-1].values[key] = (value, number)
    if len(sections) < 2 or sections[0].name not in ("net", "network"):
        raise TesseraError(
            "the file does not begin with [net] and a layer",
            where=name,
            remedy="give a Darknet .cfg file",
        )
    for section in sections[1:]:
        _check_keys(section)
    return sections[0], sections[1:]
