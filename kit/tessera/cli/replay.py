"""`tessera replay`: take a recorded trace again in the simulator.

Goal: read, replay, print, choose the exit code.
Non-goals: replaying (see `tessera.model.recorded`) and formats (see `tessera.report`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tessera import resources
from tessera.errors import EXIT_OK, EXIT_UNMET, TesseraError
from tessera.lang import Spec, load
from tessera.model.recorded import Recorded, replay_recorded
from tessera.report.files import to_text
from tessera.report.itf import from_itf, is_itf
from tessera.report.read import read_json, recorded_traces, results_in
from tessera.report.terminal import print_replay
from tessera.results import Trace


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="replay")(replay)


def replay(
    trace: Annotated[
        Path, typer.Argument(help="A results.json, or an ITF trace that tessera exported.")
    ],
    id_: Annotated[
        str, typer.Option("--id", help="Only the trace of this obligation.", show_default=False)
    ] = "",
    spec: Annotated[
        str,
        typer.Option(help="The spec; without it the one that the file names.", show_default=False),
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Replay even if the spec has changed since.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the traces as JSON.")] = False,
) -> None:
    """Take recorded traces again in the simulator, step by step, and compare every state.

    Example: `tessera check vanilla --json > results.json; tessera replay results.json`

    Exit code 0: every one is reproduced; 1: one is not; 2: bad input.
    """
    found: list[tuple[Recorded, Trace]] = []
    specs: dict[str, Spec] = {}
    for one in _chosen(trace, id_):
        path = spec or one.file or one.spec
        if path not in specs:
            specs[path] = load(resources.find_spec(path))
        if not force:
            _same(specs[path], one)
        found.append((one, replay_recorded(specs[path], one)))
    if as_json:
        rows: list[dict[str, Any]] = [
            {"id": o.id, "reproduced": t.replayed, "trace": asdict(t)} for o, t in found
        ]
        typer.echo(to_text(rows), nl=False)
    else:
        console = Console(highlight=False)
        for one, taken in found:
            print_replay(one.id, taken, console)
    raise typer.Exit(EXIT_OK if all(t.replayed for _, t in found) else EXIT_UNMET)


def _chosen(file: Path, id_: str) -> list[Recorded]:
    data = read_json(file)
    if is_itf(data):
        traces = [from_itf(data, str(file))]
    else:
        traces = recorded_traces(results_in(data, str(file)))
    chosen = [one for one in traces if id_ in ("", one.id)]
    if not chosen:
        known = ", ".join(one.id for one in traces)
        raise TesseraError(
            f"there is no trace of '{id_}'" if id_ else "there is no trace to replay",
            where=str(file),
            remedy=f"one of: {known}" if known else "give a document with a violated property",
        )
    return chosen


def _same(spec: Spec, one: Recorded) -> None:
    if one.digest and one.digest != spec.digest:
        raise TesseraError(
            f"the trace was found in another version of this spec ({one.digest[:12]}, "
            f"this one is {spec.digest[:12]})",
            where=spec.file,
            remedy="check the spec again, or replay on it as it is now with --force",
        )
