"""Watching a guest through QEMU's gdb stub from a thread of its own, from the boot of OP-TEE on.

Goal: what every watcher needs: where the core has mapped itself (ASLR), records and symbols read
out of the running core, and an end that is told: a watching that broke off never looks whole.
Non-goals: what is watched (see `tessera.guest.recorder` and `tessera.guest.meter`).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from abc import ABC, abstractmethod

from tessera.errors import TesseraError
from tessera.guest.gdbstub import Registers, Stub, StubLost
from tessera.guest.layout import Layout
from tessera.guest.pooltrace import CORE
from tessera.guest.poolview import ADDRESSES

_SIGNED_16 = 1 << 15
_FINISH = 60.0  # seconds until a watcher that was told to stop has stopped


class Watcher(ABC):
    """Give it to `machine.boot` as `watch`; call `finish` while the guest is idle.

    `offset` is what the core adds to linked addresses, `stops` how often the guest was stopped.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.stops = 0
        self.offset = 0
        self._failure: TesseraError | None = None
        self._whole = False  # it watched until it was told to stop
        self._stub: Stub | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def _watch_calls(self, stub: Stub) -> None:
        """Set the places to stop at, once the core has mapped itself."""

    @abstractmethod
    def _look(self, stub: Stub) -> None:
        """See what the guest stopped at."""

    @abstractmethod
    def _cut(self, why: str) -> TesseraError:
        """The error for a watching that is not whole."""

    def __call__(self, connection: socket.socket) -> None:
        """Watch the guest behind this gdb stub, from a thread of its own."""
        self._stub = Stub(connection)
        self._thread = threading.Thread(target=self._run, args=(self._stub,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Stop the guest and the watching. Raises the error that ended the watching early."""
        if self._stub is None or self._thread is None:
            raise TesseraError("nothing was recorded: the guest was never watched")
        with contextlib.suppress(StubLost):
            if self._failure is None:
                self._stub.interrupt()
        self._thread.join(_FINISH)
        if self._thread.is_alive():
            raise self._cut("QEMU's gdb stub does not stop the guest")
        if self._failure is not None:
            raise self._cut(self._failure.message)
        if not self._whole:
            raise self._cut("the recorder ended on its own")

    # --- watching --------------------------------------------------------------------------------

    def _run(self, stub: Stub) -> None:
        try:
            stub.ask("?")
            self._find_offset(stub)
            self._watch_calls(stub)
            while stub.go_on() is not None:
                self._look(stub)
            self._whole = True
        except TesseraError as error:
            self._failure = error
        except Exception as error:  # of our own: a trace that ends early must never look whole
            self._failure = TesseraError(f"the recorder failed: {error!r}")
        if self._failure is not None:
            with contextlib.suppress(TesseraError):
                stub.ask("D")  # let the guest go, or whoever waits for it waits in vain

    def _find_offset(self, stub: Stub) -> None:
        """Wait until the core has decided where it maps itself (ASLR)."""
        entry = self.layout.symbol("core_init_mmu_map")
        regs = self._wait_for(stub, entry)
        config, back = regs.x[1], regs.link
        self._wait_for(stub, back)
        self.offset = stub.number(config + self.layout.field("core_mmu_config.map_offset"))

    def _wait_for(self, stub: Stub, address: int) -> Registers:
        stub.watch(address)
        while True:
            if stub.go_on() is None:
                raise StubLost("the guest was stopped before OP-TEE had set itself up")
            regs = stub.registers()
            if regs.pc == address:
                stub.unwatch(address)
                return regs

    # --- reading ---------------------------------------------------------------------------------

    def _field(self, stub: Stub, record: int, name: str, size: int = 8) -> int:
        return stub.number(record + self.layout.field(name), size)

    def _owner(self, stub: Stub) -> str:
        """The UUID of the TA whose context is active on the present thread, as the core sees it."""
        local = self._array(stub, "thread_core_local")
        if not local:
            return CORE
        thread = self._field(stub, local, "thread_core_local.curr_thread", 2)
        threads = self._array(stub, "threads")
        if thread >= _SIGNED_16 or not threads:
            return CORE
        record = threads + thread * self.layout.size("thread_ctx")
        data = record + self.layout.field("thread_ctx.tsd")
        context = self._field(stub, data, "thread_specific_data.ctx")
        if not context:
            return CORE
        raw = stub.read(context + self.layout.field("ts_ctx.uuid"), 16)
        return str(uuid.UUID(bytes_le=raw))

    def _mapped(self, *names: str) -> int:
        """Where a symbol is once the core has mapped itself, perhaps below its linked address."""
        return (self.layout.symbol(*names) + self.offset) & ADDRESSES

    def _array(self, stub: Stub, name: str) -> int:
        """Where an array lies: some releases have it in the variable, some point to it."""
        address = self._mapped(name)
        return stub.number(address) if self.layout.is_pointer(name) else address
