"""Scenario `xtest`: OP-TEE's own regression tests, case by case the same on both sides.

A side passes when the run comes to its end. Which cases fail is compared: one that fails on both
sides fails without the policy, too, and says nothing about it. Errors that a case itself passes
over (memory that runs out with several TAs at once) depend on timing; they are told, and not
compared.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence

from tessera.errors import TesseraError
from tessera.guest.machine import Guest, GuestError
from tessera.guest.scenarios import xtest_output
from tessera.guest.scenarios.bench import Bench, InconclusiveError
from tessera.guest.scenarios.xtest_output import FAILED, OK, SKIPPED, Case, Transcript
from tessera.results import Outcome

NAME = "xtest"
DOC = "OP-TEE's own regression tests end alike on both, case by case."
SECONDS = 3000.0  # for all cases; they took 15 to 21 minutes on a busy machine
NOT_RUN = "not run"
_KILLED = (137, 143)  # exit codes of a command that took too long


def trial(bench: Bench, cases: Sequence[str] = ()) -> Outcome:
    """Run the cases whose names hold one of `cases`, or all regression cases, on one side."""
    status: int | None = None
    died = ""
    with bench.boot(NAME) as guest:
        try:
            status, text = _run(guest, cases)
        except GuestError as error:
            died = error.message.partition("\n")[0]
            text = guest.console_log.read_text(encoding="utf-8", errors="replace")
    seen = xtest_output.parse(text)
    if died:
        why = f"{died}; {seen.broken}"
    elif status in _KILLED:
        why = f"it took longer than {SECONDS:.0f} s; {seen.broken}"
    else:
        why = seen.broken
    if not seen.cases and not died:
        raise InconclusiveError(f"xtest ran no case: {text.strip()[-300:]}")
    return outcome_of(seen, cases, why)


def _run(guest: Guest, cases: Sequence[str]) -> tuple[int, str]:
    result = guest.run(" ".join(["xtest -t regression", *cases]), timeout=SECONDS)
    return result.status, result.output


def chosen(text: str) -> Callable[[Bench], Outcome]:
    """The trial that `xtest:CASES` asks for. Raises `TesseraError` when these are no names."""
    cases = tuple(text.split(","))
    if not all(re.fullmatch(r"[a-z0-9_]{1,40}", case) for case in cases):
        raise TesseraError(
            f"{text!r} does not name cases of xtest",
            where=f"--scenario {NAME}:CASES",
            remedy=f"numbers, or parts of names, with commas between them, e.g. {NAME}:1004,1006",
        )
    return functools.partial(trial, cases=cases)


def outcome_of(seen: Transcript, cases: Sequence[str], broken: str) -> Outcome:
    """The outcome of one side: whether it came to its end, and each case in words."""
    figures: dict[str, float] = {
        "cases": len(seen.cases),
        "ok": seen.count(OK),
        "failed": seen.count(FAILED),
        "skipped": seen.count(SKIPPED),
        "subtests": sum(len(case.subtests) for case in seen.cases.values()),
        "checks": seen.checks,
        "errors_ignored": sum(len(case.ignored) for case in seen.cases.values()),
    }
    told = {name: words(case) for name, case in seen.cases.items()}
    if broken:
        return Outcome(False, f"the run broke off: {broken}", figures, cases=told)
    which = f" of those named {', '.join(cases)}" if cases else ""
    detail = f"{len(seen.cases)} cases{which}: {seen.count(OK)} ok, {seen.count(FAILED)} failed, "
    detail += f"{seen.count(SKIPPED)} skipped{_ignored(seen)}"
    return Outcome(True, detail, figures, cases=told)


def _ignored(seen: Transcript) -> str:
    """The errors that cases pass over, by case and kind, for the end of a sentence."""
    kinds = Counter((case.name, kind) for case in seen.cases.values() for kind in case.ignored)
    told = [f"{name} passes over {count} {kind}" for (name, kind), count in kinds.items()]
    return "".join(f"; {line}" for line in told)


def words(case: Case) -> str:
    """How a case went; two cases with the same words went alike, subtest by subtest."""
    text = case.verdict
    parts = list(case.subtests.values())
    if parts:
        text += f", {parts.count(OK)} of {len(parts)} subtests ok"
    off = [f"{name} {status}" for name, status in case.subtests.items() if status != OK]
    if off:
        text += f" ({', '.join(off)})"
    if case.skips and case.verdict != SKIPPED:
        text += f", {len(case.skips)} part{'s' if len(case.skips) > 1 else ''} left out"
    return text


def differs(unpatched: Outcome, patched: Outcome) -> tuple[str, ...]:
    """The cases that did not go alike, in words; a case of one run only is one of them."""
    names = dict.fromkeys([*unpatched.cases, *patched.cases])
    rows = []
    for name in names:
        left, right = (side.cases.get(name, NOT_RUN) for side in (unpatched, patched))
        if left != right:
            rows.append(f"{name}: unpatched {left}; patched {right}")
    return tuple(rows)
