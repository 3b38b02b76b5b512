"""Traces as plain lines, for formats that hold text.

Goal: one wording of constants, steps and what breaks, shared by JUnit, SARIF and Markdown.
Non-goals: strips and colours (see `tessera.report.terminal`).
"""

from __future__ import annotations

from tessera.results import Trace


def trace_lines(trace: Trace) -> list[str]:
    """Constants, then a line per step with its changes, then what breaks."""
    out = []
    if trace.constants:
        out.append("with " + ", ".join(f"{k} = {v}" for k, v in trace.constants.items()))
    for number, step in enumerate(trace.steps):
        out.append(f"{number}: {step.action}")
        out += [f"     {change}" for change in step.changes]
    return out + ending(trace)


def ending(trace: Trace) -> list[str]:
    """What the last state breaks, and which part of the property it is."""
    out = []
    if trace.broken:
        out.append(f"breaks {trace.broken}" if trace.kind == "run" else f"then {trace.broken}")
    if trace.conjunct:
        where = f" ({trace.conjunct_span})" if trace.conjunct_span else ""
        out.append(f"the part that fails: {trace.conjunct}{where}")
    return out
