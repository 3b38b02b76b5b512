"""One side of the lockstep program beside the simulator: the same after every operation?

Goal: `Lockstep.step` takes an operation on both and says how they differ; `run_of` does so for a
list and stops where they do.
Non-goals: which operations (see `draw`), and the fast loop (see verification/host/lockstep.c).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType

from tessera.conform.hostlink import ENDLESS, Program, Reply, Status
from tessera.conform.modelside import ModelSide
from tessera.conform.operations import FAIL_VIRT, REQUESTS, How, Op, words
from tessera.conform.worlds import HostWorld, Setting

MIXED = 255


class Lockstep:
    """Both sides in one world; a context manager. `side` is "tree" or "reference"."""

    def __init__(
        self, program: Program, setting: Setting, world: HostWorld, number: int, side: str = "tree"
    ) -> None:
        self.setting, self.world, self.side = setting, world, side
        self.model = ModelSide(setting, world)
        self.lines: list[str] = []  # what was done, in words
        self.refused = self.injected = self.taken = 0
        self.met = False  # whether the last operation met the failure that was injected
        self._session = program.session(number, side)

    def __enter__(self) -> Lockstep:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._session.__exit__(kind, value, at)

    def step(self, op: Op) -> str:
        """Take one operation on both sides; how they differ, "" when they do not."""
        self.met = False
        if not self.model.askable(op):
            return ""
        got = self._session.take(op)
        self.taken += 1
        self.met = got.injected
        self.injected += got.injected
        wanted = self._model_takes(op, got)
        self.refused += op.kind in REQUESTS and wanted.status == Status.REFUSED
        self.lines.append(f"{words(op, self.setting.labels)}: {self._told(wanted)}")
        said = self._differ(got, wanted)
        if said:
            self.lines[-1] = f"{words(op, self.setting.labels)}: {said}"
        return said

    def end(self) -> str:
        """Give all back; what is wrong then."""
        left = self._session.end()
        if left < 0:
            return "the C panics when all is given back"
        return f"the C leaves {left} objects on the heap" if left else ""

    def _model_takes(self, op: Op, got: Reply) -> Reply:
        if not got.injected:
            return self.model.take(replace(op, fail=0))
        if op.fail == FAIL_VIRT:
            return self.model.take(replace(op, how=How.TAKEN_BACK))
        if got.status == Status.DONE:
            return self.model.take(replace(op, how=How.NEXT_POOL))
        nothing = self.model.take(replace(op, slot=1 << 16))
        return replace(nothing, status=Status.REFUSED)

    def _told(self, reply: Reply) -> str:
        if reply.status == Status.REFUSED:
            return "refused" if not reply.injected else "refused, as the heap was"
        if not reply.size:
            return "done"
        where = f" of the {('core', 'TA')[reply.pool]}'s pool" if len(self.world.pools) > 1 else ""
        return f"granules [{reply.offset}, {reply.offset + reply.size}){where}"

    def _differ(self, got: Reply, wanted: Reply) -> str:
        who = "the C" if self.side == "tree" else "the reference"
        if got.status == Status.PANIC:
            return f"{who} panics: {got.why}"
        if got.status == Status.CRASHED and got.why == ENDLESS:
            return f"{who} does not come to an end"
        if got.status == Status.CRASHED:
            return f"{who} crashes: {got.why}"
        if (got.status, got.pool, got.offset, got.size) != (
            *(wanted.status, wanted.pool, wanted.offset, wanted.size),
        ):
            return f"{who}: {self._told(got)}; the spec: {self._told(wanted)}"
        if got.address != wanted.address and wanted.address:
            return f"{who} has it at {got.address:#x}, the spec at {wanted.address:#x}"
        for name in ("size", "allocated", "most"):
            have = [getattr(s, name) for s in got.stats]
            want = [getattr(s, name) for s in wanted.stats]
            if have != want:
                return f"{who} counts {name} {_list(have)} bytes, the spec {_list(want)}"
        return self._contents(got, wanted)

    def _contents(self, got: Reply, wanted: Reply) -> str:
        for number, want in enumerate(wanted.content):
            have = {g: o for g, o in got.content[number].items() if o} if got.content else {}
            if have != want:
                granule = min(g for g in {*have, *want} if have.get(g, 0) != want.get(g, 0))
                c, spec = (self._holder(of.get(granule, 0)) for of in (have, want))
                who = "the C" if self.side == "tree" else "the reference"
                return f"granule {granule} holds {c} in {who}, {spec} in the spec"
        return ""

    def _holder(self, number: int) -> str:
        if number == 0:
            return "nothing"
        if number == MIXED:
            return "data of several"
        return f"data of {self.setting.labels[number - 1]}"


def run_of(lockstep: Lockstep, ops: Iterable[Op]) -> tuple[int, str]:
    """How many operations were taken alike, and how the next one differs ("" when none does)."""
    count = 0
    for op in ops:
        said = lockstep.step(op)
        if said:
            return count, said
        count += 1
    return count, lockstep.end()


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) if len(numbers) > 2 else str(numbers[0])
