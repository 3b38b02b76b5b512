"""The tier `cbmc`: the patched C of the pool for every size and place, with a few live blocks.

Goal: `run`, the checks of this tier: one operation on any pool that satisfies the spec's
invariants, decided by CBMC with bounds on its time and memory; a check for each property.
Non-goals: generating what must hold (see `cbmc_harness`), fetching CBMC (see
`tessera.guest.modelchecker`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tessera.conform.cbmc_cover import coverage
from tessera.conform.cbmc_harness import generated
from tessera.conform.cbmc_run import Answer, Bounds, Question, ask, listed, traced
from tessera.conform.hostbuild import write_headers
from tessera.conform.prepared import Prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options
from tessera.errors import TesseraError
from tessera.guest import modelchecker
from tessera.lang.typed import Spec

MOST_BLOCKS = 4
"""Blocks that are live before the operation, at most; `Options.blocks` says how many."""
OPEN_BLOCKS = 1
"""With more, who asks is one of a few cases, and OP-TEE's statistics are not compiled in."""
BOUNDS = Bounds(seconds=600, mebibytes=4096)
REACHED = "reached"

_LONG = {
    "memory": "no access out of bounds, no null, no signed overflow, no shift too far",
    "loops": "every loop ends within its bound",
    "ordered": "in the invariants' pools a block ends where the next one starts, or before",
    "cases": "the cases that are asked one by one are all",
    "list": "the list is in order, has every block once, and no other block is changed",
    "locks": "taken once, given back",
    "heap": "an entry for a granted request, nothing for a refused one",
    "asked": "as many granules as were asked for",
    "refused": "refused only when no window that the class may use has room",
    "scrub": "what comes back is cleared as the spec says, once, before it is free; no more is",
    "no_panic": "no panic",
    "reached": "the end of the operation is reached, granted and refused",
}


@dataclass(frozen=True, slots=True)
class Harness:
    """One operation; `blocks` are the numbers of live blocks it is asked for.

    `only` are the groups of assertions that are asked, all of them when it is empty.
    """

    name: str
    blocks: tuple[int, ...]
    what: str
    only: tuple[str, ...] = ()


def harnesses_of(blocks: int) -> tuple[Harness, ...]:
    """All operations with up to so many live blocks. Raises TesseraError for too many."""
    if not 1 <= blocks <= MOST_BLOCKS:
        raise TesseraError(
            f"the tier cbmc takes 1 to {MOST_BLOCKS} live blocks, not {blocks}", where="--blocks"
        )
    some = tuple(range(1, blocks + 1))
    return (
        Harness("alloc", (0, *some), "any request of any size by anybody"),
        Harness("free", some, "any block is given back"),
        Harness("find", some, "any address is looked up"),
        Harness("scrub", some, "memory of a TA is released"),
        Harness("image", some, "the image of a TA is released"),
    )


@dataclass(slots=True)
class _Tally:
    """What all runs of one harness said about one property."""

    assertions: int = 0
    seconds: float = 0.0
    runs: int = 0
    variables: int = 0
    clauses: int = 0
    steps: int = 0
    mebibytes: int = 0
    unknown: str = ""
    passed: int = 0  # assertions that hold
    differs: Question | None = None  # where it fails first
    failed: str = ""  # the property of CBMC that failed
    where: str = ""

    def counts(self) -> dict[str, int]:
        """As in `Check.counts`; size and memory of the largest run."""
        return {
            "assertions": self.assertions,
            "runs": self.runs,
            "steps": self.steps,
            "variables": self.variables,
            "clauses": self.clauses,
            "mebibytes": self.mebibytes,
        }


def run(
    spec: Spec,
    ready: Prepared,
    options: Options,
    harnesses: tuple[Harness, ...] = (),
    bounds: Bounds = BOUNDS,
) -> Iterator[Check]:
    """The checks of this tier; without CBMC one that is SKIPPED.

    Raises TesseraError for a spec that is not one of the page pool, for a tree that lacks a file,
    and when CBMC refuses the C.
    """
    checker = modelchecker.at_hand()
    if checker is None:
        yield Check(
            "cbmc", "cbmc", "SKIPPED", "there is no CBMC on this machine", remedy=modelchecker.MEND
        )
        return
    with tempfile.TemporaryDirectory(prefix="tessera-cbmc-") as scratch:
        folder = Path(scratch)
        write_headers(ready.root, folder)
        asking = _Asking(spec, ready.root, folder, checker, bounds, options)
        for one in harnesses or harnesses_of(options.blocks):
            yield from asking.harness(one)
        if not harnesses and ready.text:
            options.progress("cbmc: coverage")
            yield coverage(checker, ready, asking.open_questions(), bounds)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What all questions share."""

    spec: Spec
    root: Path
    folder: Path
    checker: modelchecker.ModelChecker
    bounds: Bounds
    options: Options

    def harness(self, one: Harness) -> Iterator[Check]:
        """The checks of one operation."""
        tallies: dict[str, _Tally] = {}
        for blocks in one.blocks:
            for question in self._questions(one, blocks):
                self._ask(one, question, tallies)
        for name, tally in sorted(tallies.items()):
            yield self._verdict(one, name, tally)

    def _ask(self, one: Harness, question: Question, tallies: dict[str, _Tally]) -> None:
        """Every group of one question; what came out is added to the tallies."""
        for group, names in listed(self.checker, question, self.bounds).items():
            # CBMC adds the ends of loops to whatever is asked.
            if group == "loops" or (one.only and group not in one.only):
                continue
            tally = tallies.setdefault(group, _Tally())
            if tally.unknown or (tally.differs and group != REACHED):
                continue
            self.options.progress(f"cbmc: {one.name}/{group}, {question.blocks} live blocks")
            # One by one, and case by case, they are easier than together.
            batches = [[name] for name in names] if group == "refused" else [names]
            answers = [
                (case, ask(self.checker, case, some, self.bounds))
                for some in batches
                for case in self._cases(one, question, group)
            ]
            for case, answer in answers:
                _add(tally, answer, question.blocks)
                for prop in answer.properties:
                    known = tallies.setdefault(prop.group, _Tally())
                    known.assertions += 1
                    known.passed += prop.status == "SUCCESS"
                    if prop.status == "FAILURE" and known.differs is None:
                        known.differs = case
                        known.failed, known.where = prop.name, prop.where
                    elif prop.status not in ("SUCCESS", "FAILURE"):
                        known.unknown = f"CBMC says {prop.status}"

    def _cases(self, one: Harness, question: Question, group: str) -> list[Question]:
        """The question, or one for each place that a new block can have among the others.

        A property of any number is asked for each place that the number can have, too.
        """
        kinds = {p.name: p.kind for p in self.spec.properties}
        by_place = group == "refused" or kinds.get(group) in ("invariant", "step")
        if one.name != "alloc" or question.blocks <= OPEN_BLOCKS or not by_place:
            return [question]
        cases = range(question.blocks + 1)
        gaps: Sequence[int | None] = [None]
        if group in generated(self.spec, question.blocks + 1).ranging:
            gaps = cases
        return [replace(question, place=place, gap=gap) for place in cases for gap in gaps]

    def _questions(self, one: Harness, blocks: int) -> list[Question]:
        """The cases of one operation with so many live blocks."""
        inc = self.folder / f"blocks-{blocks}"
        inc.mkdir(exist_ok=True)
        text = generated(self.spec, blocks + 1).text
        (inc / "spec.inc").write_text(text, encoding="utf-8")
        open_ = blocks <= OPEN_BLOCKS
        askers: list[int | None] = [None]
        if one.name == "alloc" and not open_:
            askers = list(range(len(self.spec.enums["class"]) + 1))
        name = f"harness_{one.name}"
        return [
            Question(name, blocks, self.root, self.folder, inc, asker, stats=open_)
            for asker in askers
        ]

    def open_questions(self) -> list[Question]:
        """Every operation with as many live blocks as are taken without cases."""
        return [q for one in harnesses_of(1) for q in self._questions(one, OPEN_BLOCKS)]

    def _verdict(self, one: Harness, name: str, tally: _Tally) -> Check:
        full = f"cbmc/{one.name}/{name}"
        what = _LONG.get(name, "the spec's property")
        asked = f"{one.blocks[0]} to {one.blocks[-1]} live blocks"
        what = f"{what}; {', '.join(part for part in (one.what, asked) if part)}"
        counts, seconds = tally.counts(), tally.seconds
        if tally.unknown:
            return Check("cbmc", full, "UNKNOWN", f"{what}: {tally.unknown}", counts, seconds)
        if not tally.assertions:
            detail = f"nothing was asserted; {what}"
            return Check("cbmc", full, "UNKNOWN", detail, counts, seconds)
        if name == REACHED:
            # These are assertions that must fail: else nothing was looked at.
            if not tally.passed:
                return Check("cbmc", full, "AGREES", what, counts, seconds)
            return Check("cbmc", full, "UNKNOWN", f"vacuous; {what}", counts, seconds)
        if tally.differs is not None:
            trace = traced(self.checker, tally.differs, tally.failed, self.bounds)
            return Check("cbmc", full, "DIFFERS", what, counts, seconds, tally.where, trace)
        return Check("cbmc", full, "AGREES", what, counts, seconds)


def _add(tally: _Tally, answer: Answer, blocks: int) -> None:
    tally.runs += 1
    tally.seconds += answer.seconds
    tally.steps = max(tally.steps, answer.steps)
    tally.variables = max(tally.variables, answer.variables)
    tally.clauses = max(tally.clauses, answer.clauses)
    tally.mebibytes = max(tally.mebibytes, answer.mebibytes)
    if answer.unknown:
        tally.unknown = f"{answer.unknown}, with {blocks} live blocks"
