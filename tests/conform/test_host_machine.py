"""The C beside the simulator, driven by Hypothesis: any operations, in any order."""

from __future__ import annotations

from typing import ClassVar

import pytest
from conform_worlds import SMALL
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tessera.conform.hostlink import Program
from tessera.conform.lockstep import Lockstep
from tessera.conform.operations import FAIL_VIRT, GRANULE, Kind, Op
from tessera.conform.worlds import Setting

SLOTS = st.integers(0, 4)
OWNERS = st.integers(1, 4)
COUNTS = st.integers(1, 10)
FAILS = st.sampled_from((0, 0, 0, 1, 2, 3, FAIL_VIRT))
REQUESTS = st.sampled_from((Kind.CORE, Kind.CORE_TA, Kind.FOBJ, Kind.IMAGE, Kind.IMAGE_BAD))
SETTINGS = settings(
    max_examples=12,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Pools(RuleBasedStateMachine):
    """Both sides after every rule: the same answer, content and statistics."""

    program: ClassVar[Program]
    setting: ClassVar[Setting]
    side: ClassVar[str] = "tree"
    taken: ClassVar[int] = 0
    both: Lockstep | None = None

    @initialize(number=st.integers(0, len(SMALL) - 1))
    def begin(self, number: int) -> None:
        self.both = Lockstep(self.program, self.setting, SMALL[number], number, self.side)

    @rule(kind=REQUESTS, owner=OWNERS, slot=SLOTS, count=COUNTS, less=st.booleans(), fail=FAILS)
    def request(self, kind: Kind, owner: int, slot: int, count: int, less: bool, fail: int) -> None:
        size = count if kind == Kind.FOBJ else count * GRANULE - 5 * less
        self.take(Op(kind, owner, slot, size, fail=fail))

    @rule(slot=SLOTS, count=COUNTS, at=st.integers(-1, 10), more=st.sampled_from((0, 1, 4095)))
    def carve_out(self, slot: int, count: int, at: int, more: int) -> None:
        address = SMALL[0].pools[0].base + at * GRANULE + more
        self.take(Op(Kind.AT, 0, slot, count * GRANULE, address))

    @rule(slot=SLOTS)
    def free(self, slot: int) -> None:
        self.take(Op(Kind.FREE, slot=slot))

    @rule(slot=SLOTS, lo=st.integers(0, 4), hi=st.integers(1, 5))
    def shrink(self, slot: int, lo: int, hi: int) -> None:
        self.take(Op(Kind.SHRINK, slot=slot, a=lo, b=hi))

    @rule(slot=SLOTS, granule=st.integers(0, 4))
    def write(self, slot: int, granule: int) -> None:
        self.take(Op(Kind.WRITE, slot=slot, a=granule))

    @rule(owner=OWNERS)
    def die(self, owner: int) -> None:
        self.take(Op(Kind.DIE, owner))

    @rule(at=st.integers(-1, 10), more=st.sampled_from((0, 1, 4095)))
    def find(self, at: int, more: int) -> None:
        self.take(Op(Kind.FIND, a=SMALL[0].pools[0].base + at * GRANULE + more))

    @rule()
    def reset(self) -> None:
        self.take(Op(Kind.RESET))

    def take(self, op: Op) -> None:
        assert self.both is not None
        assert self.both.step(op) == "", "\n".join(self.both.lines)

    def teardown(self) -> None:
        if self.both is not None:
            type(self).taken += self.both.taken
            with self.both:
                assert self.both.end() == ""


def machine(program: Program, setting: Setting, side: str) -> type[Pools]:
    return type("Pools", (Pools,), {"program": program, "setting": setting, "side": side})


@pytest.mark.parametrize("side", ["tree", "reference"])
def test_whatever_is_asked_the_c_does_as_the_spec_says(
    side: str, program: Program, setting: Setting
) -> None:
    pools = machine(program, setting, side)
    run_state_machine_as_test(pools, settings=SETTINGS)
    assert pools.taken > 100


def test_a_window_one_too_wide_is_found(program_of: object, setting: Setting) -> None:
    changed = program_of("entry->size) + psize >", "entry->size) + psize - 1 >")  # type: ignore[operator]
    once = settings(SETTINGS, phases=[Phase.generate])  # cutting it down takes minutes
    with pytest.raises(AssertionError, match="the spec"):
        run_state_machine_as_test(machine(changed, setting, "tree"), settings=once)
