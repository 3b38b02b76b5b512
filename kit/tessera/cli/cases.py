"""`tessera cases`: real defects of OP-TEE, found before their fix and proved absent after it.

Goal: run all cases or some, show a table or one in full, write their pages, choose the exit code.
Non-goals: running and writing up (see `tessera.cases`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from tessera.cases import page
from tessera.cases.library import Case, read_cases
from tessera.cases.verdicts import Finding, Side, find, steps_of
from tessera.cli.check import results_cache, with_progress
from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET, TesseraError
from tessera.lang import Spec
from tessera.prove.engine import engine_for
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.report.files import to_text, write_text
from tessera.report.terminal import print_obligation
from tessera.results import Obligation


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="cases")(cases)


def cases(
    case: Annotated[list[str] | None, typer.Argument(help="Cases by id; all by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    only_list: Annotated[
        bool, typer.Option("--list", help="Only say which cases there are; prove nothing.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option(help="Write the pages and pictures to this folder.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1000, help="Z3 resource units per question.")
    ] = DEFAULT_LIMIT,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one per processor.")] = 0,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder of known answers.", file_okay=False)
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Ask every question anew, keep nothing.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Hand the questions to a running Dask scheduler."),
    ] = None,
) -> None:
    """Find each defect in its model before the fix, and prove it absent after the fix.

    Example: `tessera cases CVE-2019-1010294`

    Exit code 0: every defect is found and every fix proved; 1: one is not; 2: bad input; 3: not
    everything could be decided.
    """
    known = read_cases(case)
    if only_list:
        if write is not None:
            raise TesseraError("--list has no results to write", remedy="drop --list or --write")
        _list(known, as_json=as_json)
        return
    answers = results_cache(cache, no_cache)

    def prove(specs: Sequence[Spec]) -> list[tuple[Obligation, ...]]:
        engine = engine_for(jobs, None, cluster)
        return with_progress(specs, engine, cache=answers, limit=limit)

    found = find(known, prove)
    for trouble in answers.troubles if answers else ():
        typer.echo(trouble, err=True)
    if write is not None:
        _write(found, write, everything=not case)
    if as_json:
        typer.echo(to_text([_document(finding) for finding in found]), nl=False)
    else:
        _print(found, full=len(case or ()) == 1)
    raise typer.Exit(_exit_code(found))


def _exit_code(found: Sequence[Finding]) -> int:
    unmet = [finding for finding in found if not finding.met]
    if not unmet:
        return EXIT_OK
    return EXIT_UNKNOWN if all(finding.undecided for finding in unmet) else EXIT_UNMET


# --- writing --------------------------------------------------------------------------------------


def _write(found: Sequence[Finding], folder: Path, *, everything: bool) -> None:
    """Pages and pictures; the index's table too when all cases were run."""
    for name, text in page.files(found).items():
        write_text(folder / name, text)
    index = folder / page.INDEX
    if everything and index.is_file():
        write_text(index, page.index(found, index.read_text(encoding="utf-8")))


def _facts(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "title": case.title,
        "group": case.group,
        "advisories": list(case.advisories),
        "fixes": list(case.fixes),
        "place": case.place,
        "affected": case.affected,
        "specs": list(case.specs),
    }


def _document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON-ready data: the case's facts and one results document per side."""
    sides = [
        {
            "name": side.name,
            "met": side.met,
            "breaks": {o.property: steps_of(o) for o in side.broken},
            "never_reached": [o.property for o in side.unreached],
            "results": side.results.to_json(),
        }
        for side in finding.sides
    ]
    return {**_facts(finding.case), "met": finding.met, "sides": sides}


# --- printing -------------------------------------------------------------------------------------


def _list(known: Sequence[Case], *, as_json: bool) -> None:
    if as_json:
        typer.echo(to_text([_facts(case) for case in known]), nl=False)
        return
    table = _table("case", "group", "what was wrong")
    for case in known:
        table.add_row(f"[bold]{escape(case.id)}[/]", case.group, escape(case.title))
    Console(highlight=False).print(table)


def _print(found: Sequence[Finding], *, full: bool) -> None:
    console = Console(highlight=False)
    if full:
        for finding in found:
            _print_full(finding, console)
    else:
        console.print(_verdicts(found))
    good = sum(finding.met for finding in found)
    tone = "bold green" if good == len(found) else "bold red"
    console.print(f"[{tone}]{good} of {len(found)} cases as expected.[/]")


def _verdicts(found: Sequence[Finding]) -> Table:
    table = _table("case", "what was wrong", "violated, steps", "mended", "")
    for finding in found:
        defects = [_found(side) for side in finding.sides if side.has_defect]
        mended = [_proved(side) for side in finding.sides if not side.has_defect]
        mark = "[green]✓[/]" if finding.met else "[bold red]✗[/]"
        case = finding.case
        table.add_row(
            f"[bold]{escape(case.id)}[/]",
            escape(case.title),
            "\n".join(defects),
            "\n".join(mended),
            mark,
        )
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading == "case")
    return table


def _found(side: Side) -> str:
    broken = [f"{escape(o.property)} {steps_of(o)}" for o in side.broken]
    never = [f"{escape(o.property)} never reached" for o in side.unreached]
    return ", ".join([*broken, *never]) or f"[bold red]{side.name}: not found[/]"


def _proved(side: Side) -> str:
    if side.met:
        return "[green]proved[/]"
    unmet = dict.fromkeys(o.verdict.lower() for o in side.results.obligations if not o.met)
    return f"[bold red]{side.name}: {', '.join(unmet) or 'shows the defect'}[/]"


def _print_full(finding: Finding, console: Console) -> None:
    case = finding.case
    console.print(f"[bold]{escape(case.id)}[/]  {escape(case.title)}", soft_wrap=True)
    for name, words in (
        ("advisory", ", ".join(case.advisories)),
        ("fix", ", ".join(case.fixes)),
        ("where", case.place),
        ("affected", case.affected),
    ):
        if words:
            console.print(Padding(f"[dim]{name:<9}[/]{escape(words)}", (0, 0, 0, 2), expand=False))
    for words in (case.happened, case.model, case.fix):
        console.print()
        console.print(escape(words))
    for side in finding.sides:
        console.print(f"\n[bold]{side.name}[/]  {escape(side.results.doc)}", soft_wrap=True)
        if side.has_defect:
            for obligation in (*side.broken, *side.unreached):
                print_obligation(obligation, console)
        for obligation in side.results.obligations:
            if not obligation.met:
                print_obligation(obligation, console)
        if not side.has_defect:
            for proof in page.proofs(side):
                console.print(f"  {escape(proof.name)}: {escape(proof.says)}", soft_wrap=True)
    console.print()
