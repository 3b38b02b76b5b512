"""The tier `cbmc`: the patched C of the pool for every size and place, with a few live blocks.

Goal: `run`, the checks of this tier: one operation on any pool that satisfies the spec's
invariants, decided by CBMC with bounds on its time and memory; a check for each property.
Non-goals: generating what must hold (see `cbmc_harness`), fetching CBMC (see
`tessera.guest.modelchecker`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tessera.conform.cbmc_harness import generated
from tessera.conform.cbmc_run import Answer, Bounds, Question, ask, listed, traced
from tessera.conform.hostbuild import write_headers
from tessera.conform.prepared import Prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options
from tessera.guest import modelchecker
from tessera.lang.typed import Spec

MOST_BLOCKS = 1
"""Blocks that are live before the operation, at most."""
BOUNDS = Bounds(seconds=600, mebibytes=4096)
REACHED = "reached"

_LONG = {
    "memory": "no access out of bounds, no null, no signed overflow, no shift too far",
    "loops": "every loop ends within its bound",
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


HARNESSES = (
    Harness("alloc", tuple(range(MOST_BLOCKS + 1)), "any request of any size by anybody"),
    Harness("free", tuple(range(1, MOST_BLOCKS + 1)), "any block is given back"),
    Harness("find", tuple(range(1, MOST_BLOCKS + 1)), "any address is looked up"),
    Harness("scrub", tuple(range(1, MOST_BLOCKS + 1)), "memory of a TA is released"),
    Harness("image", tuple(range(1, MOST_BLOCKS + 1)), "the image of a TA is released"),
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
    unknown: str = ""
    passed: int = 0  # assertions that hold
    differs: Question | None = None  # where it fails first
    failed: str = ""  # the property of CBMC that failed
    where: str = ""

    def counts(self) -> dict[str, int]:
        """As in `Check.counts`; the size of the largest formula."""
        return {
            "assertions": self.assertions,
            "runs": self.runs,
            "steps": self.steps,
            "variables": self.variables,
            "clauses": self.clauses,
        }


def run(
    spec: Spec,
    ready: Prepared,
    options: Options,
    harnesses: tuple[Harness, ...] = HARNESSES,
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
        for one in harnesses:
            asking = _Asking(spec, ready.root, folder, checker, bounds, options)
            yield from asking.harness(one)


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
            question = self._question(one, blocks)
            groups = listed(self.checker, question, self.bounds)
            for group, names in groups.items():
                # CBMC adds the ends of loops to whatever is asked.
                if group == "loops" or (one.only and group not in one.only):
                    continue
                tally = tallies.setdefault(group, _Tally())
                if tally.unknown or tally.differs:
                    continue
                self.options.progress(f"cbmc: {one.name}/{group}, {blocks} live blocks")
                # One by one they are easier than together.
                batches = [[name] for name in names] if group == "refused" else [names]
                answers = [ask(self.checker, question, some, self.bounds) for some in batches]
                for answer in answers:
                    _add(tally, answer, blocks)
                for prop in (prop for answer in answers for prop in answer.properties):
                    known = tallies.setdefault(prop.group, _Tally())
                    known.assertions += 1
                    known.passed += prop.status == "SUCCESS"
                    if prop.status == "FAILURE" and known.differs is None:
                        known.differs = question
                        known.failed, known.where = prop.name, prop.where
                    elif prop.status not in ("SUCCESS", "FAILURE"):
                        known.unknown = f"CBMC says {prop.status}"
        for name, tally in sorted(tallies.items()):
            yield self._verdict(one, name, tally)

    def _question(self, one: Harness, blocks: int) -> Question:
        inc = self.folder / f"blocks-{blocks}"
        inc.mkdir(exist_ok=True)
        text = generated(self.spec, blocks + 1).text
        (inc / "spec.inc").write_text(text, encoding="utf-8")
        return Question(f"harness_{one.name}", blocks, self.root, self.folder, inc)

    def _verdict(self, one: Harness, name: str, tally: _Tally) -> Check:
        full = f"cbmc/{one.name}/{name}"
        what = _LONG.get(name, "the spec's property")
        what = f"{what}; {one.what}, {one.blocks[0]} to {one.blocks[-1]} live blocks"
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
    if answer.unknown:
        tally.unknown = f"{answer.unknown}, with {blocks} live blocks"
