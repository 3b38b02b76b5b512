"""Scenario `cost`: what the policy takes in instructions and in bytes, beside OP-TEE without it.

Sessions are opened and closed, and blocks of several sizes taken and given back, a few times each,
in a guest whose every instruction is counted. Both sides do the same; the least of equal calls is
compared, for Linux and its interrupts are counted with a call that they interrupt.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tessera import resources
from tessera.errors import TesseraError
from tessera.guest import layout, ta
from tessera.guest.machine import Guest
from tessera.guest.meter import ALLOC, CLOSE, FREE, OPEN, Counted, Meter
from tessera.guest.scenarios.bench import Bench, InconclusiveError
from tessera.results import Cost, Outcome

NAME = "cost"
DOC = "What the policy takes: instructions of sessions and of the pools' operations, and memory."
RUNS = 5
MOST_RUNS = 100
INFERENCE = "2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6"
ORDINARY = "a1f47c90-3be2-4d57-8c6b-95d20e7f4b13"  # the hog TA
MIB = 1024 * 1024
SIZES = (4096, 64 * 1024, 256 * 1024, MIB, 2 * MIB)
_SECONDS = 60.0  # for one session, on a loaded machine; it takes some tenths of one


def _told(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // 1024} KiB"


_ROWS = {
    "open_inference": ("open a session of the inference TA", "instructions"),
    "close_inference": ("close a session of the inference TA", "instructions"),
    "open_ordinary": ("open a session of an ordinary TA", "instructions"),
    "close_ordinary": ("close a session of an ordinary TA", "instructions"),
    "alloc_inference": ("one allocation for the inference TA", "instructions"),
    "alloc_ordinary": ("one allocation for an ordinary TA", "instructions"),
    **{f"free_{size}": (f"one free of {_told(size)}", "instructions") for size in SIZES},
    "free_per_mib": ("each further MiB in a free", "instructions"),
    "text": ("code and constants of the core", "bytes"),
    "data": ("variables with a value", "bytes"),
    "bss": ("variables that start as zero, with heap and alignment", "bytes"),
    "pool_record": ("the record of one page pool", "bytes"),
}
_MOST = "_most"


def with_client(bench: Bench) -> Bench:
    """The bench with the client that does one thing at a time."""
    folder = resources.path("verification/guest/cost/client")
    hog = resources.path("verification/guest/hog/ta")
    client = ta.build_client(folder, "tessera_cost", [hog])
    return dataclasses.replace(bench, files={**bench.files, "/usr/bin/tessera_cost": client})


def trial(bench: Bench, runs: int = RUNS, sizes: Sequence[int] = SIZES) -> Outcome:
    """Count `runs` of each thing on one side."""
    place = layout.layout_of(bench.build)
    meter = Meter(place)
    with with_client(bench).boot(NAME, watch=meter, counting=True) as guest:
        for owner in (INFERENCE, ORDINARY):
            _do(guest, owner, 1)  # whatever is set up once and kept is set up now
        for owner in (INFERENCE, ORDINARY):
            meter.begin(owner, guest.instructions)
            _do(guest, owner, runs)
        for size in sizes:
            meter.begin(str(size), guest.instructions)
            _do(guest, ORDINARY, runs, size)
        meter.finish()
    figures = {"runs": float(runs), **counts(meter.counted, runs, sizes), **_memory(place)}
    detail = f"{len(meter.counted)} calls counted, {runs} of each kind compared"
    return Outcome(True, detail, figures)


def chosen(text: str) -> Callable[[Bench], Outcome]:
    """The trial that `cost:RUNS` asks for. Raises `TesseraError` when that is no number."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_RUNS:
        raise TesseraError(
            f"{text!r} is no number of runs",
            where=f"--scenario {NAME}:RUNS",
            remedy=f"a number from 1 to {MOST_RUNS}, e.g. {NAME}:{RUNS}",
        )
    return functools.partial(trial, runs=int(text))


def _do(guest: Guest, owner: str, times: int, size: int = 0) -> None:
    result = guest.run(f"tessera_cost {owner} {times} {size or ''}", timeout=60 + times * _SECONDS)
    if result.status != 0:
        raise InconclusiveError(f"a session went wrong: {result.output.strip()[-300:]}")


# --- from calls to figures ------------------------------------------------------------------------


def counts(counted: Iterable[Counted], runs: int, sizes: Sequence[int] = SIZES) -> dict[str, float]:
    """The least and the most instructions of each kind of call; `runs` calls of each are expected.

    Raises `InconclusiveError` when there are not so many.
    """
    calls = list(counted)
    found: dict[str, list[int]] = {}
    for name, owner in (("inference", INFERENCE), ("ordinary", ORDINARY)):
        outer = [c for c in calls if c.phase == owner and c.depth == 0]
        found[f"open_{name}"] = [c.instructions for c in outer if c.kind == OPEN]
        found[f"close_{name}"] = [c.instructions for c in outer if c.kind == CLOSE]
    largest = [c for c in calls if (c.phase, c.kind, c.owner) == (INFERENCE, ALLOC, INFERENCE)]
    most = max((c.size for c in largest), default=0)
    found["alloc_inference"] = [c.instructions for c in largest if c.size == most]
    for size in sizes:
        taken, given = _blocks([c for c in calls if c.phase == str(size)], size)
        found |= {f"free_{size}": given}
        found.setdefault("alloc_ordinary", taken)
    figures: dict[str, float] = {}
    for name, values in found.items():
        if len(values) != runs:
            raise InconclusiveError(f"{len(values)} calls seen for {name}, not {runs}")
        figures |= {name: min(values), name + _MOST: max(values)}
    return figures | per_mib({size: figures[f"free_{size}"] for size in sizes})


def _blocks(calls: Sequence[Counted], size: int) -> tuple[list[int], list[int]]:
    """Taking the blocks of `size` that the client asked for, and giving back these very blocks."""
    taken, given, live = [], [], 0
    for call in calls:
        if call.kind == ALLOC and call.depth == 0 and call.size == size:
            taken.append(call.instructions)
            live = call.block
        elif call.kind == FREE and live and (call.block, call.size) == (live, size):
            given.append(call.instructions)
            live = 0
    return taken, given


def per_mib(frees: dict[int, float]) -> dict[str, float]:
    """Least squares through (bytes, instructions): the slope per MiB, and what is furthest off."""
    x, y = (np.array(list(values), dtype=float) for values in (frees.keys(), frees.values()))
    slope, start = np.polyfit(x, y, 1)
    off = float(np.abs(y - slope * x - start).max())
    return {"free_per_mib": round(float(slope) * MIB), "furthest_from_line": round(off)}


def _memory(place: layout.Layout) -> dict[str, float]:
    record = place.size("_tee_mm_pool_t")
    return {**{name: float(size) for name, size in place.sections.items()}, "pool_record": record}


def costs(unpatched: Outcome, patched: Outcome) -> tuple[Cost, ...]:
    """The rows of the table, of what was measured on both sides."""
    rows = []
    for name, (what, unit) in _ROWS.items():
        left, right = (side.figures.get(name) for side in (unpatched, patched))
        if left is None or right is None:
            continue
        most = (side.figures.get(name + _MOST, side.figures[name]) for side in (unpatched, patched))
        rows.append(Cost(what, unit, left, right, right - left, *most))
    return tuple(rows)
