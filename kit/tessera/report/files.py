"""Writing a report's files so that a reader never sees half of one.

Goal: every file is written beside its target and moved into place; a place that cannot be
written is one clear error.
Non-goals: what is in the files.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tessera.errors import TesseraError


def write_text(target: Path, text: str) -> Path:
    """Write `text` to `target` as UTF-8, whole or not at all; folders are made as needed.

    Raises `TesseraError` when the place cannot be written; an older file is then untouched.
    """
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except OSError as error:
        raise TesseraError(
            f"cannot write here: {error.strerror or error}",
            where=str(target),
            remedy="choose another folder with -o, or make this one writable",
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return target


def write_json(target: Path, document: Any) -> Path:
    """Write a JSON document, indented, key order kept; see `write_text`."""
    return write_text(target, to_text(document))


def to_text(document: Any) -> str:
    """The JSON text that every command prints and writes; it has no NaN and ends with a newline."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
