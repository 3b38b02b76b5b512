"""Where the kit's own data lives: specs, models, hooks and TA sources.

Goal: the same lookup in a checkout and in an installed wheel, where `pyproject.toml` puts the
top-level data folders under `tessera/share/`.
Non-goals: user files (they are given by path) and caches (see `tessera.guest`).
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """The folder that holds `specs/`, `models/`, `optee_os_patch/` and `verification/`."""
    share = _PACKAGE / "share"
    return share if share.is_dir() else _PACKAGE.parent.parent


def path(relative: str) -> Path:
    """The path of a data file or folder, given relative to `root()`, e.g. `models/dnn/ta`."""
    return root() / relative
