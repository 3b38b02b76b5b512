"""The certificate of an arena: every rule of `arena_*`, checked step by step over a plan as data.

Goal: `certify` takes rows of plain values and says for each rule whether it holds; where it does
not, the buffers and the step are named. It sweeps the steps once and shares no code with the
planner, so that a mistake there does not hide here.
Non-goals: whether the plan is the lowest, and mending it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera.errors import TesseraError

RULES = {
    "arena_sound": "every buffer lives in some step, has bytes, a name of its own and a place",
    "arena_disjoint": "buffers alive in one step share no byte, but for the pairs that may",
    "arena_shared": "a pair shares a place only whole, in the one step where both live",
    "arena_inside": "every buffer lies between 0 and the capacity",
    "arena_aligned": "every offset is a multiple of its buffer's alignment",
    "arena_peak": "the claimed peak is the end of the highest buffer",
    "arena_bound": "the claimed largest live load is the largest sum of bytes alive in one step",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One buffer of a plan: alive in [lower, upper), at [offset, offset + size)."""

    name: str
    lower: int
    upper: int
    size: int
    alignment: int
    offset: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a plan says of itself; `shared` has the pairs (earlier, later) that may share."""

    capacity: int
    peak: int
    load: int | None = None
    shared: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Ruling:
    """One rule; `broken` says where, with names and step, when it does not hold."""

    rule: str
    words: str
    broken: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing breaks it."""
        return not self.broken


@dataclass(frozen=True, slots=True)
class Certificate:
    """All rulings, and what was looked at to reach them."""

    rulings: tuple[Ruling, ...]
    buffers: int
    steps: int
    pairs: int

    @property
    def holds(self) -> bool:
        """Whether every rule holds."""
        return all(ruling.holds for ruling in self.rulings)


def read_plan(document: Mapping[str, Any]) -> tuple[tuple[Row, ...], Claim]:
    """Rows and claims of a plan as JSON has it. Raises `TesseraError` where one is missing."""
    try:
        rows = tuple(
            Row(
                str(item["id"]),
                *(_whole(item[key]) for key in ("lower", "upper", "size", "alignment", "offset")),
            )
            for item in document["buffers"]
        )
        shared = frozenset((str(a), str(b)) for a, b in document.get("shared", ()))
        load = document.get("largest_live_load")
        return rows, Claim(
            _whole(document["capacity"]),
            _whole(document["height"]),
            None if load is None else _whole(load),
            shared,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TesseraError(
            f"not a plan of an arena: {error!r}", remedy="give what `tessera plan --json` printed"
        ) from error


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def certify(rows: Sequence[Row], claim: Claim) -> Certificate:
    """Judge a plan; no exception, whatever the numbers are."""
    unsound = _unsound(rows)
    if unsound:  # the sweep is about sound rows; nothing else may be said to hold
        broken = dict.fromkeys(RULES, "not looked at: a row is unsound")
        broken["arena_sound"] = unsound
        return Certificate(_rulings(broken), len(rows), 0, 0)
    sweep = _Sweep(claim.shared)
    sweep.run(rows)
    broken = {
        "arena_disjoint": sweep.overlap,
        "arena_shared": sweep.misshared,
        "arena_inside": _outside(rows, claim.capacity),
        "arena_aligned": _misaligned(rows),
        "arena_peak": _wrong_peak(rows, claim.peak),
        "arena_bound": _wrong_load(sweep, claim.load),
    }
    return Certificate(_rulings(broken), len(rows), sweep.steps, sweep.pairs)


def _rulings(broken: Mapping[str, str]) -> tuple[Ruling, ...]:
    return tuple(Ruling(rule, words, broken.get(rule, "")) for rule, words in RULES.items())


def _first(found: Iterable[str]) -> str:
    return next(iter(found), "")


def _unsound(rows: Sequence[Row]) -> str:
    seen: set[str] = set()
    for row in rows:
        if row.name in seen:
            return f"two buffers are called {row.name}"
        seen.add(row.name)
        if not 0 <= row.lower < row.upper:
            return f"{row.name} lives in no step: [{row.lower}, {row.upper})"
        if row.size <= 0 or row.alignment <= 0:
            return f"{row.name} has {row.size} bytes, aligned to {row.alignment}"
    return "" if rows else "there are no buffers"


class _Sweep:
    """Walk over the steps at which something starts or ends, with the set of what is alive."""

    def __init__(self, shared: Collection[tuple[str, str]]) -> None:
        self.shared = shared
        self.overlap = self.misshared = ""
        self.steps = self.pairs = 0
        self.load, self.load_step = 0, 0

    def run(self, rows: Sequence[Row]) -> None:
        starts: dict[int, list[Row]] = {}
        ends: dict[int, list[Row]] = {}
        for row in rows:
            starts.setdefault(row.lower, []).append(row)
            ends.setdefault(row.upper, []).append(row)
        alive: dict[str, Row] = {}
        for step in sorted(starts.keys() | ends.keys()):
            for row in ends.get(step, ()):
                del alive[row.name]
            for row in starts.get(step, ()):
                for other in alive.values():
                    self.meet(other, row, step)
                alive[row.name] = row
            self.steps += 1
            self.weigh(alive, step)

    def weigh(self, alive: Mapping[str, Row], step: int) -> None:
        """Bytes alive; of a pair that shares its place, once."""
        load = sum(row.size for row in alive.values())
        for earlier, later in self.shared:
            if earlier in alive and later in alive:
                load -= min(alive[earlier].size, alive[later].size)
        if load > self.load:
            self.load, self.load_step = load, step

    def meet(self, old: Row, new: Row, step: int) -> None:
        """Judge two rows that are alive together from `step` on."""
        self.pairs += 1
        if (old.name, new.name) in self.shared:
            whole = (old.offset, old.size) == (new.offset, new.size)
            if not (whole and old.upper == step + 1) and not self.misshared:
                self.misshared = (
                    f"{old.name} and {new.name} share a place in step {step}, but not the whole "
                    "of it for that step alone"
                )
            return
        low = max(old.offset, new.offset)
        high = min(old.offset + old.size, new.offset + new.size)
        if low < high and not self.overlap:
            self.overlap = (
                f"{old.name} and {new.name} are both alive in step {step} and share the bytes "
                f"[{low}, {high})"
            )


def _outside(rows: Sequence[Row], capacity: int) -> str:
    return _first(
        f"{row.name} lies at [{row.offset}, {row.offset + row.size}) from step {row.lower} on, "
        f"outside [0, {capacity})"
        for row in rows
        if row.offset < 0 or row.offset + row.size > capacity
    )


def _misaligned(rows: Sequence[Row]) -> str:
    return _first(
        f"{row.name} lies at {row.offset} from step {row.lower} on, which is no multiple of "
        f"{row.alignment}"
        for row in rows
        if row.offset % row.alignment
    )


def _wrong_peak(rows: Sequence[Row], peak: int) -> str:
    top = max(rows, key=lambda row: row.offset + row.size)
    end = top.offset + top.size
    if end == peak:
        return ""
    return f"the peak is said to be {peak}; {top.name} ends at {end}, alive from step {top.lower}"


def _wrong_load(sweep: _Sweep, load: int | None) -> str:
    if load is None or load == sweep.load:
        return ""
    return (
        f"the largest live load is said to be {load}; in step {sweep.load_step} {sweep.load} bytes "
        "are alive"
    )
