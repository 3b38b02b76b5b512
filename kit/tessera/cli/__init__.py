"""The `tessera` command: one module per command group, each with `register(app)`.

Goal: thin commands that parse, call, render and choose the exit code; every `TesseraError` ends
here, as one clear message and exit code 2.
Non-goals: any logic that a library user would want to call.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from tessera import __version__
from tessera.errors import TesseraError

_GROUPS = (
    *("check", "explain", "compare", "mutate", "cases", "sweep", "layout"),
    *("simulate", "replay", "fmt", "patch", "conform", "guest", "validate"),
    *("report", "export", "doctor", "model", "plan", "prune", "cache", "pack", "package", "key"),
    *("run",),
)

app = typer.Typer(
    name="tessera",
    help="Specify, prove, emit and validate the memory policy of a trusted OS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tessera {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Specify, prove, emit and validate the memory policy of a trusted OS."""


def _groups(words: Sequence[str]) -> tuple[str, ...]:
    """The groups that a command line needs: the one it calls, or all.

    Importing the others takes longer than many commands do.
    """
    program, called = Path(words[0]).stem, words[1:2]
    alone = program == "tessera" and set(called) <= set(_GROUPS)
    return tuple(called) if called and alone else _GROUPS


for _name in _groups(sys.argv):
    if importlib.util.find_spec(f"tessera.cli.{_name}") is not None:
        importlib.import_module(f"tessera.cli.{_name}").register(app)


def main() -> None:
    """Entry point; turns a `TesseraError` into its text on stderr and its exit code."""
    try:
        app()
    except TesseraError as error:
        typer.echo(error.render(), err=True)
        sys.exit(error.exit_code)
