"""The questions of a check, as small picklable tasks that run in any order and any process.

Goal: one task, one question, answered in a Z3 context of its own.
Non-goals: where tasks run (see `tessera.prove.engine`) and what the answers mean together (see
`tessera.prove.check`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from tessera.lang import typed as t
from tessera.lang.types import BOOL
from tessera.prove.bounded import Found, find_firings, find_state, find_violation
from tessera.prove.crosscheck import second_opinion
from tessera.prove.cti import CTI_LIMIT, find_cti
from tessera.prove.decide import Query, decide
from tessera.prove.equal import Pair, meet
from tessera.prove.induct import Induction
from tessera.prove.needs import needed
from tessera.prove.solver import Answer, ask, script
from tessera.prove.strengthen import advise
from tessera.prove.vacuity import blame, contradiction, exercised

COMPARISONS = ("refines", "extends", "starts", "reads")
"""Kinds of tasks about a `tessera.prove.equal.Pair`; "play" is the only other one of a pair."""

CROSS = {"init": "cross init", "step": "cross step", "here": "cross here"}
"""For every kind of proof, the kind that asks another solver the same."""

PROOFS = ("init", "step", "here", "try", "sane", *COMPARISONS, *CROSS.values())
"""Kinds of tasks that have an `answer`; the others have something `found`."""

HUNT_STEPS = 2
TRY_LIMIT = 4_000_000
"""Resource units for a proof from the property alone; most need no more, and few need others."""

FULL_TRY_LIMIT = 8_000_000
"""Resource units for a proof from more hypotheses, before short runs are looked for."""

HUNT_LIMIT = 1_000_000
"""A quick look for short runs, per length, before a proof is tried."""


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """`kind`: init, step, here (proofs; with "cross" in front, put to another solver);
    hunt, violate, reach, firings, witness (searches); sane (are the assumptions
    satisfiable?); exercised (of the invariants in `hypotheses`: does what they speak of
    ever occur?). Explanations, asked when something failed: cti (a state that shows why a
    proof failed, and a hint), core (which assumptions exclude each other), blame (which
    guards keep `action` from happening); they answer in words. `hypotheses` are of proofs,
    cti and blame. Two kinds save work: try (a step or here from few of its hypotheses) and
    needs (which of the hypotheses a proof needed, probably)."""

    kind: str
    prop: str = ""
    action: str = ""
    hypotheses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A task's answer: `answer` for proofs and sane, `found` for searches.

    `needed` are hypotheses that probably suffice. `failed` says why there is no answer: the process
    that worked on it ended. What it carries then is unknown, with that reason.
    """

    task: Task
    seconds: float
    answer: Answer | None = None
    found: tuple[tuple[str, Found], ...] = ()
    needed: tuple[str, ...] = ()
    failed: str = ""
    cached: bool = False  # read from the result cache; `seconds` is what it took then


@dataclass(frozen=True, slots=True)
class Settings:
    """Bounds: Z3 resource units per question, seed, steps of a bounded search."""

    limit: int
    seed: int
    steps: int


def run_task(spec: t.Spec, task: Task, settings: Settings) -> Done:
    """Answer one question."""
    began = time.perf_counter()
    prop = next((p for p in spec.properties if p.name == task.prop), None)
    limit, seed = settings.limit, settings.seed
    answer: Answer | None = None
    found: tuple[tuple[str, Found], ...] = ()
    if isinstance(spec, Pair):
        answer, found = meet(spec, task.kind, task.prop, task.action, task.hypotheses, limit, seed)
    elif task.kind == "firings":
        found = tuple(find_firings(spec, settings.steps, limit, seed).items())
    elif task.kind == "sane":
        answer = ask(script(Induction(spec).assumptions(prop)), limit, seed)
    elif prop is not None and task.kind in CROSS.values():
        answer = _ask_again(spec, task, prop, settings)
    elif prop is not None and task.kind in PROOFS:
        answer = _prove(spec, task, prop, settings)
    elif task.kind == "exercised":
        found = tuple(exercised(spec, task.hypotheses, settings.steps, limit, seed).items())
    elif task.kind == "core":
        found = (("", contradiction(spec, prop, limit, seed)),)
    elif task.kind == "blame":
        action = spec.action(task.action)
        found = (("", blame(spec, action, task.hypotheses, settings.steps, limit, seed)),)
    elif prop is not None and task.kind == "needs":
        assumed = [p for p in spec.properties if p.name in task.hypotheses]
        enough = needed(spec, prop, task.action, assumed, seed)
        return Done(task, time.perf_counter() - began, needed=enough)
    elif prop is not None and task.kind == "cti":
        found = (("", _counterexample(spec, task, prop, settings)),)
    elif prop is not None:
        found = (("", _search(spec, task, prop, settings)),)
    return Done(task, time.perf_counter() - began, answer, found)


def _query(spec: t.Spec, task: Task, prop: t.Property, *, least: bool = False) -> Query:
    """What a proof task asks; `least`: with the knowledge that least choices are the least."""
    induction = Induction(spec)
    assumed = [p for p in spec.properties if p.name in task.hypotheses]
    if task.kind in ("init", CROSS["init"]):
        return induction.base(prop)
    if task.action:
        return induction.step(spec.action(task.action), prop, assumed, least=least)
    return induction.here(prop, assumed)


def _ask_again(spec: t.Spec, task: Task, prop: t.Property, settings: Settings) -> Answer:
    """The same question to another solver."""
    answer = second_opinion(_query(spec, task, prop), seed=settings.seed)
    if answer.status == "unsat" or not (task.action and _has_least(spec.action(task.action))):
        return answer
    return second_opinion(_query(spec, task, prop, least=True), seed=settings.seed)


def _prove(spec: t.Spec, task: Task, prop: t.Property, settings: Settings) -> Answer:
    limit, insist = settings.limit, task.kind != "try"
    own = set(task.hypotheses) <= {prop.name}
    # Tried alone, only what is said of a step may hang on a choice being the least.
    asked = insist or not own or prop.kind == "step"
    least = asked and task.action and _has_least(spec.action(task.action))
    if not insist and not (own and least):
        # Where a try fails, more is tried: the original query would tell nothing new. (A least
        # choice alone makes a large question; others beside it make it larger, not easier.)
        limit = min(limit, TRY_LIMIT if own else FULL_TRY_LIMIT)
    answer = decide(_query(spec, task, prop), limit, settings.seed, insist=insist)
    if answer.status == "unsat" or not least:
        return answer
    # What fails for any choice may hold for the least one.
    query = _query(spec, task, prop, least=True)
    second = decide(query, max(1, limit - answer.resource), settings.seed, insist=insist)
    return replace(
        second if second.status == "unsat" else answer,
        seconds=answer.seconds + second.seconds,
        resource=answer.resource + second.resource,
    )


def _has_least(action: t.Action) -> bool:
    return any(isinstance(s, t.Choose) and s.kind == "least" for s in action.body)


def _counterexample(spec: t.Spec, task: Task, prop: t.Property, settings: Settings) -> Found:
    limit = min(settings.limit, CTI_LIMIT)
    found = find_cti(spec, prop, task.action, task.hypotheses, limit, settings.seed)
    if found.script is None or prop.kind == "lemma":
        return found
    advice = advise(spec, prop, task.action, task.hypotheses, found.script, settings.seed)
    return replace(found, hint=advice.text, resource=found.resource + advice.resource)


def _search(spec: t.Spec, task: Task, prop: t.Property, settings: Settings) -> Found:
    expect = spec.expects.get(prop.name)
    bound = prop.within or (expect.within if expect else None) or settings.steps
    if task.kind == "hunt":
        return find_violation(spec, prop, HUNT_STEPS, HUNT_LIMIT, settings.seed)
    if task.kind == "violate":
        return find_violation(spec, prop, bound, settings.limit, settings.seed)
    formula = asked_for(prop.formula) if task.kind == "witness" else prop.formula
    return find_state(spec, formula, bound, settings.limit, settings.seed)


def asked_for(promise: t.Expr) -> t.Expr:
    """When a promise can be asked for: its guards, without the `succeeds`."""
    match promise:
        case t.Quant(kind="forall"):
            body = asked_for(promise.body)
            return t.Quant("exists", promise.binders, promise.guard, body, BOOL, promise.span)
        case t.Binary(op="=>"):
            right = asked_for(promise.right)
            return t.Binary("and", promise.left, right, BOOL, promise.span)
        case _:
            return t.BoolLit(True, BOOL, promise.span)


def alone(task: Task) -> Task:
    """A proof task with no hypothesis but the property itself, as a try."""
    own = tuple(name for name in task.hypotheses if name == task.prop)
    return replace(task, kind="try", hypotheses=own)


def gave_up(spec: t.Spec, task: Task, reason: str) -> Done:
    """The answer to a question that nobody lived to answer: unknown, for that reason."""
    if task.kind in PROOFS:
        return Done(task, 0.0, Answer("unknown", 0.0, 0, reason), failed=reason)
    if task.kind == "needs":
        return Done(task, 0.0, needed=task.hypotheses, failed=reason)
    names = [a.name for a in spec.actions] if task.kind == "firings" else [""]
    names = list(task.hypotheses) if task.kind == "exercised" else names
    nothing = Found("unknown", 0, 0, None, reason)
    return Done(task, 0.0, None, tuple((name, nothing) for name in names), failed=reason)
