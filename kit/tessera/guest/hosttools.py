"""The programs that the host needs: a check for each, and their installation where allowed.

Goal: say exactly which Debian packages are missing and install them when we are root (or `sudo`
works without a password).
Non-goals: the guest's own parts (see `tessera.guest.toolchain`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import apt, process

# OP-TEE's scripts need Debian's own python: one in front of it on the PATH lacks elftools.
PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Tool:
    """A host package and how to see that it works: a program, a file, or a python module."""

    package: str
    program: str = ""
    file: str = ""
    module: str = ""

    def found(self) -> bool:
        """Whether the tool is there."""
        if self.program:
            return shutil.which(self.program) is not None
        if self.file:
            return any(Path("/").glob(self.file.lstrip("/")))
        command = [PYTHON, "-c", f"import {self.module}"]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False


TOOLS = (
    Tool("qemu-system-arm", program="qemu-system-aarch64"),
    Tool("gcc-aarch64-linux-gnu", program="aarch64-linux-gnu-gcc"),
    Tool("libc6-dev-arm64-cross", file="/usr/aarch64-linux-gnu/include/stdio.h"),
    Tool("device-tree-compiler", program="fdtput"),
    Tool("cpio", program="cpio"),
    Tool("libssl-dev", file="/usr/include/openssl/ssl.h"),
    Tool("python3-pyelftools", module="elftools"),
    Tool("python3-cryptography", module="cryptography"),
    Tool("gcc", program="gcc"),
    Tool("libc6-dev", file="/usr/include/stdio.h"),
    Tool("make", program="make"),
    Tool("git", program="git"),
    Tool("dpkg-dev", program="dpkg-source"),
)

# What `tessera conform --tier builds` needs besides; nothing else does.
FOR_BUILDS = (Tool("gcc-arm-linux-gnueabihf", program="arm-linux-gnueabihf-gcc"),)


def missing(tools: tuple[Tool, ...] | None = None) -> list[Tool]:
    """The tools that are not on this machine; of all that the guest needs, or of `tools`."""
    return [tool for tool in (TOOLS if tools is None else tools) if not tool.found()]


def install_command(tools: list[Tool]) -> list[str]:
    """The apt command that installs `tools`."""
    names = [tool.package for tool in tools]
    return ["apt-get", "install", "-y", "--no-install-recommends", *names]


def _privilege() -> list[str] | None:
    """The words that make a command run as root, or None when we may not."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if allowed.returncode == 0 else None


def ensure(progress: process.Progress, tools: tuple[Tool, ...] | None = None) -> None:
    """Install the missing host tools: all that the guest needs, or those of `tools`.

    Raises `TesseraError` when something is missing and we may not install it.
    """
    wanted = missing(tools)
    if not wanted:
        return
    apt.require()
    command = install_command(wanted)
    root = _privilege()
    if root is None:
        raise TesseraError(
            "host tools are missing and only root may install them: "
            + ", ".join(tool.package for tool in wanted),
            where="tessera guest setup",
            remedy="sudo " + " ".join(command),
        )
    progress("installing host tools: " + " ".join(tool.package for tool in wanted))
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    process.run([*root, "apt-get", "-o", "Acquire::Retries=5", "update"], env=quiet)
    process.run([*root, *command, "-o", "Acquire::Retries=5"], env=quiet)
    left = missing(tools)
    if left:
        raise TesseraError(
            "apt ran, but these are still missing: " + ", ".join(tool.package for tool in left),
            where="tessera guest setup",
            remedy="sudo " + " ".join(install_command(left)),
        )
