"""`tessera replay`: take a recorded trace again, in the simulator and in the compiled C.

Goal: read, replay, print, choose the exit code.
Non-goals: replaying (see `tessera.model.recorded`, `tessera.conform.pool_replay`) and formats (see
`tessera.report`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tessera import resources
from tessera.conform.pool_replay import Agreement, replay_in_c
from tessera.errors import EXIT_OK, EXIT_UNMET, TesseraError
from tessera.guest import toolchain
from tessera.lang import Spec, load
from tessera.model.plain import script_of
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
    in_c: Annotated[
        bool, typer.Option("--c", help="Also by the C of OP-TEE's page pool, on this machine.")
    ] = False,
    tree: Annotated[
        Path | None,
        typer.Option(help="The OP-TEE tree for --c; else the guest's.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the traces as JSON.")] = False,
) -> None:
    """Take recorded traces again in the simulator, step by step, and compare every state.

    With --c the page pool of a real OP-TEE tree, patched with the same policy and compiled for this
    machine, takes them too: every request must get the trace's offset.

    Example: `tessera check vanilla --json > results.json; tessera replay results.json --c`

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
    c = [_in_c(o, specs[spec or o.file or o.spec], tree) for o, _ in found] if in_c or tree else []
    if as_json:
        rows: list[dict[str, Any]] = [
            {"id": o.id, "reproduced": t.replayed, "trace": asdict(t)} for o, t in found
        ]
        for row, agreement in zip(rows, c, strict=False):
            row["c"] = asdict(agreement)
        typer.echo(to_text(rows), nl=False)
    else:
        console = Console(highlight=False)
        for number, (one, taken) in enumerate(found):
            print_replay(one.id, taken, console)
            if c:
                print_in_c(c[number], console)
    good = all(t.replayed for _, t in found) and not any(a.differs for a in c)
    raise typer.Exit(EXIT_OK if good else EXIT_UNMET)


def _in_c(one: Recorded, spec: Spec, tree: Path | None) -> Agreement:
    found = tree or toolchain.require().optee_source
    return replay_in_c(resources.find_spec(spec.file), script_of(one.script, one.id), found)


def print_in_c(agreement: Agreement, console: Console) -> None:
    """One line: whether the C did as the trace says."""
    if agreement.differs:
        console.print(f"[red]the C does otherwise[/]: {agreement.differs}", soft_wrap=True)
    else:
        console.print(
            f"[green]the C does the same[/]: {agreement.steps} steps, {agreement.asked} requests",
            soft_wrap=True,
        )


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
