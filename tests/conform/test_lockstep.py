"""The parts of the lockstep: what it notices, how it cuts a run down, and what a crash is to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from conform_worlds import BASE, HUGE, SMALL

from tessera import resources
from tessera.conform.draw import Drawer
from tessera.conform.hostbuild import buffered_store
from tessera.conform.hostlink import Program, Status, crash_text
from tessera.conform.lockstep import Lockstep, run_of
from tessera.conform.operations import FAIL_VIRT, GRANULE, Kind, Op, read_log, words
from tessera.conform.shorten import few_slots, shorten
from tessera.conform.worlds import (
    Decisions,
    Setting,
    scrubs,
    setting_of,
    setting_text,
    worlds_of,
)
from tessera.emit.policy import read_policy
from tessera.errors import TesseraError
from tessera.lang import load

Programs = Callable[..., Program]
INFERENCE, OTHER = 1, 2  # owners

RUN = (
    Op(Kind.CORE, slot=0, a=GRANULE),
    Op(Kind.FOBJ, INFERENCE, 1, 3),
    Op(Kind.WRITE, slot=1, a=2),
    Op(Kind.IMAGE, INFERENCE, 2, 2 * GRANULE - 9),
    Op(Kind.IMAGE_BAD, OTHER, 3, 5),
    Op(Kind.FREE, slot=1),
    Op(Kind.FIND, a=BASE + 5 * GRANULE),
    Op(Kind.DIE, INFERENCE),
    Op(Kind.FOBJ, OTHER, 4, 1),
)


def taken(program: Program, setting: Setting, number: int, ops: tuple[Op, ...]) -> str:
    with Lockstep(program, setting, [*SMALL, HUGE][number], number) as both:
        return run_of(both, ops)[1]


@pytest.mark.parametrize("number", range(len(SMALL)))
def test_a_run_that_touches_everything(program: Program, setting: Setting, number: int) -> None:
    assert taken(program, setting, number, RUN) == ""
    assert program.both(number, RUN) == (len(RUN), "")


def test_a_pool_near_the_limit_of_32_bits(program: Program, setting: Setting) -> None:
    most = HUGE.pools[0].pages
    run = (
        Op(Kind.RAW, INFERENCE, 0, 2048 * GRANULE),
        Op(Kind.RAW, INFERENCE, 1, GRANULE),  # the reserve is full: below it
        Op(Kind.CORE, 0, 2, (most - 2048 - 1) * GRANULE),
        Op(Kind.CORE, 0, 3, 1),
    )
    with Lockstep(program, setting, HUGE, 3) as both:
        assert run_of(both, run) == (4, "")
        assert both.lines[0].endswith(f"granules [{most - 2048}, {most})")
        assert both.lines[1].endswith("granules [0, 1)")
        assert both.lines[3].endswith("refused")


def test_every_failure_leaves_everything_as_it_was(plain: Program, setting: Setting) -> None:
    """The n-th call of the heap fails, for n = 1, 2, ... until none does."""
    for number, world in enumerate(SMALL):
        for kind in (Kind.FOBJ, Kind.IMAGE, Kind.CORE_TA):
            met = []
            for n in [FAIL_VIRT, *range(1, 6)]:
                with Lockstep(plain, setting, world, number) as both:
                    op = Op(kind, INFERENCE, 0, 1, fail=n)
                    assert both.step(op) == "" and both.end() == ""
                    met.append(both.met)
            assert met[0] == (kind in (Kind.FOBJ, Kind.IMAGE))
            assert met[1] and met[1:] == sorted(met[1:], reverse=True) and not met[-1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sizeof(ta));", "sizeof(ta) - 1);", "granules"),
        ("tee_mm_get_bytes(f->mm));", "tee_mm_get_bytes(f->mm) - 1);", "data of several in the C"),
        ("tee_mm_get_bytes(f->mm));", "1 << 30);", "crashes: unknown-crash at core/mm/fobj.c:"),
        ("+	if (handle->buf)", "+	if (!handle->buf)", "crashes: null pointer"),
    ],
)
def test_what_is_noticed(
    program_of: Programs, setting: Setting, old: str, new: str, said: str
) -> None:
    run = (
        Op(Kind.FOBJ, 3, 0, 1),  # a TA whose UUID is nearly the listed one
        Op(Kind.WRITE, slot=0, a=0),
        Op(Kind.FREE, slot=0),
        Op(Kind.IMAGE_BAD, OTHER, 1, GRANULE, fail=FAIL_VIRT),
    )
    changed = program_of(old, new, sanitized="crashes" in said)
    assert said in taken(changed, setting, 1, run)


def test_locks_and_leaks(program_of: Programs, setting: Setting) -> None:
    full = (Op(Kind.CORE, slot=0, a=3 * GRANULE), Op(Kind.CORE, slot=1, a=GRANULE))
    twice = program_of(
        "+	nn->offset = MAX(nn->offset, lo);", "+	cpu_spin_lock_xsave(&pool->lock);"
    )
    assert "a lock is taken twice" in taken(twice, setting, 1, full)
    leak = program_of("+		goto err;\n", "+		return malloc(1) && 0 ? nn : NULL;\n")
    assert "a lock is still held" in taken(leak, setting, 1, full)


def test_the_fast_loop_stops_and_its_run_is_cut_down(
    program_of: Programs, setting: Setting
) -> None:
    changed = program_of("entry->size) + psize >", "entry->size) + psize - 1 >")
    done = changed.race(4000, 1)
    assert done.differs
    assert changed.race(4000, 1) == done
    least = few_slots(shorten(done.ops, lambda some: bool(changed.both(done.world, some)[1])))
    assert 1 <= len(least) <= 4
    assert "the spec" in taken(changed, setting, done.world, tuple(least))


def test_a_loop_without_end_is_an_answer(program_of: Programs, setting: Setting) -> None:
    changed = program_of("+		k = 0;\n", "+		k = 1;\n")
    run = (Op(Kind.FOBJ, OTHER, 0, 2), Op(Kind.FOBJ, INFERENCE, 1, 9))
    assert taken(changed, setting, 1, run) == "the C does not come to an end"
    assert changed.both(1, run)[1] == "crash it does not come to an end"


def test_the_fast_loop_is_repeatable(program: Program) -> None:
    first, again, other = program.race(3000, 5), program.race(3000, 5), program.race(3000, 6)
    assert first == again != other
    assert first.taken >= 3000 and first.refused and first.injected and not first.differs


def test_a_guest_s_pools_are_placed_by_class(program_of: Programs, setting: Setting) -> None:
    """Without virtualisation this mistake changes nothing."""
    mistake = ("|| !flags)", "|| flags)")
    assert not program_of(guests=True).race(2000, 1).differs
    assert program_of(*mistake, guests=True).race(2000, 1).differs
    assert not program_of(*mistake).race(2000, 1).differs


def test_a_crash_is_an_answer(program_of: Programs) -> None:
    changed = program_of("tee_mm_get_bytes(f->mm));", "1 << 30);", sanitized=True)
    done = changed.race(4000, 1)
    assert "crash" in done.differs and " at core/mm/fobj.c:" in done.differs
    assert done.ops
    with changed.session(1, "tree") as session:
        session.take(Op(Kind.FOBJ, INFERENCE, 0, 1))
        assert session.take(Op(Kind.FREE, slot=0)).status == Status.CRASHED
        assert session.take(Op(Kind.FREE, slot=0)).status == Status.CRASHED
    assert crash_text("", -11) == "SIGSEGV"


def test_random_operations_depend_on_the_seed_alone(plain: Program, setting: Setting) -> None:
    def drawn(seed: int) -> list[Op]:
        with Lockstep(plain, setting, SMALL[2], 2) as both:
            ops = []
            for op in Drawer(both, Random(seed)).ops(20):
                ops.append(op)
                assert both.step(op) == ""
            return ops

    assert drawn(1) == drawn(1) != drawn(2)


def test_the_tables_are_the_spec_s(setting: Setting) -> None:
    says = Decisions(setting, 3000)
    assert (says.window("inference"), says.window("ordinary")) == ((952, 3000), (0, 952))
    assert (says.spill("inference"), says.spill("ordinary")) == ("ordinary", "ordinary")
    assert scrubs(setting) == read_policy(setting.spec).scrub == "owned"
    rows = setting_text(setting, [SMALL[1]]).splitlines()
    assert rows[0] == "1 2 5 1"
    assert rows[-4:] == ["1 0 1", f"{BASE} 9", "0 2 0", "2 9 0"]


def test_worlds_beyond_every_limit(setting: Setting) -> None:
    pages = {w.pools[0].pages for g in ("one-pool", "wide") for w in worlds_of(setting.spec, g)}
    assert {1, 2, 1 << 16, (1 << 16) + 1, 1 << 20, (1 << 20) + 1, 0xFFFF_FFFE} <= pages
    assert {2047, 2048, 2049, 2729, 2730, 2731} <= pages  # the reserve, and 4/3 of it
    assert all(len(w.pools) == 2 for w in worlds_of(setting.spec, "two-pools"))


def test_owners_are_near_misses_too(setting: Setting) -> None:
    kinds = [owner.kind for owner in setting.owners]
    assert kinds == ["ordinary", "inference", "ordinary", "ordinary", "ordinary"]
    assert len({owner.uuid for owner in setting.owners}) == 5


def test_shorten() -> None:
    ops = [Op(Kind.FREE, slot=i) for i in range(40)]
    wanted = {7, 8, 31}
    least = shorten(ops, lambda some: wanted <= {op.slot for op in some})
    assert {op.slot for op in least} == wanted
    assert [op.slot for op in few_slots(least)] == [0, 1, 2]
    failing = shorten([replace(ops[3], fail=2)], bool)
    assert failing == [ops[3]]


def test_words_and_logs(setting: Setting) -> None:
    assert (
        words(RUN[1], setting.labels) == "ta1 (a TA of class inference) is given 3 granules as b1"
    )
    for op in (replace(RUN[0], fail=2), replace(RUN[0], fail=FAIL_VIRT)):
        assert words(op, setting.labels) != words(RUN[0], setting.labels)
    with pytest.raises(TesseraError, match="no log"):
        read_log(b"")


def test_bad_specs_and_trees(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="not one of the page pool"):
        setting_of(load(resources.find_spec("specs/lessons/refcount.tess")))
    store = tmp_path / "core/kernel/ree_fs_ta.c"
    store.parent.mkdir(parents=True)
    store.write_text("int x;\n")
    with pytest.raises(TesseraError, match="CFG_REE_FS_TA_BUFFERED"):
        buffered_store(tmp_path)
    store.write_text("a\n#ifdef CFG_REE_FS_TA_BUFFERED\nb\n#if 1\nc\n#endif\n#endif\nd\n")
    assert buffered_store(tmp_path).splitlines()[1:] == [
        *("#ifdef CFG_REE_FS_TA_BUFFERED", "b", "#if 1", "c", "#endif", "#endif")
    ]
