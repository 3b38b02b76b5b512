"""Which of the patch's lines the model checker's harnesses run, line by line.

Goal: `coverage` gives one check: every line that the patch adds is reached by some harness, has no
code of its own, or stands in `EXCEPTED` with the reason; else the check is UNKNOWN.
Non-goals: whether what is reached is right (see `cbmc`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tessera.conform.cbmc_run import Bounds, Question, covering
from tessera.conform.patched import HEADER, TA_STORE, Patched, read_patched
from tessera.conform.prepared import Prepared
from tessera.conform.result import Check
from tessera.guest.modelchecker import ModelChecker

EXCEPTED = {
    (TA_STORE, "buf_ta_open"): "an image that fails to open: the tiers host and smt look at it",
}
"""Functions whose patched lines no harness runs, with the reason."""

NAME = "cbmc/coverage"
Line = tuple[str, int]


def coverage(
    checker: ModelChecker, ready: Prepared, questions: Sequence[Question], bounds: Bounds
) -> Check:
    """The check, with a line of `trace` for each added line.

    Raises TesseraError as `read_patched` does, and when CBMC's answer cannot be read.
    """
    patched = read_patched(ready)
    added = [(name, n) for name, one in patched.sources.items() for n in sorted(one.added)]
    by: dict[Line, list[str]] = {}
    seconds, peak = 0.0, 0
    for question in questions:
        done = covering(checker, question, bounds)
        seconds, peak = seconds + done.seconds, max(peak, done.mebibytes)
        for line, is_reached in reached(done.text, str(question.root)).items():
            names = by.setdefault(line, [])
            if is_reached:
                names.append(question.function.removeprefix("harness_"))
    table = {line: _told(patched, line, by) for line in added}
    missing = [line for line, told in table.items() if not told]
    rows = tuple(f"{file}:{n}: {told or 'NOT REACHED'}" for (file, n), told in table.items())
    counts = {
        "lines": len(added),
        "reached": sum(bool(by.get(line)) or _statement(patched, line, by) for line in added),
        "missing": len(missing),
        "mebibytes": peak,
    }
    if missing or not added:
        what = f"{len(missing)} of {len(added)} added lines are reached by no harness"
        return Check("cbmc", NAME, "UNKNOWN", what, counts, seconds, trace=rows)
    what = f"{counts['reached']} of {len(added)} added lines are reached; the others say why not"
    return Check("cbmc", NAME, "AGREES", what, counts, seconds, trace=rows)


def reached(text: str, root: str) -> dict[Line, bool]:
    """Every line of the tree that has code in the harness, and whether CBMC can reach it."""
    found: dict[Line, bool] = {}
    try:
        rows = [row for row in json.loads(text) if isinstance(row, dict)]
    except (ValueError, TypeError):
        return found
    goals: list[dict[str, Any]] = [g for row in rows for g in row.get("goals", [])]
    for goal in goals:
        for file, functions in goal.get("basicBlockLines", {}).items():
            if file.startswith(f"{root}/"):
                for number in (n for lines in functions.values() for n in _numbers(lines)):
                    line = file[len(root) + 1 :], number
                    found[line] = found.get(line, False) or goal.get("status") == "satisfied"
    return found


def _numbers(text: str) -> list[int]:
    """Lines as CBMC writes them: `18,19,21-23`."""
    out: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        out += range(int(low), int(high or low) + 1)
    return out


def _statement(patched: Patched, line: Line, by: dict[Line, list[str]]) -> bool:
    """Whether it has no code of its own, and another line of the same statement is reached."""
    file, number = line
    return line not in by and any(
        by.get((file, n))
        for part in patched.parts.values()
        if part.file == file and part.statement.first <= number <= part.statement.last
        for n in range(part.statement.first, part.statement.last + 1)
    )


def _told(patched: Patched, line: Line, by: dict[Line, list[str]]) -> str:
    """Who reaches the line, or why nobody must; empty when nothing is to be said for it."""
    file, number = line
    text = patched.sources[file].text[number - 1].strip()
    if line in by:
        return ", ".join(by[line])  # empty: there is code, and nothing reaches it
    if _statement(patched, line, by):
        return "part of a statement that is reached"
    if not text or text in ("}", "{") or text.endswith(":"):
        return "no code: a label, a brace or a blank line"
    if file == HEADER or text.startswith("static const ") or text.startswith("{ 0x"):
        return "no code: a declaration or a constant"
    for (name, function), why in EXCEPTED.items():
        found = patched.function(name, function) if name == file else None
        if found is not None and found.first <= number <= found.last:
            return f"excepted: {why}"
    return ""
