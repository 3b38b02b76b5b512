"""OP-TEE's releases in Debian, and what it takes to compile and judge a patch on each of them.

Goal: `setup` fetches the source of every version that apt offers, the 32-bit compiler and
checkpatch.pl, once; `at_hand` lists the versions, those that could not be had with apt's reason.
Non-goals: compiling (see `tessera.conform.builds`).
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import apt, aptsources, cache, checkpatch, hosttools, process, toolchain

MEND = checkpatch.MEND
PACKAGE = "optee-os"
_RECORD = "releases.json"


@dataclass(frozen=True, slots=True)
class Release:
    """A version as Debian numbers it; `folder` is below the cache, empty with a `reason`."""

    version: str
    folder: str
    reason: str = ""

    @property
    def tree(self) -> Path | None:
        """The pristine source tree, when it is there."""
        path = cache.root() / self.folder
        return path if self.folder and path.is_dir() else None


def at_hand() -> tuple[Release, ...] | None:
    """What `setup` found, newest first; None when it was not run."""
    try:
        rows = json.loads((cache.root() / _RECORD).read_text(encoding="utf-8"))
        return tuple(Release(**row) for row in rows)
    except (OSError, ValueError, TypeError):
        return None


def setup(
    progress: process.Progress = process.silent, *, refresh: bool = False
) -> tuple[Release, ...]:
    """Fetch every offered source and checkpatch.pl, and install the 32-bit compiler.

    A second call finds everything and uses no network, unless `refresh` asks anew. Raises
    `TesseraError` when apt offers nothing, or a tool cannot be had; a source that cannot be had is
    no error, but is listed with its reason. The compiler comes last: where only root may install
    it, all else is there already.
    """
    hosttools.ensure(progress)
    with cache.locked("setup-builds"):
        found = at_hand()
        if found is None or checkpatch.at_hand() is None or refresh:
            found = _all(progress, refresh=refresh)
    hosttools.ensure(progress, hosttools.FOR_BUILDS)
    return found


def _all(progress: process.Progress, *, refresh: bool) -> tuple[Release, ...]:
    apt.require()
    private = apt.PrivateApt(cache.root() / "apt-builds", aptsources.main_archive())
    progress("reading package lists")
    try:
        private.update(progress)
        taken = _fetched(private, progress)
        if refresh or checkpatch.at_hand() is None:
            checkpatch.fetch(private, progress)
    finally:
        shutil.rmtree(private.folder, ignore_errors=True)
    record = json.dumps([asdict(release) for release in taken], indent=2)
    cache.write_text(cache.root() / _RECORD, record + "\n")
    return taken


def _fetched(private: apt.PrivateApt, progress: process.Progress) -> tuple[Release, ...]:
    offered = private.source_versions(PACKAGE)
    if not offered:
        raise TesseraError(
            f"this machine's Debian mirror offers no source of {PACKAGE}",
            where=MEND,
            remedy="give a tree of your own: tessera conform SPEC --tier builds --tree DIR",
        )
    out = []
    for version in offered:
        try:
            folder = toolchain.fetch_source(private, progress, PACKAGE, version)
        except TesseraError as error:
            out.append(Release(version, "", reason_of(error.message)))
            continue
        out.append(Release(version, str(folder.relative_to(cache.root()))))
    return tuple(out)


def reason_of(said: str) -> str:
    """The line in which apt says why it did not fetch: the file and the reason, no address.

    Without such a line, the last one of `said`.
    """
    failed = re.search(r"E: Failed to fetch \S*/(\S+)\s+(.*)", said)
    if failed:
        why = re.sub(r"\s*\[IP: .*?\]", "", failed.group(2))
        return f"{failed.group(1)}: {' '.join(why.split())}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"
