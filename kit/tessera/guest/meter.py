"""Counting the instructions of single calls in a booted OP-TEE, from outside.

Goal: for each call of the functions that a policy touches, the instructions between its first one
and the one that it returns to, read from QEMU's own count while the gdb stub holds the guest; the
OP-TEE under test is unchanged. What Linux does meanwhile, asked by OP-TEE or by an interrupt, is
taken off; leaving and coming back are not, so the least of several equal calls is the figure to
look at.
Non-goals: time, caches, and what real hardware makes of it; judging.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.guest.gdbstub import Registers, Stub
from tessera.guest.layout import Layout
from tessera.guest.watcher import Watcher

OPEN, CLOSE, ALLOC, FREE = "open", "close", "alloc", "free"
_FUNCTIONS = {
    OPEN: ("tee_ta_open_session",),
    CLOSE: ("tee_ta_close_session",),
    ALLOC: ("tee_mm_alloc_flags", "tee_mm_alloc"),
    FREE: ("sec_mem_free",),
}
_UNLINK = "unlink"  # tee_mm_free, inside of FREE: it tells what is freed
_LEAVE = "leave"  # a thread is put aside, on its way to Linux
_BACK = "back"  # it goes on
_MARKS = {
    _UNLINK: ("tee_mm_free",),
    _LEAVE: ("thread_state_suspend",),
    _BACK: ("thread_resume",),
}
_POOLS = ("nex_core_pool", "nex_ta_pool")


@dataclass(frozen=True, slots=True)
class Counted:
    """One call that has come back.

    `size` is that of the block in bytes and `block` the address of its entry in the pool's list,
    both 0 for sessions and where a request was refused; `depth` is how many other calls it was
    made in.
    """

    phase: str
    kind: str
    instructions: int
    size: int
    block: int
    owner: str  # UUID of the TA whose context was active
    depth: int


@dataclass(slots=True)
class _Call:
    kind: str
    back: int
    sp: int
    start: int  # the count, less what was away before
    owner: str
    shift: int
    depth: int
    size: int = 0
    block: int = 0


class Meter(Watcher):
    """Counts once `begin` has said what the calls to come are for; `counted` holds them in order.

    One thing may happen at a time in the guest, which has one processor.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.counted: list[Counted] = []
        self._phase = ""
        self._counter: Callable[[], int] = lambda: 0
        self._away = 0  # instructions since `begin` for which Linux had the processor
        self._left: int | None = None  # the count when it got it, while it has it
        self._calls: list[_Call] = []
        self._entries: dict[int, str] = {}
        self._backs: set[int] = set()
        self._shifts: dict[int, int] = {}  # of the physical pools seen, by the address of a record

    def begin(self, phase: str, counter: Callable[[], int]) -> None:
        """From now on calls are counted with `counter` and belong to `phase`; the guest is idle."""
        self._counter = counter
        self._phase = phase

    def finish(self) -> None:
        """Stop the guest and the watching. Raises the error that ended the watching early."""
        super().finish()
        if self._calls:
            raise self._cut(f"a call of {self._calls[-1].kind} has not come back")

    def _cut(self, why: str) -> TesseraError:
        return TesseraError(
            f"the counting broke off after {len(self.counted)} calls: {why}",
            where="QEMU's gdb stub",
            remedy="run it again; if it stays, read the guest's console logs",
        )

    # --- watching --------------------------------------------------------------------------------

    def _find_offset(self, stub: Stub) -> None:
        stub.keep_time()
        super()._find_offset(stub)

    def _watch_calls(self, stub: Stub) -> None:
        for kind, symbols in {**_FUNCTIONS, **_MARKS}.items():
            address = self._mapped(*symbols)
            self._entries[address] = kind
            stub.watch(address)

    def _look(self, stub: Stub) -> None:
        self.stops += 1
        if not self._phase:
            return
        regs = stub.registers()
        if regs.pc in self._backs:
            self._came_back(stub, regs)
        kind = self._entries.get(regs.pc)
        if kind == _UNLINK:
            self._unlinked(stub, regs.x[0])
        elif kind == _LEAVE:
            self._left = self._counter()
        elif kind == _BACK:
            self._came_from_linux()
        elif kind is not None:
            self._called(stub, kind, regs)

    def _came_from_linux(self) -> None:
        if self._left is not None:  # else a thread that starts
            self._away += self._counter() - self._left
        self._left = None

    def _called(self, stub: Stub, kind: str, regs: Registers) -> None:
        shift = self._shift_of(stub, regs.x[0]) if kind == ALLOC else 0
        if shift is None:
            return  # a pool of virtual addresses
        owner = self._owner(stub)
        depth, start = len(self._calls), self._counter() - self._away
        self._calls.append(_Call(kind, regs.link, regs.sp, start, owner, shift, depth))
        if regs.link not in self._backs:
            self._backs.add(regs.link)
            stub.watch(regs.link)

    def _unlinked(self, stub: Stub, entry: int) -> None:
        call = self._calls[-1] if self._calls else None
        if call is None or call.kind != FREE or not entry:
            return
        shift = self._shift_of(stub, self._field(stub, entry, "_tee_mm_entry_t.pool"))
        call.block = entry
        call.size = self._field(stub, entry, "_tee_mm_entry_t.size", 4) << (shift or 0)

    def _came_back(self, stub: Stub, regs: Registers) -> None:
        at = (regs.pc, regs.sp)
        found = next((c for c in reversed(self._calls) if (c.back, c.sp) == at), None)
        if found is None:
            return  # the same code, come to by another way
        if found is not self._calls[-1]:
            raise TesseraError(f"a call of {self._calls[-1].kind} was left without a return")
        self._calls.pop()
        entry = regs.x[0]
        if found.kind == ALLOC and entry:
            granules = self._field(stub, entry, "_tee_mm_entry_t.size", 4)
            found.size, found.block = granules << found.shift, entry
        spent = self._counter() - self._away - found.start
        if spent <= 0:
            raise TesseraError("QEMU counts no instructions")
        self.counted.append(
            Counted(
                self._phase,
                found.kind,
                spent,
                found.size,
                found.block,
                found.owner,
                found.depth,
            )
        )

    def _shift_of(self, stub: Stub, pool: int) -> int | None:
        """The granule of a physical pool, as a shift; None for other pools."""
        if pool not in self._shifts:
            if pool not in [stub.number(self._mapped(name)) for name in _POOLS]:
                return None
            self._shifts[pool] = self._field(stub, pool, "_tee_mm_pool_t.shift", 1)
        return self._shifts[pool]
