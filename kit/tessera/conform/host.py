"""The tier `host`: the tree's C runs on this machine beside the simulator.

Goal: `run`, the checks of this tier. For each group of pools: the C against the simulator, the
reference of the fast loop against the simulator, and the C against that reference, with sanitizers
and without.
Non-goals: proofs about the C (see the tiers `smt` and `cbmc`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random

from tessera.conform.draw import Drawer
from tessera.conform.hostbuild import build
from tessera.conform.hostlink import ENDLESS, Program, Raced
from tessera.conform.lockstep import Lockstep, run_of
from tessera.conform.operations import Op, words
from tessera.conform.prepared import Prepared
from tessera.conform.result import Check
from tessera.conform.shorten import MOST_TRIES, few_slots, shorten
from tessera.conform.tiers import Options, Progress
from tessera.conform.worlds import (
    BLOCKS,
    GROUPS,
    HostWorld,
    Setting,
    scrubs,
    setting_of,
    setting_text,
    worlds_of,
)
from tessera.lang.typed import Spec

STEPWISE = 4000
"""Operations per group that the simulator takes at most, else a hundredth of the loop's."""
EPISODE = (12, 40)
"""Operations in one world, at least and at most; every world is visited."""
_MOST_WALKS = 60
_MOST_WAITS = 14
_GUESTS = "guests"  # the group that has no fast program
_SHARES = 3  # groups that run without sanitizers
_SANITIZED_PART = 4  # one operation of the fast loop in so many runs with sanitizers as well


class _Programs:
    """The tree's C, compiled when it is first to run: an early difference needs no more."""

    def __init__(self, root: Path, folder: Path, progress: Progress) -> None:
        self._root, self._folder, self._progress = root, folder, progress
        self._made: dict[tuple[bool, bool], Path] = {}

    def path(self, *, sanitized: bool, guests: bool) -> Path:
        """The program. Raises TesseraError as `build` does."""
        key = sanitized, guests
        if key not in self._made:
            self._progress("host: compiling")
            self._made[key] = build(self._root, self._folder, sanitized=sanitized, guests=guests)
        return self._made[key]


@dataclass(frozen=True, slots=True)
class _Group:
    """The pools of one group, what runs in them, and the file that describes them."""

    setting: Setting
    name: str
    worlds: list[HostWorld]
    programs: _Programs
    file: Path

    def program(self, *, sanitized: bool = True) -> Program:
        """The C for these pools."""
        guests = self.name == _GUESTS
        return Program(self.programs.path(sanitized=sanitized, guests=guests), self.file)


def run(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
    """The checks of this tier.

    Raises TesseraError for a spec that is not one of the page pool, for a tree that lacks a file,
    and when the C does not compile.
    """
    setting = setting_of(spec)
    with tempfile.TemporaryDirectory(prefix="tessera-host-") as scratch:
        folder = Path(scratch)
        programs = _Programs(ready.root, folder, options.progress)
        for name in GROUPS:
            if name == "wide" and scrubs(setting) == "always":
                yield _skipped_wide()
                continue
            worlds = worlds_of(spec, name)
            file = folder / f"{name}.setting"
            file.write_text(setting_text(setting, worlds), encoding="utf-8")
            yield from _group(_Group(setting, name, worlds, programs, file), options)


def _skipped_wide() -> Check:
    why = "a pool that wipes whatever comes back needs memory behind every granule"
    return Check("host", "host/wide", "SKIPPED", why)


def _group(group: _Group, options: Options) -> Iterator[Check]:
    few = min(options.operations // 100, STEPWISE)
    options.progress(f"host: {group.name}, the C beside the simulator")
    yield _stepwise(group, "tree", few, options.seed)
    options.progress(f"host: {group.name}, the reference beside the simulator")
    yield _stepwise(group, "reference", few, options.seed + 1)
    share = -(-options.operations // _SHARES)
    options.progress(f"host: {group.name}, the fast loop with sanitizers")
    part = -(-share // _SANITIZED_PART)
    yield _raced(group, group.program(), "sanitized", part, options.seed + 2)
    if group.name != _GUESTS:
        options.progress(f"host: {group.name}, the fast loop")
        yield _raced(group, group.program(sanitized=False), "loop", share, options.seed + 3)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """How many operations to draw, and from what."""

    rng: Random
    length: int


# --- beside the simulator -------------------------------------------------------------------------


def _stepwise(group: _Group, side: str, many: int, seed: int) -> Check:
    began = time.perf_counter()
    rng = Random(seed)
    counts = {"operations": 0, "refused": 0, "failures": 0, "worlds": 0}
    said: str = ""
    trace: tuple[str, ...] = ()
    length = min(max(many // len(group.worlds), EPISODE[0]), EPISODE[1])
    for number in cycle(range(len(group.worlds))):
        said, ops = _episode(group, side, number, _Drawing(rng, length), counts)
        if said:
            said, trace = _shortest(group, side, number, ops)
        if said or (counts["operations"] >= many and counts["worlds"] >= len(group.worlds)):
            break
    counts["worlds"] = min(counts["worlds"], len(group.worlds))
    name = f"host/{'simulator' if side == 'tree' else 'reference'}/{group.name}"
    who = "the C" if side == "tree" else "the reference"
    detail = said or (
        f"{who} beside the simulator: {counts['operations']} operations in {counts['worlds']} "
        f"worlds, {counts['refused']} refused, {counts['failures']} failures injected"
    )
    verdict = "DIFFERS" if said else "AGREES"
    return Check("host", name, verdict, detail, counts, time.perf_counter() - began, "", trace)


def _episode(
    group: _Group, side: str, number: int, drawing: _Drawing, counts: dict[str, int]
) -> tuple[str, list[Op]]:
    """Random operations in one world: how the last one differs, and all of them."""
    ops: list[Op] = []
    said = ""
    with Lockstep(group.program(), group.setting, group.worlds[number], number, side) as both:
        for op in Drawer(both, drawing.rng).ops(drawing.length):
            ops.append(op)
            said = both.step(op)
            if said:
                break
        said = said or both.end()
        counts["operations"] += both.taken
        counts["refused"] += both.refused
        counts["failures"] += both.injected
        counts["worlds"] += 1
    return said, ops


def _shortest(
    group: _Group, side: str, number: int, ops: Sequence[Op]
) -> tuple[str, tuple[str, ...]]:
    """The smallest difference known: what differs, and the steps that lead to it.

    The reference is asked first, because it is quick; the simulator has the last word.
    """
    world = group.worlds[number]
    least = list(ops)
    program = group.program()
    said = program.both(number, ops)[1] if side == "tree" else ""
    if said:
        quick = shorten(ops, lambda some: bool(program.both(number, some)[1]), _tries(said))
        if _walk(group, side, number, quick)[0]:
            least = quick
    if least == list(ops):

        def walked(some: Sequence[Op]) -> bool:
            return bool(_walk(group, side, number, some)[0])

        least = shorten(ops, walked, _MOST_WALKS)
    said, lines = _walk(group, side, number, few_slots(least))
    return f"{world.name}: {said}", (f"pools of {world.name}", *lines)


def _tries(said: str) -> int:
    """How often a run may be tried while it is cut down: one without an end takes its time."""
    return _MOST_WAITS if ENDLESS in said else MOST_TRIES


def _walk(group: _Group, side: str, number: int, ops: Sequence[Op]) -> tuple[str, list[str]]:
    with Lockstep(group.program(), group.setting, group.worlds[number], number, side) as both:
        _, said = run_of(both, ops)
        return said, both.lines


# --- the fast loop --------------------------------------------------------------------------------


def _raced(group: _Group, program: Program, name: str, many: int, seed: int) -> Check:
    began = time.perf_counter()
    done = program.race(many, seed)
    counts = {
        "operations": done.taken,
        "requests": done.requests,
        "refused": done.refused,
        "failures": done.injected,
    }
    how = "with sanitizers" if name == "sanitized" else "without sanitizers"
    detail = (
        f"{done.taken} operations {how}, {done.refused} of {done.requests} requests refused, "
        f"{done.injected} failures injected"
    )
    trace: tuple[str, ...] = ()
    if done.differs:
        detail, trace = _explained(group, program, done)
    verdict = "DIFFERS" if done.differs else "AGREES"
    seconds = time.perf_counter() - began
    return Check("host", f"host/{name}/{group.name}", verdict, detail, counts, seconds, "", trace)


def _explained(group: _Group, program: Program, done: Raced) -> tuple[str, tuple[str, ...]]:
    """What the loop stopped at, cut down, and taken again beside the simulator."""
    world = group.worlds[done.world]
    ops: Sequence[Op] = done.ops
    said = program.both(done.world, ops)[1]
    if said:
        ops = shorten(ops, lambda some: bool(program.both(done.world, some)[1]), _tries(said))
    least = few_slots(ops)
    if len({op.slot for op in least}) <= BLOCKS:
        said, lines = _walk(group, "tree", done.world, least)
        if said:
            return f"{world.name}: {said}", (f"pools of {world.name}", *lines)
    lines = [words(op, group.setting.labels) for op in least]
    said = f"{world.name}: the C and the reference differ: {done.differs}"
    return said, (f"pools of {world.name}", *lines)
