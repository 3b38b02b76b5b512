"""Linux's checkpatch.pl, which OP-TEE judges patches with: Debian's copy in the kit's cache.

Goal: `at_hand` gives the script and codespell's word list; `fetch` takes them out of two Debian
packages. OP-TEE does not ship the script, and no package installs it where it could be run from.
Non-goals: running it (see `tessera.conform.checkpatch`).
"""

from __future__ import annotations

import functools
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import apt, cache, process

MEND = "tessera guest setup --builds"
SCRIPT = "checkpatch.pl"
COMPANIONS = ("spelling.txt", "const_structs.checkpatch")
WORDS = "dictionary.txt"
_FOLDER = "checkpatch"
_SOURCES = r"^linux-source-[0-9.]+$"
_INSTALLED_WORDS = Path("/usr/share/codespell") / WORDS


@dataclass(frozen=True, slots=True)
class Checkpatch:
    """The script, codespell's words (None without) and where the script is from."""

    script: Path
    words: Path | None
    version: str


def at_hand() -> Checkpatch | None:
    """The script that was fetched last, else one on the PATH; None when there is none."""
    folders = sorted((cache.root() / _FOLDER).glob("*/origin"), key=_age)
    if folders:
        folder = folders[-1].parent
        words = folder / WORDS
        origin = folders[-1].read_text(encoding="utf-8").strip()
        return Checkpatch(folder / SCRIPT, words if words.is_file() else None, origin)
    installed = shutil.which(SCRIPT)
    if installed is None:
        return None
    found = _INSTALLED_WORDS if _INSTALLED_WORDS.is_file() else None
    return Checkpatch(Path(installed), found, "on the PATH")


def _age(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, str(path)


def fetch(private: apt.PrivateApt, progress: process.Progress) -> Checkpatch:
    """Fetch the newest script that the mirror gives: some 160 MiB, of which 2 MiB are kept.

    Raises `TesseraError` when there is none.
    """
    architecture = process.run(["dpkg", "--print-architecture"]).strip()
    words = next(iter(private.versions("codespell", architecture)), "")
    names = sorted(private.names(_SOURCES), key=_number, reverse=True)
    reasons = ["no package linux-source is offered"]
    for name in names:
        for version in private.versions(name, architecture):
            make = functools.partial(
                _fill, private, progress, (name, version), ("codespell", words), architecture
            )
            try:
                cache.entry(f"{_FOLDER}/{cache.key(name, version, words)}", make)
            except TesseraError as error:
                reasons.append(f"{name} {version}: {error.message}")
                continue
            found = at_hand()
            if found is not None:
                return found
    raise TesseraError(
        f"{SCRIPT} cannot be had from this machine's Debian mirror:\n"
        + "\n".join(f"    {reason}" for reason in reasons[1:] or reasons),
        where=MEND,
        remedy=f"put Linux's scripts/{SCRIPT} and spelling.txt into a folder of the PATH",
    )


def _number(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", name))


def _fill(
    private: apt.PrivateApt,
    progress: process.Progress,
    linux: tuple[str, str],
    codespell: tuple[str, str],
    architecture: str,
    folder: Path,
) -> None:
    name, version = linux
    with cache.scratch("deb") as scratch:
        progress(f"fetching {name} {version} for {SCRIPT}")
        package = private.download(name, version, scratch, architecture)
        _unpack(package, name, scratch)
        for file in (SCRIPT, *COMPANIONS):
            shutil.copy2(scratch / name / "scripts" / file, folder / file)
        if codespell[1]:
            progress(f"fetching codespell {codespell[1]} for its words")
            package = private.download(*codespell, scratch, architecture)
            process.run(["dpkg-deb", "-x", package, scratch / "codespell"])
            shutil.copy2(next((scratch / "codespell").rglob(f"data/{WORDS}")), folder / WORDS)
    (folder / "origin").write_text(f"{name} {version}\n", encoding="utf-8")


def _unpack(package: Path, name: str, folder: Path) -> None:
    """The few files that are wanted, out of the tar in the package's tar."""
    inner = f"./usr/src/{name}.tar.xz"
    pipe = (
        'set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -xO "$2" | '
        'tar -xJ -C "$3" "${@:4}"'
    )  # fmt: skip
    wanted = [f"{name}/scripts/{file}" for file in (SCRIPT, *COMPANIONS)]
    process.run(["bash", "-c", pipe, "-", package, inner, folder, *wanted])
