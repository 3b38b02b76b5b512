"""Building OP-TEE for QEMU from a tree, with or without a patch.

Goal: the three boot images, the ELF with symbols, and the kit that TAs are built with.
Non-goals: caching and packaging (see `tessera.guest.build`); changing the tree that it is given.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tessera.errors import TesseraError
from tessera.guest import hosttools, process

FLAGS = (
    "PLATFORM=vexpress-qemu_armv8a",
    "CFG_ARM64_core=y",
    "CFG_USER_TA_TARGETS=ta_arm64",
    "CFG_ARM_GICV3=y",
    # The statistics pseudo TA tells the state of the pools; it changes no allocation.
    "CFG_WITH_STATS=y",
)


class Crypto(StrEnum):
    """How OP-TEE computes ciphers and digests."""

    SOFTWARE = "software"  # as the platform's own settings have it
    EXTENSIONS = "extensions"  # by the processor's instructions for AES, GHASH and SHA

    @classmethod
    def named(cls, name: str) -> Crypto:
        """Raises `TesseraError` for a name that is none."""
        try:
            return cls(name)
        except ValueError as error:
            raise TesseraError(
                f"there is no cryptography called {name!r}",
                where="--crypto",
                remedy=f"give one of: {', '.join(cls)}",
            ) from error


IMAGES = ("tee-header_v2.bin", "tee-pager_v2.bin", "tee-pageable_v2.bin")
CROSS = "aarch64-linux-gnu-"
_CRYPTO_FLAGS: dict[Crypto, tuple[str, ...]] = {
    Crypto.SOFTWARE: (),
    # OP-TEE's own switch for boards that have them; it turns the others on that belong to it.
    Crypto.EXTENSIONS: ("CFG_CRYPTO_WITH_CE=y",),
}
EPOCH = {"SOURCE_DATE_EPOCH": "1704067200"}  # a fixed build date, so that equal input is equal


def flags(crypto: Crypto) -> tuple[str, ...]:
    """What `make` is told of the platform and its options."""
    return FLAGS + _CRYPTO_FLAGS[crypto]


@dataclass(frozen=True, slots=True)
class Tree:
    """An OP-TEE source tree and its version, e.g. `4.10.0`."""

    path: Path
    version: str


def read_tree(path: Path) -> Tree:
    """Look at a tree. Raises `TesseraError` when it is not OP-TEE."""
    makefile = path / "mk/config.mk"
    try:
        text = makefile.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise TesseraError(
            "this is not an OP-TEE source tree (it has no mk/config.mk)",
            where=str(path),
            remedy="give the top folder of optee_os with --tree",
        ) from error
    major = re.search(r"^CFG_OPTEE_REVISION_MAJOR \?= (\d+)", text, re.MULTILINE)
    minor = re.search(r"^CFG_OPTEE_REVISION_MINOR \?= (\d+)", text, re.MULTILINE)
    extra = re.search(r"^CFG_OPTEE_REVISION_EXTRA \?=[ \t]*(\S*)$", text, re.MULTILINE)
    if major is None or minor is None:
        raise TesseraError(
            "this OP-TEE tree does not tell its version",
            where=str(makefile),
            remedy="Tessera knows OP-TEE 4.5.0 and later",
        )
    suffix = extra.group(1) if extra else ""
    return Tree(path, f"{major.group(1)}.{minor.group(1)}.0{suffix}")


def copy_tree(tree: Path, target: Path) -> None:
    """Copy a source tree without its history and build products."""
    ignored = shutil.ignore_patterns(".git", "*.o", "*.pyc")
    shutil.copytree(tree, target, symlinks=True, ignore=ignored, dirs_exist_ok=True)
    shutil.rmtree(target / "out", ignore_errors=True)


def apply_patch(tree: Path, patch_text: str) -> None:
    """Apply a patch to a tree of our own. Raises `TesseraError` when it does not fit."""
    _git_apply(tree, patch_text)


def patched_files(tree: Path, patch_text: str) -> list[Path]:
    """The files that a patch touches, relative to the tree. Raises `TesseraError` on nonsense."""
    rows = _git_apply(tree, patch_text, "--numstat", "-z").split("\0")
    return [Path(row.split("\t")[2]) for row in rows if row.count("\t") == 2]


def _git_apply(tree: Path, patch_text: str, *options: str) -> str:
    try:
        return process.run(
            ["git", "apply", *options, "--unidiff-zero", "--whitespace=nowarn", "-"],
            cwd=tree,
            stdin=patch_text,
            # The tree is no repository, and must not be taken for a part of one around it. The
            # user's settings, such as line ends, are for the user's own repositories.
            env={
                "GIT_CEILING_DIRECTORIES": str(tree.resolve().parent),
                "GIT_DIR": "/dev/null",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_CONFIG_NOSYSTEM": "1",
            },
        )
    except TesseraError as error:
        raise TesseraError(
            f"the patch does not apply to this OP-TEE tree:\n{error.message}",
            where="git apply",
            remedy="make the patch for this very tree: tessera patch SPEC --tree DIR",
        ) from error


def compile_tree(tree: Path, out: Path, log: Path, crypto: Crypto = Crypto.SOFTWARE) -> None:
    """Build `tree` into `out`. Raises `TesseraError` with the compiler's last lines."""
    # OP-TEE counts the builds in a folder and prints the number: equal input shall be equal.
    (out / "core/.buildcount").unlink(missing_ok=True)
    jobs = min(os.cpu_count() or 1, 8)
    cross = [f"{name}={CROSS}" for name in ("CROSS_COMPILE64", "CROSS_COMPILE_ta_arm64")]
    process.run(
        [
            "make",
            "-C",
            tree,
            f"-j{jobs}",
            f"O={out}",
            *flags(crypto),
            *cross,
            f"CROSS_COMPILE_core={CROSS}",
            f"PYTHON3={hosttools.PYTHON}",
        ],
        env=EPOCH,
        clean=True,
        log=log,
    )
