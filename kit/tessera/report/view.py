"""What the HTML page shows, arranged from the results document.

Goal: group obligations into one mosaic per policy, pair up figures of both sides of a scenario,
spread the patch's line budget over tiles; all wording of the summary lives here.
Non-goals: judging (verdicts and `met` come from the document) and markup (see `templates/`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tessera.report.diff import Diff, parse_patch
from tessera.report.mutation import MutationView, mutation_of
from tessera.report.picture import Picture, trace_pictures
from tessera.report.strip import groups_of
from tessera.results import Cost, Obligation, PatchInfo, Results, Scenario, Step, Strip

MARKS = {
    "PROVED": "✓",
    "BOUNDED": "≤",
    "VIOLATED": "✗",
    "CTI": "↯",
    "UNKNOWN": "?",
    "VACUOUS": "∅",
    "ERROR": "!",
}

DIFFERENCES = 10
"""Differences between the sides of a scenario that are shown; the document holds all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One property of a policy: its obligation per action (None where there is none)."""

    name: str
    doc: str
    cells: tuple[Obligation | None, ...]
    seconds: float
    resource: int
    share: float  # of the policy's most expensive property, 0 to 1


@dataclass(frozen=True, slots=True)
class Policy:
    """All obligations whose ids start with one spec's name."""

    name: str
    actions: tuple[str, ...]
    rows: tuple[Row, ...]
    counts: tuple[tuple[str, int], ...]
    seconds: float
    resource: int
    unmet: int


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of a trace with its pictures."""

    step: Step
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class TraceView:
    """A counterexample, ready to step through."""

    anchor: str
    ids: tuple[str, ...]  # of all obligations that share the trace
    obligation: Obligation
    steps: tuple[StepView, ...]
    groups: tuple[str, ...]  # of the whole page; the place gives the colour
    shows: Shows


@dataclass(frozen=True, slots=True)
class Shows:
    """What the strips of a trace show beside live blocks, for their legend."""

    zone: str
    residue: bool
    stale: bool
    clash: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the policy and the lines it costs."""

    name: str
    lines: int
    colour: int


@dataclass(frozen=True, slots=True)
class PatchView:
    """The patch, its diff and one tile per line of the budget (a colour, or -1 when unused)."""

    info: PatchInfo
    used: int
    parts: tuple[Part, ...]
    tiles: tuple[int, ...]
    diff: Diff


@dataclass(frozen=True, slots=True)
class ScenarioView:
    """A scenario and its figures, side by side."""

    scenario: Scenario
    figures: tuple[tuple[str, str, str], ...]
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CostRow:
    """What one thing takes, in words: the least of several runs; `most` where they differ."""

    what: str
    unit: str
    unpatched: str
    patched: str
    added: str
    most: str  # of the unpatched, of the patched


@dataclass(frozen=True, slots=True)
class Summary:
    """The first thing a reader sees."""

    tone: str  # good bad open
    headline: str
    sentence: str
    facts: tuple[tuple[str, str], ...]  # figure, what it counts


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the template needs."""

    results: Results
    summary: Summary
    policies: tuple[Policy, ...]
    traces: tuple[TraceView, ...]
    patch: PatchView | None
    scenarios: tuple[ScenarioView, ...]
    skipped: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]  # of all obligations, per verdict
    unmet: int
    mutation: MutationView | None
    costs: tuple[CostRow, ...]


def page_of(results: Results) -> Page:
    """Arrange the results; nothing is recomputed."""
    traced = _traced(results.obligations)
    groups = groups_of(strip for same in traced for strip in _strips(same[0]))
    return Page(
        results,
        summary_of(results),
        policies_of(results.obligations),
        tuple(_trace(same, i, groups) for i, same in enumerate(traced, start=1)),
        _patch(results.patch) if results.patch else None,
        tuple(ScenarioView(s, _figures(s), differences(s)) for s in results.scenarios),
        tuple(dict.fromkeys(s.skipped for s in results.scenarios if s.skipped)),
        _counts(results.obligations),
        sum(not o.met for o in results.obligations),
        mutation_of(results.mutants) if results.mutants else None,
        costs_of(results),
    )


def _counts(obligations: Iterable[Obligation]) -> tuple[tuple[str, int], ...]:
    verdicts = [o.verdict for o in obligations]
    return tuple((v, verdicts.count(v)) for v in MARKS if v in verdicts)


def summary_of(results: Results) -> Summary:
    """The verdict over everything, in words and in a few figures."""
    obligations, scenarios = results.obligations, results.scenarios
    ran = [s for s in scenarios if not s.skipped]
    unmet = [o.id for o in obligations if not o.met] + [s.name for s in ran if not s.met]
    unknown = [o.id for o in obligations if o.verdict == "UNKNOWN"]
    tone = "open" if unmet and set(unmet) <= set(unknown) else "bad" if unmet else "good"
    facts = []
    if obligations:
        facts.append((str(sum(o.verdict == "PROVED" for o in obligations)), "obligations proved"))
    violated = [o for o in obligations if o.verdict == "VIOLATED"]
    if violated:
        expected = all(o.met for o in violated)
        facts.append((str(len(violated)), "violated, as expected" if expected else "violated"))
    if results.patch:
        used = results.patch.added + results.patch.removed
        facts.append((f"{used}/{results.patch.budget}", "lines of patch"))
    if ran:
        facts.append((f"{sum(s.met for s in ran)}/{len(ran)}", "scenarios as expected"))
    if len(ran) < len(scenarios):
        facts.append((str(len(scenarios) - len(ran)), "scenarios skipped"))
    headline = _headline(tone, len(unmet), whole=len(ran) == len(scenarios))
    return Summary(tone, headline, _sentence(results, unmet), tuple(facts))


def _headline(tone: str, unmet: int, *, whole: bool) -> str:
    if tone == "good":
        return "Everything is as expected" if whole else "Everything that ran is as expected"
    if tone == "open":
        return f"{_count(unmet, 'obligation')} stayed undecided"
    return f"{_count(unmet, 'expectation')} not met"


def _sentence(results: Results, unmet: list[str]) -> str:
    if unmet:
        more = f" and {len(unmet) - 3} more" if len(unmet) > 3 else ""
        return f"Look at {', '.join(unmet[:3])}{more}."
    parts = []
    if results.obligations:
        parts.append(f"{_count(len(results.obligations), 'obligation')} checked")
    if results.patch:
        parts.append(f"patch for {results.patch.target or 'the tree'} made")
    ran = sum(not s.skipped for s in results.scenarios)
    if ran:
        parts.append(f"{_count(ran, 'scenario')} run on both systems")
    if ran < len(results.scenarios):
        parts.append(f"{_count(len(results.scenarios) - ran, 'scenario')} skipped")
    text = ", ".join(parts) or "nothing was run"
    return f"{text[0].upper()}{text[1:]}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def split_id(obligation: Obligation) -> tuple[str, str]:
    """The policy of an obligation and what of its property it is about, e.g. the action `alloc`.

    `priority/alloc/disjoint` is about `alloc`, `priority/promise/witness` about `witness`.
    """
    policy, *rest = obligation.id.split("/") if "/" in obligation.id else ("", obligation.id)
    if obligation.property in rest:
        rest.remove(obligation.property)
    else:
        rest = rest[:-1]
    return policy, "/".join(rest)


def policies_of(obligations: Iterable[Obligation]) -> tuple[Policy, ...]:
    """One mosaic per policy, in the order of first appearance."""
    by_policy: dict[str, list[Obligation]] = {}
    for obligation in obligations:
        by_policy.setdefault(split_id(obligation)[0], []).append(obligation)
    return tuple(_policy(name, found) for name, found in by_policy.items())


def _policy(name: str, obligations: list[Obligation]) -> Policy:
    actions = tuple(dict.fromkeys(split_id(o)[1] for o in obligations))
    by_property: dict[str, dict[str, Obligation]] = {}
    for o in obligations:
        by_property.setdefault(o.property, {})[split_id(o)[1]] = o
    most = max(
        (sum(o.seconds for o in cells.values()) for cells in by_property.values()), default=0
    )
    rows = tuple(_row(prop, cells, actions, most) for prop, cells in by_property.items())
    return Policy(
        name,
        actions,
        rows,
        _counts(obligations),
        sum(o.seconds for o in obligations),
        sum(o.resource for o in obligations),
        sum(not o.met for o in obligations),
    )


def _row(name: str, cells: dict[str, Obligation], actions: tuple[str, ...], most: float) -> Row:
    seconds = sum(o.seconds for o in cells.values())
    return Row(
        name,
        next((o.doc for o in cells.values() if o.doc), ""),
        tuple(cells.get(action) for action in actions),
        seconds,
        sum(o.resource for o in cells.values()),
        seconds / most if most else 0.0,
    )


def _traced(obligations: Iterable[Obligation]) -> list[list[Obligation]]:
    """Obligations with a trace, those that share one together; what broke comes first."""
    groups: list[list[Obligation]] = []
    for o in obligations:
        if o.trace is None or not o.trace.steps:
            continue
        same = next((g for g in groups if g[0].trace == o.trace and g[0].doc == o.doc), None)
        if same is None:
            groups.append([o])
        else:
            same.append(o)
    return sorted(groups, key=lambda group: group[0].verdict == "PROVED")


def _strips(obligation: Obligation) -> list[Strip]:
    steps = obligation.trace.steps if obligation.trace else ()
    return [strip for step in steps for strip in step.strips]


def _trace(same: list[Obligation], number: int, groups: tuple[str, ...]) -> TraceView:
    obligation = same[0]
    assert obligation.trace is not None
    steps = obligation.trace.steps
    pictures = trace_pictures(steps, groups)
    views = tuple(StepView(s, p) for s, p in zip(steps, pictures, strict=True))
    ids = tuple(o.id for o in same)
    return TraceView(f"trace-{number}", ids, obligation, views, groups, _shows(views))


def _shows(views: Iterable[StepView]) -> Shows:
    boxes = [box for view in views for picture in view.pictures for box in picture.boxes]
    kinds = {box.kind for box in boxes}
    zones = dict.fromkeys(box.label for box in boxes if box.kind == "zone" and box.label)
    return Shows(", ".join(zones), "residue" in kinds, "stale" in kinds, "clash" in kinds)


def _patch(info: PatchInfo) -> PatchView:
    parts = tuple(Part(name, n, i % 5) for i, (name, n) in enumerate(info.costs.items()))
    used = info.added + info.removed
    tiles = [part.colour for part in parts for _ in range(part.lines)][:used]
    tiles += [5] * (used - len(tiles))  # lines that no part accounts for
    tiles += [-1] * (info.budget - used)
    return PatchView(info, used, parts, tuple(tiles), parse_patch(info.text))


def _figures(scenario: Scenario) -> tuple[tuple[str, str, str], ...]:
    if scenario.costs:
        return ()  # they have a table of their own
    left = scenario.unpatched.figures if scenario.unpatched else {}
    right = scenario.patched.figures if scenario.patched else {}
    names = dict.fromkeys([*left, *right])
    return tuple((name, figure(left.get(name)), figure(right.get(name))) for name in names)


def costs_of(results: Results) -> tuple[CostRow, ...]:
    """The rows of the table "What the policy costs", of all scenarios that measured any."""
    return tuple(_cost(cost) for scenario in results.scenarios for cost in scenario.costs)


def _cost(cost: Cost) -> CostRow:
    least, most = (cost.unpatched, cost.patched), (cost.unpatched_most, cost.patched_most)
    return CostRow(
        cost.what,
        cost.unit,
        figure(cost.unpatched),
        figure(cost.patched),
        ("+" if cost.added > 0 else "") + figure(cost.added),
        " / ".join(figure(value) for value in most) if most != least else "",
    )


def differences(scenario: Scenario, limit: int = DIFFERENCES) -> tuple[str, ...]:
    """What the two sides did not do alike: the first `limit`, and how many more there are."""
    shown, rest = scenario.differs[:limit], len(scenario.differs) - limit
    return (*shown, f"and {rest} more") if rest > 0 else shown


def figure(value: float | None) -> str:
    """A figure for reading: whole numbers whole, small ones in scientific notation."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.3g}" if abs(value) < 1000 else figure(round(value))


def seconds(value: float) -> str:
    """A duration for reading, e.g. `0.04 s`, `2.3 s`, `1 min 12 s`."""
    if value < 0.005:
        return "0 s"
    if value >= 60:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"


def resource(value: int) -> str:
    """Solver resource units for reading, e.g. `640 k`."""
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return str(value)
