"""The guest's cache: what was downloaded and built, keyed by content, never half-written.

Goal: every entry is a folder that appears under its final name in one rename, so that a broken
download or an interrupted build leaves nothing behind; two processes that want the same entry
build it once.
Non-goals: knowing what is inside an entry, and evicting (see `tessera guest clean`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tessera.errors import TesseraError

_STALE = 24 * 3600  # seconds


def root() -> Path:
    """The cache folder: `$XDG_CACHE_HOME/tessera` or `~/.cache/tessera`; created when missing.

    Raises `TesseraError` when it cannot be created or written.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "tessera"
    try:
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TesseraError(
            f"cannot create the cache folder: {error.strerror}",
            where=str(folder),
            remedy="set XDG_CACHE_HOME to a folder that you may write",
        ) from error
    return folder


def key(*parts: object) -> str:
    """A short stable name for what is made from `parts` (JSON-ready values)."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_tree(folder: Path, skip: tuple[str, ...] = (".git", "out")) -> str:
    """A digest of all file names, modes and contents below `folder`, without top-level `skip`."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] in skip:
            continue
        total.update(str(relative).encode() + b"\0")
        if path.is_symlink():
            total.update(str(path.readlink()).encode())
        elif path.is_file():
            total.update(b"x" if os.access(path, os.X_OK) else b"-")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A temporary folder inside the cache (so that a rename out of it is atomic)."""
    _sweep(root() / "tmp")
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=root() / "tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed left behind; a live run touches its folder more often."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name` against every other process that uses this cache."""
    folder = root() / "locks"
    folder.mkdir(exist_ok=True)
    with (folder / name.replace("/", "_")).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def entry(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` in the cache; when missing, `make` fills a scratch folder that becomes it.

    When `make` raises, the entry stays missing and the scratch folder is removed.
    """
    target = root() / name
    if target.is_dir():
        return target
    with locked(name):
        if target.is_dir():
            return target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with scratch(target.name) as folder:
                inside = folder / "entry"
                inside.mkdir()
                make(inside)
                inside.replace(target)
        except OSError as error:
            raise TesseraError(
                f"cannot make {name} in the cache: {error.strerror or error}",
                where=str(error.filename or target),
                remedy="make room on that disk, or set XDG_CACHE_HOME to another one",
            ) from error
    return target


def write_text(target: Path, text: str) -> None:
    """Write a file in one step: a temporary file beside it, then a rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
