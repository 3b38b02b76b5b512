"""The results in a terminal: a short summary that still names everything that went wrong.

Goal: verdict counts per policy, every obligation whose expectation is not met with its trace,
the patch's budget, the scenarios and what was skipped; no colour codes outside a terminal.
Non-goals: the full page (see `html`) and exit codes (see `cli`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from tessera.report import view
from tessera.report.strip import legend, strip_lines
from tessera.results import Obligation, Outcome, Results, Scenario, Spread, Trace

WIDEST = 5
"""Spreads over seeds that are shown though nothing is wrong with them."""

_STYLES = {"PROVED": "green", "VIOLATED": "red", "ERROR": "red"}


def print_summary(results: Results, console: Console) -> None:
    """Print the summary of a whole run."""
    page = view.page_of(results)
    for policy in page.policies:
        counts = ", ".join(f"[{_style(v)}]{n} {v.lower()}[/]" for v, n in policy.counts)
        unmet = f", [bold red]{policy.unmet} not as expected[/]" if policy.unmet else ""
        time = view.seconds(policy.seconds)
        console.print(
            f"[bold]{escape(policy.name)}[/]  {counts}{unmet}  [dim]({time} of solving)[/]"
        )
    shown: dict[str, str] = {}
    for obligation in results.obligations:
        if not obligation.met:
            first = shown.setdefault(repr(obligation.trace), obligation.id)
            same = obligation.trace is not None and first != obligation.id
            print_obligation(obligation, console, same_trace_as=first if same else "")
    if page.patch:
        parts = ", ".join(f"{part.name} {part.lines}" for part in page.patch.parts)
        used, budget = page.patch.used, page.patch.info.budget
        console.print(
            f"[bold]patch[/]  {used} of {budget} lines for {escape(page.patch.info.target)}"
            f"  [dim]({escape(parts)})[/]"
        )
    if results.scenarios:
        console.print(_scenarios(results.scenarios))
        for scenario in results.scenarios:
            for line in view.differences(scenario):
                console.print(_indented(f"[red]{scenario.name}[/]  {escape(line)}"))
    if page.costs:
        console.print(_costs(page.costs))
    for why in page.skipped:
        console.print(f"[yellow]skipped[/]  {escape(why)}", soft_wrap=True)
    tone = {"good": "bold green", "bad": "bold red", "open": "bold yellow"}[page.summary.tone]
    console.print(
        f"[{tone}]{page.summary.headline}.[/] {escape(page.summary.sentence)}", soft_wrap=True
    )


def print_obligation(obligation: Obligation, console: Console, same_trace_as: str = "") -> None:
    """Print one obligation in full: where, what, why, and its trace step by step.

    `same_trace_as` names an obligation whose trace was printed before and is not printed again.
    """
    console.print(
        f"[{_style(obligation.verdict)}]{view.MARKS[obligation.verdict]} {obligation.verdict}[/] "
        f"[bold]{escape(obligation.id)}[/] [dim](expected {escape(obligation.expect)})[/]",
        soft_wrap=True,
    )
    said = "; ".join(x for x in (obligation.doc, obligation.detail) if x)
    if said:
        console.print(_indented(f"[dim]{escape(said)}[/]"))
    if obligation.span:
        console.print(f"  [dim]{escape(obligation.span)}[/]", soft_wrap=True)
    if obligation.hint:
        console.print(_indented(f"hint: {escape(obligation.hint)}"))
    if same_trace_as:
        console.print(f"  same trace as {escape(same_trace_as)}")
    elif obligation.trace:
        print_trace(obligation, console)


def _indented(text: str, columns: int = 2) -> Padding:
    return Padding(text, (0, 0, 0, columns), expand=False)


def print_trace(obligation: Obligation, console: Console) -> None:
    """Print an obligation's trace: constants, then action, changes and strips of every step."""
    trace = obligation.trace
    if trace is None:
        return
    if trace.kind == "cti":
        console.print("  a state that nothing rules out; whether a run leads to it is not known")
    _steps(trace, console)
    if trace.broken:
        reached = obligation.verdict == "PROVED"
        _ending(trace, console, "[green]reached:[/]" if reached else _word(trace))


def print_replay(name: str, trace: Trace, console: Console) -> None:
    """Print a trace that was replayed, and whether that reproduced it."""
    word = "[green]reproduced[/]" if trace.replayed else "[bold red]not reproduced[/]"
    console.print(f"{word} [bold]{escape(name)}[/]", soft_wrap=True)
    _steps(trace, console)
    _ending(trace, console, _word(trace) if trace.replayed else "[red]stopped:[/]")


def _word(trace: Trace) -> str:
    """What introduces the property at the end; no run leads to a counterexample to induction."""
    return "[yellow]not kept:[/]" if trace.kind == "cti" else "[red]broken:[/]"


def _ending(trace: Trace, console: Console, word: str) -> None:
    console.print(_indented(f"{word} {escape(trace.broken)}"))
    if trace.conjunct:
        console.print(_indented(f"this part fails: {escape(trace.conjunct)}", 4))
        console.print(f"    [dim]{escape(trace.conjunct_span)}[/]", soft_wrap=True)


def _steps(trace: Trace, console: Console) -> None:
    if trace.constants:
        constants = ", ".join(f"{name} = {value}" for name, value in trace.constants.items())
        console.print(_indented(f"with {escape(constants)}"))
    strips = [strip for step in trace.steps for strip in step.strips]
    plain = not console.encoding.lower().startswith("utf")
    lines = iter(strip_lines(strips, max(min(console.width, 100) - 5, 20), plain=plain))
    for number, step in enumerate(trace.steps):
        console.print(_indented(f"{number}. [bold]{escape(step.action)}[/]"))
        if step.changes:
            changes = escape("; ".join(step.changes))
            console.print(_indented(f"[dim]{changes}[/]", 5))
        for _ in step.strips:
            console.print("     ", next(lines), sep="", no_wrap=True, crop=False)
    if strips:
        console.print(f"     {escape(legend(strips, plain=plain))}", style="dim")


def _scenarios(scenarios: tuple[Scenario, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("scenario", "unpatched", "patched", ""):
        table.add_column(heading, overflow="fold")
    for scenario in scenarios:
        if scenario.skipped:
            table.add_row(scenario.name, "skipped", "skipped", "[yellow]–[/]")
            continue
        met = "[green]✓[/]" if scenario.met else "[bold red]✗ not as expected[/]"
        table.add_row(
            f"[bold]{escape(scenario.name)}[/]",
            _side(scenario.unpatched),
            _side(scenario.patched),
            met,
        )
    return table


def _costs(rows: Sequence[view.CostRow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("what the policy costs", "unit", "unpatched", "patched", "added", "at most"):
        right = heading not in ("what the policy costs", "unit")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            escape(row.what), row.unit, row.unpatched, row.patched, row.added, f"[dim]{row.most}[/]"
        )
    return table


def _side(outcome: Outcome | None) -> str:
    if outcome is None:
        return "did not run"
    return f"{'passes' if outcome.passed else 'fails'}: {escape(outcome.detail)}"


def _style(verdict: str) -> str:
    return _STYLES.get(verdict, "yellow")


def print_spreads(spreads: Sequence[Spread], console: Console) -> None:
    """How an obligation fared over several seeds: what changed its verdict, and the widest."""
    runs = max(sum(s.verdicts.values()) for s in spreads)
    shaky = [s for s in spreads if len(s.verdicts) > 1 or "UNKNOWN" in s.verdicts]
    console.print(
        f"{runs} seeds: {len(spreads) - len(shaky)} of {len(spreads)} verdicts are steady"
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "fewest units", "median", "most"):
        table.add_column(name, justify="left" if not name else "right")
    widest = sorted(spreads, key=lambda s: s.lowest - s.highest)[:WIDEST]
    for spread in [*shaky, *(s for s in widest if s not in shaky)]:
        said = ", ".join(f"{n} {v}" for v, n in spread.verdicts.items())
        name = f"{spread.id} ({said})" if spread in shaky else spread.id
        units = (view.resource(n) for n in (spread.lowest, spread.median, spread.highest))
        table.add_row(escape(name), *units)
    console.print(table)
