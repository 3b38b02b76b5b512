"""The one results document that every command and every report format shares.

Goal: plain frozen records of what was proved, emitted and observed; `to_json` gives the document
whose schema `tessera schema` publishes.
Non-goals: computing or judging anything beyond `met`, and rendering (see `tessera.report`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET

SCHEMA_VERSION = "2"

VERDICTS = ("PROVED", "BOUNDED", "VIOLATED", "CTI", "UNKNOWN", "VACUOUS", "ERROR")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Marks a string field that takes one of a few words; the published schema lists them."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A live range drawn as one segment of a memory strip: `[start, start + size)` in granules."""

    label: str
    group: str  # class name; picks the colour
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A range of free or live granules that holds content of `label` (its residue)."""

    label: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Strip:
    """One picture of a pool of `length` granules: its live runs, residue marks and named zones."""

    title: str
    length: int
    runs: tuple[Run, ...] = ()
    marks: tuple[Mark, ...] = ()
    zones: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One state of a trace: the action that led to it and what it changed, in words."""

    action: str  # e.g. "alloc(w = ta1, n = 3)"; "init" for the first state
    changes: tuple[str, ...]
    strips: tuple[Strip, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)  # every variable; see model/plain.py
    span: str = ""  # file:line:column of the action


@dataclass(frozen=True, slots=True)
class Trace:
    """A counterexample or witness: constants chosen, then the states from init on.

    `kind` is "run" (from init) or "cti" (from some state that satisfies the hypotheses).
    """

    constants: dict[str, str]
    steps: tuple[Step, ...]
    broken: str = ""  # what the last state violates, in words
    replayed: bool = False  # the simulator reproduced every step and the violation
    kind: Annotated[str, OneOf(("run", "cti"))] = "run"
    conjunct: str = ""  # the part of the property that fails, as written, with its values
    conjunct_span: str = ""  # file:line:column of that part
    script: dict[str, Any] = field(default_factory=dict)  # world and events: what replay takes


@dataclass(frozen=True, slots=True)
class Obligation:
    """One thing to prove, its verdict and whether that verdict is the expected one."""

    id: str  # stable, e.g. "priority/alloc/disjoint"
    property: str  # e.g. "disjoint"
    doc: str  # the property in words
    verdict: Annotated[str, OneOf(VERDICTS)]
    expect: str  # "proved" | "violated" | "covered" ...
    met: bool
    seconds: float
    resource: int  # Z3 resource units spent
    detail: str = ""  # k of BOUNDED, reason of UNKNOWN, what is VACUOUS
    span: str = ""  # file:line:column of the property
    formula: str = ""  # the property as written
    trace: Trace | None = None
    hint: str = ""  # what to try next: a strengthening, a larger limit, the guard to look at
    cached: bool = False  # the answer came from the result cache


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change of a spec, and what noticed it."""

    id: str  # stable, e.g. "guard/alloc/1/drop"
    kind: str  # "guard", "update", "width", "bound", "policy" ...
    span: str  # file:line:column of what was changed
    before: str
    after: str
    status: Annotated[str, OneOf(("killed", "equivalent", "survived", "unknown"))]
    killed_by: str = ""  # the property, or "load" where the language itself refuses it
    how: str = ""  # e.g. "run of 2 steps", "not inductive", "proved equal"
    seconds: float = 0.0
    resource: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """One obligation over several seeds."""

    id: str
    verdicts: dict[str, int]  # how often each verdict came
    lowest: int  # resource units
    median: int
    highest: int


@dataclass(frozen=True, slots=True)
class PatchInfo:
    """The emitted patch and its line budget."""

    text: str
    added: int
    removed: int
    budget: int
    files: tuple[str, ...]
    costs: dict[str, int] = field(default_factory=dict)  # lines per part of the policy
    target: str = ""  # e.g. "OP-TEE 4.10.0"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one side (unpatched or patched) of a scenario did."""

    passed: bool
    detail: str
    figures: dict[str, float] = field(default_factory=dict)
    log: str = ""  # path of the console log, relative to the output folder
    cases: dict[str, str] = field(default_factory=dict)  # of a test suite: case -> how it went


@dataclass(frozen=True, slots=True)
class Cost:
    """What one thing takes on both systems: the least of several runs, and the most."""

    what: str
    unit: str  # "instructions" or "bytes"
    unpatched: float
    patched: float
    added: float  # patched less unpatched
    unpatched_most: float
    patched_most: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A validation scenario on both systems; `met` when both sides did what was expected."""

    name: str
    doc: str
    unpatched: Outcome | None
    patched: Outcome | None
    expect_unpatched: bool
    expect_patched: bool
    met: bool
    skipped: str = ""  # why it did not run and the command that mends it
    differs: tuple[str, ...] = ()  # what the two sides must do alike, and did not
    costs: tuple[Cost, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """Everything one run learnt."""

    spec: str  # name of the spec
    doc: str
    file: str  # path as the user gave it
    digest: str  # sha256 of the spec and all it uses
    obligations: tuple[Obligation, ...] = ()
    patch: PatchInfo | None = None
    scenarios: tuple[Scenario, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    mutants: tuple[Mutant, ...] = ()
    spreads: tuple[Spread, ...] = ()
    schema_version: str = SCHEMA_VERSION

    @property
    def exit_code(self) -> int:
        """0 when all that ran is as expected, 1 when not, 3 when only UNKNOWN stands in the way."""
        open_ends = [o for o in self.obligations if not o.met]
        unmet = [s for s in self.scenarios if not s.met and not s.skipped]
        if unmet or any(o.verdict != "UNKNOWN" for o in open_ends):
            return EXIT_UNMET
        return EXIT_UNKNOWN if open_ends else EXIT_OK

    def to_json(self) -> dict[str, Any]:
        """The document as JSON-ready data; key order is fixed, so equal inputs give equal bytes."""
        return asdict(self)
