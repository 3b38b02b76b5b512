"""`tessera validate`: the spec's policy on a real OP-TEE, against the same OP-TEE without it.

Goal: one table (or `--json`), exit code 0 when every scenario did what was expected of it.
Non-goals: the trials (see `tessera.guest.scenarios`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tessera import resources
from tessera.cli.guest import progress
from tessera.errors import EXIT_UNMET
from tessera.guest import machine, validation
from tessera.lang import load
from tessera.report.files import to_text
from tessera.report.terminal import print_summary


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(validate)


def validate(
    spec: Annotated[Path, typer.Argument(help="The spec whose policy is put to the trial.")],
    tree: Annotated[
        Path | None, typer.Option("--tree", help="Your own OP-TEE tree; only read.")
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario",
            help="Only this one; may be repeated. churn, crash, xtest and cost run only so: they "
            "take long. xtest:1004,1006 runs these cases only, cost:2 counts everything twice.",
        ),
    ] = None,
    logs: Annotated[
        Path, typer.Option(help="Folder for the guests' console logs.")
    ] = machine.LOG_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Emit the patch, boot OP-TEE without and with it, and run the scenarios on both.

    Example: `tessera validate specs/policies/priority.tess`
    """
    checked = load(resources.find_spec(spec))
    with progress() as say:
        shown = validation.validate(
            checked, tree=tree, names=scenario or (), progress=say, log_folder=logs
        )
    results = shown.results(checked)
    if as_json:
        typer.echo(to_text(results.to_json()), nl=False)
    else:
        console = Console(highlight=False)
        print_summary(results, console)
        used = ", ".join(f"{part} {version}" for part, version in shown.versions.items())
        console.print(f"with {used}", style="dim")
    if not shown.met:
        raise typer.Exit(EXIT_UNMET)
