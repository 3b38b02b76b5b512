"""Places for output, seen to before long work begins.

Goal: a folder that cannot be written to is told at once, not after the work is done.
Non-goals: writing.
"""

from __future__ import annotations

import os
from pathlib import Path

from tessera.errors import TesseraError


def prepare(*targets: Path | None) -> None:
    """Makes the folders of files to be written. Raises `TesseraError` where that cannot be."""
    for target in targets:
        if target is None:
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            why = "it is a folder" if target.is_dir() else ""
            if not os.access(target.parent, os.W_OK | os.X_OK):
                why = "its folder is not writable"
        except OSError as error:
            why = str(error.strerror)
        if why:
            raise TesseraError(
                f"cannot write: {why}",
                where=str(target),
                remedy="name a file in a folder that you may write to",
            )
