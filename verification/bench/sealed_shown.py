"""Rows of `sealed.py` against each other, as a table and as a picture.

Goal: overheads of budgets, Markdown, an SVG.
Non-goals: measuring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera.plan.pictures.canvas import bytes_words
from tessera.plan.pictures.curve import curve_svg

TARGET = 2.0
"""Times the largest budget's instructions that the smallest budget is meant to take at most."""
SERIES = ("model", "kind", "compressed")


def overheads(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per series of budgets: instructions against the largest budget's, and the target."""
    series: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["usable"]:
            series.setdefault(tuple(row[name] for name in SERIES), []).append(row)
    made = []
    for (model, kind, compressed), found in series.items():
        ordered = sorted(found, key=lambda row: -row["budget"])
        first, last = ordered[0], ordered[-1]
        times = {row["budget"]: row["instructions"] / first["instructions"] for row in ordered}
        plain = {
            row["budget"]: row["instructions"] / row["plain"]["inference"]
            for row in ordered
            if row.get("plain")
        }
        made.append(
            {
                **{"model": model, "kind": kind, "compressed": compressed},
                **{"largest": first["budget"], "smallest": last["budget"]},
                "times_of_the_largest": times,
                "times_of_plain": plain,
                "smallest_against_largest": times[last["budget"]],
                "target": TARGET,
                "within_target": times[last["budget"]] <= TARGET,
            }
        )
    return made


_HEAD = (
    "| model | | budget | instructions | of the largest | plain | blocks | bytes | calls | arena "
    "| load | heap | pool | claimed | reference |\n|" + "---|" * 15
)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All rows as Markdown, with a line per series under it."""
    found = overheads(rows)
    lines = [_HEAD]
    for row in rows:
        form = row["kind"] + (" packed" if row["compressed"] else "")
        head = f"| `{row['model']}` | {form} | {bytes_words(row['budget'])} | "
        if not row["usable"]:
            lines.append(head + f"{row['why']} |" + " |" * 11)
            continue
        (times,) = (
            one["times_of_the_largest"][row["budget"]]
            for one in found
            if all(one[name] == row[name] for name in SERIES)
        )
        plain = f"{row['plain']['inference']:,}" if row.get("plain") else ""
        taken = "booting took more" if row["pool_taken"] is None else f"{row['pool_taken']:,}"
        word = "equal" if row["equal"] else "NOT EQUAL"
        cells = [f"{row['instructions']:,}", f"{times:.2f}", plain]
        cells += [f"{row[name]:,}" for name in ("blocks", "bytes", "calls", "arena")]
        cells += [f"{row['largest_live_load']:,}", f"{row['heap_peak']:,}", taken]
        cells += [f"{row['pool_claimed']:,}", f"{word} {row['largest_difference']:.1e}"]
        lines.append(head + " | ".join(cells) + " |")
    for one in found:
        word = "within" if one["within_target"] else "over"
        lines.append(
            f"{one['model']} {one['kind']}{' packed' if one['compressed'] else ''}: "
            f"{bytes_words(one['smallest'])} takes {one['smallest_against_largest']:.2f} times "
            f"{bytes_words(one['largest'])}, {word} the target of {one['target']:g}"
        )
    sizes = {(row["ta_code"], row["ta_file"]) for row in rows if row["usable"] and row["ta_code"]}
    lines += [
        f"the TA: {code:,} bytes of code and constants, a file of {file:,}"
        for code, file in sorted(sizes)
    ]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Point:
    """Of the picture: instructions in the place of costs."""

    model: str
    method: str
    budget: int
    peak: int
    cost: float
    loaded: int


def picture(rows: Sequence[Mapping[str, Any]]) -> str:
    """Instructions over budgets, sealed and in the clear. Needs a usable row."""
    points = []
    for row in rows:
        if not row["usable"]:
            continue
        form = row["kind"] + (" packed" if row["compressed"] else "")
        at = row["budget"], row["arena"]
        points.append(Point(row["model"], form, *at, float(row["instructions"]), row["bytes"]))
        if row.get("plain"):
            count = float(row["plain"]["inference"])
            points.append(Point(row["model"], f"{form}, plain", *at, count, row["bytes"]))
    return curve_svg(points, "Instructions")
