"""A private apt: newer Debian suites and the arm64 architecture, without touching the machine's.

Goal: list versions and download packages and sources through apt itself, which checks every file
against the signed indexes; lists and caches live in the kit's own cache folder.
Non-goals: installing (see `tessera.guest.hosttools`) and choosing versions (see `toolchain`).
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import aptsources, cache, process

SUITES = ("bookworm", "trixie", "sid")
ARCHITECTURES = ("amd64", "arm64")
_TRIES = 3
_PAUSE = 3.0  # seconds between tries: a busy mirror needs a moment


def require() -> None:
    """Raise `TesseraError` when this machine has no apt."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise TesseraError(
            "apt is not on this machine; the guest's parts are Debian packages",
            where="apt-get",
            remedy="run the guest on Debian 12 or later; all other commands work without it",
        )


def compare_versions(left: str, right: str) -> int:
    """Debian's order of two versions: negative, 0 or positive."""
    for operator, result in (("lt", -1), ("gt", 1)):
        command = ["dpkg", "--compare-versions", left, operator, right]
        if subprocess.run(command, check=False).returncode == 0:
            return result
    return 0


def upstream(version: str) -> str:
    """The upstream part of a Debian version: `1:4.10.0+dfsg-2` gives `4.10.0`."""
    plain = version.split(":", 1)[-1].rsplit("-", 1)[0]
    return re.split(r"[+~]", plain)[0]


class PrivateApt:
    """An apt with its own sources, lists and cache below `folder`."""

    def __init__(
        self,
        folder: Path,
        archive: aptsources.Archive,
        suites: tuple[str, ...] = SUITES,
        *,
        sources: bool = True,
    ) -> None:
        self.folder = folder
        self.archive = archive
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        option = f" [signed-by={archive.keyring}]" if archive.keyring else ""
        lines = [
            f"{kind}{option} {archive.uri} {suite} main\n"
            for kind in (("deb", "deb-src") if sources else ("deb",))
            for suite in suites
        ]
        cache.write_text(folder / "sources.list", "".join(lines))

    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": self.folder,
            "Dir::State::lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            # The machine's own hooks tidy the machine's own cache; here they have no business.
            "APT::Update::Post-Invoke": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "5",
        }
        if os.geteuid() == 0:
            settings["APT::Sandbox::User"] = "root"
        words = [f"-o{name}={value}" for name, value in settings.items()]
        return words + [f"-oAPT::Architectures::={name}" for name in ARCHITECTURES]

    def _apt(self, program: str, *words: str, cwd: Path | None = None) -> str:
        return process.run([program, "-q", *self._options(), *words], cwd=cwd, timeout=900)

    def update(self, progress: process.Progress) -> None:
        """Fetch the package lists; tried again a few times.

        When the mirror keeps failing the lists at hand are used; a package that is not in them
        is reported by name later.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                # Without this mode apt calls an unreachable mirror a warning.
                self._apt("apt-get", "-oAPT::Update::Error-Mode=any", "update")
                return
            except TesseraError as error:
                why = next((x for x in error.message.splitlines() if x.startswith("E: ")), "")
                progress(f"package lists: try {attempt} of {_TRIES} failed. {why}".rstrip())
                last = error
                time.sleep(_PAUSE)
        if not any((self.folder / "lists").glob("*_Packages*")):
            raise TesseraError(
                f"the package lists of {self.archive.uri} cannot be fetched:\n{last.message}",
                where="apt-get update",
                remedy="check the network and the machine's apt sources, then try again",
            )

    def versions(self, package: str, architecture: str = "arm64") -> list[str]:
        """The versions of a binary package that the lists offer, newest first."""
        return self._madison(f"{package}:{architecture}", " Packages")

    def source_versions(self, package: str) -> list[str]:
        """The versions of a source package that the lists offer, newest first."""
        return self._madison(package, " Sources")

    def _madison(self, name: str, kind: str) -> list[str]:
        rows = self._apt("apt-cache", "madison", name).splitlines()
        cells = [row.split("|") for row in rows if row.rstrip().endswith(kind)]
        found = {cell[1].strip() for cell in cells if len(cell) == 3}
        order = functools.cmp_to_key(compare_versions)
        return sorted(found, key=order, reverse=True)

    def names(self, pattern: str) -> list[str]:
        """The package names that match a regular expression."""
        rows = self._apt("apt-cache", "search", "--names-only", pattern).splitlines()
        return sorted({row.split(" ", 1)[0] for row in rows})

    def download(
        self, package: str, version: str, folder: Path, architecture: str = "arm64"
    ) -> Path:
        """Download one binary package into `folder`; apt checks its hash.

        Raises `TesseraError` when the mirror does not give it.
        """
        before = set(folder.iterdir())
        self._apt("apt-get", "download", f"{package}:{architecture}={version}", cwd=folder)
        files = [path for path in folder.iterdir() if path not in before and path.suffix == ".deb"]
        if len(files) != 1:
            raise TesseraError(f"apt gave no file for {package} {version}", where=package)
        return files[0]

    def source(self, package: str, version: str, folder: Path) -> Path:
        """Download one source package into `folder` and return its .dsc; apt checks the hashes."""
        self._apt("apt-get", "source", "--download-only", f"{package}={version}", cwd=folder)
        files = sorted(folder.glob("*.dsc"))
        if len(files) != 1:
            raise TesseraError(f"apt gave no .dsc for {package} {version}", where=package)
        return files[0]
