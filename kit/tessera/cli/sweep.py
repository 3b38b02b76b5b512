"""`tessera sweep`: from which pool size on a property fails, on every platform.

Goal: choose properties, platforms and sizes, print the table, write it as CSV or JSON.
Non-goals: the questions and their answers (see `tessera.prove.sweep`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tessera import resources
from tessera.errors import EXIT_OK, EXIT_UNKNOWN, TesseraError
from tessera.lang import Spec, load
from tessera.lang.write_platform import size_text
from tessera.prove.engine import engine_for
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.prove.sweep import DEFAULT_STEPS, Row, sweep
from tessera.prove.sweep_specs import (
    Subject,
    bounds,
    chosen_platforms,
    chosen_properties,
    own_subject,
    size_const,
    subjects,
)
from tessera.report.files import to_text, write_text

_WIDTH = 120
"""Columns where the output is not a terminal: the table of the usual sizes fits."""

_MARKS = {"holds": "[green]✓[/]", "fails": "[bold red]✗[/]", "unknown": "[yellow]?[/]", "-": ""}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="sweep")(run)


def run(
    spec: Annotated[str, typer.Argument(help="A spec: a path, or the name of a shipped one.")],
    prop: Annotated[
        list[str] | None,
        typer.Option(
            "--property", help="A property; by default the width properties, or what is violated."
        ),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(help="A shipped platform or a file; by default all that ship."),
    ] = None,
    pages: Annotated[
        str | None, typer.Option(help="Sizes, e.g. 4096,65536; by default powers of four.")
    ] = None,
    const: Annotated[
        str | None,
        typer.Option("--size-const", help="The constant; by default the length of the view."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write a line per cell to this file.")
    ] = None,
    steps: Annotated[
        int, typer.Option(min=1, max=40, help="Longest runs that are searched.")
    ] = DEFAULT_STEPS,
    limit: Annotated[
        int, typer.Option(min=1000, help="Z3 resource units per question.")
    ] = DEFAULT_LIMIT,
    seed: Annotated[int, typer.Option(help="Z3's random seed.")] = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one per processor.")] = 0,
) -> None:
    """Say up to which pool size a property holds, and name the smallest at which it fails.

    The property's `given` is left out, so that the whole truth appears. Each answer is a proof for
    all sizes up to one, or a replayed run at the smallest size that has one; for the platform's own
    pool, a replayed run at exactly that size.

    Example: `tessera sweep vanilla --property lookup --platform versal`

    Exit code 0: every size is settled; 2: bad input; 3: some stayed unknown.
    """
    file = resources.find_spec(spec)
    loaded = load(file)
    name = size_const(loaded, const)
    names = chosen_properties(loaded, prop or ())
    lowest, highest = bounds(loaded, name)
    sizes = _sizes(pages, lowest, highest)
    rows = _with_progress(
        _subjects(loaded, file, platform or ()),
        names,
        name,
        limit=limit,
        seed=seed,
        steps=steps,
        jobs=jobs,
    )
    if table is not None:
        write_text(table, _csv(rows, sizes))
    if as_json:
        typer.echo(to_text(_document(loaded, name, rows, sizes)), nl=False)
    else:
        _print(rows, sizes, name)
    raise typer.Exit(EXIT_OK if all(row.exact for row in rows) else EXIT_UNKNOWN)


def _subjects(loaded: Spec, file: Path, platforms: Sequence[str]) -> list[Subject]:
    if loaded.platform is None and not platforms:
        return [own_subject(loaded)]
    return subjects(file, chosen_platforms(platforms))


def _sizes(text: str | None, lowest: int, highest: int) -> list[int]:
    """The ladder: the sizes given, or powers of four from 4 Ki and the highest value."""
    if text is None:
        ladder = [1 << n for n in range(12, highest.bit_length(), 2)]
        return [n for n in ladder if lowest <= n < highest] + [highest]
    try:
        sizes = [int(word, 0) for word in text.split(",")]
    except ValueError as error:
        raise TesseraError(
            f"'{text}' is not a list of sizes", remedy="e.g. --pages 4096,65536,0x100000"
        ) from error
    for size in sizes:
        if not lowest <= size <= highest:
            raise TesseraError(
                f"a size of {size} is outside the constant's range",
                remedy=f"give sizes from {lowest} to {highest}",
            )
    return sorted(dict.fromkeys(sizes))


def _with_progress(
    found: Sequence[Subject],
    names: Sequence[str],
    const: str,
    *,
    limit: int,
    seed: int,
    steps: int,
    jobs: int,
) -> tuple[Row, ...]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("sweeping", total=None, what="")

        def moved(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, what=what)

        engine = engine_for(jobs, None)
        return sweep(
            found, names, const, engine=engine, limit=limit, seed=seed, steps=steps, progress=moved
        )


# --- rendering ------------------------------------------------------------------------------------


def _count(number: int) -> str:
    """A number of granules as one says it: 65536 is 64 Ki, and 65537 is 64 Ki + 1."""
    for word, scale in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if number >= scale and number % scale == 0:
            return f"{number // scale} {word}"
    if number > 1 << 10 and number % (1 << 10) == 1:
        return f"{_count(number - 1)} + 1"
    if number == 0xFFFF_FFFF:
        return "4 Gi - 1"
    return str(number)


def _own(row: Row) -> str:
    if row.own is None:
        return ""
    return f"{_count(row.own)} ({size_text(row.own * row.granule)}) {_MARKS[row.own_verdict]}"


def _from(row: Row) -> str:
    if row.fails_from is None:
        return "[green]never[/]" if row.exact else "[yellow]unknown[/]"
    return _count(row.fails_from) + ("" if row.exact else " [yellow]or fewer[/]")


def _print(rows: Sequence[Row], sizes: Sequence[int], const: str) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    for name in dict.fromkeys(row.prop for row in rows):
        table = Table(box=None, pad_edge=False, header_style="dim", title_justify="left")
        table.add_column("platform", no_wrap=True)
        table.add_column("its pool", no_wrap=True)
        for size in sizes:
            table.add_column(_count(size).replace(" ", ""), justify="center", no_wrap=True)
        table.add_column("fails from", no_wrap=True)
        for row in (row for row in rows if row.prop == name):
            marks = [_MARKS[row.verdict(size)] for size in sizes]
            table.add_row(f"[bold]{escape(row.platform)}[/]", _own(row), *marks, _from(row))
        console.print(f"[bold]{escape(name)}[/], by {escape(const)}")
        console.print(table)
        console.print()
    own = [row for row in rows if row.own is not None]
    bad = [row for row in own if row.own_verdict != "holds"]
    if own:
        console.print(f"{len(own) - len(bad)} of {len(own)} hold at the platform's own pool.")
    unsettled = [row for row in rows if not row.exact]
    if unsettled:
        console.print(f"{len(unsettled)} of {len(rows)} are not settled for every size.")


def _cells(row: Row, sizes: Sequence[int]) -> list[dict[str, Any]]:
    return [{"pages": size, "verdict": row.verdict(size)} for size in sizes]


def _document(
    loaded: Spec, const: str, rows: Sequence[Row], sizes: Sequence[int]
) -> dict[str, Any]:
    return {
        "spec": loaded.name,
        "digest": loaded.digest,
        "size_const": const,
        "rows": [
            {
                "property": row.prop,
                "platform": row.platform,
                "granule": row.granule,
                "own": row.own,
                "own_verdict": row.own_verdict,
                "proved_to": row.proved_to if row.proved_to >= row.lowest else None,
                "fails_from": row.fails_from,
                "exact": row.exact,
                "leant_on": list(row.leant_on),
                "resource": row.resource,
                "cells": _cells(row, sizes),
                "script": None if row.trace is None else row.trace.script,
            }
            for row in rows
        ],
    }


def _csv(rows: Sequence[Row], sizes: Sequence[int]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["property", "platform", "pages", "own", "verdict", "fails_from"])
    for row in rows:
        for size in sorted({*sizes, *([] if row.own is None else [row.own])}):
            own = size == row.own
            verdict = row.own_verdict if own else row.verdict(size)
            from_ = "" if row.fails_from is None else row.fails_from
            writer.writerow([row.prop, row.platform, size, "yes" if own else "no", verdict, from_])
    return out.getvalue()


__all__ = ["register", "run"]
