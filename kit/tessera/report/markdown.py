"""A summary in Markdown for the page of a CI run.

Goal: the verdicts in one table, what is not as expected in full, everything else folded.
Non-goals: pictures (see `tessera.report.html`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tessera.report.prose import trace_lines
from tessera.report.view import costs_of, differences
from tessera.results import Obligation, Results


def to_markdown(documents: Sequence[Results]) -> str:
    """The summary of some results."""
    return "\n".join(line for results in documents for line in _spec(results)) + "\n"


def _spec(results: Results) -> list[str]:
    unmet = [o for o in results.obligations if not o.met]
    failed = [s for s in results.scenarios if not s.met and not s.skipped]
    bad = len(unmet) + len(failed)
    head = "everything is as expected" if not bad else f"{bad} not as expected"
    out = [f"## {results.spec}: {head}", "", results.doc, ""]
    counts = Counter(o.verdict for o in results.obligations)
    said = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    out += [f"{len(results.obligations)} obligations: {said}", ""]
    for obligation in unmet:
        out += _full(obligation)
    out += _properties(results)
    expected = [o for o in results.obligations if o.met and o.verdict == "VIOLATED"]
    for obligation in expected:
        out += ["<details>", f"<summary>{obligation.id} breaks, as expected</summary>", ""]
        out += [*_full(obligation), "</details>", ""]
    return out + _scenarios(results) + _costs(results) + _mutants(results) + _patch(results)


def _full(obligation: Obligation) -> list[str]:
    out = [f"### {obligation.verdict} `{obligation.id}` (expected {obligation.expect})", ""]
    facts = [obligation.doc, obligation.detail, f"`{obligation.span}`" if obligation.span else ""]
    out += [". ".join(fact for fact in facts if fact), ""]
    if obligation.trace is not None:
        out += ["```text", *trace_lines(obligation.trace), "```", ""]
    if obligation.hint:
        out += [f"Hint: {obligation.hint}", ""]
    return out


def _properties(results: Results) -> list[str]:
    names = dict.fromkeys(o.property for o in results.obligations)
    if not names:
        return []
    out = ["| property | verdicts | as expected | resource units |", "|---|---|---|---:|"]
    for name in names:
        own = [o for o in results.obligations if o.property == name]
        counts = Counter(o.verdict for o in own)
        said = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        good = "yes" if all(o.met for o in own) else "**no**"
        out.append(f"| {_cell(name)} | {said} | {good} | {sum(o.resource for o in own):,} |")
    return [*out, ""]


def _scenarios(results: Results) -> list[str]:
    if not results.scenarios:
        return []
    out = ["| scenario | unpatched | patched | as expected |", "|---|---|---|---|"]
    for scenario in results.scenarios:
        sides = [
            _cell(side.detail) if side else "" for side in (scenario.unpatched, scenario.patched)
        ]
        good = "skipped" if scenario.skipped else "yes" if scenario.met else "**no**"
        out.append(f"| {scenario.name} | {sides[0]} | {sides[1]} | {good} |")
    out.append("")
    for scenario in results.scenarios:
        lines = differences(scenario)
        out += [f"- {scenario.name}: {_cell(line)}" for line in lines] + ([""] if lines else [])
    return out


def _costs(results: Results) -> list[str]:
    rows = costs_of(results)
    if not rows:
        return []
    out = ["### What the policy costs", ""]
    out += [
        "| what | unit | unpatched | patched | added | at most |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = (row.what, row.unit, row.unpatched, row.patched, row.added, row.most)
        out.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return [*out, ""]


def _mutants(results: Results) -> list[str]:
    if not results.mutants:
        return []
    counts = Counter(m.status for m in results.mutants)
    said = ", ".join(f"{number} {status}" for status, number in counts.items())
    out = [f"{len(results.mutants)} mutants: {said}", ""]
    for mutant in results.mutants:
        if mutant.status in ("survived", "unknown"):
            out.append(f"- {mutant.status}: `{mutant.id}` ({mutant.span}): `{mutant.after}`")
    return [*out, ""]


def _patch(results: Results) -> list[str]:
    if results.patch is None:
        return []
    used = results.patch.added + results.patch.removed
    return [f"Patch for {results.patch.target}: {used} of {results.patch.budget} lines.", ""]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
