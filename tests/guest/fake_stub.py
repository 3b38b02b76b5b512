"""A stand-in for QEMU's gdb stub, and the layout of a made-up OP-TEE core."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from tessera.guest.layout import Layout


def packet(text: str) -> bytes:
    return f"${text}#{sum(text.encode()) & 0xFF:02x}".encode()


class FakeStub:
    """QEMU's side of a unix socket: a memory, breakpoints, and stops at a list of registers."""

    def __init__(self) -> None:
        self.ours, self._theirs = socket.socketpair()
        self.memory: dict[int, bytes] = {}
        self.stops: list[dict[int, int]] = []  # registers by number; 32 is the program counter
        self.watched: set[int] = set()
        self.asked: list[str] = []
        self.answer: Callable[[str], bytes | None] = lambda command: None
        self._regs: dict[int, int] = {}
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> socket.socket:
        self._thread.start()
        return self.ours

    def close(self) -> None:
        self._theirs.close()
        self.ours.close()

    def _serve(self) -> None:
        buffer = b""
        while True:
            try:
                chunk = self._theirs.recv(4096)
            except OSError:
                return
            if not chunk:
                return
            buffer += chunk
            if buffer.endswith(b"\x03"):
                self._theirs.sendall(packet("T02thread:01;"))
                buffer = b""
            while b"#" in buffer[:-2]:
                end = buffer.index(b"#")
                command = buffer[buffer.index(b"$") + 1 : end].decode()
                buffer = buffer[end + 3 :]
                self.asked.append(command)
                said = self.answer(command)
                said = self._default(command) if said is None else said
                if said == b"leave":
                    self._theirs.close()
                    return
                self._theirs.sendall(b"+" + said)

    def _default(self, command: str) -> bytes:
        match command[0]:
            case "g":
                words = [self._regs.get(i, 0).to_bytes(8, "little").hex() for i in range(33)]
                return packet("".join(words) + "0" * 8)
            case "m":
                address, size = (int(word, 16) for word in command[1:].split(","))
                for base, content in self.memory.items():
                    if base <= address and address + size <= base + len(content):
                        return packet(content[address - base :][:size].hex())
                return packet("E14")
            case "Z":
                self.watched.add(int(command.split(",")[1], 16))
                return packet("OK")
            case "z":
                self.watched.discard(int(command.split(",")[1], 16))
                return packet("OK")
            case "s" | "?":
                return packet("T05thread:01;")
            case "c":
                if not self.stops:
                    return b""  # runs on, until it is interrupted
                self._regs = self.stops.pop(0)
                return packet("T05thread:01;")
        return packet("OK")


OFFSET = (1 << 64) - 0x1000  # the core maps itself one page below its linked address
POOL, ENTRY, CODE = 0x9000, 0x9100, 0x5000
TA = "2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6"
LAYOUT = Layout(
    symbols={
        "core_init_mmu_map": (0x2000, 4),
        "tee_mm_alloc_flags": (0x3000, 4),
        "tee_mm_alloc2": (0x3100, 4),
        "tee_mm_free": (0x3200, 4),
        "nex_core_pool": (0x4000, 8),
        "nex_ta_pool": (0x4008, 8),
        "thread_core_local": (0x4010, 8),
        "threads": (0x4018, 8),
        "boot_mmu_config": (0x8000, 40),
    },
    fields={
        "core_mmu_config.map_offset": 32,
        "_tee_mm_pool_t.entry": 0,
        "_tee_mm_pool_t.lo": 8,
        "_tee_mm_pool_t.size": 16,
        "_tee_mm_pool_t.shift": 28,
        "_tee_mm_entry_t.pool": 0,
        "_tee_mm_entry_t.next": 8,
        "_tee_mm_entry_t.offset": 16,
        "_tee_mm_entry_t.size": 20,
        "thread_ctx.tsd": 8,
        "thread_core_local.curr_thread": 4,
        "thread_specific_data.ctx": 8,
        "ts_ctx.uuid": 0,
    },
    sizes={"thread_ctx": 32},
    where="tee.elf",
)


def words(*numbers: int) -> bytes:
    return b"".join(n.to_bytes(8, "little") for n in numbers)


def small(*numbers: int) -> bytes:
    return b"".join(n.to_bytes(4, "little") for n in numbers)
