"""CBMC, the bounded model checker: one that is installed, or Debian's own in the kit's cache.

Goal: `at_hand` gives the command that starts CBMC; `setup` fetches it with the libraries it needs
and starts it through their loader, so that it runs on an older Debian, too.
Non-goals: what is checked (see `tessera.conform.cbmc`).
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import apt, aptsources, cache, process

MEND = "tessera guest setup --cbmc"
SUITE = "trixie"
OLDEST = (5, 95)
PACKAGES = ("cbmc", "minisat", "libc6", "libstdc++6", "libgcc-s1", "zlib1g")
_RECORD = "cbmc.json"
_VERSION_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ModelChecker:
    """`command` are the words that start CBMC; `version` is what it says of itself."""

    command: tuple[str, ...]
    version: str

    def program(self, name: str) -> tuple[str, ...]:
        """The words that start another program of CBMC, e.g. goto-cc."""
        *loader, cbmc = self.command
        return (*loader, str(Path(cbmc).with_name(name)))


def at_hand() -> ModelChecker | None:
    """CBMC from the PATH when it is new enough, else the fetched one; None when there is none."""
    installed = shutil.which("cbmc")
    if installed is not None:
        found = _asked((installed,))
        if found is not None and _number(found.version) >= OLDEST:
            return found
    try:
        record = json.loads((cache.root() / _RECORD).read_text(encoding="utf-8"))
        folder = cache.root() / str(record["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return _fetched(folder)


def setup(progress: process.Progress = process.silent) -> ModelChecker:
    """CBMC, fetched when there is none: some 100 MiB, unpacked into the cache.

    Raises `TesseraError` when the machine has no apt, when the mirror does not give it, and when it
    does not run here.
    """
    found = at_hand()
    if found is not None:
        return found
    apt.require()
    with cache.locked("setup-cbmc"):
        private = apt.PrivateApt(
            cache.root() / "apt-cbmc", aptsources.main_archive(), suites=(SUITE,), sources=False
        )
        progress("reading package lists")
        try:
            private.update(progress)
            folder = _unpacked(private, progress)
        finally:
            shutil.rmtree(private.folder, ignore_errors=True)
        found = _fetched(folder)
        if found is None:
            shutil.rmtree(folder, ignore_errors=True)
            raise TesseraError(
                "CBMC was fetched, but does not run on this machine",
                where=str(folder),
                remedy="install CBMC 5.95 or later so that cbmc is on the PATH",
            )
        cache.write_text(
            cache.root() / _RECORD,
            json.dumps({"folder": str(folder.relative_to(cache.root()))}) + "\n",
        )
    return found


def _unpacked(private: apt.PrivateApt, progress: process.Progress) -> Path:
    architecture = process.run(["dpkg", "--print-architecture"]).strip()
    versions = {}
    for name in PACKAGES:
        offered = private.versions(name, architecture)
        if not offered:
            raise TesseraError(
                f"Debian's {SUITE} has no package {name} for {architecture}",
                where=MEND,
                remedy="install CBMC 5.95 or later so that cbmc is on the PATH",
            )
        versions[name] = offered[0]

    def make(folder: Path) -> None:
        for name, version in versions.items():
            progress(f"fetching {name} {version}")
            with cache.scratch("deb") as scratch:
                file = private.download(name, version, scratch, architecture)
                process.run(["dpkg-deb", "-x", file, folder])

    return cache.entry(f"cbmc/{cache.key(architecture, sorted(versions.items()))}", make)


def _fetched(folder: Path) -> ModelChecker | None:
    program = folder / "usr/bin/cbmc"
    loaders = sorted(folder.glob("usr/lib/*/ld-linux*.so.*")) if program.is_file() else []
    if not loaders:
        return None
    libraries = f"{loaders[0].parent}:{folder / 'usr/lib'}"
    return _asked((str(loaders[0]), "--library-path", libraries, str(program)))


@functools.cache
def _asked(command: tuple[str, ...]) -> ModelChecker | None:
    try:
        done = subprocess.run(
            [*command, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return ModelChecker(command, words[0]) if done.returncode == 0 and words else None


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return tuple(int(part) for part in found.groups()) if found else (0,)
