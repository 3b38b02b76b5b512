"""`tessera compare`: properties of several specs side by side, or two specs against each other.

Goal: load, ask, render, choose the exit code.
Non-goals: proofs (see `tessera.prove.compare` and `tessera.prove.check`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tessera import resources
from tessera.cli.check import exit_code, results_cache, with_progress
from tessera.errors import TesseraError
from tessera.lang import Spec, load
from tessera.prove.cache import ResultCache
from tessera.prove.check import DEFAULT_STEPS, check_all
from tessera.prove.compare import Bounds, Invariants, agrees, equivalent, refines
from tessera.prove.compare_pair import Pair, pair
from tessera.prove.compare_table import Cell, Row, side_by_side
from tessera.prove.engine import Engine, engine_for
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.report.files import to_text
from tessera.report.terminal import print_obligation
from tessera.results import Obligation

_WIDE = 1000
_COLOURS = {"PROVED": "green", "VIOLATED": "red", "ERROR": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="compare")(compare)


def compare(
    spec: Annotated[list[str], typer.Argument(help="Specs: paths, or names of shipped ones.")],
    agree: Annotated[
        bool, typer.Option("--agrees", help="Do two policies decide alike, function by function?")
    ] = False,
    refine: Annotated[
        bool, typer.Option("--refines", help="Is every step of the first a step of the second?")
    ] = False,
    equal: Annotated[
        bool, typer.Option("--equivalent", help="Does each of the two refine the other?")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", help="A variable whose values do not count (repeatable)."),
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--with", help="One value of a constant or parameter, e.g. reserve=0."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--property", help="Only this row of the table (repeatable)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
    steps: Annotated[
        int, typer.Option(min=1, max=40, help="Length of bounded searches.")
    ] = DEFAULT_STEPS,
    limit: Annotated[
        int, typer.Option(min=1000, help="Z3 resource units per question.")
    ] = DEFAULT_LIMIT,
    seed: Annotated[int, typer.Option(help="Z3's random seed.")] = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one per processor.")] = 0,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder of known answers.", file_okay=False)
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Ask every question anew, keep nothing.")
    ] = False,
) -> None:
    """Show the properties of several specs side by side, or ask how two policies relate.

    Example: `tessera compare priority vanilla`

    Example: `tessera compare priority vanilla --equivalent --with reserve=0 --ignore residue`

    Without a question: a table of every property and its verdict in every spec. A question takes
    two specs of one machine. Exit code 0: every verdict is the expected one (for a question: all is
    proved); 1: one is not; 2: bad input; 3: something stayed UNKNOWN.
    """
    specs = _loaded(spec)
    bounds = Bounds(limit, seed, steps)
    prover = Prover(engine_for(jobs, None), results_cache(cache, no_cache), bounds)
    if not (agree or refine or equal):
        if ignore or fixed:
            raise TesseraError(
                "--ignore and --with belong to a question",
                remedy="add --agrees, --refines or --equivalent, or leave them out",
            )
        _table(specs, prover, only, as_json=as_json)
    if len(specs) != 2:
        raise TesseraError(f"a question takes two specs, not {len(specs)}")
    both = pair(specs[0], specs[1], ignore=ignore or (), fixed=_values(fixed or []))
    found = _asked(both, specs, prover, agree=agree, refine=refine, equal=equal)
    if as_json:
        answers = [asdict(o) for o in found]
        typer.echo(to_text({"specs": [_about(s) for s in specs], "answers": answers}), nl=False)
    else:
        _print_answers(found)
    raise typer.Exit(exit_code(found))


@dataclass(frozen=True, slots=True)
class Prover:
    """Where questions about single specs go, and how far."""

    engine: Engine
    cache: ResultCache | None
    bounds: Bounds


def _loaded(names: list[str]) -> list[Spec]:
    specs = [load(resources.find_spec(name)) for name in names]
    seen: dict[str, str] = {}
    for one in specs:
        if one.name in seen:
            raise TesseraError(
                f"two specs are called '{one.name}'",
                where=one.file,
                remedy=f"the other one is {seen[one.name]}; give one of them another name",
            )
        seen[one.name] = one.file
    if len(specs) < 2:
        raise TesseraError("there is nothing to compare", remedy="name two specs or more")
    return specs


def _values(given: list[str]) -> dict[str, int]:
    out: dict[str, int] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            out[name.strip()] = int(value, 0)
        except ValueError:
            equals = ""
        if not equals or out[name.strip()] < 0:
            raise TesseraError(
                f"--with {text}: not a value", remedy="write NAME=NUMBER, e.g. --with reserve=0"
            )
    return out


def _about(spec: Spec) -> dict[str, str]:
    return {"name": spec.name, "doc": spec.doc, "file": spec.file, "digest": spec.digest}


# --- two against each other -----------------------------------------------------------------------


def _asked(
    both: Pair,
    specs: Sequence[Spec],
    prover: Prover,
    *,
    agree: bool,
    refine: bool,
    equal: bool,
) -> tuple[Obligation, ...]:
    bounds = prover.bounds
    first, second = (_invariants_of(s, prover) for s in specs)
    console = Console(stderr=True)
    found: tuple[Obligation, ...] = ()
    with console.status("comparing") as status:
        if agree:
            found += agrees(both, bounds, status.update)
        if equal:
            found += equivalent(both, first, second, bounds, status.update)
        elif refine:
            found += refines(both, first, bounds, status.update)
    return found


def _invariants_of(spec: Spec, prover: Prover) -> Invariants:
    """The invariants proved of a spec, proved when they are first asked for."""
    known: list[tuple[str, ...]] = []

    def proved() -> tuple[str, ...]:
        if not known:
            names = [p.name for p in spec.properties if p.kind == "invariant"]
            (obligations,) = check_all(
                [spec],
                engine=prover.engine,
                cache=prover.cache,
                limit=prover.bounds.limit,
                seed=prover.bounds.seed,
                steps=prover.bounds.steps,
                only=names,
            )
            open_ones = {o.property for o in obligations if o.verdict != "PROVED"}
            known.append(tuple(n for n in names if n not in open_ones))
        return known[0]

    return proved


def _print_answers(found: Sequence[Obligation]) -> None:
    console = Console(highlight=False)
    for obligation in found:
        if obligation.verdict in ("VIOLATED", "ERROR"):
            print_obligation(obligation, console)
            continue
        detail = f"  [dim]{escape(obligation.detail)}[/]" if obligation.detail else ""
        verdict = f"[{_COLOURS.get(obligation.verdict, 'yellow')}]{obligation.verdict:8}[/]"
        console.print(f"{verdict} {escape(obligation.id)}{detail}", soft_wrap=True)
    for line in _conclusions(found):
        console.print(line, soft_wrap=True)


def _conclusions(found: Sequence[Obligation]) -> list[str]:
    """One sentence per question and direction."""
    out = []
    groups = dict.fromkeys(tuple(o.id.split("/")[:2]) for o in found)
    for names, question in groups:
        own = [o for o in found if o.id.split("/")[:2] == [names, question]]
        one, other = (escape(n) for n in names.split("~"))
        sentence = {
            "refines": (f"{one} refines {other}.", f"{one} does not refine {other}."),
            "agrees": (
                f"{one} and {other} decide alike.",
                f"{one} and {other} do not decide alike.",
            ),
        }[question]
        if all(o.met for o in own):
            out.append(f"[bold green]{sentence[0]}[/]")
        elif any(o.verdict in ("VIOLATED", "ERROR") for o in own):
            out.append(f"[bold red]{sentence[1]}[/]")
        else:
            out.append(f"[bold yellow]Whether {sentence[0][:-1]} stays open.[/]")
    return out


# --- side by side ---------------------------------------------------------------------------------


def _table(
    specs: Sequence[Spec], prover: Prover, only: Sequence[str] | None, *, as_json: bool
) -> None:
    found = with_progress(
        specs, prover.engine, cache=prover.cache, only=only, **asdict(prover.bounds)
    )
    rows = side_by_side({s.name: o for s, o in zip(specs, found, strict=True)})
    if as_json:
        document = {"specs": [_about(s) for s in specs], "rows": [asdict(row) for row in rows]}
        typer.echo(to_text(document), nl=False)
    else:
        _print_table(specs, rows)
    raise typer.Exit(exit_code([o for obligations in found for o in obligations]))


def _print_table(specs: Sequence[Spec], rows: Sequence[Row]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("property", overflow="fold")
    for one in specs:
        table.add_column(escape(one.name), overflow="fold")
    for row in rows:
        cells = (row.cells.get(one.name) for one in specs)
        table.add_row(f"[bold]{escape(row.property)}[/]", *(_cell(c) for c in cells))
    console = Console(highlight=False)
    if not console.is_terminal:
        # A file has no edge to wrap at.
        console = Console(highlight=False, width=_WIDE)
    console.print(table)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "[dim]-[/]"
    word = "step" if cell.steps == 1 else "steps"
    after = "" if cell.steps is None else f" ({cell.steps} {word})"
    unmet = "" if cell.met else " [bold red]not as expected[/]"
    return f"[{_COLOURS.get(cell.verdict, 'yellow')}]{cell.verdict.lower()}[/]{after}{unmet}"


__all__ = ["compare", "register"]
