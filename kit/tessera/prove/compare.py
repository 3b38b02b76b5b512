"""Two specs of one machine: do they decide alike, is each step of one a step of the other?

Goal: one `Obligation` per policy function (`agrees`), or per action and for init (`refines`):
PROVED for every size and number of things, VIOLATED with a run that the simulator took on one side
and was refused on the other, UNKNOWN when the solver gave up, CTI when neither came out.
`a` refines `b` when every initial state of `a` is one of `b` and every step of `a`, from any state
that satisfies the invariants proved of `a`, is a step of `b` with the same arguments, the same
choices and the same state after it, as far as variables count; a step may have another action's
name. They are equivalent when each refines the other.
Non-goals: simulations between machines whose state differs, and properties side by side (see
`tessera.prove.compare_table`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.prove.bounded import Found
from tessera.prove.compare_pair import Pair
from tessera.prove.compare_query import Questions, followers
from tessera.prove.compare_run import find_disagreement, find_stray, replay_stray
from tessera.prove.decide import decide
from tessera.prove.solver import DEFAULT_LIMIT, Answer, ask, script
from tessera.prove.tidy import trimmed
from tessera.results import Obligation, Trace

SHORT = 2
"""Steps of the first look for a run that tells two specs apart."""

PROOF_LIMIT = 3_000_000
QUICK_LIMIT = 500_000
"""Resource units for each of the ways to prove a step, and for a first try."""

Invariants = Callable[[], Sequence[str]]
"""Gives the names of the invariants that are proved of the first spec; asked only when needed."""

Progress = Callable[[str], None]
"""Called with the id of the obligation that is being worked on."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Z3 resource units per question, seed, and steps of a bounded search."""

    limit: int = DEFAULT_LIMIT
    seed: int = 0
    steps: int = 5


def refines(
    both: Pair,
    proved: Invariants = lambda: (),
    bounds: Bounds = Bounds(),
    progress: Progress = lambda _: None,
) -> tuple[Obligation, ...]:
    """Whether the first spec's init and steps are the second's: an obligation for each action."""
    vacuous = _vacuous(both, "refines", bounds)
    if vacuous is not None:
        return (vacuous,)
    out = [_init(both, bounds)]
    for action in both.a.actions:
        progress(_id(both, "refines", action.name))
        out.append(_action(both, action, proved, bounds))
    return tuple(out)


def equivalent(
    both: Pair,
    proved: Invariants = lambda: (),
    proved_of_second: Invariants = lambda: (),
    bounds: Bounds = Bounds(),
    progress: Progress = lambda _: None,
) -> tuple[Obligation, ...]:
    """Refinement both ways."""
    there = refines(both, proved, bounds, progress)
    return there + refines(both.turned(), proved_of_second, bounds, progress)


def agrees(
    both: Pair,
    bounds: Bounds = Bounds(),
    progress: Progress = lambda _: None,
) -> tuple[Obligation, ...]:
    """Whether the policy functions of both are the same for all constants and arguments.

    Intervals agree when they hold the same granules. Raises TesseraError when the two have no
    policy function in common.
    """
    names = _decisions(both)
    vacuous = _vacuous(both, "agrees", bounds)
    if vacuous is not None:
        return (vacuous,)
    out = []
    for name in names:
        progress(_id(both, "agrees", name))
        out.append(_function(both, name, bounds))
    return tuple(out)


def _decisions(both: Pair) -> list[str]:
    mine = {n.partition(".")[0]: None for n, f in both.a.functions.items() if f.policy}
    theirs = {n.partition(".")[0] for n, f in both.b.functions.items() if f.policy}
    names = [n for n in mine if n in theirs and _parameters(both.a, n) == _parameters(both.b, n)]
    if not names:
        raise TesseraError(
            f"'{both.a.name}' and '{both.b.name}' have no decision in common",
            remedy="compare specs whose policies fill the same interface",
        )
    return names


def _parameters(spec: t.Spec, name: str) -> object:
    function = spec.functions.get(name) or spec.functions[f"{name}.lo"]
    return [p.type for p in function.params], function.type


# --- one obligation each --------------------------------------------------------------------------


def _id(both: Pair, question: str, what: str) -> str:
    return f"{both.a.name}~{both.b.name}/{question}/{what}"


@dataclass(frozen=True, slots=True)
class _Said:
    """What came out of one question, and what it cost."""

    verdict: str
    resource: int
    detail: str = ""
    trace: Trace | None = None


def _made(both: Pair, question: str, what: str, doc: str, began: float, said: _Said) -> Obligation:
    return Obligation(
        id=_id(both, question, what),
        property=question,
        doc=doc,
        verdict=said.verdict,
        expect="proved",
        met=said.verdict == "PROVED",
        seconds=round(time.perf_counter() - began, 3),
        resource=said.resource,
        detail=said.detail,
        trace=said.trace,
    )


def _vacuous(both: Pair, question: str, bounds: Bounds) -> Obligation | None:
    """Nothing is proved by assumptions that contradict each other."""
    began = time.perf_counter()
    answer = ask(script(Questions(both).background), bounds.limit, bounds.seed)
    if answer.status != "unsat":
        return None
    detail = "nothing satisfies the assumptions and ranges of both specs"
    said = _Said("VACUOUS", answer.resource, detail)
    return _made(both, question, "sane", "both can be assumed together", began, said)


def _init(both: Pair, bounds: Bounds) -> Obligation:
    began = time.perf_counter()
    answer = decide(Questions(both).init(), bounds.limit, bounds.seed)
    verdict = {"unsat": "PROVED", "sat": "VIOLATED"}.get(answer.status, "UNKNOWN")
    doc = f"an initial state of '{both.a.name}' is one of '{both.b.name}'"
    said = _Said(verdict, answer.resource, answer.reason)
    return _made(both, "refines", "init", doc, began, said)


def _action(both: Pair, action: t.Action, proved: Invariants, bounds: Bounds) -> Obligation:
    began = time.perf_counter()
    doc = f"a step {action.name} of '{both.a.name}' is a step of '{both.b.name}'"
    said = _decided(both, action, proved, bounds)
    return _made(both, "refines", action.name, doc, began, said)


def _decided(both: Pair, action: t.Action, proved: Invariants, bounds: Bounds) -> _Said:
    """Proofs that need least first, then short runs, then what leans on invariants."""
    spent = 0
    found = Found("none", 0, 0)
    names: tuple[str, ...] = ()
    for attempt in _ATTEMPTS:
        if attempt == "invariants":
            names = tuple(proved())
            if not names:
                break
        elif attempt == "runs":
            found = find_stray(both, action, min(SHORT, bounds.steps), bounds.limit, bounds.seed)
            spent += found.resource
            if found.status == "found":
                return _told(both, found, spent)
        else:
            limit = min(bounds.limit, QUICK_LIMIT if attempt == "quickly" else PROOF_LIMIT)
            answer = _asked(both, action, names, attempt != "any", limit, bounds.seed)
            spent += answer.resource
            if answer.status == "unsat":
                return _Said("PROVED", spent, "under the invariants proved of it" if names else "")
    found = find_stray(both, action, bounds.steps, bounds.limit, bounds.seed)
    spent += found.resource
    if found.status == "found":
        return _told(both, found, spent)
    if found.status == "unknown":
        return _Said("UNKNOWN", spent, found.reason)
    detail = f"not proved, but no run of at most {found.steps} steps shows a difference"
    return _Said("CTI", spent, detail)


_ATTEMPTS = ("any", "quickly", "runs", "least", "invariants", "any", "least")
"""What is tried in turn: a proof for any choice, a quick one that knows least choices to be the
least, short runs, that proof with more time; then proofs again, with the invariants."""


def _asked(
    both: Pair, action: t.Action, names: Sequence[str], least: bool, limit: int, seed: int
) -> Answer:
    """First as a step of the same name, then as one of any name."""
    invariants = [p for p in both.a.properties if p.name in names]
    spent = 0
    for any_name in (False, True):
        if any_name and len(followers(both, action, any_name=True)) == 1:
            break
        query = Questions(both).step(action, invariants, least=least, any_name=any_name)
        answer = decide(query, limit, seed)
        spent += answer.resource
        if answer.status == "unsat":
            break
    return replace(answer, resource=spent)


def _told(both: Pair, found: Found, spent: int) -> _Said:
    assert found.script is not None
    trace = replay_stray(both, trimmed(found.script))
    if not trace.replayed:
        trace = replay_stray(both, found.script)
    if not trace.replayed:
        return _Said("ERROR", spent, f"the simulator sees no difference: {trace.broken}", trace)
    return _Said("VIOLATED", spent, f"apart after {found.steps} steps", trace)


def _function(both: Pair, name: str, bounds: Bounds) -> Obligation:
    began = time.perf_counter()
    doc = f"'{both.a.name}' and '{both.b.name}' decide {name} alike, whatever the constants"
    terms, _ = Questions(both).function(name)
    answer = ask(script(terms), bounds.limit, bounds.seed)
    if answer.status == "unsat":
        return _made(both, "agrees", name, doc, began, _Said("PROVED", answer.resource))
    if answer.status == "unknown":
        said = _Said("UNKNOWN", answer.resource, answer.reason)
        return _made(both, "agrees", name, doc, began, said)
    shown = find_disagreement(both, name, bounds.limit, bounds.seed)
    spent = answer.resource + shown.found.resource
    if shown.trace is None:
        said = _Said("UNKNOWN", spent, shown.found.reason or "no constants were found")
    elif not shown.trace.replayed:
        said = _Said("ERROR", spent, "the simulator sees no difference", shown.trace)
    else:
        said = _Said("VIOLATED", spent, "they differ", shown.trace)
    return _made(both, "agrees", name, doc, began, said)
