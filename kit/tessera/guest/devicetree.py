"""The guest's device tree: QEMU's own, with the initramfs and the kernel's arguments put in.

Goal: one edited .dtb per boot.
Non-goals: OP-TEE's nodes (OP-TEE adds them itself while it boots).
"""

from __future__ import annotations

from pathlib import Path

from tessera.guest import process

INITRD_ADDRESS = 0x48000000
# A panic reboots at once, which ends QEMU (-no-reboot); `quiet` keeps the console for commands.
BOOT_ARGUMENTS = "console=ttyAMA0 quiet loglevel=3 panic=-1 oops=panic rdinit=/init"


def write(machine: list[str], initrd_size: int, target: Path) -> None:
    """Dump the tree of the QEMU `machine` (command words) and edit it, into `target`."""
    words = list(machine)
    words[words.index("-M") + 1] += f",dumpdtb={target}"
    process.run(words, timeout=60)
    _put(target, "-t", "x", "/chosen", "linux,initrd-start", f"{INITRD_ADDRESS:x}")
    _put(target, "-t", "x", "/chosen", "linux,initrd-end", f"{INITRD_ADDRESS + initrd_size:x}")
    _put(target, "-t", "s", "/chosen", "bootargs", BOOT_ARGUMENTS)


def _put(target: Path, kind: str, name: str, node: str, prop: str, value: str) -> None:
    process.run(["fdtput", kind, name, target, node, prop, value])
