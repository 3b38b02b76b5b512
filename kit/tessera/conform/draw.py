"""Random operations for the lockstep with the simulator.

Goal: mostly small blocks; often sizes and places at which something just fits or just does not; a
failure that was met is followed by the same request with a later one.
Non-goals: the operations of the fast loop (see verification/host/draw.c), and completeness.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from tessera.conform.lockstep import Lockstep
from tessera.conform.operations import BY_TA, FAIL_VIRT, GRANULE, REQUESTS, Kind, Op
from tessera.conform.worlds import BLOCKS, Decisions

_CONTENT = (
    *((Kind.FOBJ,) * 5 + (Kind.IMAGE,) * 2 + (Kind.CORE,) * 3 + (Kind.FREE,) * 6),
    *(Kind.IMAGE_BAD, Kind.CORE_TA, Kind.AT, Kind.AT, Kind.SHRINK, Kind.WRITE, Kind.WRITE),
    *(Kind.DIE, Kind.FIND, Kind.RESET),
)
_PLACES = tuple(Kind.RAW if k in BY_TA else k for k in _CONTENT if k != Kind.WRITE)
_LARGEST_CLEARED = 4096
_LARGEST_IMAGE = 6


class Drawer:
    """Operations for one lockstep, from a seed."""

    def __init__(self, lockstep: Lockstep, rng: Random) -> None:
        self.lockstep, self.rng = lockstep, rng
        pages = lockstep.world.pools[-1].pages
        says = Decisions(lockstep.setting, pages)
        kinds = {owner.kind for owner in lockstep.setting.owners}
        self._edges = sorted({edge for kind in kinds for edge in says.window(kind)})

    def ops(self, count: int) -> Iterator[Op]:
        """`count` operations; each is to be taken before the next is asked for."""
        again: Op | None = None
        last: Op | None = None
        for _ in range(count):
            if last is not None and self.lockstep.met and last.fail != FAIL_VIRT:
                again = replace(last, fail=last.fail + 1)
            if again is None:
                last = self.draw()
            elif again.slot in self.lockstep.model.placed:
                last = Op(Kind.FREE, slot=again.slot)
            else:
                last, again = again, None
            yield last

    def draw(self) -> Op:
        """One operation."""
        rng, model = self.rng, self.lockstep.model
        kind = rng.choice(_CONTENT if model.world.content else _PLACES)
        taken = [slot for slot in range(BLOCKS) if slot in model.placed]
        free = [slot for slot in range(BLOCKS) if slot not in model.placed]
        if kind in REQUESTS and not free:
            kind = Kind.FREE
        if kind == Kind.SHRINK:
            taken = [slot for slot in taken if model.placed[slot].by_core]
        slots = free if kind in REQUESTS else taken
        if not slots and kind in (Kind.FREE, Kind.SHRINK, Kind.WRITE):
            kind = Kind.FIND
        slot = rng.choice(slots) if slots else 0
        op = Op(kind, rng.randrange(1, len(model.setting.owners)), slot)
        if kind in (Kind.SHRINK, Kind.WRITE):
            size = model.placed[slot].size
            low = rng.randrange(min(size, 1 << 16))
            return replace(op, a=low, b=rng.randint(low + 1, size))
        if kind == Kind.FIND:
            return replace(op, a=self._address())
        return self._request(op) if kind in REQUESTS else op

    def _request(self, op: Op) -> Op:
        rng = self.rng
        count = self._count()
        if op.kind in (Kind.FOBJ, Kind.IMAGE, Kind.IMAGE_BAD):
            largest = _LARGEST_CLEARED if op.kind == Kind.FOBJ else _LARGEST_IMAGE
            count = count if count <= largest else 1 + count % _LARGEST_IMAGE
        bytes_ = count * GRANULE - rng.choice((0, 0, rng.randrange(GRANULE)))
        op = replace(op, a=count if op.kind == Kind.FOBJ else bytes_)
        if op.kind == Kind.AT:
            op = replace(op, b=self._address())
        fail = rng.choice((0,) * 12 + (1, 1, FAIL_VIRT))
        return replace(op, fail=fail)

    def _count(self) -> int:
        rng, model = self.rng, self.lockstep.model
        pages = rng.choice(model.world.pools).pages
        near = rng.choice((-1, 0, 0, 1))
        match rng.randrange(8):
            case 0:
                found = rng.choice(self._edges) - rng.choice(self._edges) + near
            case 1 | 2:
                found = self._gap() + near
            case 3:
                found = rng.randint(1, pages)
            case _:
                found = rng.randint(1, 4)
        return found if 1 <= found <= pages + 1 else 1

    def _gap(self) -> int:
        """The free granules above some block, or of the whole pool."""
        model = self.lockstep.model
        blocks = sorted(model.placed.values(), key=lambda p: (p.pool, p.start))
        if not blocks:
            return model.world.pools[0].pages
        one = self.rng.choice(blocks)
        above = [b.start for b in blocks if b.pool == one.pool and b.start > one.start]
        return min(above, default=model.world.pools[one.pool].pages) - one.start - one.size

    def _address(self) -> int:
        rng, model = self.rng, self.lockstep.model
        number = rng.randrange(len(model.world.pools))
        pool = model.world.pools[number]
        ends = [g for p in model.placed.values() for g in (p.start, p.start + p.size)]
        granule = rng.choice([*self._edges, *ends, 0, pool.pages, rng.randrange(pool.pages)])
        granule += rng.choice((-1, 0, 0, 0))
        return max(pool.base + granule * GRANULE, 0) + rng.choice((0, 0, rng.randrange(GRANULE)))
