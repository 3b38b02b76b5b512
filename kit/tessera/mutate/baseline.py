"""What is known of a spec before it is changed: its proofs, and runs that show what it can do.

Goal: `baseline` checks the spec once; mutants are measured against that.
Non-goals: mending a spec whose check fails: that is an error here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.model.script import Script
from tessera.prove.cache import CachedEngine, ResultCache
from tessera.prove.check import DEFAULT_STEPS, REACHABLE, check_all, usable
from tessera.prove.drive import Progress
from tessera.prove.engine import Engine
from tessera.prove.slice import Slicer
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.prove.tasks import Settings, Task
from tessera.results import Obligation


@dataclass(frozen=True, slots=True)
class Baseline:
    """The original spec, checked.

    `hypotheses` has, for each property that is proved, the invariants its proof leans on; `general`
    are the proved invariants that hold without a `given`. `possible` are the actions that can
    happen; `covers` and `violations` are runs that show what is reachable: None where the check
    found none within its steps.
    """

    spec: t.Spec
    slicer: Slicer
    digest: str  # of everything in the spec, places included
    settings: Settings
    obligations: tuple[Obligation, ...]
    hypotheses: Mapping[str, tuple[str, ...]]
    general: tuple[str, ...]
    possible: frozenset[str]
    covers: Mapping[str, Script | None]
    violations: Mapping[str, Script | None]


def baseline(
    spec: t.Spec,
    engine: Engine,
    seed: int,
    cache: ResultCache | None = None,
    progress: Progress = lambda _d, _a, _w: None,
) -> Baseline:
    """Check the spec and collect its runs.

    Raises `TesseraError` when a verdict is not the expected one: what notices a change cannot be
    told from what fails anyway.
    """
    settings = Settings(DEFAULT_LIMIT, seed, DEFAULT_STEPS)
    found = check_all([spec], engine=engine, seed=seed, cache=cache, progress=progress)
    obligations = found[0]
    unmet = next((o for o in obligations if not o.met), None)
    if unmet is not None:
        raise TesseraError(
            f"{unmet.id} is {unmet.verdict}, expected is {unmet.expect}: changes are measured "
            "against a spec whose check is as expected",
            where=unmet.span or spec.file,
            remedy=f"mend it first: tessera check {spec.file}",
        )
    proved = _proved(spec, obligations)
    standing = tuple(p.name for p in spec.properties if p.kind == "invariant" and p.name in proved)
    covers = [p.name for p in spec.properties if p.kind == "cover"]
    wanted = [Task("reach", name) for name in covers]
    broken = [n for n, e in spec.expects.items() if e.verdict == "violated" and n not in covers]
    wanted += [Task("violate", name) for name in broken]
    runs: dict[Task, Script | None] = {}
    slicer = Slicer(spec)
    asker = CachedEngine(engine, cache) if cache else engine
    for question, done in asker.answers([slicer.question(task, settings) for task in wanted]):
        runs[question.task] = done.found[0][1].script
    return Baseline(
        spec,
        slicer,
        sha256(repr(spec).encode()).hexdigest(),
        settings,
        obligations,
        {p.name: usable(spec, p, standing) for p in spec.properties if p.name in proved},
        tuple(n for n in standing if isinstance(_property(spec, n).given, t.BoolLit)),
        frozenset(_possible(obligations)),
        {name: runs[Task("reach", name)] for name in covers},
        {name: runs[Task("violate", name)] for name in broken},
    )


def _proved(spec: t.Spec, obligations: tuple[Obligation, ...]) -> set[str]:
    """The properties all of whose proofs stand; covers are reached, not proved."""
    kinds = {p.name: p.kind for p in spec.properties}
    names = {o.property for o in obligations if kinds.get(o.property, "cover") != "cover"}
    return names - {o.property for o in obligations if o.verdict != "PROVED"}


def _possible(obligations: tuple[Obligation, ...]) -> Iterator[str]:
    for obligation in obligations:
        if obligation.property == REACHABLE and obligation.verdict == "PROVED":
            yield obligation.id.split("/")[-2]


def _property(spec: t.Spec, name: str) -> t.Property:
    return next(p for p in spec.properties if p.name == name)
