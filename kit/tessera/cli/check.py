"""`tessera check`: prove a spec, or show how it breaks.

Goal: load, check, render, choose the exit code.
Non-goals: proofs (see `tessera.prove`) and files (see `tessera report`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tessera import resources
from tessera.cli.watch import watch
from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET
from tessera.lang import Spec, load
from tessera.prove.cache import ResultCache, default_folder
from tessera.prove.check import DEFAULT_STEPS, check_all
from tessera.prove.engine import Engine, engine_for
from tessera.prove.seeds import over_seeds, steady
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.report.files import to_text
from tessera.report.terminal import print_obligation, print_spreads, print_summary
from tessera.results import Obligation, Results


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="check")(check)


def check(
    spec: Annotated[list[str], typer.Argument(help="Specs: paths, or names of shipped ones.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the results document.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="List every obligation, not only a row per property.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--property", help="Only this property (repeatable); 'reachable' too."),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=1, max=40, help="Length of bounded searches.")
    ] = DEFAULT_STEPS,
    limit: Annotated[
        int, typer.Option(min=1000, help="Z3 resource units per question.")
    ] = DEFAULT_LIMIT,
    seed: Annotated[int, typer.Option(help="Z3's random seed.")] = 0,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Check with so many seeds; report the spread."),
    ] = 1,
    cross_check: Annotated[
        bool, typer.Option("--cross-check", help="Put every proof to cvc5 as well.")
    ] = False,
    watching: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a file changes.")
    ] = False,
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
    """Prove every property of a spec for all sizes, or show a shortest run that breaks it.

    Example: `tessera check specs/policies/priority.tess`

    Several specs are proved side by side; their results come in the order given. Exit code 0:
    every verdict is the expected one; 1: one is not (or depends on the seed); 2: bad input; 3:
    something stayed UNKNOWN.
    """
    asked = Asked(limit, seed, steps, tuple(only) if only else None, cross_check)
    engine = engine_for(jobs, memory, cluster)
    paths = [resources.find_spec(name) for name in spec]
    worst = EXIT_OK

    def once() -> list[Path]:
        nonlocal worst
        specs = [load(path) for path in paths]
        documents = _checked(specs, engine, results_cache(cache, no_cache), asked, seeds)
        _show(documents, as_json=as_json, every=every)
        worst = max((_exit_code(r) for r in documents), key=_BADNESS.index)
        return [resources.find_spec(name) for loaded in specs for name in loaded.lines]

    if watching:
        watch(once, paths)
    else:
        once()
    raise typer.Exit(worst)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options ask for, but for where and how often."""

    limit: int = DEFAULT_LIMIT
    seed: int = 0
    steps: int = DEFAULT_STEPS
    only: tuple[str, ...] | None = None
    cross_check: bool = False


def _checked(
    specs: Sequence[Spec], engine: Engine, cache: ResultCache | None, asked: Asked, seeds: int
) -> list[Results]:
    """One document per spec; with several seeds the first seed's, and the spread over all."""
    found = [
        with_progress(specs, engine, cache=cache, **asdict(asked) | {"seed": asked.seed + more})
        for more in range(seeds)
    ]
    for trouble in cache.troubles if cache else ():
        typer.echo(trouble, err=True)
    return [
        Results(
            spec=loaded.name,
            doc=loaded.doc,
            file=loaded.file,
            digest=loaded.digest,
            obligations=found[0][place],
            spreads=over_seeds(range(seeds), lambda i, at=place: found[i][at])  # type: ignore[misc]
            if seeds > 1
            else (),
        )
        for place, loaded in enumerate(specs)
    ]


def _show(documents: Sequence[Results], *, as_json: bool, every: bool) -> None:
    if as_json:
        shown = [r.to_json() for r in documents]
        typer.echo(to_text(shown[0] if len(shown) == 1 else shown), nl=False)
        return
    for results in documents:
        _print(results, every=every)


_BADNESS = (EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET)


def _exit_code(results: Results) -> int:
    """As of the obligations, and 1 when a verdict depends on the seed."""
    shaky = any(not steady(s) for s in results.spreads)
    return EXIT_UNMET if shaky else exit_code(results.obligations)


def _print(results: Results, *, every: bool) -> None:
    """The summary, and what was expected to break, breaking."""
    console = Console(highlight=False)
    if every:
        for obligation in results.obligations:
            print_obligation(obligation, console)
    else:
        for obligation in results.obligations:
            if obligation.met and obligation.verdict == "VIOLATED":
                print_obligation(obligation, console)
    print_summary(results, console)
    if results.spreads:
        print_spreads(results.spreads, console)


def results_cache(folder: Path | None, off: bool) -> ResultCache | None:
    """The cache that the options ask for: a given folder, none, or the user's own."""
    chosen = folder or default_folder()
    return None if off or chosen is None else ResultCache(chosen)


def with_progress(
    specs: Sequence[Spec],
    engine: Engine,
    *,
    cache: ResultCache | None = None,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    only: Sequence[str] | None = None,
    cross_check: bool = False,
) -> list[tuple[Obligation, ...]]:
    """Check specs with a progress bar on stderr (none when that is not a terminal)."""
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
        names = specs[0].name if len(specs) == 1 else f"{len(specs)} specs"
        task = bar.add_task(f"proving {names}", total=None, what="")

        def moved(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, what=what)

        return check_all(
            specs,
            engine=engine,
            cache=cache,
            limit=limit,
            seed=seed,
            steps=steps,
            only=only,
            cross_check=cross_check,
            progress=moved,
        )


def exit_code(obligations: Iterable[Obligation]) -> int:
    """0 when all are met, 3 when only UNKNOWN ones are not, else 1."""
    unmet = [o for o in obligations if not o.met]
    if not unmet:
        return EXIT_OK
    return EXIT_UNKNOWN if all(o.verdict == "UNKNOWN" for o in unmet) else EXIT_UNMET


__all__ = ["Asked", "check", "exit_code", "register", "results_cache", "with_progress"]
