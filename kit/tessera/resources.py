"""Where the kit's own data lives: specs, models, hooks and TA sources.

Goal: the same lookup in a checkout and in an installed wheel, where `pyproject.toml` puts the
top-level data folders under `tessera/share/`; shipped specs are found by their short name.
Non-goals: user files (they are given by path) and caches (see `tessera.guest`).
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from tessera.errors import TesseraError

CASES = "cases"
"""The folder inside `specs/` that holds one folder per case."""

_PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """The folder that holds `specs/`, `models/`, `optee_os_patch/` and `verification/`."""
    share = _PACKAGE / "share"
    return share if share.is_dir() else _PACKAGE.parent.parent


def path(relative: str) -> Path:
    """The path of a data file or folder, given relative to `root()`, e.g. `models/dnn/ta`."""
    return root() / relative


def shipped_specs() -> dict[str, Path]:
    """Short name to path of every spec that comes with the kit.

    A policy goes by its file's name (`priority`), a spec of a case by its folder's as well
    (`CVE-2019-1010294/defect`).
    """
    files = sorted(path("specs").rglob("*.tess"))
    return {_short_name(file.relative_to(path("specs"))): file for file in files}


def _short_name(inside: Path) -> str:
    """The short name of a spec at a place inside `specs/`."""
    return f"{inside.parent.name}/{inside.stem}" if inside.parts[0] == CASES else inside.stem


def find_spec(name: str | Path) -> Path:
    """The spec that a user means: a path, else a shipped path or short name such as `priority`.

    A path that exists always wins, so a user's file is never shadowed by a shipped one. Raises
    `TesseraError` with the nearest shipped names when there is no such spec.
    """
    given = Path(name)
    if given.exists():
        return given
    shipped = shipped_specs()
    policies = [known for known in shipped if "/" not in known]
    short = str(name).removeprefix(f"{CASES}/")
    if short in shipped:
        return shipped[short]
    inside = path(str(name))
    if not given.is_absolute() and ".." not in given.parts and inside.is_file():
        return inside
    wanted = short if "/" in short else given.stem
    near = get_close_matches(wanted, shipped, n=3, cutoff=0.5) or policies
    names = ", ".join(near) if near else "none found"
    raise TesseraError(
        f"there is no spec `{name}`",
        remedy=f"give the path of a .tess file or the name of a shipped spec ({names})",
    )
