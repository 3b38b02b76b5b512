"""`tessera conform`: does the emitted C do what the spec says?

Goal: load, run the tiers, show every check and the smallest difference, choose the exit code.
Non-goals: comparing (see `tessera.conform`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tessera import resources
from tessera.cli.builds_matrix import matrix, only_in_matrix
from tessera.cli.controls_table import show_controls
from tessera.conform.result import Check, Conformance
from tessera.conform.tiers import Options, conform
from tessera.errors import TesseraError
from tessera.guest import toolchain
from tessera.lang import Spec, load
from tessera.report.files import to_text

_STYLES = {"AGREES": "green", "DIFFERS": "bold red", "UNKNOWN": "yellow", "SKIPPED": "dim"}
_PLAIN_WIDTH = 140


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="conform")(command)


def command(
    spec: Annotated[str, typer.Argument(help="A .tess file or the name of a shipped spec.")],
    tree: Annotated[
        Path | None,
        typer.Option(help="An OP-TEE tree, only read; else the guest's.", show_default=False),
    ] = None,
    patch: Annotated[
        Path | None,
        typer.Option(help="This patch, not the one emitted from the spec.", show_default=False),
    ] = None,
    tier: Annotated[
        list[str] | None,
        typer.Option(
            help="smt, host, builds, cbmc or guest; repeatable. [default: smt, host]",
            show_default=False,
        ),
    ] = None,
    operations: Annotated[
        int, typer.Option(min=1, help="How many operations the seeded loop runs.")
    ] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same operations.")] = 1,
    blocks: Annotated[
        int, typer.Option(min=1, max=4, help="Live blocks in the tier cbmc: 4 take long.")
    ] = 1,
    controls: Annotated[
        bool, typer.Option("--controls", help="Give the tiers patches with known mistakes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Compare the C of the policy's patch with the spec, tier by tier.

    The patch is put into a copy of the tree, and the tree's own C is compared with what the spec
    says. A difference is shown as the shortest run known that leads to it.

    Example: `tessera conform priority --tier host --operations 1000000 --seed 7`

    With --controls the patch gets known mistakes, one at a time, and the table shows which tier
    catches which; a mistake that no tier catches is exit code 1.

    Exit code 0: all that ran agrees; 1: something differs; 2: bad input; 3: a bound was hit.
    """
    loaded = load(resources.find_spec(spec))
    source = tree or toolchain.require().optee_source
    options = Options(operations=operations, seed=seed, blocks=blocks)
    if controls:
        if patch is not None:
            raise TesseraError(
                "--controls changes the emitted patch; it takes no other",
                where="--patch",
                remedy="leave out --patch, or --controls",
            )
        raise typer.Exit(show_controls(loaded, source, tier or [], options, as_json=as_json))
    found = _with_progress(loaded, source, patch, tier or [], options)
    if as_json:
        typer.echo(to_text(asdict(found)), nl=False)
    else:
        _print(found, seed)
    raise typer.Exit(found.exit_code)


def _with_progress(
    spec: Spec, tree: Path, patch: Path | None, tiers: list[str], options: Options
) -> Conformance:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as p:
        task = p.add_task("reading the tree")

        def say(what: str) -> None:
            p.update(task, description=escape(what))

        return conform(spec, tree, patch, tiers, replace(options, progress=say))


def _print(found: Conformance, seed: int) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    given = "" if found.patch == "emitted" else f" with {found.patch}"
    head = f"[bold]{escape(found.spec)}[/] on {escape(found.target)}{escape(given)}, seed {seed}"
    console.print(head, soft_wrap=True)
    console.print(_table([check for check in found.checks if not only_in_matrix(check)]))
    if any(only_in_matrix(check) for check in found.checks):
        console.print()
        console.print(matrix(found.checks))
    for check in found.checks:
        if check.trace or check.remedy or check.where:
            _explain(check, console)


def _table(checks: Sequence[Check]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("tier", "check", "verdict", "what was looked at"):
        table.add_column(name, overflow="fold")
    table.add_column("s", justify="right")
    for check in checks:
        verdict = f"[{_STYLES[check.verdict]}]{check.verdict}[/]"
        name = check.name.removeprefix(f"{check.tier}/")
        told = escape(check.detail)
        table.add_row(check.tier, escape(name), verdict, told, f"{check.seconds:.1f}")
    return table


def _explain(check: Check, console: Console) -> None:
    where = f"  {check.where}" if check.where else ""
    style = _STYLES[check.verdict]
    console.print(f"\n[{style}]{escape(check.name)}[/]{escape(where)}", soft_wrap=True)
    for number, line in enumerate(check.trace, start=1):
        console.print(f"{number:>4}  {escape(line)}", soft_wrap=True)
    if check.remedy:
        console.print(f"  help: {escape(check.remedy)}", soft_wrap=True)
