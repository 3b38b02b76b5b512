"""`tessera report` and `tessera schema`: the whole road at once, and its document's schema.

Goal: parse, walk, write `results.json` and `report.html`, print the summary and where they are.
Non-goals: the road (see `tessera.road`) and the page (see `tessera.report`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tessera.cli.guest import progress
from tessera.report.files import to_text, write_json, write_text
from tessera.report.html import render_html
from tessera.report.schema import results_schema
from tessera.report.terminal import print_summary
from tessera.road import Plan, walk

PAGE = "report.html"
DOCUMENT = "results.json"
PATCH = "{}.patch"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.command()(schema)


def report(
    spec: Annotated[str, typer.Argument(help="A .tess file or the name of a shipped spec.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")] = Path(
        "out"
    ),
    beside: Annotated[
        list[str] | None, typer.Option(help="Check this spec too and show it; may be repeated.")
    ] = None,
    tree: Annotated[
        Path | None, typer.Option(help="Your own OP-TEE tree; only read.", show_default=False)
    ] = None,
    guest: Annotated[bool, typer.Option(help="Build, boot and validate.")] = True,
    setup: Annotated[
        bool, typer.Option("--setup", help="First fetch the guest's parts where they are missing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json on stdout.")] = False,
) -> None:
    """Walk the whole road: check, patch, build, boot, validate, and write the report.

    Exit code 0 when everything is as expected, 1 when not, 3 when something stayed undecided.

    Example: `tessera report priority --beside vanilla -o out`
    """
    write_text(output / ".tessera", "")  # an unwritable folder is told now, not after minutes
    (output / ".tessera").unlink(missing_ok=True)
    plan = Plan(spec, tuple(beside or ()), tree, guest, setup, output / "logs")
    with progress() as say:
        results = walk(plan, say)
    write_json(output / DOCUMENT, results.to_json())
    write_text(output / PAGE, render_html(results))
    if results.patch:
        write_text(output / PATCH.format(results.spec), results.patch.text)
    if as_json:
        typer.echo(to_text(results.to_json()), nl=False)
    else:
        console = Console(highlight=False)
        print_summary(results, console)
        console.print(f"report: {output / PAGE}", soft_wrap=True)
    raise typer.Exit(results.exit_code)


def schema() -> None:
    """Print the JSON Schema of results.json.

    Example: `tessera schema > results.schema.json`
    """
    typer.echo(to_text(results_schema()), nl=False)
