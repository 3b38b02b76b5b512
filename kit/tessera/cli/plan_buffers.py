"""`tessera plan --csv`: buffers with known lifetimes, placed in one arena and checked.

Goal: read buffers, plan the arena, have the plan judged by its checker, then print and write it.
Non-goals: planning (see `tessera.plan.arena`), judging (see `tessera.plan.certificate`), drawing.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tessera.cli.outputs import prepare
from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET, TesseraError
from tessera.plan.arena import ArenaPlan, Budget, plan_arena
from tessera.plan.arena.csv_file import csv_text, read_csv
from tessera.plan.arena.document import plan_document
from tessera.plan.arena.picture import picture_html, picture_svg
from tessera.plan.certificate.arena import Certificate, certify, read_plan
from tessera.report.files import to_text, write_text

_PLAIN_WIDTH = 100
_PICTURES = {".svg": picture_svg, ".html": picture_html}


def plan_buffers(
    csv: Path,
    capacity: int | None,
    method: str,
    effort: Budget,
    seed: int,
    out: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Place the buffers of a file; ends with the exit code that `tessera plan` documents."""
    if picture is not None and picture.suffix not in _PICTURES:
        raise TesseraError(
            f"no picture of kind `{picture.suffix}`", where=str(picture), remedy="say .svg or .html"
        )
    prepare(out, picture)
    table = read_csv(csv)
    status = Console(stderr=True)
    began = time.perf_counter()
    with status.status("placing buffers") if status.is_terminal else nullcontext():
        found = plan_arena(
            table.buffers,
            method=method,
            good_enough=capacity or 0,
            budget=effort,
            seed=seed,
        )
    took = time.perf_counter() - began
    document = plan_document(found, capacity)
    judged = certify(*read_plan(document))
    if as_json:
        typer.echo(to_text(document | {"certificate": _rulings(judged)}), nl=False)
    else:
        _print(csv, found, judged, capacity, took)
    code = _exit_code(found, judged, capacity)
    if code == EXIT_OK:
        _write(found, csv, out, picture)
    elif out is not None or picture is not None:
        status.print("nothing is written: there is no plan that fits and passes its check")
    raise typer.Exit(code)


def _exit_code(found: ArenaPlan, judged: Certificate, capacity: int | None) -> int:
    if capacity is not None and found.height > capacity:
        only_that = all(r.holds for r in judged.rulings if r.rule != "arena_inside")
        return EXIT_UNKNOWN if only_that and found.bound <= capacity else EXIT_UNMET
    return EXIT_OK if judged.holds else EXIT_UNMET


def _write(found: ArenaPlan, csv: Path, out: Path | None, picture: Path | None) -> None:
    say = Console(stderr=True, highlight=False)
    if out is not None:
        write_text(out, csv_text(found.buffers, found.offsets))
        say.print(f"written: {escape(str(out))}", soft_wrap=True)
    if picture is not None:
        write_text(picture, _PICTURES[picture.suffix](found, csv.stem))
        say.print(f"drawn: {escape(str(picture))}", soft_wrap=True)


def _rulings(judged: Certificate) -> dict[str, Any]:
    return {
        "holds": judged.holds,
        "rules": [{"rule": r.rule, "holds": r.holds, "broken": r.broken} for r in judged.rulings],
    }


def _print(
    csv: Path, found: ArenaPlan, judged: Certificate, capacity: int | None, took: float
) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    how = "the largest live load" if found.bound == found.load else "nothing lower exists"
    rows = [
        ("buffers", f"{len(found.buffers)}"),
        ("height", f"{found.height} bytes"),
        ("bound", f"{found.bound} bytes ({how}; load {found.load} in step {found.load_step})"),
        ("gap", f"{found.gap:.2%}"),
        ("method", found.method),
    ]
    if found.method == "search":
        effort = f"{found.nodes} nodes, {found.restarts} restarts, seed {found.seed}"
        core = f", {found.core} core" if found.core else ""
        rows.append(("search", f"{effort}{core}, {took:.1f} s"))
    if capacity is not None:
        fits = "fits" if found.height <= capacity else f"{found.height - capacity} bytes too small"
        rows.append(("capacity", f"{capacity} bytes: {fits}"))
    console.print(f"[bold]{escape(csv.name)}[/]", soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, words in rows:
        table.add_row(f"[dim]{name}[/]", escape(words))
    console.print(table)
    console.print(_ruled(judged, found), soft_wrap=True)


def _ruled(judged: Certificate, found: ArenaPlan) -> str:
    refused = [r for r in judged.rulings if not r.holds]
    lines = [f"[red]{r.rule}[/] {escape(r.broken)}" for r in refused]
    if not refused:
        lines.append(
            f"[green]checked[/] {len(judged.rulings)} rules over {judged.steps} steps and "
            f"{judged.pairs} pairs alive together"
        )
    if len(found.rules) > 1:
        lowest = min(found.rules, key=found.rules.__getitem__)
        tflm = found.rules["tflm"]
        lines.append(f"[dim]quick rules: {lowest} {found.rules[lowest]}, tflm {tflm}[/]")
    return "\n".join(lines)
