"""The owner's master key as a file: 64 hexadecimal digits, readable by nobody else.

Goal: make one, never over another; read one, and say what is wrong with it.
Non-goals: giving it to a device (`wrap`).
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from tessera.errors import TesseraError
from tessera.package.seal import KEY_BYTES

_HEX = re.compile(r"[0-9a-f]{64}\n?")
_MOST = 1024


def new_key(path: Path) -> None:
    """Writes a key of the system's random numbers, with mode 600.

    Raises `TesseraError` where there is a file already, or none can be.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise TesseraError(
            "there is a file already, and a key is never overwritten",
            where=str(path),
            remedy="name another file; packages sealed with a lost key stay closed",
        ) from None
    except OSError as error:
        raise TesseraError(
            f"cannot write: {error.strerror}",
            where=str(path),
            remedy="choose a folder that exists and that you may write to",
        ) from None
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(secrets.token_bytes(KEY_BYTES).hex() + "\n")


def read_key(path: Path) -> bytes:
    """The 32 bytes of a key. Raises `TesseraError` for a file that is none."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST).decode("ascii", "replace")
    except OSError as error:
        raise TesseraError(
            f"cannot read the key: {error.strerror}",
            where=str(path),
            remedy="check the path, or make one: tessera key new -o owner.key",
        ) from None
    if not _HEX.fullmatch(text):
        raise TesseraError(
            "this is not a key: it has 64 hexadecimal digits and nothing else",
            where=str(path),
            remedy="give a file that `tessera key new` wrote",
        )
    return bytes.fromhex(text.strip())
