"""`tessera mutate`: change a spec one node at a time and see which property notices.

Goal: load, survey, show the killed-by table, survivors in full and equivalents with their reason,
choose the exit code.
Non-goals: mutants and their trials (see `tessera.mutate`), the table's data (see
`tessera.report.mutation`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tessera import resources
from tessera.cli.check import results_cache
from tessera.lang import Spec, load
from tessera.mutate.changes import changes
from tessera.mutate.survey import Survey, survey
from tessera.prove.cache import ResultCache
from tessera.prove.engine import Engine, engine_for
from tessera.report.files import to_text
from tessera.report.mutation import mutation_of
from tessera.results import Mutant, Results

_STYLES = {"survived": "bold red", "unknown": "bold yellow", "equivalent": "dim"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="mutate")(mutate)


def mutate(
    spec: Annotated[str, typer.Argument(help="A .tess file or the name of a shipped spec.")],
    limit: Annotated[
        int, typer.Option(min=0, help="Try only so many, drawn with the seed; 0: all.")
    ] = 0,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this kind, or ids that begin so, e.g. guard/alloc (repeatable)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, random runs and Z3.")] = 0,
    every: Annotated[bool, typer.Option("--all", help="List the killed ones as well.")] = False,
    only_list: Annotated[
        bool, typer.Option("--list", help="Only say which changes there are; try nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results document.")] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one per processor.")] = 0,
    memory: Annotated[
        int | None,
        typer.Option(min=0, help="MiB of address space per process; 0: no limit."),
    ] = None,
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
    """Change guards, updates, widths, bounds and decisions of a spec, one at a time.

    Every change must be noticed by a named property, or be shown to make no difference.

    Example: `tessera mutate priority --limit 20 --seed 1`

    Exit code 0: none survived; 1: one did; 2: bad input, or the spec's own check is not as
    expected; 3: none survived, but something stayed unknown.
    """
    loaded = load(resources.find_spec(spec))
    if only_list:
        _list(loaded, as_json=as_json)
        return
    known = results_cache(cache, no_cache)
    engine = engine_for(jobs, memory, cluster)
    found = _with_progress(loaded, engine, known, limit, only or [], seed)
    for trouble in known.troubles if known else ():
        typer.echo(trouble, err=True)
    results = Results(
        spec=loaded.name,
        doc=loaded.doc,
        file=loaded.file,
        digest=loaded.digest,
        obligations=found.obligations,
        mutants=found.mutants,
    )
    if as_json:
        typer.echo(to_text(results.to_json()), nl=False)
    else:
        _print(loaded, found, seed, every=every)
    raise typer.Exit(found.exit_code)


def _list(spec: Spec, *, as_json: bool) -> None:
    found = changes(spec)
    if as_json:
        keys = ("id", "kind", "span", "before", "after")
        rows = [{k: str(getattr(change, k)) for k in keys} for change in found]
        typer.echo(to_text(rows), nl=False)
        return
    for change in found:
        typer.echo(f"{change.id}: {change.before} => {change.after}")
    kinds = Counter(change.kind for change in found)
    said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    typer.echo(f"{len(found)} changes{f': {said}' if said else ''}")


def _with_progress(
    spec: Spec, engine: Engine, cache: ResultCache | None, limit: int, only: list[str], seed: int
) -> Survey:
    """Survey with a progress bar on stderr (none when that is not a terminal)."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(f"mutating {spec.name}", total=None, what="")

        def moved(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total or None, what=what)

        return survey(spec, engine, cache=cache, seed=seed, limit=limit, only=only, progress=moved)


# --- printing -------------------------------------------------------------------------------------


def _print(spec: Spec, found: Survey, seed: int, *, every: bool) -> None:
    console = Console(highlight=False)
    tried = len(found.mutants)
    sample = "" if tried == found.possible else f", of {found.possible}"
    console.print(f"[bold]{escape(spec.name)}[/]: {tried} mutants{sample}, seed {seed}")
    if found.mutants:
        console.print(_table(found.mutants))
    groups = [("equivalent", "Makes no difference"), ("unknown", "Unknown")]
    groups.append(("survived", "Survived: no property notices"))
    if every:
        groups.insert(0, ("killed", "Killed"))
    for status, title in groups:
        some = [m for m in found.mutants if m.status == status]
        if some:
            console.print(f"\n[{_STYLES.get(status, 'bold')}]{title}[/] ({len(some)})")
        for mutant in some:
            _one(mutant, console)
    counts = Counter(m.status for m in found.mutants)
    said = ", ".join(
        f"{counts[s]} {s}" for s in ("killed", "equivalent", "survived", "unknown") if counts[s]
    )
    console.print(f"\n{said or 'nothing to change'}")


def _table(mutants: tuple[Mutant, ...]) -> Table:
    """Who killed how many of each kind."""
    view = mutation_of(mutants)
    table = Table(box=None, pad_edge=False)
    table.add_column("noticed by")
    for kind in (*view.kinds, "all"):
        table.add_column(kind, justify="right")
    for row in view.rows:
        cells = [str(n) if n else "" for n in (*row.counts, row.total)]
        table.add_row(escape(row.name), *cells, style=_STYLES.get(row.name, ""))
    return table


def _one(mutant: Mutant, console: Console) -> None:
    by = f"{mutant.killed_by}: {mutant.how}" if mutant.killed_by else mutant.how
    console.print(f"[bold]{escape(mutant.id)}[/]  {escape(by)}", soft_wrap=True)
    lines = (mutant.span, f"was  {mutant.before}", f"now  {mutant.after}")
    for line in lines:
        console.print(Padding(escape(line), (0, 0, 0, 2), expand=False), soft_wrap=True)
