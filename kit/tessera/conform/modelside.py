"""The simulator's side of the lockstep.

Goal: every operation as steps of the model, one simulator per pool; what it must have led to, as a
`Reply` of the same shape as the program's.
Non-goals: knowing how the C does it. What OP-TEE does with two pools is said here and nowhere in
the model: a TA's request goes to the TAs' pool, then to the core's; an address belongs to the pool
that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.conform.hostlink import Reply, Stats, Status
from tessera.conform.operations import BY_TA, GRANULE, REQUESTS, How, Kind, Op
from tessera.conform.worlds import BLOCKS, HostWorld, Setting, model_world, scrubs
from tessera.lang import typed as t
from tessera.lang.types import IntType, SortType
from tessera.model.intervals import IntervalMap
from tessera.model.scope import Code, Scope
from tessera.model.script import Event, Value
from tessera.model.simulator import Simulator
from tessera.model.state import Content

_MASK = 0xFFFF_FFFF  # OP-TEE's statistics have 32 bits


@dataclass(frozen=True, slots=True)
class Placed:
    """A live block of a slot."""

    pool: int
    block: str  # in the model
    owner: int
    start: int
    size: int

    @property
    def by_core(self) -> bool:
        """Whether it is the core's."""
        return self.owner == 0


@dataclass(frozen=True, slots=True)
class _Ask:
    """A function of the model over one block and, perhaps, an address."""

    code: Code
    scope: Scope
    places: tuple[int, ...]

    def __call__(self, state: Content, *args: Value) -> Value:
        frame = self.scope.frame(state)
        for place, given in zip(self.places, args, strict=True):
            frame[place] = given
        value: Value = self.code(frame)
        return value


class ModelSide:
    """The model in one world of the lockstep.

    Raises TesseraError when the world breaks an assumption of the spec.
    """

    def __init__(self, setting: Setting, world: HostWorld) -> None:
        self.setting, self.world = setting, world
        self.pools = [Simulator(setting.spec, model_world(setting, p.pages)) for p in world.pools]
        self.placed: dict[int, Placed] = {}
        self.most = [0] * len(self.pools)
        self._wipes_all = scrubs(setting) == "always"
        self._found = [_asking(s, "found", 2) for s in self.pools]
        self._physical = [_asking(s, "physical", 1) for s in self.pools]
        for simulator in self.pools:
            for owner in setting.owners[1:]:
                simulator.fire(Event("open", {"w": owner.name}, {}))

    # --- what can be asked -----------------------------------------------------------------------

    def askable(self, op: Op) -> bool:
        """Whether the model has an opinion: the operation makes sense here, and the boot takes
        nothing from what is kept for others (the model's `carve_out` excludes that)."""
        block = self.placed.get(op.slot)
        if op.slot >= BLOCKS or op.owner >= len(self.setting.owners):
            return False
        if op.kind in REQUESTS:
            if block is not None or not op.a or (op.kind in BY_TA and not op.owner):
                return False
            if op.kind == Kind.AT:
                return self._at_askable(op)
            return op.kind in (Kind.CORE, Kind.CORE_TA) or (op.kind == Kind.RAW) != (
                self.world.content
            )
        if op.kind == Kind.FREE:
            return block is not None
        if op.kind == Kind.SHRINK:
            return block is not None and block.by_core and op.a < op.b <= block.size
        if op.kind == Kind.WRITE:
            return block is not None and self.world.content and op.a < block.size
        return op.kind != Kind.DIE or op.owner != 0

    def _at_askable(self, op: Op) -> bool:
        found = self._range(op)
        if found is None:
            return True
        pool, lo, hi = found
        if any(p.pool == pool and p.start < hi and lo < p.start + p.size for p in self._blocks()):
            return True
        return self.pools[pool].enabled("carve_out", {"o": lo, "n": hi - lo}) is not None

    def _range(self, op: Op) -> tuple[int, int, int] | None:
        """The pool and the granules of a given range, rounded outwards; None when outside."""
        for number, pool in enumerate(self.world.pools):
            if pool.base <= op.b < pool.base + pool.pages * GRANULE:
                lo = (op.b - pool.base) // GRANULE
                hi = -(-(op.b - pool.base + op.a) // GRANULE)
                return (number, lo, hi) if hi <= pool.pages else None
        return None

    def _blocks(self) -> list[Placed]:
        return list(self.placed.values())

    # --- taking ----------------------------------------------------------------------------------

    def take(self, op: Op) -> Reply:
        """What the model says the operation leads to."""
        if not self.askable(op):
            return self._reply(Status.NOTHING)
        if op.kind in REQUESTS:
            return self._request(op)
        block = self.placed.get(op.slot)
        status = Status.DONE
        if op.kind == Kind.DIE:
            self._die(op.owner)
        elif op.kind == Kind.RESET:
            self.most = [0] * len(self.pools)
        elif op.kind == Kind.FIND:
            block = self._find(op.a)
            return self._reply(Status.DONE if block else Status.REFUSED, block)
        elif block is not None and op.kind == Kind.FREE:
            self._free(op.slot)
        elif block is not None and op.kind == Kind.WRITE:
            self._fire(block.pool, "write", e=block.block, g=block.start + op.a)
        elif block is not None:
            return self._reply(status, self._shrink(op.slot, block, op))
        return self._reply(status)

    def _request(self, op: Op) -> Reply:
        got = self._place(op)
        if got is None:
            return self._reply(Status.REFUSED)
        pool, event = got
        if op.how == How.TAKEN_BACK:
            return self._taken_back(pool, event, op)
        self.pools[pool].fire(event)
        start = int(event.choices["o"] if "o" in event.choices else event.args["o"])
        owner = op.owner if op.kind in BY_TA else 0
        block = Placed(pool, str(event.choices["e"]), owner, start, int(event.args["n"]))
        self.placed[op.slot] = block
        self._note(pool)
        if op.kind in (Kind.IMAGE, Kind.IMAGE_BAD):
            for granule in range(start, start + block.size):
                self._fire(pool, "write", e=block.block, g=granule)
        if op.kind == Kind.IMAGE_BAD:
            self._free(op.slot)
            return self._reply(Status.DONE)
        return self._reply(Status.DONE, block)

    def _place(self, op: Op) -> tuple[int, Event] | None:
        """The pool and the step that serve a request; None when it is refused."""
        n = op.granules
        if op.kind == Kind.AT:
            found = self._range(op)
            if found is None or op.how != How.USUAL:
                return None
            return self._enabled(found[0], "carve_out", o=found[1], n=found[2] - found[1])
        for pool in self._tried(op)[op.how == How.NEXT_POOL :]:
            if n > _MASK:
                continue
            if op.kind in BY_TA:
                w = self.setting.owners[op.owner].name
                got = self._enabled(pool, "alloc", w=w, n=n)
                got = got or self._enabled(pool, "alloc_spill", w=w, n=n)
            else:
                got = self._enabled(pool, "alloc_core", n=n)
            if got is not None:
                return got
        return None

    def _tried(self, op: Op) -> list[int]:
        """The pools that a request may be served from, in order."""
        pools = [*range(len(self.pools))]
        if op.kind != Kind.CORE:
            return pools[::-1]
        return pools if self.world.core_falls_back else pools[:1]

    def _enabled(self, pool: int, action: str, **args: Value) -> tuple[int, Event] | None:
        choices = self.pools[pool].enabled(action, args)
        return None if choices is None else (pool, Event(action, args, choices))

    def _taken_back(self, pool: int, event: Event, op: Op) -> Reply:
        """Memory that is given back before anything was written: as if nothing had been, but for
        the statistics, and for a policy that wipes all that comes back."""
        self._note(pool, int(event.args["n"]))
        if self._wipes_all:
            self.pools[pool].fire(event)
            self._fire(pool, "free", e=event.choices["e"])
        return self._reply(Status.REFUSED)

    def _shrink(self, slot: int, block: Placed, op: Op) -> Placed:
        lo, hi = block.start + op.a, block.start + op.b
        self._fire(block.pool, "shrink", e=block.block, lo=lo, hi=hi)
        after = Placed(block.pool, block.block, 0, lo, hi - lo)
        self.placed[slot] = after
        self._note(block.pool)
        return after

    def _free(self, slot: int) -> None:
        block = self.placed.pop(slot)
        self._fire(block.pool, "free_core" if block.by_core else "free", e=block.block)

    def _die(self, owner: int) -> None:
        name = self.setting.owners[owner].name
        for number in range(len(self.pools)):
            self._fire(number, "die", w=name)
            self._fire(number, "open", w=name)
        self.placed = {s: p for s, p in self.placed.items() if p.owner != owner}

    def _fire(self, pool: int, action: str, **args: Value) -> None:
        self.pools[pool].fire(Event(action, args, {}))

    def _find(self, address: int) -> Placed | None:
        """The first block, by address, of which the model's `found` says yes."""
        base = self._model_base()
        for number, pool in enumerate(self.world.pools):
            found = self._found[number]
            if not pool.base <= address < pool.base + pool.pages * GRANULE or found is None:
                continue
            for block in sorted(self._blocks(), key=lambda p: p.start):
                state = self.pools[number].state
                if block.pool == number and found(state, block.block, address - pool.base + base):
                    return block
        return None

    # --- answering -------------------------------------------------------------------------------

    def _reply(self, status: Status, block: Placed | None = None) -> Reply:
        content = tuple(self._content(i) for i in range(len(self.pools)))
        if block is None:
            return Reply(status, stats=self._stats(), content=content)
        physical = self._physical[block.pool]
        address = 0
        if physical is not None:
            place = int(physical(self.pools[block.pool].state, block.block))
            address = place - self._model_base() + self.world.pools[block.pool].base
        return Reply(
            *(status, block.pool, False, block.start, block.size, address),
            stats=self._stats(),
            content=content,
        )

    def _model_base(self) -> int:
        """Where the model's own pool lies; the pools of a world may lie elsewhere."""
        platform = self.setting.spec.platform
        regions = platform.regions if platform else ()
        return next((r.base for r in regions if r.name == "pool"), 0)

    def _allocated(self, pool: int) -> int:
        simulator = self.pools[pool]
        live = _variable(simulator, "live")
        size = _variable(simulator, "size")
        return sum(size[b] for b, is_live in live.items() if is_live)

    def _note(self, pool: int, more: int = 0) -> None:
        bytes_ = (self._allocated(pool) + more) * GRANULE & _MASK
        self.most[pool] = max(self.most[pool], bytes_)

    def _stats(self) -> tuple[Stats, ...]:
        each = [
            Stats(p.pages * GRANULE & _MASK, self._allocated(i) * GRANULE & _MASK, self.most[i])
            for i, p in enumerate(self.world.pools)
        ]
        together = Stats(
            sum(s.size for s in each) & _MASK,
            sum(s.allocated for s in each) & _MASK,
            max(s.most for s in each),
        )
        return (*each, together)

    def _content(self, pool: int) -> dict[int, int]:
        """The granules that hold somebody's data: the owner's number plus 1."""
        residue = _variable(self.pools[pool], "residue")
        assert isinstance(residue, IntervalMap)
        numbers = {owner.name: i + 1 for i, owner in enumerate(self.setting.owners)}
        out: dict[int, int] = {}
        if self.world.content:
            for lo, hi, owner in residue.runs(0, self.world.pools[pool].pages):
                if owner != "nobody":
                    out.update(dict.fromkeys(range(lo, hi), numbers[str(owner)]))
        return out


def _variable(simulator: Simulator, name: str) -> Content:
    return simulator.state[simulator.machine.layouts[name].slot]


def _asking(simulator: Simulator, name: str, count: int) -> _Ask | None:
    """A function of the model over a block (and an address), compiled; None when it has none."""
    function = simulator.spec.functions.get(name)
    types = [b.type for b in function.params] if function else []
    if function is None or len(types) != count or not isinstance(types[0], SortType):
        return None
    if count == 2 and not isinstance(types[1], IntType):
        return None
    scope = Scope()
    places = []
    for binder in function.params:
        scope, place = scope.bind(binder.name)
        places.append(place)
    args = tuple(t.Local(b.name, b.type, b.span) for b in function.params)
    kind = "policy" if function.policy else "function"
    call = t.Apply(kind, name, args, function.type, function.span)
    return _Ask(simulator.machine.engine.compile(call, scope), scope, tuple(places))
