"""`tessera plan --confirm`: Z3 asked about a plan beside its checker.

Goal: the buffers of the plan and its tiled layers handed to the proofs, their answers printed.
Non-goals: the questions (`tessera.prove`), and what the checker says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET, TesseraError
from tessera.plan.certificate.arena import Row
from tessera.plan.certificate.layers import tiled_layers
from tessera.plan.plan import Plan
from tessera.results import Obligation

HEIGHTS = "1:4096"
_HEIGHTS = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")
_COLOURS = {"PROVED": "green", "VIOLATED": "red"}


def heights_of(text: str) -> tuple[int, int]:
    """Two input heights as `LOW:HIGH`. Raises `TesseraError` for anything else."""
    found = _HEIGHTS.fullmatch(text)
    low, high = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= low <= high:
        raise TesseraError(
            f"'{text}' is no range of input heights",
            where="--heights",
            remedy=f"write LOW:HIGH, the smaller first, from 1 on: {HEIGHTS}",
        )
    return low, high


def confirmed(plan: Plan, heights: tuple[int, int], status: Status | None) -> list[Obligation]:
    """The answers: four rules over the whole arena, and four for each tiled layer."""
    from tessera.prove.tiles import Bands, confirm_bands  # noqa: PLC0415 - z3 takes a while
    from tessera.prove.windows import confirm_long  # noqa: PLC0415

    def say(words: str) -> None:
        if status is not None:
            status.update(f"confirming: {words}")

    rows = [
        Row(one.id, one.lower, one.upper, one.size, plan.alignment, one.offset)
        for one in plan.buffers
    ]
    found = list(confirm_long(rows, plan.peak, say=say))
    known: dict[Bands, str] = {}
    for name, layer in tiled_layers(plan).items():
        bands = Bands(**asdict(layer))
        if bands in known:
            alike = [one for one in found if one.id.startswith(f"tiles/{known[bands]}/")]
            for one in alike:
                words = f"the question is that of {known[bands]}"
                where = f"tiles/{name}/{one.property}"
                found.append(replace(one, id=where, resource=0, seconds=0.0, detail=words))
            continue
        say(name)
        known[bands] = name
        found += confirm_bands(bands, heights, name=name)
    return found


def exit_code(found: Sequence[Obligation]) -> int:
    """0 when all is proved, 1 when something is violated or says nothing, 3 when only UNKNOWN
    stands in the way."""
    open_ends = [one.verdict for one in found if one.verdict != "PROVED"]
    if not open_ends:
        return EXIT_OK
    return EXIT_UNKNOWN if set(open_ends) == {"UNKNOWN"} else EXIT_UNMET


def document(found: Sequence[Obligation], heights: tuple[int, int]) -> dict[str, Any]:
    """The answers as data; seconds are left out, as they differ from run to run."""
    fields = ("id", "property", "doc", "verdict", "resource", "detail")
    rows = [{name: getattr(one, name) for name in fields} for one in found]
    return {"heights": [*heights], "obligations": rows}


def print_answers(
    console: Console, found: Sequence[Obligation], heights: tuple[int, int], plan: Plan
) -> None:
    """A line per arena and tiled layer; one more for each rule that is not proved."""
    parts: dict[str, list[Obligation]] = {}
    for one in found:
        parts.setdefault(one.id.rsplit("/", 1)[0], []).append(one)
    low, high = heights
    for part, answers in parts.items():
        bad = [one for one in answers if one.verdict != "PROVED"]
        about = f"every height of its input from {low:,} to {high:,}"
        if part == "arena":
            about = f"every step, address and pair of {len(plan.buffers):,} buffers"
        units = sum(one.resource for one in answers)
        head = f"[{_COLOURS['PROVED']}]PROVED[/] " if not bad else "[red]open[/]   "
        proved = f"{len(answers) - len(bad)} of {len(answers)} rules"
        words = f"{part}: {proved} for {about}, {units:,} resource units"
        console.print(f"{head}{escape(words)}", soft_wrap=True)
        for one in bad:
            colour = _COLOURS.get(one.verdict, "yellow")
            text = f"{one.property}: {one.detail or one.doc}"
            console.print(f"  [{colour}]{one.verdict}[/] {escape(text)}", soft_wrap=True)
    if not any(part.startswith("tiles/") for part in parts):
        console.print("no layer of this plan reads its bands from a line buffer")
