"""What a tier of conformance found out, in one shape for all tiers.

Goal: the contract between the tiers (see `TIERS`), `tessera conform` and the reports.
Non-goals: doing any check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET

TIERS = ("smt", "host", "builds", "cbmc", "guest")
"""In the order in which they run: quickest first."""

QUICK = ("smt", "host")
"""Those that run when none is named: about half a minute together. The others take minutes each."""

VERDICTS = ("AGREES", "DIFFERS", "UNKNOWN", "SKIPPED")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a tier compared.

    AGREES: C and spec do the same, for all that `detail` and `counts` say was looked at. DIFFERS:
    they do not; `detail` shows the smallest difference known. UNKNOWN: a bound was hit before an
    answer; never counts as agreement. SKIPPED: something is missing; `remedy` is the command that
    mends it.
    """

    tier: str
    name: str  # stable: "host/lockstep/one-pool", "smt/window.lo", "cbmc/disjoint"
    verdict: str
    detail: str = ""
    counts: dict[str, int] = field(default_factory=dict)  # e.g. operations, solver units, lines
    seconds: float = 0.0
    where: str = ""  # file:line of the C that differs
    trace: tuple[str, ...] = ()  # steps of a difference, one line each
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Conformance:
    """What all tiers said about one tree with one patch."""

    spec: str
    target: str  # e.g. "OP-TEE 4.10"
    patch: str  # "emitted", or the name of the file that was given
    checks: tuple[Check, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0: all that ran agrees; 1: something differs; 3: only UNKNOWN stands in the way."""
        return exit_code(self.checks)


def exit_code(checks: Sequence[Check]) -> int:
    """As `Conformance.exit_code`. With nothing that ran there is no agreement: 3."""
    verdicts = {check.verdict for check in checks}
    if "DIFFERS" in verdicts:
        return EXIT_UNMET
    return EXIT_OK if "AGREES" in verdicts and "UNKNOWN" not in verdicts else EXIT_UNKNOWN
