"""TF-A for QEMU, and the flash image that QEMU boots.

Goal: TF-A is compiled once per version; a flash file is BL1 at 0 and, at 256 KiB, the firmware
package with TF-A's later stages and OP-TEE inside.
Non-goals: OP-TEE itself (see `tessera.guest.optee`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tessera.guest import cache, optee, process

KERNEL_ADDRESS = 0x44000000
FIP_OFFSET = 256 * 1024
FLAGS = (
    "PLAT=qemu",
    "SPD=opteed",
    "QEMU_USE_GIC_DRIVER=QEMU_GICV3",
    "BL32_RAM_LOCATION=tdram",
    "ARM_LINUX_KERNEL_AS_BL33=1",
    f"PRELOADED_BL33_BASE={KERNEL_ADDRESS:#x}",
)
_STAGES = ("bl1.bin", "bl2.bin", "bl31.bin")
_SLOTS = ("--tos-fw", "--tos-fw-extra1", "--tos-fw-extra2")  # for the three images of OP-TEE


def stages(source: Path, version: str, progress: process.Progress = process.silent) -> Path:
    """The cache folder with TF-A's stages and its `fiptool`, compiled from `source` when missing.

    Raises `TesseraError` with the compiler's last lines.
    """

    def make(folder: Path) -> None:
        progress(f"building TF-A {version}")
        with cache.scratch("tfa") as scratch:
            tree = scratch / "tfa"
            shutil.copytree(source, tree, symlinks=True)
            words: list[str | Path] = ["make", "-C", tree]
            words += [f"-j{min(os.cpu_count() or 1, 8)}", *FLAGS]
            words += [f"CROSS_COMPILE={optee.CROSS}", f"BUILD_BASE={scratch / 'build'}"]
            words += ["bl1", "bl2", "bl31", "fiptool"]
            process.run(words, env=optee.EPOCH, clean=True, log=folder / "tfa.log")
            for name in _STAGES:
                shutil.copy2(scratch / "build/qemu/release" / name, folder / name)
            shutil.copy2(tree / "tools/fiptool/fiptool", folder / "fiptool")

    return cache.entry(f"tfa/{version}-{cache.key(1, FLAGS)}", make)


def write_flash(tfa: Path, images: Path, flash: Path) -> None:
    """Pack the stages in `tfa` and the OP-TEE images in `images` into `flash`."""
    package = flash.with_suffix(".fip")
    words: list[str | Path] = [tfa / "fiptool", "create"]
    words += ["--tb-fw", tfa / "bl2.bin", "--soc-fw", tfa / "bl31.bin"]
    for slot, name in zip(_SLOTS, optee.IMAGES, strict=True):
        words += [slot, images / name]
    process.run([*words, package])
    bl1 = (tfa / "bl1.bin").read_bytes()
    flash.write_bytes(bl1.ljust(FIP_OFFSET, b"\0") + package.read_bytes())
    package.unlink()
