"""The page pool of one OP-TEE tree, patched or not, compiled for the host.

Goal: `build(tree, folder)` compiles the tree's own `core/mm/tee_mm.c`, unchanged, against the shims
in `verification/host/`; `HostPool` calls it, with undefined behaviour trapped.
Non-goals: the other files that a patch touches (who scrubs is in `fobj.c` and `ree_fs_ta.c`).

The lockstep program (see `hostbuild`) compiles the same file among others, and is not used here. It
starts from `nex_phys_mem_init()` and frees through `fobj.c` and the store of images, so it needs a
whole OP-TEE, while `tessera replay --c` takes any tree that has a pool. It holds at most 12 blocks,
which its comparison after each operation costs; a trace has as many as its model. And a trace has
no buffers, images or statistics to ask about. The two share no more than the shape of one request.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from tessera import resources
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.lang.typed import Spec

NONE = 0xFFFFFFFF
_SOURCE, _HEADER = "core/mm/tee_mm.c", "core/include/mm/tee_mm.h"
_FLAGS = ("-shared", "-fPIC", "-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror")
_TRAPS = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")


class HostPool:
    """One pool; blocks go by a number that the caller chooses, offsets are in granules of 4 KiB."""

    def __init__(self, library: Path) -> None:
        self.c = ctypes.CDLL(str(library))
        for name in ("driver_alloc", "driver_alloc_at", "driver_size"):
            getattr(self.c, name).restype = ctypes.c_uint32
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
        """Take `size` bytes; the offset in granules, None when refused."""
        offset: int = self.c.driver_alloc(block, size)
        return None if offset == NONE else offset

    def alloc_at(self, block: int, offset: int, size: int) -> int | None:
        """Take a given range, as the boot does."""
        got: int = self.c.driver_alloc_at(block, offset, size)
        return None if got == NONE else got

    def size(self, block: int) -> int:
        """The granules of a block."""
        return int(self.c.driver_size(ctypes.c_uint32(block)))

    def free(self, block: int) -> None:
        """Give a block back."""
        self.c.driver_free(ctypes.c_uint32(block))


def build(tree: Path, folder: Path) -> HostPool:
    """Compile the pool of a tree into `folder`, which must be empty of other builds.

    Raises TesseraError when the tree has no pool, or when there is no compiler or it fails.
    """
    texts = [_read(tree / name) for name in (_SOURCE, _HEADER)]
    source, header = texts
    for name in set(re.findall(r"#include <(.+?)>", source + header)):
        path = folder / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(header if name == "mm/tee_mm.h" else "", encoding="utf-8")
    (folder / "tee_mm.c").write_text(source, encoding="utf-8")
    shims = resources.path("verification/host")
    defines = ["-DBY_CLASS"] if re.search(r"uint32_t\s+pages;", header) else []
    defines += [] if "tee_mm_alloc_flags" in source else ["-DNO_FLAGS"]
    library = folder / "pool.so"
    command = ["gcc", *_FLAGS, *_TRAPS, *defines, "-include", str(shims / "pool_shim.h")]
    command += [f"-I{folder}/include", f"-I{folder}", f"-I{shims}"]
    command += [str(shims / "pool_driver.c"), "-o", str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except OSError as error:
        raise TesseraError(
            "there is no C compiler to build the pool for the host",
            remedy="sudo apt install gcc libc6-dev",
        ) from error
    if done.returncode:
        raise TesseraError(
            f"the tree's pool does not compile for the host:\n{done.stderr.strip()[:2000]}",
            where=str(tree / _SOURCE),
            remedy="the shims in verification/host know OP-TEE 4.5 to 4.10; give such a tree",
        )
    return HostPool(library)


def patched(spec: Spec, tree: Path) -> HostPool:
    """The pool of a tree with the policy of a spec, built in a folder that is then removed.

    Raises TesseraError as `make_patch` and `build` do.
    """
    made = make_patch(spec, tree)
    with tempfile.TemporaryDirectory(prefix="tessera-host-") as scratch:
        copy = Path(scratch, "tree")
        for name in ("core/mm", "core/include/mm", "core/kernel"):
            shutil.copytree(tree / name, copy / name)
        if made.text:
            command = ["patch", "-s", "-p1"]
            subprocess.run(command, cwd=copy, input=made.text, text=True, check=True)
        return build(copy, Path(scratch))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TesseraError(
            f"this is no OP-TEE tree: {error.strerror or error}",
            where=str(path),
            remedy="give the top folder of an OP-TEE source tree",
        ) from error
