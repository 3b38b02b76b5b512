"""A kept OP-TEE tree with its objects, so that a second patch recompiles only what it touches.

Goal: lend one tree at a time, with a patch applied, and take it back pristine. `make` sees what
changed by the files' times, so every file that a patch touches is given a new time on the way in
and on the way out.
Non-goals: finished builds (see `tessera.guest.build`) and users' own trees, which come and go.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import cache, optee, process


@dataclass(frozen=True, slots=True)
class Place:
    """A source tree to build and the folder for its objects."""

    tree: Path
    out: Path


@contextmanager
def fresh(source: Path, patch: str | None) -> Iterator[Place]:
    """A tree that is used once: a patched copy of `source` in a scratch folder."""
    with cache.scratch("build") as scratch:
        place = Place(scratch / "optee", scratch / "out")
        optee.copy_tree(source, place.tree)
        if patch is not None:
            optee.apply_patch(place.tree, patch)
        yield place


@contextmanager
def kept(source: Path, name: str, patch: str | None) -> Iterator[Place]:
    """The kept tree `name`, made from `source` at first, with `patch` applied for this while.

    Raises `TesseraError` when the patch does not fit. Whoever leaves by anything but a plain error
    of the compiler leaves unfinished objects behind, so the tree is then made anew next time.
    """
    folder = cache.root() / "work" / name
    place, pristine = Place(folder / "optee", folder / "out"), folder / "pristine"
    with cache.locked(f"work-{name}"):
        if not pristine.exists():
            shutil.rmtree(folder, ignore_errors=True)
            optee.copy_tree(source, place.tree)
            pristine.touch()
        touched = optee.patched_files(place.tree, patch) if patch is not None else []
        pristine.unlink()
        if patch is not None:
            try:
                optee.apply_patch(place.tree, patch)
            except TesseraError:
                pristine.touch()  # a patch is applied whole or not at all
                raise
        try:
            yield place
        except process.KilledError:
            raise
        except TesseraError:
            _restore(source, place.tree, touched, pristine)
            raise
        _restore(source, place.tree, touched, pristine)


def _restore(source: Path, tree: Path, touched: list[Path], pristine: Path) -> None:
    for relative in touched:
        if (source / relative).is_file():
            shutil.copy(source / relative, tree / relative)  # with a new time
        else:
            (tree / relative).unlink(missing_ok=True)
    pristine.touch()
