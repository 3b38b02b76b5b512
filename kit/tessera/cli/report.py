"""`tessera report` and `tessera schema`: the whole road at once, and its document's schema."""

from __future__ import annotations

import typer

from tessera.report.files import to_text
from tessera.report.schema import results_schema


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(schema)


def schema() -> None:
    """Print the JSON Schema of results.json.

    Example: `tessera schema > results.schema.json`
    """
    typer.echo(to_text(results_schema()), nl=False)
