"""Doing something again whenever a file changes: `tessera check --watch`.

Goal: wait for a change of any file that a spec uses, then run again; a mistake in the spec is shown
and waited out.
Non-goals: notifications from the system (files are looked at twice a second, which costs nothing
beside a proof).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from tessera.errors import TesseraError

PAUSE = 0.5
"""Seconds between two looks at the files."""

Files = Iterable[Path]


def watch(again: Callable[[], Files], first: Files, *, most: int | None = None) -> None:
    """Run `again`, which gives the files that it read, on every change of one of them.

    `first` are the files to watch while nothing could be read yet. Ends on Ctrl-C, or after `most`
    runs.
    """
    known = tuple(first)
    runs = 0
    try:
        while most is None or runs < most:
            before = _stamps(known)
            try:
                known = tuple(again()) or known
            except TesseraError as error:
                typer.echo(error.render(), err=True)
            # What changed while it ran is a change too.
            stamps = {file: before.get(file, _stamp(file)) for file in known}
            runs += 1
            if most is not None and runs >= most:
                return
            typer.echo("waiting for a change; Ctrl-C ends", err=True)
            while _stamps(known) == stamps:
                time.sleep(PAUSE)
    except KeyboardInterrupt:
        typer.echo(err=True)


def _stamps(files: Files) -> dict[Path, int]:
    """When each file was changed last, in nanoseconds; 0 for one that is gone."""
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
