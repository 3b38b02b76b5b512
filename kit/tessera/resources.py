"""Where the kit's own data lives: specs, models, hooks and TA sources.

Goal: the same lookup in a checkout and in an installed wheel, where `pyproject.toml` puts the
top-level data folders under `tessera/share/`; shipped specs are found by their short name.
Non-goals: user files (they are given by path) and caches (see `tessera.guest`).
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from tessera.errors import TesseraError

_PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """The folder that holds `specs/`, `models/`, `optee_os_patch/` and `verification/`."""
    share = _PACKAGE / "share"
    return share if share.is_dir() else _PACKAGE.parent.parent


def path(relative: str) -> Path:
    """The path of a data file or folder, given relative to `root()`, e.g. `models/dnn/ta`."""
    return root() / relative


def shipped_specs() -> dict[str, Path]:
    """Short name to path of every spec that comes with the kit, e.g. `priority`."""
    return {file.stem: file for file in sorted(path("specs").rglob("*.tess"))}


def find_spec(name: str | Path) -> Path:
    """The spec that a user means: a path, else a shipped path or short name such as `priority`.

    A path that exists always wins, so a user's file is never shadowed by a shipped one. Raises
    `TesseraError` with the nearest shipped names when there is no such spec.
    """
    given = Path(name)
    if given.exists():
        return given
    shipped = shipped_specs()
    if str(name) in shipped:
        return shipped[str(name)]
    inside = path(str(name))
    if not given.is_absolute() and ".." not in given.parts and inside.is_file():
        return inside
    near = get_close_matches(given.stem, shipped, n=3, cutoff=0.5) or list(shipped)
    names = ", ".join(near) if near else "none found"
    raise TesseraError(
        f"there is no spec `{name}`",
        remedy=f"give the path of a .tess file or the name of a shipped spec ({names})",
    )
