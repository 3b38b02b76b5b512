"""`tessera export`: a results document in the formats of other tools.

Goal: read, convert, write. One function per format in `FORMATS`.
Non-goals: the conversions (see `tessera.report`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tessera.errors import TesseraError
from tessera.report.files import to_text, write_text
from tessera.report.itf import SUFFIX, to_itf
from tessera.report.junit import to_junit
from tessera.report.markdown import to_markdown
from tessera.report.read import read_results
from tessera.report.sarif import to_sarif
from tessera.results import Results

Files = dict[str, str]
"""File names (used when the output is a folder) and their texts."""


def _itf(results: Sequence[Results], id_: str) -> Files:
    """One file per trace."""
    return {
        f"{o.id.replace('/', '.')}{SUFFIX}": to_text(to_itf(document, o))
        for document in results
        for o in document.obligations
        if (o.id == id_ if id_ else o.trace is not None and o.trace.script)
    }


def _chosen(results: Sequence[Results], id_: str) -> list[Results]:
    """The documents, with one obligation only where one is asked for."""
    if not id_:
        return list(results)
    parts = [
        replace(r, obligations=tuple(o for o in r.obligations if o.id == id_)) for r in results
    ]
    return [part for part in parts if part.obligations]


def _whole(name: str, convert: Callable[[Sequence[Results]], str]) -> Format_:
    """A format that holds whole documents."""

    def files(results: Sequence[Results], id_: str) -> Files:
        chosen = _chosen(results, id_)
        return {name: convert(chosen)} if chosen else {}

    return files


Format_ = Callable[[Sequence[Results], str], Files]
FORMATS: dict[str, Format_] = {
    "itf": _itf,
    "junit": _whole("junit.xml", to_junit),
    "sarif": _whole("results.sarif", lambda documents: to_text(to_sarif(documents))),
    "md": _whole("summary.md", to_markdown),
}
"""Results and the obligation asked for (empty: all) to files. Formats that hold a whole document
give one file."""

Format = Enum("Format", {name: name for name in FORMATS}, type=str)  # type: ignore[misc]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="export")(export)


def export(
    results: Annotated[Path, typer.Argument(help="A results.json, or `check --json` in a file.")],
    format_: Annotated[Format, typer.Option("--format", help="The format to write.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File, or existing folder for one file each; else stdout."
        ),
    ] = None,
    id_: Annotated[
        str, typer.Option("--id", help="Only this obligation.", show_default=False)
    ] = "",
) -> None:
    """Write a results document in a format that other tools read.

    `itf`: traces in the Informal Trace Format of Apalache, one file per trace. `junit`: JUnit XML.
    `sarif`: SARIF 2.1.0 with traces as code flows. `md`: a summary for the page of a CI run.

    Example: `tessera export results.json --format itf --id vanilla/promise -o promise.itf.json`
    """
    documents = read_results(results)
    files = FORMATS[str(format_.value)](documents, id_)
    if not files:
        known = ", ".join(o.id for d in documents for o in d.obligations if o.trace)
        raise TesseraError(
            f"nothing to export for '{id_}'" if id_ else "nothing to export: there is no trace",
            where=str(results),
            remedy=f"one of: {known}" if known else "give a document with a violated property",
        )
    if output is not None and output.is_dir():
        for name, text in files.items():
            typer.echo(write_text(output / name, text))
        return
    if len(files) > 1:
        raise TesseraError(
            f"there are {len(files)} traces, and a file holds one",
            where=str(results),
            remedy="choose one with --id, or give an existing folder with -o",
        )
    (text,) = files.values()
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(output, text)
