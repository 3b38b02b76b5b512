"""`tessera explain`: what a spec, a name or an obligation says, in words.

Goal: parse SPEC[:NAME], explain, print.
Non-goals: the words (see `tessera.lang.explain`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from tessera import resources
from tessera.lang import load
from tessera.lang.explain import Explanation, explain
from tessera.report.files import to_text


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="explain")(explain_command)


def explain_command(
    target: Annotated[
        str,
        typer.Argument(metavar="SPEC[:NAME]", help="A spec, or a name or obligation id in it."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say in words what a spec, one of its names, or one obligation means.

    Example: `tessera explain priority:alloc/disjoint`
    """
    name, _, inside = target.partition(":")
    found = explain(load(resources.find_spec(name)), inside)
    if as_json:
        typer.echo(to_text(asdict(found)), nl=False)
    else:
        _print(found)


def _print(found: Explanation) -> None:
    console = Console(highlight=False)
    console.print(Text(found.title, style="bold"))
    if found.summary:
        console.print(Text(found.summary))
    console.print(Text(found.span, style="dim"))
    for section in found.sections:
        console.print()
        console.print(Text(section.title, style="bold"))
        for line in section.lines:
            console.print(Text(f"  {line}"), soft_wrap=True)
