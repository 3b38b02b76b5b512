"""The tree whose C is compared: a copy of the few folders that matter, with a patch applied.

Goal: `prepared(spec, tree, patch)` gives every tier the same files, whether the patch is the one
that would be emitted or one from a file that somebody changed.
Non-goals: building the whole of OP-TEE (see `tessera.guest`).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tessera.emit import make_patch
from tessera.emit.source import open_tree
from tessera.errors import TesseraError
from tessera.lang.typed import Spec

FOLDERS = ("core/mm", "core/include", "core/kernel", "core/tee", "lib/libutils", "mk")


@dataclass(frozen=True, slots=True)
class Prepared:
    """`root` is the patched copy, `original` the user's tree; `text` the patch."""

    root: Path
    original: Path
    text: str
    target: str  # e.g. "OP-TEE 4.10"
    name: str  # "emitted", or the patch file as the user gave it


@contextmanager
def prepared(spec: Spec, tree: Path, patch: Path | None = None) -> Iterator[Prepared]:
    """A patched copy of `tree` in a folder that is removed afterwards.

    Without `patch` it is the one that the spec's policy becomes. Raises `TesseraError` when the
    tree is not OP-TEE, when the policy has no patch for it, or when the patch does not apply.
    """
    target = open_tree(tree).name
    text = make_patch(spec, tree).text if patch is None else _read(patch)
    with tempfile.TemporaryDirectory(prefix="tessera-conform-") as scratch:
        root = Path(scratch, "tree")
        for name in FOLDERS:
            if (tree / name).is_dir():
                shutil.copytree(tree / name, root / name)
        if text:
            _apply(text, root, patch)
        yield Prepared(root, tree, text, target, "emitted" if patch is None else str(patch))


def _apply(text: str, root: Path, patch: Path | None) -> None:
    command = ["patch", "-s", "-p1", "--fuzz=0", "--no-backup-if-mismatch"]
    try:
        done = subprocess.run(
            command, cwd=root, input=text, text=True, capture_output=True, check=False
        )
    except OSError as error:
        raise TesseraError(
            "there is no 'patch' to apply the policy with", remedy="sudo apt install patch"
        ) from error
    if done.returncode:
        raise TesseraError(
            f"the patch does not apply: {(done.stdout + done.stderr).strip()[:1000]}",
            where=str(patch) if patch is not None else None,
            remedy="make it for this tree: tessera patch SPEC --tree TREE -o FILE",
        )


def _read(patch: Path) -> str:
    try:
        return patch.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TesseraError(
            f"cannot read the patch: {getattr(error, 'strerror', None) or error}",
            where=str(patch),
            remedy="give a patch that tessera emitted, changed or not",
        ) from error
