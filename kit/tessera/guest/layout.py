"""Where things lie in a built OP-TEE core: functions, variables and fields of its records.

Goal: the few addresses and offsets that the recorder needs, read out of `tee.elf` and its debugging
information by Debian's own python (it has pyelftools), once per build.
Non-goals: reading anything out of a running guest (see `tessera.guest.recorder`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from tessera import resources
from tessera.errors import TesseraError
from tessera.guest import cache, hosttools, process
from tessera.guest.build import Build

_SCRIPT = "verification/guest/elf_layout.py"
_POINTER = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """Addresses as linked: what the core adds to them while it boots comes on top."""

    symbols: dict[str, tuple[int, int]]  # name -> address, bytes
    fields: dict[str, int]  # "struct.field" -> bytes from its start
    sizes: dict[str, int]  # struct -> bytes
    where: str  # the file
    sections: dict[str, int] = field(default_factory=dict)  # text, data, bss -> bytes

    def symbol(self, *names: str) -> int:
        """The address of the first of these names. Raises `TesseraError` when there is none."""
        for name in names:
            if name in self.symbols:
                return self.symbols[name][0]
        raise self._missing("symbol", " or ".join(names))

    def is_pointer(self, name: str) -> bool:
        """Whether a variable is as large as a pointer, and so not the array itself."""
        return self.symbols.get(name, (0, 0))[1] == _POINTER

    def field(self, name: str) -> int:
        """The offset of "struct.field". Raises `TesseraError` when there is none."""
        if name not in self.fields:
            raise self._missing("field", name)
        return self.fields[name]

    def size(self, name: str) -> int:
        """The size of a record. Raises `TesseraError` when there is none."""
        if name not in self.sizes:
            raise self._missing("record", name)
        return self.sizes[name]

    def _missing(self, what: str, name: str) -> TesseraError:
        return TesseraError(
            f"this OP-TEE core has no {what} {name}",
            where=self.where,
            remedy="pool operations can be recorded of OP-TEE 4.5 to 4.10, 64 bits, built with -g",
        )


def layout_of(build: Build) -> Layout:
    """The layout of a build's core. Raises `TesseraError` when its ELF cannot be read."""
    script = resources.path(_SCRIPT)
    key = cache.key(1, build.key, script.read_text(encoding="utf-8"))

    def make(folder: Path) -> None:
        text = process.run([hosttools.PYTHON, str(script), str(build.elf)], timeout=300)
        (folder / "layout.json").write_text(text, encoding="utf-8")

    found = cache.entry(f"layouts/{key}", make) / "layout.json"
    data = json.loads(found.read_text(encoding="utf-8"))
    symbols = {name: (address, size) for name, (address, size) in data["symbols"].items()}
    return Layout(symbols, data["fields"], data["sizes"], str(build.elf), data["sections"])
