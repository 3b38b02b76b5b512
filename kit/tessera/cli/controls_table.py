"""`tessera conform --controls`: which tier catches which mistake, as a table.

Goal: run the catalogue, show a row for every control and a sum, choose the exit code.
Non-goals: the controls and the tiers (see `tessera.conform`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tessera.conform.controls import NOT_TRIED, SEEN, TIERS, Outcome, exit_code, run_controls
from tessera.conform.tiers import Options
from tessera.lang import Spec
from tessera.report.files import to_text

_PLAIN_WIDTH = 140
_STYLES = dict.fromkeys(SEEN, "green") | {"UNKNOWN": "yellow"}


def show_controls(
    spec: Spec, tree: Path, tiers: Sequence[str], options: Options, *, as_json: bool
) -> int:
    """Run all controls, print what came of them, return the exit code."""
    chosen = tuple(tiers) or TIERS
    outcomes = _run(spec, tree, chosen, options)
    if as_json:
        typer.echo(to_text([_data(outcome) for outcome in outcomes]), nl=False)
    else:
        _print(outcomes, chosen)
    return exit_code(outcomes)


def _run(spec: Spec, tree: Path, tiers: tuple[str, ...], options: Options) -> list[Outcome]:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as p:
        task = p.add_task("controls")

        def say(what: str) -> None:
            p.update(task, description=escape(what))

        return list(run_controls(spec, tree, replace(options, progress=say), tiers))


def _data(outcome: Outcome) -> dict[str, Any]:
    control = outcome.control
    return {
        "name": control.name,
        "kind": control.kind,
        "doc": control.doc,
        "caught": outcome.caught,
        "tiers": {
            t.tier: {
                "verdict": t.verdict,
                "check": t.check,
                "detail": t.detail,
                "seconds": round(t.seconds, 3),
                "processor": round(t.processor, 3),
            }
            for t in outcome.tiers
        },
    }


def _print(outcomes: list[Outcome], tiers: tuple[str, ...]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    table = Table(box=None, pad_edge=False)
    for name in ("control", "about"):
        table.add_column(name, overflow="fold")
    for tier in tiers:
        table.add_column(tier, overflow="fold")
        table.add_column("s", justify="right")
    for outcome in outcomes:
        row = [escape(outcome.control.name), outcome.control.kind]
        for one in outcome.tiers:
            if one.verdict == NOT_TRIED:
                row += ["not tried", ""]
                continue
            check = one.check.removeprefix(f"{one.tier}/")
            told = f"{one.verdict} {check}" if check else one.verdict
            row += [f"[{_STYLES.get(one.verdict, 'dim')}]{escape(told)}[/]", f"{one.seconds:.1f}"]
        table.add_row(*row)
    console.print(table)
    tried = [outcome for outcome in outcomes if outcome.tried]
    missed = [outcome.control.name for outcome in tried if not outcome.caught]
    left = f", {len(outcomes) - len(tried)} not tried" if len(tried) < len(outcomes) else ""
    console.print(f"{len(tried) - len(missed)} of {len(tried)} controls caught{left}")
    for tier in tiers:
        seen = sum(t.verdict in SEEN for o in outcomes for t in o.tiers if t.tier == tier)
        asked = sum(t.verdict != NOT_TRIED for o in outcomes for t in o.tiers if t.tier == tier)
        console.print(f"  {tier}: {seen} of {asked}")
    if missed:
        console.print(f"[bold red]caught by no tier[/]: {escape(', '.join(missed))}")
