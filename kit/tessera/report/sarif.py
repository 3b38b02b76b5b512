"""SARIF 2.1.0, which code hosts show beside the lines of a spec.

Goal: a rule per property, a result per obligation that is not simply proved, with the trace as a
code flow whose places are the actions taken.
Non-goals: results for what is proved (a passing obligation is no finding).
Source of the format: OASIS, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from tessera import __version__
from tessera.report.prose import ending, trace_lines
from tessera.results import Obligation, Results, Trace

VERSION = "2.1.0"
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_SPAN = re.compile(r"(?P<file>.+):(?P<line>\d+):(?P<column>\d+)")
# A result that was expected is information; of the others each verdict is what it is.
_KINDS = {"UNKNOWN": "open", "CTI": "review"}


def to_sarif(documents: Sequence[Results]) -> dict[str, Any]:
    """The SARIF log of some results, one run each."""
    return {"$schema": _SCHEMA, "version": VERSION, "runs": [_run(r) for r in documents]}


def _run(results: Results) -> dict[str, Any]:
    found = [o for o in results.obligations if not o.met or o.trace is not None]
    found = [o for o in found if not (o.met and o.verdict == "PROVED")]
    rules = list(dict.fromkeys(o.property for o in found))
    return {
        "tool": {
            "driver": {
                "name": "Tessera",
                "version": __version__,
                "rules": [_rule(name, found) for name in rules],
            }
        },
        "automationDetails": {"id": f"tessera/{results.spec}/"},
        "originalUriBaseIds": {"ROOT": {"description": {"text": "the folder it was run in"}}},
        "results": [_result(o, rules.index(o.property)) for o in found],
    }


def _rule(name: str, found: Iterable[Obligation]) -> dict[str, Any]:
    first = next(o for o in found if o.property == name)
    rule: dict[str, Any] = {"id": name, "shortDescription": {"text": first.doc or name}}
    if first.formula:
        rule["fullDescription"] = {"text": " ".join(first.formula.split())}
    return rule


def _result(obligation: Obligation, rule: int) -> dict[str, Any]:
    kind = "informational" if obligation.met else _KINDS.get(obligation.verdict, "fail")
    out: dict[str, Any] = {
        "ruleId": obligation.property,
        "ruleIndex": rule,
        "kind": kind,
        "level": "error" if kind == "fail" else "none",
        "message": {"text": _message(obligation)},
        "partialFingerprints": {"obligation/v1": obligation.id},
        "properties": {
            "verdict": obligation.verdict,
            "expected": obligation.expect,
            "resource": obligation.resource,
        },
    }
    place = _location(obligation.span, obligation.id)
    if place is not None:
        out["locations"] = [place]
    if obligation.trace is not None:
        out["codeFlows"] = [_flow(obligation.trace, obligation.span)]
    return out


def _message(obligation: Obligation) -> str:
    parts = [f"{obligation.verdict} {obligation.id} (expected {obligation.expect})"]
    parts += [obligation.doc, obligation.detail]
    parts += ending(obligation.trace) if obligation.trace is not None else []
    parts += [f"hint: {obligation.hint}"] if obligation.hint else []
    return ". ".join(part for part in parts if part)


def _flow(trace: Trace, span: str) -> dict[str, Any]:
    """Each step at its action's place; the last one also says what breaks."""
    locations = []
    for number, step in enumerate(trace.steps):
        last = number == len(trace.steps) - 1
        text = "; ".join([step.action, *step.changes, *(ending(trace) if last else ())])
        place = _location(step.span or span, step.action, text)
        locations.append(
            {
                "location": place or {"message": {"text": text}},
                "executionOrder": number + 1,
                "importance": "essential" if last else "important",
            }
        )
    return {
        "message": {"text": "\n".join(trace_lines(trace))},
        "threadFlows": [{"locations": locations}],
    }


def _location(span: str, name: str, text: str = "") -> dict[str, Any] | None:
    match = _SPAN.fullmatch(span)
    if match is None:
        return None
    path = PurePath(match["file"])
    artifact: dict[str, Any] = {"uri": path.as_uri() if path.is_absolute() else path.as_posix()}
    if not path.is_absolute():
        artifact["uriBaseId"] = "ROOT"
    out: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": artifact,
            "region": {"startLine": int(match["line"]), "startColumn": int(match["column"])},
        },
        "logicalLocations": [{"fullyQualifiedName": name}],
    }
    return out | ({"message": {"text": text}} if text else {})
