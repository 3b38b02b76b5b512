"""Running cases: is the defect found where it was, and proved absent where it was mended?

Goal: a finding per case, from one check of all its specs.
Non-goals: proofs (see `tessera.prove`), printing and exit codes (see `tessera.cli.cases`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tessera.cases.library import Case, has_defect
from tessera.lang import Spec, load
from tessera.prove.check import check_all
from tessera.prove.engine import LocalEngine
from tessera.results import Obligation, Results

Prove = Callable[[Sequence[Spec]], list[tuple[Obligation, ...]]]
"""Checks specs; the obligations of each, in the order given."""


@dataclass(frozen=True, slots=True)
class Side:
    """One spec of a case and what its check gave."""

    name: str  # "defect", "fixed", "fixed_32", ...
    results: Results

    @property
    def has_defect(self) -> bool:
        """Whether this side is there to show the defect."""
        return has_defect(self.name)

    @property
    def broken(self) -> tuple[Obligation, ...]:
        """What a replayed run breaks."""
        return tuple(o for o in self.results.obligations if o.verdict == "VIOLATED")

    @property
    def unreached(self) -> tuple[Obligation, ...]:
        """Covers that, as expected, no run reaches: what ought to be possible is not."""
        met = (o for o in self.results.obligations if o.met and o.expect == "violated")
        return tuple(o for o in met if o.verdict == "VACUOUS")

    @property
    def met(self) -> bool:
        """Every verdict is the expected one, and the defect shows exactly where it is."""
        shown = bool(self.broken or self.unreached) == self.has_defect
        return shown and all(o.met for o in self.results.obligations)

    @property
    def undecided(self) -> bool:
        """Not as expected, for no other reason than that the solver gave up."""
        unmet = [o for o in self.results.obligations if not o.met]
        return bool(unmet) and all(o.verdict == "UNKNOWN" for o in unmet)


@dataclass(frozen=True, slots=True)
class Finding:
    """A case and its sides, in the order of `case.specs`."""

    case: Case
    sides: tuple[Side, ...]

    @property
    def met(self) -> bool:
        """The defect is found on every side that has it, and everything is proved on the others."""
        return all(side.met for side in self.sides)

    @property
    def undecided(self) -> bool:
        """Not as expected, for no other reason than that the solver gave up."""
        return not self.met and all(side.met or side.undecided for side in self.sides)


def _here(specs: Sequence[Spec]) -> list[tuple[Obligation, ...]]:
    return check_all(specs, engine=LocalEngine())


def find(cases: Sequence[Case], prove: Prove = _here) -> tuple[Finding, ...]:
    """Check all specs of the cases side by side. Raises `TesseraError` for a spec that is wrong."""
    specs = [load(case.spec(name)) for case in cases for name in case.specs]
    done = iter(zip(specs, prove(specs), strict=True))
    return tuple(
        Finding(case, tuple(_side(name, *next(done)) for name in case.specs)) for case in cases
    )


def _side(name: str, spec: Spec, obligations: tuple[Obligation, ...]) -> Side:
    return Side(name, Results(spec.name, spec.doc, spec.file, spec.digest, obligations))


def steps_of(obligation: Obligation) -> int:
    """Steps of its trace; 0 without one."""
    return len(obligation.trace.steps) - 1 if obligation.trace else 0
