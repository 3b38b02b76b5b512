"""A client of QEMU's gdb stub: stop a guest at addresses, read its registers and memory.

Goal: the few packets of gdb's remote serial protocol that watching needs, over a connected unix
socket; a stub that leaves is `StubLost`, never silence.
Non-goals: changing anything in the guest, and knowing what runs there (see
`tessera.guest.recorder`).
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass

from tessera.errors import TesseraError

TIMEOUT = 30.0  # seconds for an answer to a packet other than one that lets the guest run
_GENERAL = 31  # x0 to x30 come first in the answer to `g`, then sp and pc, each of 8 bytes
_INTERRUPT = b"\x03"
_STEP, _STEP_WITHOUT_INTERRUPTS = 1, 2  # QEMU's own flags; 4 stops the clock
STOPPED_BY_US = 2  # SIGINT, in the stub's answer


class StubLost(TesseraError):
    """The stub left, or does not answer any more."""


@dataclass(frozen=True, slots=True)
class Registers:
    """The general registers of the stopped AArch64 processor."""

    x: tuple[int, ...]  # x0 to x30
    sp: int
    pc: int

    @property
    def link(self) -> int:
        """The address that the present function returns to, at its entry."""
        return self.x[30]


class Stub:
    """A connection to the stub of a guest with one processor, which is stopped at first.

    One thread talks; `interrupt` may be called from another.
    """

    def __init__(self, connection: socket.socket, timeout: float = TIMEOUT) -> None:
        self._socket = connection
        self._timeout = timeout
        self._buffer = b""
        self._lock = threading.Lock()
        self._leaving = False

    # --- packets ---------------------------------------------------------------------------------

    def ask(self, command: str) -> str:
        """Send one packet and return the answer. Raises `StubLost`; `TesseraError` on a refusal."""
        self._send(command)
        answer = self._receive(self._timeout)
        if answer.startswith("E") and len(answer) == 3:
            raise TesseraError(
                f"QEMU's gdb stub refuses {command[:40]}: {answer}", where="gdb stub"
            )
        return answer

    def _send(self, command: str) -> None:
        data = command.encode("ascii")
        try:
            self._socket.sendall(b"$" + data + b"#" + f"{sum(data) & 0xFF:02x}".encode())
        except OSError as error:
            raise StubLost(f"QEMU's gdb stub is gone: {error}", where="gdb stub") from error

    def _receive(self, timeout: float | None) -> str:
        """The next packet; acknowledgements are skipped."""
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start)
            if start >= 0 and 0 <= end <= len(self._buffer) - 3:
                packet = self._buffer[start + 1 : end]
                told = self._buffer[end + 1 : end + 3]
                self._buffer = self._buffer[end + 3 :]
                if told.decode("ascii", "replace") != f"{sum(packet) & 0xFF:02x}":
                    raise StubLost("QEMU's gdb stub sent a broken packet", where="gdb stub")
                self._acknowledge()
                return packet.decode("ascii", "replace")
            self._fill(timeout)

    def _acknowledge(self) -> None:
        try:
            self._socket.sendall(b"+")
        except OSError as error:
            raise StubLost(f"QEMU's gdb stub is gone: {error}", where="gdb stub") from error

    def _fill(self, timeout: float | None) -> None:
        try:
            self._socket.settimeout(timeout)
            chunk = self._socket.recv(65536)
        except OSError as error:  # a timeout is one as well
            raise StubLost(f"QEMU's gdb stub does not answer: {error}", where="gdb stub") from error
        if not chunk:
            raise StubLost("QEMU's gdb stub left: the guest ended", where="gdb stub")
        self._buffer += chunk

    # --- looking ---------------------------------------------------------------------------------

    def registers(self) -> Registers:
        """The registers of the stopped processor."""
        answer = self.ask("g")
        try:
            raw = bytes.fromhex(answer[: 16 * (_GENERAL + 2)])
        except ValueError as error:
            raise StubLost("QEMU's gdb stub sent broken registers", where="gdb stub") from error
        if len(raw) < 8 * (_GENERAL + 2):
            raise StubLost("QEMU's gdb stub sent too few registers", where="gdb stub")
        words = [int.from_bytes(raw[i : i + 8], "little") for i in range(0, len(raw), 8)]
        return Registers(tuple(words[:_GENERAL]), words[_GENERAL], words[_GENERAL + 1])

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of memory as the stopped processor sees it.

        Raises `TesseraError` where nothing is mapped.
        """
        answer = self.ask(f"m{address:x},{size:x}")
        try:
            content = bytes.fromhex(answer)
        except ValueError as error:
            raise StubLost("QEMU's gdb stub sent broken memory", where="gdb stub") from error
        if len(content) != size:
            raise TesseraError(
                f"QEMU's gdb stub gave {len(content)} of {size} bytes at {address:#x}",
                where="gdb stub",
            )
        return content

    def number(self, address: int, size: int = 8) -> int:
        """The unsigned little-endian number at an address."""
        return int.from_bytes(self.read(address, size), "little")

    def watch(self, address: int) -> None:
        """Stop whenever the instruction at `address` is next."""
        if self.ask(f"Z0,{address:x},4") != "OK":
            raise TesseraError("QEMU's gdb stub sets no breakpoints", where="gdb stub")

    def unwatch(self, address: int) -> None:
        """Do not stop there any more."""
        self.ask(f"z0,{address:x},4")

    def keep_time(self) -> None:
        """Let the guest's clock go on in single steps, which take no interrupts even so.

        Where QEMU counts instructions, it may stand still for good when a step stops the clock.
        """
        if self.ask(f"Qqemu.sstep={_STEP | _STEP_WITHOUT_INTERRUPTS:x}") != "OK":
            raise TesseraError("QEMU's gdb stub does not say how it steps", where="gdb stub")

    # --- running ---------------------------------------------------------------------------------

    def go_on(self) -> int | None:
        """Let the guest run until it stops; the number of the signal that stopped it.

        The instruction at which it stands is stepped over first, or it would stop there again.
        None when `interrupt` was called: the guest then stays stopped.
        """
        for command, timeout in (("s", self._timeout), ("c", None)):
            with self._lock:
                if self._leaving:
                    return None
                self._send(command)
            signal = self._stopped(timeout)
            if command == "s" and signal == STOPPED_BY_US:
                return signal
        return signal

    def _stopped(self, timeout: float | None) -> int:
        answer = self._receive(timeout)
        if answer[:1] in ("W", "X"):
            raise StubLost("QEMU's gdb stub says that the guest ended", where="gdb stub")
        if answer[:1] not in ("S", "T"):
            raise StubLost(f"QEMU's gdb stub said {answer[:40]!r} for a stop", where="gdb stub")
        return int(answer[1:3], 16)

    def interrupt(self) -> None:
        """Stop the guest and end the watching; to be called by another thread."""
        with self._lock:
            self._leaving = True
            try:
                self._socket.sendall(_INTERRUPT)
            except OSError as error:
                raise StubLost(f"QEMU's gdb stub is gone: {error}", where="gdb stub") from error
