"""The lockstep program: a tree's own C and the reference, compiled for this machine.

Goal: `build(root, folder)` compiles `core/mm/tee_mm.c`, `core/mm/phys_mem.c`, `core/mm/fobj.c` and
the buffered store of `core/kernel/ree_fs_ta.c`, all as they are in the tree, against the shims in
`verification/host/`; with or without sanitizers.
Non-goals: running it (see `hostlink`).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tessera import resources
from tessera.errors import TesseraError

_SOURCES = ("core/mm/tee_mm.c", "core/mm/phys_mem.c", "core/mm/fobj.c")
_STORE = "core/kernel/ree_fs_ta.c"
# Headers that come from the tree; all others that its files ask for are empty.
_HEADERS = {
    "mm/tee_mm.h": "core/include/mm/tee_mm.h",
    "mm/phys_mem.h": "core/include/mm/phys_mem.h",
    "mm/fobj.h": "core/include/mm/fobj.h",
    "config.h": "lib/libutils/ext/include/config.h",
}
# The shims include these; once they are there, a tree's file must not redefine what they replace.
_STANDARD = ("assert.h", "stdlib.h", "string.h", "stdio.h", "stddef.h", "stdint.h", "stdbool.h")
_PARTS = ("tree_side.c", "reference.c", "draw.c", "lockstep.c")
_WARNINGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-Wno-clobbered")
_SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_FAST = ("-O2",)
_BUFFERED = "CFG_REE_FS_TA_BUFFERED"


def build(root: Path, folder: Path, *, sanitized: bool, guests: bool = False) -> Path:
    """The program, compiled into `folder`; `guests` sets CFG_NS_VIRTUALIZATION.

    Raises TesseraError when the tree lacks a file, when there is no compiler, and when it fails.
    """
    write_headers(root, folder)
    shims = resources.path("verification/host")
    name = "lockstep-sanitized" if sanitized else "lockstep-fast"
    program = folder / (f"{name}-guests" if guests else name)
    command = ["gcc", *_WARNINGS, *(_SANITIZED if sanitized else _FAST)]
    command += [f"-I{folder}/cut", f"-I{root}", f"-I{folder}/include", f"-I{shims}"]
    command += ["-DCFG_NS_VIRTUALIZATION=1"] if guests else []
    command += [*(str(shims / part) for part in _PARTS), "-o", str(program)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except OSError as error:
        raise TesseraError(
            "there is no C compiler to build the pool for the host",
            remedy="sudo apt install gcc libc6-dev",
        ) from error
    if done.returncode:
        raise _failed(done.stderr, root)
    return program


def write_headers(root: Path, folder: Path) -> None:
    """What the tree's files include, below `folder`/include and `folder`/cut."""
    cut = folder / "cut" / _STORE
    cut.parent.mkdir(parents=True, exist_ok=True)
    cut.write_text(buffered_store(root), encoding="utf-8")
    texts = [_read(root / name) for name in (*_SOURCES, _STORE)]
    known = {name: _read(root / path) for name, path in _HEADERS.items()}
    asked = re.findall(r"#include <(.+?)>", "\n".join([*texts, *known.values()]))
    for name in {*asked, *known}:
        path = folder / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stand_in = f"#ifndef SHIM_READY\n#include_next <{name}>\n#endif\n"
        text = known.get(name, stand_in if name in _STANDARD else "")
        path.write_text(text, encoding="utf-8")


def buffered_store(root: Path) -> str:
    """The part of `ree_fs_ta.c` that buffers images, under its own line numbers.

    The rest of the file reads images from the normal world, and needs all of OP-TEE.
    """
    lines = _read(root / _STORE).splitlines()
    depth = first = 0
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if words[:2] == ["#ifdef", _BUFFERED]:
            first, depth = number, 1
        elif first and re.match(r"\s*#\s*if", line):
            depth += 1
        elif first and re.match(r"\s*#\s*endif", line):
            depth -= 1
            if not depth:
                body = "\n".join(lines[first - 1 : number])
                return f'#line {first} "{root / _STORE}"\n{body}\n'
    raise TesseraError(
        f"there is no part between #ifdef {_BUFFERED} and its #endif",
        where=str(root / _STORE),
        remedy="give a tree of OP-TEE 4.5 or later",
    )


def _failed(said: str, root: Path) -> TesseraError:
    """The compiler's first complaint, at its place in the tree."""
    found = re.search(r"^(.+?:\d+)(?::\d+)?: (?:fatal )?error: (.+)$", said, re.MULTILINE)
    where = found.group(1).removeprefix(f"{root}/") if found else "gcc"
    what = found.group(2) if found else said.strip()[:2000]
    return TesseraError(
        f"the tree's pool does not compile for the host: {what}",
        where=where,
        remedy="the shims in verification/host know OP-TEE 4.5 to 4.10; give such a tree, and a "
        "patch that compiles",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TesseraError(
            f"the tree lacks what the host tier compiles: "
            f"{getattr(error, 'strerror', None) or error}",
            where=str(path),
            remedy="give the top folder of a complete OP-TEE source tree",
        ) from error
