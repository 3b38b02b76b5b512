"""What OP-TEE's test program prints, read case by case.

Goal: a `Transcript` of every case with its subtests; a run that did not come to its own summary, or
whose summary does not fit the cases before it, is never whole.
Non-goals: running it and comparing two runs (see `xtest`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

OK, FAILED, SKIPPED, CUT = "ok", "failed", "skipped", "cut short"
_VERDICTS = {"OK": OK, "FAILED": FAILED}

_NAME = r"[a-z]\w*_\d\w*"  # of a case; of a subtest with .1, .1.2 behind
_CASE = re.compile(rf"^\* ({_NAME})(?: (.*))?$")
_SUBTEST = re.compile(rf"^o ({_NAME}(?:\.\d+)+)(?: (.*))?$")
_END = re.compile(rf"^  ({_NAME}(?:\.\d+)*) (OK|FAILED)\b")
_SKIP = re.compile(r"\bskip(?:ping|ped)?\b", re.IGNORECASE)
_IGNORED = re.compile(r"\b(TEEC?_ERROR_\w+)\b.*\bignored\b")
_CHECKS = re.compile(r"^(\d+) subtests? of which (\d+) failed$")
_CASES = re.compile(r"^(\d+) test cases? of which (\d+) failed$")


@dataclass(slots=True)
class Case:
    """One case: `status`, and that of each of its subtests by number, in order.

    `skips` are the lines that say that a part of it was left out, `ignored` the errors that the
    case itself passes over.
    """

    name: str
    title: str
    status: str = CUT
    subtests: dict[str, str] = field(default_factory=dict)
    skips: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`status`, but `SKIPPED` where all that it did was to say so."""
        nothing = self.status == OK and self.skips and not self.subtests
        return SKIPPED if nothing else self.status


@dataclass(frozen=True, slots=True)
class Transcript:
    """All cases of a run; `broken` is '' for a whole one and else says what is not as it must be.

    `checks` is the program's own count of everything that it compared.
    """

    cases: dict[str, Case]
    checks: int
    broken: str

    def count(self, verdict: str) -> int:
        """How many cases ended so."""
        return sum(case.verdict == verdict for case in self.cases.values())


def parse(text: str) -> Transcript:
    """Read what the program printed; lines of others in between are passed over."""
    cases: dict[str, Case] = {}
    current: Case | None = None
    totals: dict[str, tuple[int, int]] = {}
    for line in _lines(text):
        if match := _CASE.match(line):
            current = Case(match[1], match[2] or "")
            cases[current.name] = current
        elif (match := _SUBTEST.match(line)) and current:
            current.subtests[match[1]] = CUT
        elif (match := _END.match(line)) and current:
            current = _ended(current, match[1], _VERDICTS[match[2]])
        elif match := _CHECKS.match(line):
            totals["checks"] = int(match[1]), int(match[2])
        elif match := _CASES.match(line):
            totals["cases"] = int(match[1]), int(match[2])
        elif current and (match := _IGNORED.search(line)):
            current.ignored.append(match[1])
        elif current and _SKIP.search(line):
            current.skips.append(line.strip())
    return Transcript(cases, totals.get("checks", (0, 0))[0], _broken(cases, totals))


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield line.rstrip()


def _ended(case: Case, name: str, verdict: str) -> Case | None:
    """The case that is still open after the end of a case or subtest."""
    if name == case.name:
        case.status = verdict
        return None
    if name in case.subtests:
        case.subtests[name] = verdict
    return case


def _broken(cases: dict[str, Case], totals: dict[str, tuple[int, int]]) -> str:
    for case in cases.values():
        if case.status == CUT:
            last = next(reversed(case.subtests), "")
            return f"{case.name} did not come to its end" + (f", nor {last}" if last else "")
        open_ends = [name for name, status in case.subtests.items() if status == CUT]
        if open_ends:
            return f"{open_ends[0]} did not come to its end"
    if "cases" not in totals or "checks" not in totals:
        last = next(reversed(cases), "")
        return (
            f"it ended after {last}, without a summary" if last else "it says nothing of any case"
        )
    seen = (len(cases), sum(case.status == FAILED for case in cases.values()))
    if seen != totals["cases"]:
        of = "its summary has {} cases, {} failed".format(*totals["cases"])
        return f"{of}; {seen[0]} were seen, {seen[1]} failed"
    if not cases:
        return "no case was run"
    return ""
