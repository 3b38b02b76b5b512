"""`tessera fmt`: one look for all specs.

Goal: format files in place, or tell which ones are not formatted.
Non-goals: the rules (see `tessera.lang.format`).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from tessera.errors import EXIT_OK, EXIT_UNMET, TesseraError
from tessera.lang.format import format_text
from tessera.lang.source import Source, read
from tessera.report.files import to_text, write_text


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="fmt")(fmt)


def fmt(
    files: Annotated[
        list[Path], typer.Argument(help="Files, or folders to look into; - is stdin.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 when a file would change.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print which files change.")] = False,
) -> None:
    """Format specs: spaces, indentation and blank lines. Tokens, comments and line breaks stay.

    Example: `tessera fmt --check specs models`

    Exit code 0: done, or nothing to do; 1: with --check or --diff, a file is not formatted; 2: a
    file cannot be read or parsed, and then none is changed.
    """
    if files == [Path("-")]:
        text = typer.get_text_stream("stdin").read()
        typer.echo(format_text(Source(Path("-"), "<stdin>", text)), nl=False)
        return
    sources = [read(path) for path in _specs(files)]
    formatted = [(source, format_text(source)) for source in sources]
    changed = [(source, text) for source, text in formatted if text != source.text]
    for source, text in changed:
        if diff:
            typer.echo("".join(_difference(source, text)), nl=False)
        elif not check:
            write_text(source.path, text)
    if as_json:
        names = [source.name for source, _ in changed]
        typer.echo(to_text({"files": len(formatted), "changed": names}), nl=False)
    elif not diff:
        verb = "would be changed" if check else "changed"
        for source, _ in changed:
            typer.echo(f"{source.name}: {verb}")
        typer.echo(f"{len(formatted)} files, {len(changed)} {verb}")
    raise typer.Exit(EXIT_UNMET if changed and (check or diff) else EXIT_OK)


def _specs(paths: list[Path]) -> list[Path]:
    """The files named, and every spec in the folders named, in order."""
    out: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*.tess")) if path.is_dir() else [path]
        if not inside:
            raise TesseraError(
                f"there is no spec in {path}", where=str(path), remedy="name a .tess file"
            )
        out += inside
    return out


def _difference(source: Source, text: str) -> list[str]:
    before, after = source.text.splitlines(keepends=True), text.splitlines(keepends=True)
    return list(difflib.unified_diff(before, after, source.name, source.name))
