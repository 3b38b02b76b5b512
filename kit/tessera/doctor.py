"""What is installed and what is missing, with the command that mends it.

Goal: `examine` lists every part of the kit: Python packages, host tools, the guest's parts and the
caches, each with what was found of it.
Non-goals: installing anything (`make`, `tessera guest setup`) and printing (see `cli.doctor`).
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tessera import __version__, resources
from tessera.errors import TesseraError
from tessera.guest import cache, checkpatch, hosttools, modelchecker, toolchain

CORE = "core"
HOST = "host tools"
GUEST = "guest parts"
DATA = "data and caches"

# How the tools that have a version say so; a tool that is not listed is only looked for.
_VERSION_ARGUMENTS = {
    "qemu-system-arm": ("qemu-system-aarch64", "--version"),
    "gcc-aarch64-linux-gnu": ("aarch64-linux-gnu-gcc", "-dumpfullversion"),
    "device-tree-compiler": ("dtc", "--version"),
    "cpio": ("cpio", "--version"),
    "gcc": ("gcc", "-dumpfullversion"),
    "make": ("make", "--version"),
    "git": ("git", "--version"),
    "dpkg-dev": ("dpkg-source", "--version"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its group, whether it is there, its version where it has one, how to mend it."""

    group: str
    name: str
    found: bool
    version: str
    mend: str  # a command; empty when nothing is to be mended


def examine() -> tuple[Part, ...]:
    """Every part of the kit; nothing is installed, fetched or changed."""
    return (*_core(), *_host(), *_guest(), *_data())


def core_is_whole(parts: tuple[Part, ...]) -> bool:
    """Whether checking, proving and emitting can work."""
    return all(part.found for part in parts if part.group == CORE)


def _core() -> Iterator[Part]:
    yield Part(CORE, "tessera", True, __version__, "")
    new = sys.version_info >= (3, 11)
    yield Part(CORE, "python", new, platform.python_version(), "" if new else "install Python 3.11")
    for requirement in importlib.metadata.requires("tessera") or []:
        if "extra ==" in requirement:
            continue
        matched = re.match(r"[A-Za-z0-9._-]+", requirement)
        name = matched.group() if matched else requirement
        version = _installed(name)
        mend = "" if version else f"{sys.executable} -m pip install '{requirement}'"
        yield Part(CORE, name, bool(version), version, mend)


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _host() -> Iterator[Part]:
    missing = {tool.package for tool in hosttools.missing()}
    for tool in hosttools.TOOLS:
        found = tool.package not in missing
        version = _tool_version(tool.package) if found else ""
        yield Part(HOST, tool.package, found, version, "" if found else toolchain.MEND)


def _tool_version(package: str) -> str:
    """The first number with a dot that the tool prints, or nothing."""
    command = _VERSION_ARGUMENTS.get(package)
    if command is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    number = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return number.group() if number else ""


def _guest() -> Iterator[Part]:
    host = {tool.package for tool in hosttools.TOOLS}
    try:
        status = toolchain.status()
    except TesseraError as error:
        yield Part(GUEST, "all", False, "", error.remedy)
        return
    for name, version, mend in status:
        if name not in host:
            yield Part(GUEST, name, bool(version), version, "" if version else mend)
    checker = modelchecker.at_hand()
    version = checker.version if checker else ""
    mend = "" if checker else modelchecker.MEND
    yield Part(GUEST, "cbmc (optional)", checker is not None, version, mend)
    style = checkpatch.at_hand()
    mend = "" if style else checkpatch.MEND
    yield Part(GUEST, "checkpatch.pl (optional)", bool(style), style.version if style else "", mend)
    for tool in hosttools.FOR_BUILDS:
        mend = "" if tool.found() else checkpatch.MEND
        yield Part(GUEST, f"{tool.package} (optional)", tool.found(), "", mend)


def _listed(specs: Iterable[str]) -> list[str]:
    """Policies by name, the specs of the cases as one number."""
    policies = [name for name in specs if "/" not in name]
    cases = len({name.split("/")[0] for name in specs if "/" in name})
    return [*policies, f"{cases} cases"]


def _data() -> Iterator[Part]:
    specs = resources.shipped_specs()
    yield Part(
        DATA,
        "shipped specs",
        bool(specs),
        ", ".join(_listed(specs)),
        "" if specs else f"{sys.executable} -m pip install --force-reinstall tessera",
    )
    try:
        folder = cache.root()
    except TesseraError as error:
        yield Part(DATA, "cache", False, "", error.remedy)
        return
    yield Part(DATA, "cache", True, f"{folder}, {_mebibytes(folder)} MiB", "")
    free = shutil.disk_usage(folder).free >> 20
    yield Part(DATA, "free disk", free > 4096, f"{free} MiB", "" if free > 4096 else "free 4 GiB")


def _mebibytes(folder: Path) -> int:
    """Bytes under `folder` in MiB, links not followed."""
    sizes = (f.lstat().st_size for f in folder.rglob("*") if f.is_symlink() or f.is_file())
    return sum(sizes) >> 20
