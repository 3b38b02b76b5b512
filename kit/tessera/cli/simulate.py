"""`tessera simulate`: random runs of a spec, every property judged at every step.

Goal: parse, run, show strips and what was broken, choose the exit code.
Non-goals: running (see `tessera.model.explore`) and drawing (see `tessera.report.strip`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.text import Text

from tessera import resources
from tessera.errors import EXIT_OK, EXIT_UNMET, TesseraError
from tessera.lang.load import load
from tessera.lang.typed import Spec
from tessera.model.explore import Explorer, Turn
from tessera.model.script import World
from tessera.model.values import show
from tessera.model.world import sizes_of
from tessera.report.scale import Scale
from tessera.report.strip import legend, strip_lines, strip_text
from tessera.results import Strip, Trace

_PLAIN_WIDTH = 120
_LEAST_STRIP = 24


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="simulate")(simulate)


def simulate(
    spec: Annotated[str, typer.Argument(help="A .tess file or the name of a shipped spec.")],
    steps: Annotated[int, typer.Option(min=1, help="How many steps to take.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same run.")] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A size, e.g. pool_pages=64, or block=20 for a sort."),
    ] = None,
    quiet: Annotated[bool, typer.Option(help="Only the summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Take random actions, check every property at every step, draw the memory at every step.

    Stops at the first violation that the spec does not expect, cut down to a short trace, and
    leaves with exit code 1.

    Example: `tessera simulate priority --steps 1000 --seed 7 --set pool_pages=64`
    """
    checked = load(resources.find_spec(spec))
    explorer = Explorer(checked, sizes_of(checked, _sizes(set_ or [])), seed)
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        _run_silently(explorer, steps)
        typer.echo(json.dumps(_document(explorer, checked, seed), indent=2, ensure_ascii=False))
    else:
        if quiet:
            _run_silently(explorer, steps)
        else:
            _Screen(checked, console).show(explorer, steps)
        _print_summary(explorer, checked, seed, console)
    raise typer.Exit(EXIT_UNMET if explorer.summary.unexpected else EXIT_OK)


def _sizes(given: list[str]) -> dict[str, int]:
    out: dict[str, int] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            out[name.strip()] = int(value, 0)
        except ValueError:
            equals = ""
        if not equals or out[name.strip()] < 0:
            raise TesseraError(
                f"--set {text}: not a size", remedy="write NAME=NUMBER, e.g. --set pool_pages=64"
            )
    return out


def _run_silently(explorer: Explorer, steps: int) -> None:
    """Take the steps with a progress bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulating", total=steps)
        for turn in explorer.run(steps, draw=False):
            progress.update(task, completed=turn.number)


class _Screen:
    """Prints a run step by step."""

    def __init__(self, spec: Spec, console: Console) -> None:
        self._spec = spec
        self._console = console
        self._columns = console.width if console.is_terminal else _PLAIN_WIDTH
        self._wanted = {n for n, e in spec.expects.items() if e.verdict == "violated"}
        self._groups = tuple(sorted(c.name for c in spec.classes))
        self._world: World | None = None

    def show(self, explorer: Explorer, steps: int) -> None:
        """Run and print."""
        for turn in explorer.run(steps):
            if turn.world is not self._world:
                self._world = turn.world
                self._console.print(Text(f"new run: {world_text(self._spec, turn.world)}"))
            self._line(turn)
            for violation in turn.fresh:
                expected = violation.name in self._wanted
                mark, style = ("expected", "yellow") if expected else ("VIOLATED", "bold red")
                text = f"{mark:>13} {violation.name}: {violation.doc or violation.text}"
                self._console.print(Text(text, style=style))

    def _line(self, turn: Turn) -> None:
        width = max(self._columns // 2, _LEAST_STRIP)
        line = Text(f"{turn.number:>5} ")
        for strip in turn.strips:
            drawn = strip_text(
                replace(strip, title=""), width, scale=_scale(strip, width), groups=self._groups
            )
            line.append_text(drawn).append(" ")
        self._console.print(line.append(turn.action))


def _scale(strip: Strip, width: int) -> Scale:
    """The same place for a granule on every line; whole cells per granule where they fit."""
    length, room = max(strip.length, 1), width - 2
    return Scale((0, length), (0, length * (room // length) if length <= room else room))


def world_text(spec: Spec, world: World) -> str:
    """The numbers and rigid functions of a world on one line."""
    types = {c.name: c.type for c in spec.consts.values()}
    types |= {p.name: p.type for p in spec.params.values()}
    parts = [f"{n} = {show(v, types[n])}" for n, v in world.scalars.items() if n in types]
    for name, table in world.tables.items():
        shown = (f"{', '.join(map(str, args))}: {value}" for args, value in table.items())
        parts.append(f"{name} = {{{', '.join(shown)}}}")
    return ", ".join(parts)


def _print_summary(explorer: Explorer, spec: Spec, seed: int, console: Console) -> None:
    summary = explorer.summary
    if summary.trace is not None and summary.unexpected is not None:
        _print_trace(summary.trace, console)
    names = ", ".join(f"{name} {count}" for name, count in sorted(summary.actions.items()))
    size = f"{_count(summary.steps, 'step')} in {_count(summary.runs, 'run')}"
    console.print(Text(f"{spec.name}: {size}, seed {seed} ({names or 'no action fired'})"))
    for name, expect in spec.expects.items():
        if expect.verdict == "violated":
            console.print(Text(f"  {name}: {_seen(explorer, name)}"))
    for name in sorted(summary.sampled):
        text = "judged at sampled values only, there were too many to try"
        console.print(Text(f"  {name}: {text}", style="yellow"))
    covers = [p.name for p in spec.properties if p.kind == "cover"]
    for name in covers:
        at = summary.covered.get(name)
        text = "not reached in this run" if at is None else f"reached at step {at}"
        console.print(Text(f"  cover {name}: {text}"))
    if summary.unexpected is None:
        console.print("[green]No unexpected violation.[/]")
    else:
        console.print(
            f"[bold red]VIOLATED[/] {escape(summary.unexpected.name)} at step {summary.steps}"
        )


def _seen(explorer: Explorer, name: str) -> str:
    count, first = explorer.summary.expected[name], explorer.summary.first.get(name)
    if first is None:
        return "expected to be violated, not seen in this run"
    return f"violated as expected in {_count(count, 'state')}, first at step {first}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _print_trace(trace: Trace, console: Console) -> None:
    """The cut-down run to the violation."""
    columns = console.width if console.is_terminal else _PLAIN_WIDTH
    strips = [s for step in trace.steps for s in step.strips]
    lines = iter(strip_lines(strips, columns - 4))
    console.print(f"\n[bold]A short run to it[/] ({_count(len(trace.steps) - 1, 'step')})")
    for name, value in trace.constants.items():
        console.print(Text(f"  {name} = {value}", style="dim"))
    for number, step in enumerate(trace.steps):
        console.print(Text(f"  {number}. {step.action}", style="bold"))
        for change in step.changes:
            console.print(Text(f"     {change}", style="dim"))
        for _ in step.strips:
            console.print(Text("    ").append_text(next(lines)))
    console.print(Text(f"  {trace.broken}", style="red"))
    if strips:
        console.print(Text(f"  {legend(strips)}\n", style="dim"))


def _document(explorer: Explorer, spec: Spec, seed: int) -> dict[str, Any]:
    """What `--json` prints."""
    summary = explorer.summary
    wanted = [n for n, e in spec.expects.items() if e.verdict == "violated"]
    surprise = summary.unexpected
    return {
        "spec": spec.name,
        "seed": seed,
        "steps": summary.steps,
        "runs": summary.runs,
        "actions": dict(sorted(summary.actions.items())),
        "expected": [
            {"name": n, "states": summary.expected[n], "first_step": summary.first.get(n)}
            for n in wanted
        ],
        "covers": [
            {"name": p.name, "first_step": summary.covered.get(p.name)}
            for p in spec.properties
            if p.kind == "cover"
        ],
        "sampled": sorted(summary.sampled),
        "violated": None
        if surprise is None
        else {
            "name": surprise.name,
            "doc": surprise.doc,
            "step": summary.steps,
            "trace": asdict(summary.trace) if summary.trace else None,
        },
        "met": surprise is None,
    }
