"""A patched page pool compiled for the host, and what its search should do.

Goal: `HostPool` drives the C of a patched tree; `Reference` is first fit in windows, written down
in the plainest way: try every offset.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

HOST = Path(__file__).parent / "host"
NONE = 0xFFFFFFFF
GRANULE = 4096


class HostPool:
    """The pool of one patched tree, as a shared library."""

    def __init__(self, tree: Path, folder: Path) -> None:
        source = (tree / "core/mm/tee_mm.c").read_text()
        header = (tree / "core/include/mm/tee_mm.h").read_text()
        for name in set(re.findall(r"#include <(.+?)>", source + header)):
            path = folder / "include" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(header if name == "mm/tee_mm.h" else "")
        (folder / "tee_mm.c").write_text(source)
        flags = ["-shared", "-fPIC", "-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
        flags += ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
        flags += ["-include", str(HOST / "shim.h")]
        if "tee_mm_alloc_flags" not in source:
            flags.append("-DNO_FLAGS")
        command = ["gcc", *flags, f"-I{folder}/include", f"-I{folder}", str(HOST / "driver.c")]
        library = folder / "pool.so"
        subprocess.run([*command, "-o", str(library)], check=True)
        self.c = ctypes.CDLL(str(library))
        self.c.driver_alloc.restype = ctypes.c_uint32
        self.c.driver_alloc_at.restype = ctypes.c_uint32
        self.c.driver_size.restype = ctypes.c_uint32
        self.c.driver_alloc.argtypes = [ctypes.c_uint32, ctypes.c_uint64]
        self.c.driver_alloc_at.argtypes = [ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint64]

    def init(self, pages: int, *, by_class: bool = True) -> None:
        """An empty pool; `by_class` says whether the patch applies to it."""
        self.c.driver_init(ctypes.c_uint32(pages), ctypes.c_bool(by_class))

    def active(self, ta: str | None, *, thread: int = 0) -> None:
        """Let the TA with that UUID be the one whose context is active."""
        raw = None
        if ta is not None:
            raw = ctypes.create_string_buffer(uuid.UUID(ta).bytes_le, 16)
        self.c.driver_active(raw, ctypes.c_int(thread))

    def alloc(self, block: int, size: int) -> int | None:
        """Take `size` bytes; the offset in granules."""
        offset: int = self.c.driver_alloc(block, size)
        return None if offset == NONE else offset

    def alloc_at(self, block: int, offset: int, size: int) -> int | None:
        """Take a given range, as the boot does."""
        got: int = self.c.driver_alloc_at(block, offset, size)
        return None if got == NONE else got

    def free(self, block: int) -> None:
        """Give a block back."""
        self.c.driver_free(ctypes.c_uint32(block))


@dataclass(slots=True)
class Reference:
    """First fit from low in the windows of a class, then in those of its fall-back."""

    pages: int
    windows: dict[str, tuple[int, int]]
    spill: dict[str, str]
    live: dict[int, tuple[int, int]] = field(default_factory=dict)

    def alloc(self, block: int, kind: str, size: int) -> int | None:
        """Where `size` bytes of a class must go."""
        count = -(-size // GRANULE)
        for name in dict.fromkeys([kind, self.spill[kind]]):
            lo, hi = self.windows[name]
            for offset in range(lo, hi - count + 1):
                if self.clear(offset, count):
                    self.live[block] = (offset, count)
                    return offset
        return None

    def alloc_at(self, block: int, offset: int, size: int) -> int | None:
        """Take a given range if it is free."""
        count = -(-size // GRANULE)
        if offset + count > self.pages or not self.clear(offset, count):
            return None
        self.live[block] = (offset, count)
        return offset

    def free(self, block: int) -> None:
        """Give a block back."""
        del self.live[block]

    def clear(self, offset: int, count: int) -> bool:
        """Whether no live block meets the range."""
        return all(offset + count <= o or o + c <= offset for o, c in self.live.values())
