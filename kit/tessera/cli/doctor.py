"""`tessera doctor`: what is here, what is missing, and the command that mends it.

Goal: one table for people, `--json` for programs; exit code 1 only when the core is broken.
Non-goals: mending (the table names the command).
"""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from tessera.doctor import Part, core_is_whole, examine
from tessera.errors import EXIT_UNMET
from tessera.report.files import to_text


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    as_json: bool = typer.Option(False, "--json", help="Print the parts as JSON."),
) -> None:
    """List every part: found, its version, or the command that mends it.

    Example: `tessera doctor --json`
    """
    parts = examine()
    if as_json:
        document = {
            "whole": all(p.found or "optional" in p.name for p in parts),
            "parts": [asdict(p) for p in parts],
        }
        typer.echo(to_text(document), nl=False)
    else:
        _show(parts)
    if not core_is_whole(parts):
        raise typer.Exit(EXIT_UNMET)


def _show(parts: tuple[Part, ...]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for heading in ("", "part", "found, or how to mend it"):
        table.add_column(heading, overflow="fold")
    group = ""
    for part in parts:
        if part.group != group:
            group = part.group
            table.add_row("", f"[bold]{group}[/bold]", "")
        mark = "[green]✓[/green]" if part.found else "[red]✗[/red]"
        said = part.version or "found"
        table.add_row(mark, part.name, said if part.found else f"missing: [bold]{part.mend}[/bold]")
    console.print(table)
    gone = [part for part in parts if not part.found]
    mends = list(dict.fromkeys(part.mend for part in gone))
    if gone:
        console.print(f"\n{len(gone)} parts are missing. To mend: [bold]{'; '.join(mends)}[/bold]")
    else:
        console.print("\nEverything is here.")
