"""An OP-TEE source tree as the emitter sees it: a version and a few files, never written.

Goal: refuse what is not an OP-TEE tree, or one of a version that no hooks are known for, before
anything else is looked at.
Non-goals: building trees (see `tessera.guest`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import TesseraError

VERSION_FILE = "mk/config.mk"
_MARKS = (VERSION_FILE, "core/mm/tee_mm.c", "core/include/mm/tee_mm.h")


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree on disk and its version, e.g. (4, 10)."""

    root: Path
    version: tuple[int, int]

    @property
    def name(self) -> str:
        """The version as OP-TEE writes it, e.g. "OP-TEE 4.10"."""
        return f"OP-TEE {self.version[0]}.{self.version[1]}"

    def read(self, relative: str) -> str:
        """The text of a file. Raises `TesseraError` when it is missing or cannot be read."""
        path = self.root / relative
        try:
            return path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TesseraError(
                f"cannot read {relative} in the tree: {_reason(error)}",
                where=str(path),
                remedy=f"check that the tree is a complete copy of {self.name}",
            ) from error


def open_tree(root: Path) -> Tree:
    """The tree at `root`. Raises `TesseraError` when it is missing or not OP-TEE."""
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise TesseraError(
            f"the tree {what}", where=str(root), remedy="give the folder of an OP-TEE source tree"
        )
    missing = [mark for mark in _MARKS if not (root / mark).is_file()]
    if missing:
        raise TesseraError(
            f"not an OP-TEE source tree: there is no {missing[0]}",
            where=str(root),
            remedy="give the top folder of optee_os, the one that holds core/ and mk/",
        )
    tree = Tree(root, (0, 0))
    text = tree.read(VERSION_FILE)
    numbers = [_revision(text, part) for part in ("MAJOR", "MINOR")]
    if None in numbers:
        raise TesseraError(
            "cannot tell the version of this OP-TEE tree",
            where=str(root / VERSION_FILE),
            remedy="it should set CFG_OPTEE_REVISION_MAJOR and CFG_OPTEE_REVISION_MINOR",
        )
    major, minor = (number for number in numbers if number is not None)
    return Tree(root, (major, minor))


def _revision(text: str, part: str) -> int | None:
    match = re.search(rf"^\s*CFG_OPTEE_REVISION_{part}\s*\??=\s*(\d+)\s*$", text, re.MULTILINE)
    return int(match.group(1)) if match else None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return error.strerror or str(error)
