"""Recording every operation on the physical page pools of a booting and running OP-TEE.

Goal: the calls of `tee_mm_alloc_flags`, `tee_mm_alloc2` and `tee_mm_free` on these pools, in their
order, with what they were asked and what came out, read through QEMU's gdb stub: the OP-TEE under
test is unchanged.
Non-goals: judging (see `tessera.conform.guest`), and pools of virtual addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.guest.gdbstub import Registers, Stub
from tessera.guest.layout import Layout
from tessera.guest.pooltrace import Operation, Pool
from tessera.guest.watcher import Watcher


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


class Recorder(Watcher):
    """Give it to `machine.boot` as `watch`; call `finish` while the guest is idle.

    `operations` and `pools` hold what has been seen.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.operations: list[Operation] = []
        self.pools: dict[int, Pool] = {}
        self.others = 0  # calls on other pools
        self._call: _Call | None = None
        self._backs: set[int] = set()
        self._entries: dict[int, str] = {}

    def finish(self) -> None:
        """Stop the guest and the watching. Raises the error that ended the watching early."""
        super().finish()
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
