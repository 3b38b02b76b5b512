"""Reading and writing the binary files of `tessera.dnn`, with the user's mistakes told clearly.

Goal: whole files, bounded in size; a target is either complete or as it was before.
Non-goals: any format.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tessera.errors import TesseraError

MAX_BYTES = 1 << 30


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file of at most 1 GiB. `what` names it in the `TesseraError`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TesseraError(
                f"the {what} is over 1 GiB", where=str(path), remedy=f"give a {what}"
            )
        return path.read_bytes()
    except OSError as error:
        raise TesseraError(
            f"cannot read the {what}: {error.strerror}",
            where=str(path),
            remedy="check the path and its permissions",
        ) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces the file at `path` in one step. Raises `TesseraError` when it cannot be written."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TesseraError(
            f"cannot write: {error.strerror}",
            where=str(path),
            remedy="choose a folder that exists and that you may write to",
        ) from None
