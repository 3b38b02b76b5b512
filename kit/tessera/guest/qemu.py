"""The QEMU process: started in a group of its own, bounded, watched over, never left behind.

Goal: a child that dies with us however we end (normal exit, exception, Ctrl-C, kill), with its
consoles logged by QEMU itself, and QMP to stop it and to look into its memory.
Non-goals: what is said on the console (see `tessera.guest.console`).
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tessera.errors import TesseraError
from tessera.guest import process, toolchain

PROGRAM = "qemu-system-aarch64"
MACHINE = "virt,secure=on,gic-version=3,acpi=off"  # acpi=off both when dumping and when running
CPUS = 2
MEMORY_MIB = 1024
LIFETIME = 3600.0  # seconds after which QEMU is killed, whatever it does
SECURE_RAM_BASE = 0x0E000000
SECURE_RAM_SIZE = 16 * 1024 * 1024


def machine_words(cpus: int = CPUS) -> list[str]:
    """The words that describe the machine; the same for the device-tree dump and the run."""
    if shutil.which(PROGRAM) is None:
        raise TesseraError("QEMU for ARM is not installed", where=PROGRAM, remedy=toolchain.MEND)
    words = [PROGRAM, "-M", MACHINE, "-cpu", "cortex-a53", "-smp", str(cpus)]
    return [*words, "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot"]


class Qemu:
    """A running QEMU with a console socket, a secure-console log and a QMP socket.

    With `halted` it also has a gdb stub, on `debugger`, and starts when that one says so. With
    `counting` an instruction takes a nanosecond of the guest's time, and all of them are counted.
    """

    def __init__(
        self,
        boot_words: list[str],
        console_log: Path,
        secure_log: Path,
        lifetime: float = LIFETIME,
        *,
        cpus: int = CPUS,
        halted: bool = False,
        counting: bool = False,
    ) -> None:
        self.expired = False
        self._asking = threading.Lock()
        self.console, theirs = socket.socketpair()
        self._qmp, qmp_theirs = socket.socketpair()
        self._buffer = b""
        self.debugger, stub = socket.socketpair()
        files = [theirs.fileno(), qmp_theirs.fileno(), stub.fileno()]
        words = [
            # Linux kills QEMU when this process dies, even by SIGKILL.
            *(["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []),
            *machine_words(cpus),
            *boot_words,
            "-chardev",
            f"socket,id=normal,fd={files[0]},logfile={_escape(console_log)}",
            "-serial",
            "chardev:normal",
            "-serial",
            f"file:{secure_log}",
            "-chardev",
            f"socket,id=monitor,fd={files[1]}",
            "-mon",
            "chardev=monitor,mode=control",
            *(_stub_words(files[2]) if halted else []),
            # Not sleep=off: a stop by the gdb stub would then move the clock to the next alarm, and
            # to the end of time where none is set.
            *(["-icount", "shift=0"] if counting else []),
        ]
        self.started = time.monotonic()
        with console_log.with_suffix(".qemu").open("wb") as errors:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=files if halted else files[:2],
                start_new_session=True,
            )
        theirs.close()
        qmp_theirs.close()
        stub.close()
        self._qmp.settimeout(20)
        self._ready_for_qmp = False
        self._clock = threading.Timer(lifetime, self._expire)
        self._clock.daemon = True
        self._clock.start()

    @property
    def pid(self) -> int:
        """The process id of QEMU."""
        return self._process.pid

    def ended(self) -> bool:
        """Whether QEMU has left."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End QEMU and everything it started."""
        self._clock.cancel()
        process.kill_group(self._process)
        self.console.close()
        self._qmp.close()
        self.debugger.close()

    def _expire(self) -> None:
        self.expired = True
        process.kill_group(self._process)

    def command(self, name: str, **arguments: object) -> Any:
        """Send a QMP command and return its answer. Raises `TesseraError` when QEMU refuses.

        May be called from any thread.
        """
        with self._asking:
            if not self._ready_for_qmp:
                self._read_message()  # the greeting
                self._ready_for_qmp = True
                self._ask("qmp_capabilities", {})
            return self._ask(name, arguments)

    def _ask(self, name: str, arguments: dict[str, object]) -> Any:
        self._qmp.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while True:
            message = self._read_message()
            if "error" in message:
                raise TesseraError(f"QEMU refused {name}: {message['error']}", where="QMP")
            if "return" in message:
                return message["return"]

    def instructions(self) -> int:
        """How many instructions the stopped guest has executed since its start, with `counting`.

        Raises `TesseraError` when this QEMU does not tell.
        """
        answer = self.command("query-replay")
        if not isinstance(answer, dict) or "icount" not in answer:
            raise TesseraError("QEMU does not tell its instruction count", where="QMP")
        return int(answer["icount"])

    def _read_message(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            try:
                chunk = self._qmp.recv(65536)
            except OSError as error:
                raise TesseraError("QEMU does not answer on its monitor", where="QMP") from error
            if not chunk:
                raise TesseraError("QEMU closed its monitor", where="QMP")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def read_physical(self, base: int, size: int) -> bytes:
        """`size` bytes of the guest's memory from physical address `base`, read from outside.

        QEMU names the address of the block in its own process, which is our child, so Linux lets
        us read it there. The guest should be stopped. Raises `TesseraError` when it cannot be read.
        """
        line = f"gpa2hva {base:#x}"
        answer = str(self.command("human-monitor-command", **{"command-line": line}))
        match = re.search(r"is (0x[0-9a-f]+)", answer)
        if match is None:
            raise TesseraError(f"QEMU does not map {base:#x}: {answer.strip()}", where="QMP")
        address = int(match.group(1), 16)
        try:
            with Path(f"/proc/{self.pid}/mem").open("rb", buffering=0) as memory:
                memory.seek(address)
                return _read_exactly(memory, size)
        except OSError as error:
            raise TesseraError(
                f"cannot read QEMU's memory: {error.strerror}",
                where=f"/proc/{self.pid}/mem",
                remedy="allow a parent to trace its children (kernel.yama.ptrace_scope <= 1)",
            ) from error


def _read_exactly(memory: Any, size: int) -> bytes:
    chunks = []
    left = size
    while left:
        chunk = memory.read(left)
        if not chunk:
            raise OSError(0, f"short read, {left} bytes missing")
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _stub_words(file: int) -> list[str]:
    """A gdb stub on a socket that is open already; the guest waits for it."""
    return ["-chardev", f"socket,id=stub,fd={file}", "-gdb", "chardev:stub", "-S"]


def _escape(path: Path) -> str:
    """A path inside a comma-separated QEMU option."""
    return str(path).replace(",", ",,")
