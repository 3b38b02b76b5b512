"""`tessera cache`: the answers that were kept, and how to be rid of them.

Goal: where the result cache lies, how much is in it, and an empty one on request.
Non-goals: what is kept and why that is sound (see `tessera.prove.cache` and docs/scale.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.errors import TesseraError
from tessera.prove.cache import FOLDER_VARIABLE, ResultCache, default_folder
from tessera.report.files import to_text

Folder = Annotated[
    Path | None, typer.Option("--cache", help="Another folder than your own.", file_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]

group = typer.Typer(help="Answers that were kept, and how to be rid of them.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="cache", invoke_without_command=True)


@group.callback()
def show(context: typer.Context, cache: Folder = None, as_json: AsJson = False) -> None:
    """How many answers are kept, and how much room they take.

    Example: `tessera cache`
    """
    if context.invoked_subcommand is not None:
        return
    kept = _cache(cache)
    sizes = [path.stat().st_size for path in kept.entries()]
    if as_json:
        figures = {"folder": str(kept.folder), "entries": len(sizes), "bytes": sum(sizes)}
        typer.echo(to_text(figures), nl=False)
    else:
        typer.echo(f"{kept.folder}: {len(sizes)} entries, {sum(sizes) / 1024:.0f} KiB")


@group.command()
def clear(cache: Folder = None) -> None:
    """Remove all answers; the next check asks everything anew.

    Example: `tessera cache clear`
    """
    kept = _cache(cache)
    typer.echo(f"{kept.folder}: {kept.clear()} entries removed")


def _cache(folder: Path | None) -> ResultCache:
    chosen = folder or default_folder()
    if chosen is None:
        raise TesseraError(
            "the result cache is turned off",
            where=f"{FOLDER_VARIABLE}=off",
            remedy=f"unset {FOLDER_VARIABLE}, or name a folder with --cache",
        )
    return ResultCache(chosen)
