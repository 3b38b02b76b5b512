"""Z3's opinion on an arena of any length: windows of steps, each small enough to be asked about.

Goal: `confirm_long` cuts the steps so that few buffers live in each window. Two buffers that live
in one step live in the window that has it, so that no pair is left out; what is said of one buffer
alone is asked in handfuls. The answers of one rule are one obligation.
Non-goals: the questions themselves (`arena`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tessera.prove.arena import MOST, Placed, confirm
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.results import Obligation

LONGEST = 64
"""Windows; a plan of more is not asked about."""

_PAIRS = "arena_disjoint"
Said = Callable[[str], None]


def windows(rows: Sequence[Placed], most: int = MOST) -> list[tuple[Placed, ...]] | str:
    """The buffers of each window, at most `most`; or why there are none: a step with too many."""
    found: list[tuple[Placed, ...]] = []
    held: list[Placed] = []
    for row in sorted(rows, key=lambda one: (one.lower, one.upper, one.name)):
        if len(held) == most:
            found.append(tuple(held))
            held = [one for one in held if one.upper > row.lower]
            if len(held) == most:
                return f"more than {most} buffers live in step {row.lower}"
        held.append(row)
    return [*found, tuple(held)]


def confirm_long(
    rows: Sequence[Placed],
    capacity: int,
    *,
    width: int = 32,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    say: Said = lambda _: None,
) -> tuple[Obligation, ...]:
    """As `arena.confirm`, for any number of buffers; UNKNOWN where they cannot be cut into few
    windows. `say` hears of every window before it is asked about.

    Raises `TesseraError` for values that the C type cannot hold and for no buffers at all.
    """
    cut = windows(rows)
    if isinstance(cut, list) and len(cut) > LONGEST:
        cut = f"{len(rows)} buffers make {len(cut)} windows, more than {LONGEST}"
    if isinstance(cut, str):
        asked = confirm(rows[:1], capacity, width=width, limit=limit, seed=seed)
        return tuple(
            replace(one, verdict="UNKNOWN", met=False, detail=f"not asked: {cut}") for one in asked
        )
    found: dict[str, list[Obligation]] = {}
    handfuls = [tuple(rows[k : k + MOST]) for k in range(0, len(rows), MOST)]
    for kind, parts in (("window", cut), ("handful", handfuls)):
        for number, part in enumerate(parts):
            say(f"{kind} {number + 1} of {len(parts)}")
            asked = confirm(
                part, capacity, width=width, limit=limit, seed=seed, pairs=kind == "window"
            )
            for one in asked:
                found.setdefault(one.property, []).append(one)
    return tuple(_joined(found[rule], len(cut)) for rule in sorted(found))


def _joined(parts: Sequence[Obligation], count: int) -> Obligation:
    """One obligation for all parts: as good as the worst of them."""
    worst = next((one for one in parts if one.verdict == "VIOLATED"), None)
    worst = worst or next((one for one in parts if one.verdict != "PROVED"), parts[0])
    words = worst.detail
    if worst.verdict == "PROVED" and worst.property == _PAIRS and count > 1:
        words = f"in {count} windows of steps"
    return replace(
        worst,
        seconds=sum(one.seconds for one in parts),
        resource=sum(one.resource for one in parts),
        detail=words,
    )
