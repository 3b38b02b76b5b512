"""Recording every operation on the physical page pools of a booting and running OP-TEE.

Goal: the calls of `tee_mm_alloc_flags`, `tee_mm_alloc2` and `tee_mm_free` on these pools, in their
order, with what they were asked and what came out, read through QEMU's gdb stub: the OP-TEE under
test is unchanged.
Non-goals: judging (see `tessera.conform.guest`), and pools of virtual addresses.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.guest.gdbstub import Registers, Stub, StubLost
from tessera.guest.layout import Layout
from tessera.guest.pooltrace import CORE, Operation, Pool
from tessera.guest.poolview import ADDRESSES

_SIGNED_16 = 1 << 15
_FINISH = 60.0  # seconds until a recorder that was told to stop has stopped


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that has not come back."""

    kind: str
    pool: int
    asked: int
    at: int
    owner: str
    back: int  # the address that it returns to
    sp: int


class Recorder:
    """Give it to `machine.boot` as `watch`; call `finish` while the guest is idle.

    `operations` and `pools` hold what has been seen; `offset` is what the core adds to linked
    addresses.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.operations: list[Operation] = []
        self.pools: dict[int, Pool] = {}
        self.others = 0  # calls on other pools
        self.stops = 0
        self.offset = 0
        self._failure: TesseraError | None = None
        self._whole = False  # it watched until it was told to stop
        self._call: _Call | None = None
        self._backs: set[int] = set()
        self._entries: dict[int, str] = {}
        self._stub: Stub | None = None
        self._thread: threading.Thread | None = None

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
        if self._call is not None:
            raise self._cut(f"a call of {self._call.kind} has not come back")
        if not self.pools:
            raise self._cut("no page pool was ever used")

    def _cut(self, why: str) -> TesseraError:
        return TesseraError(
            f"the trace is cut short after {len(self.operations)} operations: {why}",
            where="QEMU's gdb stub",
            remedy="run it again; if it stays, read the guest's console logs",
        )

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

    def _watch_calls(self, stub: Stub) -> None:
        names = {"alloc": ("tee_mm_alloc_flags", "tee_mm_alloc"), "alloc_at": ("tee_mm_alloc2",)}
        for kind, symbols in {**names, "free": ("tee_mm_free",)}.items():
            address = self._mapped(*symbols)
            self._entries[address] = kind
            stub.watch(address)

    def _look(self, stub: Stub) -> None:
        """See what the guest stopped at."""
        self.stops += 1
        regs = stub.registers()
        call = self._call
        if call is not None and (regs.pc, regs.sp) == (call.back, call.sp):
            self._call = None
            self._came_back(stub, call, regs.x[0])
        kind = self._entries.get(regs.pc)
        if kind is not None:
            self._called(stub, kind, regs)

    def _called(self, stub: Stub, kind: str, regs: Registers) -> None:
        entry = regs.x[0] if kind == "free" else 0
        if kind == "free" and not entry:
            return
        pool = self._field(stub, entry, "_tee_mm_entry_t.pool") if entry else regs.x[0]
        if not self._is_physical(stub, pool):
            self.others += 1
            return
        if self._call is not None:
            raise TesseraError(
                f"a {kind} began before the last {self._call.kind} had ended: their order is "
                "not known"
            )
        if kind == "free":
            offset, size = self._extent(stub, entry)
            freed = Operation(kind, pool, entry, offset, size, owner=self._owner(stub))
            self.operations.append(freed)
            return
        at = regs.x[1] if kind == "alloc_at" else 0
        asked = regs.x[2] if kind == "alloc_at" else regs.x[1]
        self._call = _Call(kind, pool, asked, at, self._owner(stub), regs.link, regs.sp)
        if regs.link not in self._backs:
            self._backs.add(regs.link)
            stub.watch(regs.link)

    def _came_back(self, stub: Stub, call: _Call, entry: int) -> None:
        offset, size = self._extent(stub, entry) if entry else (-1, 0)
        self.operations.append(
            Operation(
                call.kind, call.pool, entry, offset, size, call.asked, call.at, owner=call.owner
            )
        )

    # --- reading ---------------------------------------------------------------------------------

    def _is_physical(self, stub: Stub, pool: int) -> bool:
        if pool in self.pools:
            return True
        names = ("nex_core_pool", "nex_ta_pool")
        if pool not in [stub.number(self._mapped(name)) for name in names]:
            return False
        base, size = (self._field(stub, pool, f"_tee_mm_pool_t.{n}") for n in ("lo", "size"))
        shift = self._field(stub, pool, "_tee_mm_pool_t.shift", 1)
        self.pools[pool] = Pool(pool, base, size, shift)
        return True

    def _extent(self, stub: Stub, entry: int) -> tuple[int, int]:
        offset = self._field(stub, entry, "_tee_mm_entry_t.offset", 4)
        return offset, self._field(stub, entry, "_tee_mm_entry_t.size", 4)

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
