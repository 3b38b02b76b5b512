"""Building TF-A for QEMU around OP-TEE, and the flash image that QEMU boots.

Goal: one flash file: BL1 at 0, the firmware package at 256 KiB, with OP-TEE inside.
Non-goals: caching (see `tessera.guest.build`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tessera.guest import optee, process

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


def compile_flash(source: Path, images: Path, scratch: Path, flash: Path, log: Path) -> None:
    """Build TF-A from a copy of `source` with the OP-TEE images of `images` into `flash`.

    Raises `TesseraError` with the compiler's last lines.
    """
    tree = scratch / "tfa"
    shutil.copytree(source, tree, symlinks=True)
    names = ("BL32", "BL32_EXTRA1", "BL32_EXTRA2")
    bl32 = [f"{name}={images / file}" for name, file in zip(names, optee.IMAGES, strict=True)]
    process.run(
        [
            "make",
            "-C",
            tree,
            f"-j{min(os.cpu_count() or 1, 8)}",
            *FLAGS,
            *bl32,
            f"CROSS_COMPILE={optee.CROSS}",
            f"BUILD_BASE={scratch / 'tfa-build'}",
            "all",
            "fip",
        ],
        env=optee.EPOCH,
        clean=True,
        log=log,
    )
    out = scratch / "tfa-build/qemu/release"
    bl1 = (out / "bl1.bin").read_bytes()
    flash.write_bytes(bl1.ljust(FIP_OFFSET, b"\0") + (out / "fip.bin").read_bytes())
