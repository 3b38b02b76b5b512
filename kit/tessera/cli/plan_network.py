"""`tessera plan MODEL`: a network planned under a budget, printed, explained and written.

Goal: load, plan, have the plan judged, print the table; `--explain` adds what the alternatives
would have cost.
Non-goals: planning and judging themselves.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from math import prod
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from tessera.cli.outputs import prepare
from tessera.cli.plan_confirm import confirmed, exit_code, print_answers
from tessera.cli.plan_confirm import document as answers
from tessera.cli.sizes import words_of
from tessera.errors import EXIT_UNMET, TesseraError
from tessera.plan import graph_load
from tessera.plan.certificate.arena import Certificate
from tessera.plan.certificate.tiles import certify_plan
from tessera.plan.curve import Point, curve, curve_csv
from tessera.plan.fragment import fragment
from tessera.plan.graph import Graph
from tessera.plan.network import plan_network
from tessera.plan.pictures import arena_svg, curve_svg, plan_html
from tessera.plan.plan import Alternative, GroupRow, Plan
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.candidates import Space
from tessera.report.files import to_text, write_text

_PLAIN_WIDTH = 150
_SHOWN = 3
"""Alternatives printed on each side of the chosen one; --json has all."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the user named: models, a weights file, sizes of axes; int8 where it is asked for."""

    models: tuple[str, ...]
    weights: Path | None
    dims: tuple[str, ...]
    int8: Calibration | None = None

    def graph(self, model: str) -> Graph:
        """One of the networks, after the passes that every plan begins with."""
        sizes = graph_load.sizes(self.dims)
        loaded = graph_load.load(model, weights=self.weights, dims=sizes)
        return prepared(loaded, self.int8)


@dataclass(frozen=True, slots=True)
class Shown:
    """How the plan is given out. `heights`: confirm it with Z3, for these input heights."""

    explain: bool
    as_json: bool
    out: Path | None
    picture: Path | None
    spec: Path | None = None
    reserve: int | None = None
    space: Space = field(default_factory=Space)
    heights: tuple[int, int] | None = None


def print_plan(source: Source, budget: int | None, minimise: bool, shown: Shown) -> None:
    """Plan one network; exits with 1 when the check or Z3 refuses the plan, and then writes
    nothing; with 3 where Z3 was asked and could not say."""
    if len(source.models) != 1:
        raise TesseraError(
            f"{len(source.models)} models",
            where=source.models[1],
            remedy="plan one at a time; only --curve takes several",
        )
    _require_kind(shown.picture, (".svg", ".html"))
    prepare(shown.out, shown.picture, shown.spec)
    status = Console(stderr=True)
    with status.status("planning") if status.is_terminal else nullcontext() as running:
        graph = source.graph(source.models[0])
        plan = plan_network(graph, budget, minimise=minimise, space=shown.space)
        asked = [] if shown.heights is None else confirmed(plan, shown.heights, running)
    spec = "" if shown.spec is None else fragment(plan, reserve=shown.reserve)
    document = plan.to_json()
    judged = certify_plan(document, graph)
    code = exit_code(asked) if judged.holds else EXIT_UNMET
    if shown.as_json:
        more = {"confirmation": answers(asked, shown.heights)} if shown.heights else {}
        typer.echo(to_text(document | more), nl=False)
    else:
        _print(plan, minimise, shown.explain)
        _print_rulings(judged)
        if shown.heights is not None:
            print_answers(_console(), asked, shown.heights, plan)
    if code == EXIT_UNMET:
        raise typer.Exit(code)
    if shown.out is not None:
        write_text(shown.out, to_text(document))
        Console(stderr=True, highlight=False).print(
            f"written: {escape(str(shown.out))}", soft_wrap=True
        )
    if shown.picture is not None:
        _draw(shown.picture, {".svg": arena_svg, ".html": plan_html}[shown.picture.suffix](plan))
    if shown.spec is not None:
        write_text(shown.spec, spec)
        Console(stderr=True, highlight=False).print(
            f"written: {escape(str(shown.spec))}", soft_wrap=True
        )
    raise typer.Exit(code)


def print_curve(
    source: Source, space: Space, out: Path | None, picture: Path | None, as_json: bool
) -> None:
    """Cost over budgets for every model and method, as CSV or JSON, printed or written."""
    _require_kind(picture, (".svg",))
    prepare(out, picture)
    status = Console(stderr=True)
    points: list[Point] = []
    for model in source.models:
        with status.status(f"planning {model}") if status.is_terminal else nullcontext() as running:
            words = partial(_update, running, model)
            points += curve(source.graph(model), given=space, say=words)
    if picture is not None:
        _draw(picture, curve_svg(points))
    text = to_text([asdict(one) for one in points]) if as_json else curve_csv(points)
    if out is None:
        typer.echo(text, nl=False)
        return
    write_text(out, text)
    status.print(f"written: {escape(str(out))}", soft_wrap=True, highlight=False)


def _update(running: Status | None, model: str, words: str) -> None:
    if running is not None:
        running.update(f"planning {escape(model)}, {escape(words)}")


def _require_kind(picture: Path | None, kinds: tuple[str, ...]) -> None:
    if picture is not None and picture.suffix not in kinds:
        raise TesseraError(
            f"no picture of kind `{picture.suffix}`",
            where=str(picture),
            remedy=f"say {' or '.join(kinds)}",
        )


def _draw(picture: Path, text: str) -> None:
    write_text(picture, text)
    say = Console(stderr=True, highlight=False)
    say.print(f"drawn: {escape(str(picture))}", soft_wrap=True)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def _print(plan: Plan, minimise: bool, explain: bool) -> None:
    console = _console()
    model, loads = plan.model, plan.untiled
    console.print(
        f"[bold]{escape(model.name)}[/]: {len(plan.nodes)} nodes, {words_of(model.weight_bytes)} "
        f"of constants, {model.multiply_adds:,} multiply-adds",
        soft_wrap=True,
    )
    rows = [("peak", f"{words_of(plan.peak)}, {_gap(plan)}")]
    if minimise:
        rows.insert(0, ("least", f"{words_of(plan.peak)}; bound by layer '{bounding(plan)}'"))
    if plan.budget is not None:
        rows.insert(0, ("budget", words_of(plan.budget)))
    kept = sum(one.resident for one in plan.groups)
    rows += [
        ("resident", f"{words_of(kept)} of constants stay for good"),
        (
            "untiled",
            f"{words_of(loads.resident)}; {words_of(loads.streamed)} with one layer's constants; "
            f"{words_of(loads.activations)} of activations alone",
        ),
        (
            "per run",
            f"{plan.costs.loaded:,} bytes loaded in {plan.costs.switches:,} blocks, "
            f"{plan.costs.moved:,} moved, {len(plan.steps):,} steps, cost {plan.costs.cost:,.0f}",
        ),
    ]
    if plan.chunk is not None:
        rows.append(("packed", _packed(plan)))
    for name, words in rows:
        console.print(f"[dim]{name:<9}[/]{escape(words)}", soft_wrap=True)
    console.print(_table(plan))
    if explain:
        for number, group in enumerate(plan.groups):
            _explain(console, number, group, plan)


def _print_rulings(judged: Certificate) -> None:
    console = _console()
    for one in judged.rulings:
        if not one.holds:
            console.print(f"[red]{one.rule}[/] {escape(one.broken)}", soft_wrap=True)
    if judged.holds:
        console.print(
            f"[green]checked[/] {len(judged.rulings)} rules over {judged.steps:,} steps and "
            f"{judged.pairs:,} pairs alive together",
            soft_wrap=True,
        )


def _packed(plan: Plan) -> str:
    """What packing does to what is loaded, resident constants included."""
    plain = {one.name: one.bytes / prod(one.shape) for one in plan.tensors}
    loads = [one for one in plan.steps if one.kind == "load"]
    boxes = [one for step in loads for one in step.writes]
    whole = sum(plain[one.tensor] * prod(high - low for low, high in one.box) for one in boxes)
    stored = sum(one.stored or 0 for one in loads)
    return (
        f"{stored:,} bytes are stored for {whole:,.0f} (first loads included), in pieces of at "
        f"most {plan.chunk:,}; {plan.costs.decoded:,} code words decoded per run"
    )


def _gap(plan: Plan) -> str:
    if plan.offsets.gap == 0:
        return f"the largest live load ({plan.offsets.method})"
    return f"{plan.offsets.gap:.2%} above {plan.offsets.bound:,} ({plan.offsets.method})"


def bounding(plan: Plan) -> str:
    """The layer that needs the most: nothing below its need works."""
    worst = max(plan.groups, key=lambda one: one.transient).worst
    makers = {name: node.name for node in plan.nodes for name in node.outputs}
    return makers.get(worst, worst)


def _span(group: GroupRow) -> str:
    if len(group.layers) == 1:
        return group.layers[0]
    return f"{group.layers[0]} .. {group.layers[-1]} ({len(group.layers)})"


def _table(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("layers", no_wrap=True)
    table.add_column("how", no_wrap=True)
    for name in ("bytes", "resident", "loaded", "cost"):
        table.add_column(name, justify="right")
    for group in plan.groups:
        table.add_row(
            escape(_span(group)),
            group.way.words,
            f"{group.transient:,}",
            f"{group.resident:,}",
            f"{group.costs.loaded:,}",
            f"{group.costs.cost:,.0f}",
        )
    return table


def _explain(console: Console, number: int, group: GroupRow, plan: Plan) -> None:
    ordered = sorted(group.alternatives, key=lambda one: (one.costs.cost, one.transient))
    cheaper = [one for one in ordered if one.costs.cost < group.costs.cost]
    dearer = [one for one in ordered if one.costs.cost >= group.costs.cost]
    console.print(f"\n[bold]{number}[/] {escape(_span(group))}: {group.way.words}", soft_wrap=True)
    console.print(f"  {_why(cheaper, plan)}", soft_wrap=True)
    if group.recompute:
        console.print(
            f"  halo rows are kept: {group.recompute:,} multiply-adds are not done again",
            soft_wrap=True,
        )
    table = Table(box=None, pad_edge=False)
    table.add_column("  alternative", no_wrap=True)
    for name in ("bytes", "resident", "loaded", "cost"):
        table.add_column(name, justify="right")
    table.add_column("fits")
    for one in (*cheaper[-_SHOWN:], *dearer[:_SHOWN]):
        table.add_row(
            f"  {one.way.words}",
            f"{one.transient:,}",
            f"{one.resident:,}",
            f"{one.costs.loaded:,}",
            f"{one.costs.cost:,.0f}",
            "yes" if one.fits else "no",
        )
    if ordered:
        console.print(table)


def _why(cheaper: list[Alternative], plan: Plan) -> str:
    if not cheaper:
        return "nothing cheaper was found for these layers"
    least = min(cheaper, key=lambda one: one.transient + one.resident)
    if plan.budget is None:
        return f"the {len(cheaper)} cheaper ways take more memory than the least"
    return (
        f"{len(cheaper)} ways are cheaper and none fits beside the rest of the plan: the smallest "
        f"takes {least.transient:,} bytes and keeps {least.resident:,}"
    )
