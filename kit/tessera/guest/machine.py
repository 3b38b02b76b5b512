"""A booted guest: OP-TEE and Linux under QEMU, ready for commands.

Goal: `with boot(build) as guest:` gives a Linux with a working `/dev/tee0`; leaving the block
ends QEMU; a panic or a hang becomes one error that shows the last lines of both consoles.
Non-goals: what is run in it (see `tessera.guest.scenarios`).
"""

from __future__ import annotations

import base64
import re
import shlex
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tessera.errors import TesseraError
from tessera.guest import cache, devicetree, initramfs, process, qemu, tfa, toolchain
from tessera.guest.build import Build
from tessera.guest.console import Console, RunResult, Silent

BOOT_TIMEOUT = 120.0  # seconds; about 3 are needed, more on a loaded machine
LOG_FOLDER = Path("out/guest")
_PANIC_LINE = re.compile(r"^.*(Kernel panic|E/TC:.* Panic ).*$", re.MULTILINE)
T = TypeVar("T")
_CORE_PANIC = re.compile(rb"E/TC:[^\n]* Panic ")


class GuestError(TesseraError):
    """A guest that panicked, hung or did not come up; the message ends with both consoles."""


class Guest:
    """A running guest. `ready_seconds` is the time from QEMU's start to the first command."""

    def __init__(self, machine: qemu.Qemu, console_log: Path, secure_log: Path) -> None:
        self._qemu = machine
        self.console_log = console_log
        self.secure_log = secure_log
        self._console = Console(machine.console, self._why_dead)
        self._guarded(lambda: self._console.wait_ready(BOOT_TIMEOUT))
        self.ready_seconds = time.monotonic() - machine.started

    def run(self, command: str, timeout: float = 60.0) -> RunResult:
        """Run a shell command as root in the guest; it is ended after `timeout` seconds.

        Raises `GuestError` when the guest panics or hangs.
        """
        return self._guarded(lambda: self._console.run(command, timeout))

    def read_file(self, path: str) -> bytes:
        """The content of a small file in the guest. Raises `GuestError` when it is not there."""
        result = self.run(f"base64 {shlex.quote(path)}")
        if result.status != 0:
            raise GuestError(f"cannot read {path} in the guest: {result.output}", where=path)
        return base64.b64decode(result.output)

    def secure_ram(self) -> bytes:
        """Stop the guest and return all of its secure RAM (16 MiB from `qemu.SECURE_RAM_BASE`).

        The guest stays stopped until `cont`.
        """
        self._qemu.command("stop")
        return self._qemu.read_physical(qemu.SECURE_RAM_BASE, qemu.SECURE_RAM_SIZE)

    def instructions(self) -> int:
        """Instructions that a stopped guest has executed; it was booted with `counting`."""
        return self._qemu.instructions()

    def cont(self) -> None:
        """Let a stopped guest go on."""
        self._qemu.command("cont")

    def consoles(self, lines: int = 12) -> str:
        """The last lines of both consoles, for people; a panic is shown from its first line on."""
        parts = []
        for name, path in (("Linux", self.console_log), ("OP-TEE", self.secure_log)):
            text = path.read_text(errors="replace") if path.is_file() else ""
            shown = process.tail(text, lines)
            panic = _PANIC_LINE.search(text)
            if panic is not None and panic.group(0) not in shown:
                shown = f"    {panic.group(0)}\n    ...\n{shown}"
            parts.append(f"  {name} console ({path}):\n{shown}")
        return "\n".join(parts)

    def _guarded(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except Silent as silence:
            raise GuestError(
                f"the guest failed: {silence.reason}\n{self.consoles()}",
                where=str(self.console_log),
                remedy="read the whole console logs named above",
            ) from silence

    def _why_dead(self) -> str:
        if self._qemu.expired:
            return "the guest used up its lifetime"
        if self._qemu.ended():
            return "the guest stopped (a panic of Linux or TF-A ends QEMU)"
        try:
            secure = self.secure_log.read_bytes()
        except OSError:
            return ""
        return "OP-TEE panicked" if _CORE_PANIC.search(secure) else ""


@contextmanager
def boot(
    build: Build,
    *,
    tas: Iterable[Path] = (),
    extra_files: Mapping[str, Path | bytes] | None = None,
    name: str = "guest",
    log_folder: Path | None = None,
    lifetime: float = qemu.LIFETIME,
    watch: Callable[[socket.socket], None] | None = None,
    counting: bool = False,
) -> Iterator[Guest]:
    """Boot `build` with trusted applications `tas` and `extra_files` (guest path -> content).

    Console logs go to `<log_folder>/<name>.linux.log` and `.optee.log`. QEMU is killed
    after `lifetime` seconds at the latest. With `watch` the guest has one processor and waits for
    its gdb stub, whose socket `watch` is given and must serve from a thread of its own. With
    `counting` it has one processor as well, and its instructions are counted. Raises
    `TesseraError` when parts are missing or the guest does not come up.
    """
    cpus = 1 if watch is not None or counting else qemu.CPUS
    parts = toolchain.require()
    console_log, secure_log = _fresh_logs((log_folder or LOG_FOLDER).resolve(), name)
    kernel = next((parts.package(parts.kernel) / "boot").glob("vmlinuz-*"))
    with cache.scratch("boot") as scratch:
        archive, tree = scratch / "initramfs.cpio", scratch / "guest.dtb"
        initramfs.with_files(parts, [*build.own_tas, *tas], extra_files or {}, archive)
        devicetree.write(qemu.machine_words(cpus), archive.stat().st_size, tree)
        words = [
            *("-bios", str(build.flash), "-dtb", str(tree)),
            *("-device", f"loader,file={kernel},addr={tfa.KERNEL_ADDRESS:#x}"),
            *("-device", f"loader,file={archive},addr={devicetree.INITRD_ADDRESS:#x}"),
        ]
        halted = watch is not None
        machine = qemu.Qemu(
            words,
            console_log,
            secure_log,
            lifetime,
            cpus=cpus,
            halted=halted,
            counting=counting,
        )
        try:
            if watch is not None:
                watch(machine.debugger)
            yield Guest(machine, console_log, secure_log)
        finally:
            machine.kill()


def _fresh_logs(folder: Path, name: str) -> tuple[Path, Path]:
    """The paths of both console logs, with the logs of an earlier run removed."""
    logs = folder / f"{name}.linux.log", folder / f"{name}.optee.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for log in logs:
            log.unlink(missing_ok=True)
            log.touch()
    except OSError as error:
        raise TesseraError(
            f"cannot write the guest's logs: {error.strerror}",
            where=str(error.filename or folder),
            remedy="work in a folder that you may write to",
        ) from error
    return logs
