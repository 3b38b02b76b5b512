"""The search core: compiled C where there is a compiler, else the same searches in Python.

Goal: compile `search.c` and `ordered.c` once per version of them into the user's cache, and call
them through ctypes.
Non-goals: the algorithms (see `search_plain` and `ordered_plain` for their words).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tessera.plan.arena.ordered_plain import ordered_plain
from tessera.plan.arena.search_plain import search_plain
from tessera.plan.arena.task import FOUND, Found, Task

_SOURCES = tuple(Path(__file__).with_name(name) for name in ("search.c", "ordered.c"))
_FLAGS = ("-std=c11", "-O2", "-shared", "-fPIC")
_COMPILERS = ("cc", "gcc", "clang")
_NO_MEMORY = -2
PLAIN = "TESSERA_ARENA_PLAIN"
"""Set to 1 to search in Python although there is a compiler."""


def core_name() -> str:
    """`c` or `python`: what `search` uses here."""
    return "python" if _library() is None else "c"


def search(
    task: Task, ceiling: int, limit: int, seed: int, weight: list[int], taste: tuple[int, ...]
) -> Found:
    """As `search_plain`, with the same answer; raises MemoryError when there is not enough."""
    library = _library()
    if library is None:
        return search_plain(task, ceiling, limit, seed, weight, taste)
    per_buffer = ctypes.c_int64 * task.buffers
    weights = (ctypes.c_int64 * task.sections)(*weight)
    offsets, nodes = per_buffer(), ctypes.c_int64(0)
    status = library.arena_search(
        ctypes.c_int64(task.buffers),
        ctypes.c_int64(task.sections),
        per_buffer(*task.first),
        per_buffer(*task.end),
        per_buffer(*task.size),
        per_buffer(*task.align),
        ctypes.c_int64(ceiling),
        ctypes.c_int64(limit),
        ctypes.c_uint64(seed),
        weights,
        (ctypes.c_int64 * len(taste))(*taste),
        offsets,
        ctypes.byref(nodes),
    )
    if status == _NO_MEMORY:
        raise MemoryError(f"no memory to search a plan for {task.buffers} buffers")
    weight[:] = weights
    return Found(int(status), tuple(offsets) if status == FOUND else (), nodes.value)


def ordered(task: Task, ceiling: int, limit: int, rank: Sequence[int]) -> Found:
    """As `ordered_plain`, with the same answer; raises MemoryError when there is not enough."""
    library = _library()
    if library is None:
        return ordered_plain(task, ceiling, limit, rank)
    per_buffer = ctypes.c_int64 * task.buffers
    offsets, nodes = per_buffer(), ctypes.c_int64(0)
    status = library.arena_ordered(
        ctypes.c_int64(task.buffers),
        ctypes.c_int64(task.sections),
        per_buffer(*task.first),
        per_buffer(*task.end),
        per_buffer(*task.size),
        per_buffer(*task.align),
        ctypes.c_int64(ceiling),
        ctypes.c_int64(limit),
        per_buffer(*rank),
        offsets,
        ctypes.byref(nodes),
    )
    if status == _NO_MEMORY:
        raise MemoryError(f"no memory to search a plan for {task.buffers} buffers")
    return Found(int(status), tuple(offsets) if status == FOUND else (), nodes.value)


@cache
def _library() -> ctypes.CDLL | None:
    compiler = next((found for name in _COMPILERS if (found := shutil.which(name))), None)
    if compiler is None or os.environ.get(PLAIN) == "1":
        return None
    texts = [source.read_bytes() for source in _SOURCES]
    said = subprocess.run(
        [compiler, "-dumpmachine"], capture_output=True, check=False, timeout=60
    ).stdout
    key = hashlib.sha256(b"\0".join([*texts, " ".join(_FLAGS).encode(), said])).hexdigest()[:24]
    for folder in _folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return _load(folder / f"arena-{key}.so", compiler)
        except OSError:
            continue  # not writable, or mounted without leave to execute
    return None


def _folders() -> Iterator[Path]:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    yield Path(base) / "tessera" / "arena"
    yield Path(tempfile.mkdtemp(prefix="tessera-arena."))


def _load(target: Path, compiler: str) -> ctypes.CDLL | None:
    """The library at `target`, made first when it is not there; None when it does not compile."""
    if not target.exists():
        handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".so")
        os.close(handle)
        try:
            command = [compiler, *_FLAGS, *map(str, _SOURCES), "-o", temporary]
            done = subprocess.run(command, capture_output=True, check=False, timeout=300)
            if done.returncode:
                return None
            Path(temporary).replace(target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    library = ctypes.CDLL(str(target))
    library.arena_search.restype = ctypes.c_int64
    library.arena_ordered.restype = ctypes.c_int64
    return library
