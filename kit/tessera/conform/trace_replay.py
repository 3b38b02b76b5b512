"""A recorded run of page-pool operations, taken again by the simulator.

Goal: every operation of the trace as a step of the spec, one simulator per pool, with the same
outcome and the same place; the first one that comes out otherwise is the difference.
Non-goals: recording (see `tessera.guest.recorder`), and content: a trace holds no data.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from tessera.conform.worlds import Setting, setting_of
from tessera.errors import TesseraError
from tessera.guest.pooltrace import CORE, Operation, Pool, PoolTrace
from tessera.lang.typed import Spec
from tessera.model.script import Event, Value, World
from tessera.model.simulator import NotEnabled, Simulator

_SHOWN = 12  # operations before a difference that are shown with it


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far the simulator agrees: `taken` operations; `differs` and `steps` where it stopped."""

    taken: int
    counts: dict[str, int]
    differs: str = ""
    steps: tuple[str, ...] = ()  # the operations up to the difference, the last ones


@dataclass(frozen=True, slots=True)
class _Block:
    """A live entry: its name in the model, and what the trace says of it."""

    name: str
    owner: str  # in the model
    offset: int
    size: int


@dataclass(slots=True)
class _PoolRun:
    """One pool: its simulator, and its live entries by their address in the guest."""

    pool: Pool
    simulator: Simulator
    live: dict[int, _Block] = field(default_factory=dict)


def replay(spec: Spec, trace: PoolTrace) -> Replayed:
    """Take a trace in the simulator of `spec`.

    Raises `TesseraError` for a spec that is not one of the page pool, and for a trace that does not
    hold together: an entry that is freed without having been given, or a pool whose own list at
    the end is not what the operations leave.
    """
    return _Replay(spec, trace).take()


class _Replay:
    def __init__(self, spec: Spec, trace: PoolTrace) -> None:
        self.trace = trace
        self.setting: Setting = setting_of(spec)
        self.counts = dict.fromkeys(("operations", "allocations", "refusals", "frees"), 0)
        self.names = {CORE: "core"}
        for op in trace.operations:
            self.names.setdefault(op.owner, f"ta{len(self.names)}")
        self.runs = {pool.address: self._run_of(pool) for pool in trace.pools}

    def _run_of(self, pool: Pool) -> _PoolRun:
        operations = [op for op in self.trace.operations if op.pool == pool.address]
        simulator = Simulator(
            self.setting.spec, self._world(pool.granules, _most_live(operations) + 1)
        )
        for name in self.names.values():
            if name != "core":
                simulator.fire(Event("open", {"w": name}, {}))
        return _PoolRun(pool, simulator)

    def _world(self, granules: int, blocks: int) -> World:
        """A world with the TAs of the trace, each in the class that the spec gives its UUID."""
        spec = self.setting.spec
        lowest = self.setting.owners[0].kind
        kinds = {ta.uuid.lower(): c.name for c in spec.classes for ta in c.tas}
        scalars: dict[str, Value] = {name: param.value for name, param in spec.params.items()}
        scalars["pool_pages"] = granules
        tas = [name for name in self.names.values() if name != "core"]
        universe = {
            "owner": ("core", "nobody", *tas),
            "block": tuple(f"b{i + 1}" for i in range(blocks)),
        }
        table: dict[tuple[Value, ...], Value] = {("nobody",): lowest}
        for ta, name in self.names.items():
            table[(name,)] = kinds.get(ta, lowest) if ta != CORE else lowest
        return World(scalars, universe, {"class_of": table})

    # --- taking ----------------------------------------------------------------------------------

    def take(self) -> Replayed:
        """Up to the first difference, or to the end and the pools' own lists."""
        operations = self.trace.operations
        number = 0
        while number < len(operations):
            op = operations[number]
            after = operations[number + 1] if number + 1 < len(operations) else None
            said, used = self._step(op, after, number)
            if said:
                shown = operations[max(0, number - _SHOWN) : number + 1]
                steps = tuple(self._show(o) for o in shown)
                told = f"operation {number + 1}, {self._show(op)}: {said}"
                return Replayed(number, self.counts, told, steps)
            number += used
            self.counts["operations"] += used
        self._compare_lists()
        return Replayed(number, self.counts)

    def _step(self, op: Operation, after: Operation | None, number: int) -> tuple[str, int]:
        """Take an operation, or two that are one step; what differs, and how many were taken."""
        run = self.runs.get(op.pool)
        if run is None:
            raise _broken(number, f"no pool is at {op.pool:#x}")
        if op.kind != "free":
            return self._request(run, op, number), 1
        block = run.live.get(op.entry)
        if block is None:
            raise _broken(number, f"an entry is given back that was never taken: {op.entry:#x}")
        if (op.offset, op.size) != (block.offset, block.size):
            raise _broken(number, "an entry is given back at another place than it was taken")
        if after is not None and _is_shrink(op, block, after):
            return self._shrink(run, op, block, after), 2
        del run.live[op.entry]
        self.counts["frees"] += 1
        action = "free_core" if block.owner == "core" else "free"
        return _fire(run, Event(action, {"e": block.name}, {})), 1

    def _request(self, run: _PoolRun, op: Operation, number: int) -> str:
        """A request for memory: success or refusal, place and length must be the model's."""
        shift = run.pool.shift
        if not op.asked:
            raise _broken(number, "a request of 0 bytes, of which the model has no opinion")
        granules = ((op.asked - 1) >> shift) + 1
        event: Event | None
        if op.kind == "alloc_at":
            lo = (op.at - run.pool.base) >> shift
            granules = ((op.at - run.pool.base + op.asked - 1) >> shift) + 1 - lo
            event = self._enabled(run, "carve_out", o=lo, n=granules)
        elif op.owner == CORE:
            event = self._enabled(run, "alloc_core", n=granules)
        else:
            w = self.names[op.owner]
            event = self._enabled(run, "alloc", w=w, n=granules)
            event = event or self._enabled(run, "alloc_spill", w=w, n=granules)
        if event is None:
            self.counts["refusals"] += not op.entry
            return "the spec refuses" if op.entry else ""
        place = int(event.choices["o"] if "o" in event.choices else event.args["o"])
        if not op.entry:
            return f"the spec gives offset {place}"
        if (place, granules) != (op.offset, op.size):
            return f"the spec gives offset {place}, {granules} granules"
        if op.entry in run.live:
            raise _broken(number, f"an entry is taken twice: {op.entry:#x}")
        owner = "core" if event.action in ("carve_out", "alloc_core") else self.names[op.owner]
        self.counts["allocations"] += 1
        self.counts[event.action] = self.counts.get(event.action, 0) + 1
        run.live[op.entry] = _Block(str(event.choices["e"]), owner, op.offset, op.size)
        return _fire(run, event)

    def _shrink(self, run: _PoolRun, op: Operation, block: _Block, after: Operation) -> str:
        """A reservation that is given back and taken again in part keeps its content."""
        lo = (after.at - run.pool.base) >> run.pool.shift
        hi = ((after.at - run.pool.base + after.asked - 1) >> run.pool.shift) + 1
        del run.live[op.entry]
        if (after.offset, after.size) != (lo, hi - lo):
            return f"taken again at offset {after.offset}, {after.size} granules, not [{lo}, {hi})"
        for name in ("frees", "allocations", "shrink"):
            self.counts[name] = self.counts.get(name, 0) + 1
        run.live[after.entry] = _Block(block.name, "core", lo, hi - lo)
        return _fire(run, Event("shrink", {"e": block.name, "lo": lo, "hi": hi}, {}))

    @staticmethod
    def _enabled(run: _PoolRun, action: str, **args: Value) -> Event | None:
        choices = run.simulator.enabled(action, args)
        return None if choices is None else Event(action, args, choices)

    # --- the end ---------------------------------------------------------------------------------

    def _compare_lists(self) -> None:
        """The pools' own lists at the end; where they differ, a call was missed."""
        for address, run in self.runs.items():
            ours = sorted((b.offset, b.size) for b in run.live.values())
            theirs = [tuple(block) for block in self.trace.left.get(address, ())]
            if ours != theirs:
                raise TesseraError(
                    "the trace is not whole: the pool's own list at the end has "
                    f"{len(theirs)} blocks, the operations leave {len(ours)}",
                    where="the recorded trace",
                    remedy="record it again",
                )

    def _show(self, op: Operation) -> str:
        who = "the core" if op.owner == CORE else f"TA {uuid.UUID(op.owner)}"
        place = f"offset {op.offset}, {op.size} granules" if op.offset >= 0 else "refused"
        if op.kind == "free":
            return f"free of {place}"
        asked = f" at {op.at:#x}" if op.kind == "alloc_at" else ""
        return f"{op.kind} of {op.asked} bytes{asked} by {who}: OP-TEE: {place}"


def _most_live(operations: list[Operation]) -> int:
    """The most entries that are live at once."""
    live = most = 0
    for op in operations:
        live += -1 if op.kind == "free" else bool(op.entry)
        most = max(most, live)
    return most


def _is_shrink(op: Operation, block: _Block, after: Operation) -> bool:
    """Whether a part of what the core gives back is taken again by the very next operation."""
    return (
        block.owner == "core"
        and after.kind == "alloc_at"
        and after.pool == op.pool
        and after.entry != 0
        and op.offset <= after.offset
        and after.offset + after.size <= op.offset + op.size
    )


def _fire(run: _PoolRun, event: Event) -> str:
    """Take the step; what forbids it."""
    try:
        run.simulator.fire(event)
    except NotEnabled as error:
        return f"the spec refuses: {error.message}"
    return ""


def _broken(number: int, why: str) -> TesseraError:
    return TesseraError(
        f"the trace does not hold together: operation {number + 1}: {why}",
        where="the recorded trace",
        remedy="record it again",
    )
