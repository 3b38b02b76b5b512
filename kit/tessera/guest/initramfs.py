"""The guest's root file system: busybox, the TEE driver, tee-supplicant, xtest, and our files.

Goal: one deterministic cpio archive of unpacked Debian packages plus the TAs and files of a run.
Non-goals: installing packages in the guest, and anything that survives a reboot.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from tessera import resources
from tessera.guest import cache, process
from tessera.guest.toolchain import Toolchain

TA_FOLDER = "lib/optee_armtz"  # where Debian's tee-supplicant looks
_LIBRARIES = (
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "libcrypto.so.3",
    "libssl.so.3",
    "libz.so.1",
    "libzstd.so.1",
    "libteec.so.2",
    "libckteec.so.0",
)
_LIBRARY_PACKAGES = ("libc6", "libssl3t64", "zlib1g", "libzstd1", "libteec2", "libckteec0t64")


def base(parts: Toolchain) -> Path:
    """The archive that every boot shares, from the cache."""
    init = resources.path("verification/guest/init")
    recipe = cache.key(5, init.read_text(encoding="utf-8"), parts.packages)

    def make(folder: Path) -> None:
        with cache.scratch("root") as scratch:
            tree = scratch / "root"
            tree.mkdir()
            _populate(tree, parts, init)
            pack(tree, folder / "base.cpio")

    return cache.entry(f"initramfs/{recipe}", make) / "base.cpio"


def with_files(
    parts: Toolchain, tas: Iterable[Path], files: Mapping[str, Path | bytes], target: Path
) -> None:
    """Write to `target` the base archive followed by one with `tas` and `files`.

    `files` maps an absolute guest path to a host file or to bytes; host files keep their mode.
    """
    with cache.scratch("extra") as scratch:
        tree = scratch / "root"
        for ta in tas:
            _place(tree / TA_FOLDER / ta.name, ta)
        for name, content in files.items():
            _place(tree / name.lstrip("/"), content)
        extra = scratch / "extra.cpio"
        tree.mkdir(exist_ok=True)
        pack(tree, extra)
        first = base(parts).read_bytes()
        # The kernel unpacks concatenated archives one after the other; each starts at 4 bytes.
        target.write_bytes(first.ljust(-(-len(first) // 4) * 4, b"\0") + extra.read_bytes())


def _place(target: Path, content: Path | bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        target.write_bytes(content)
    else:
        shutil.copy2(content, target)


def _populate(tree: Path, parts: Toolchain, init: Path) -> None:
    for folder in ("bin", "lib/modules", "usr/sbin", "usr/bin", "usr/lib", TA_FOLDER):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy2(init, tree / "init")
    (tree / "init").chmod(0o755)
    shutil.copy2(_find(parts.package("busybox-static"), "busybox"), tree / "bin/busybox")
    for module in ("tee.ko", "optee.ko"):
        shutil.copy2(_find(parts.package(parts.kernel), module), tree / "lib/modules" / module)
    shutil.copy2(_find(parts.package("tee-supplicant"), "tee-supplicant"), tree / "usr/sbin")
    packages = [parts.package(name) for name in _LIBRARY_PACKAGES]
    for name in _LIBRARIES:
        library = next(path for folder in packages for path in folder.rglob(name))
        shutil.copy2(library, tree / "lib" / name)
    test = parts.package("optee-test-qemu")
    shutil.copy2(_find(test, "xtest"), tree / "usr/bin/xtest")
    for ta in test.rglob("*.ta"):
        shutil.copy2(ta, tree / TA_FOLDER / ta.name)
    for plugin in test.rglob("*.plugin"):
        target = tree / "usr/lib/tee-supplicant/plugins"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(plugin, target / plugin.name)


def _find(folder: Path, name: str) -> Path:
    """The file `name` somewhere below an unpacked package."""
    return next(path for path in sorted(folder.rglob(name)) if path.is_file())


def pack(tree: Path, archive: Path) -> None:
    """Pack a folder as a newc cpio archive: names sorted, owner root, one fixed time."""
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (0, 0), follow_symlinks=False)
    process.run(
        ["cpio", "-o", "-H", "newc", "-R", "0:0", "--reproducible", "--quiet", "-F", archive],
        cwd=tree,
        stdin="".join(f"{name}\n" for name in names),
    )
