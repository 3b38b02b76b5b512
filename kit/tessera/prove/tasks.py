"""The questions of a check, as small picklable tasks that run in any order and any process.

Goal: one task, one question, answered in a Z3 context of its own.
Non-goals: what the answers mean together (see `tessera.prove.check`).
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from tessera.lang import typed as t
from tessera.lang.types import BOOL
from tessera.prove.bounded import Found, find_firings, find_state, find_violation
from tessera.prove.decide import decide
from tessera.prove.induct import Induction
from tessera.prove.solver import Answer, ask, script

HUNT_STEPS = 2
HUNT_LIMIT = 1_000_000
"""A quick look for short runs, per length, before a proof is tried."""


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """`kind`: init, step, here (proofs); hunt, violate, reach, firings, witness (searches); sane
    (are the assumptions satisfiable?). `action` is for step; `hypotheses` for proofs."""

    kind: str
    prop: str = ""
    action: str = ""
    hypotheses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A task's answer: `answer` for proofs and sane, `found` for searches."""

    task: Task
    seconds: float
    answer: Answer | None = None
    found: tuple[tuple[str, Found], ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Bounds: Z3 resource units per question, seed, steps of a bounded search, processes."""

    limit: int
    seed: int
    steps: int
    jobs: int


def run_task(spec: t.Spec, task: Task, settings: Settings) -> Done:
    """Answer one question."""
    began = time.perf_counter()
    prop = next((p for p in spec.properties if p.name == task.prop), None)
    limit, seed = settings.limit, settings.seed
    answer: Answer | None = None
    found: tuple[tuple[str, Found], ...] = ()
    if task.kind == "firings":
        found = tuple(find_firings(spec, settings.steps, limit, seed).items())
    elif task.kind == "sane":
        answer = ask(script(Induction(spec).assumptions(prop)), limit, seed)
    elif prop is not None and task.kind in ("init", "step", "here"):
        answer = _prove(spec, task, prop, settings)
    elif prop is not None:
        found = (("", _search(spec, task, prop, settings)),)
    return Done(task, time.perf_counter() - began, answer, found)


def _prove(spec: t.Spec, task: Task, prop: t.Property, settings: Settings) -> Answer:
    induction = Induction(spec)
    assumed = [p for p in spec.properties if p.name in task.hypotheses]
    if task.kind == "init":
        query = induction.base(prop)
    elif task.kind == "step":
        query = induction.step(spec.action(task.action), prop, assumed)
    else:
        query = induction.here(prop, assumed)
    return decide(query, settings.limit, settings.seed)


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


# --- many at once ---------------------------------------------------------------------------------

_spec: t.Spec | None = None


def _start(spec: t.Spec) -> None:
    global _spec  # noqa: PLW0603 - one spec per worker process, sent once
    _spec = spec
    _keep_memory()


def _keep_memory() -> None:
    """Tell glibc not to hand memory back between questions: every Z3 context would ask for it
    again. Elsewhere nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # from glibc's malloc.h
        mallopt(trim_threshold, 1 << 30)
        mallopt(top_pad, 64 << 20)
        mallopt(mmap_threshold, 1 << 30)


def _work(task: Task, settings: Settings) -> Done:
    assert _spec is not None
    return run_task(_spec, task, settings)


def run_all(
    spec: t.Spec,
    tasks: Sequence[Task],
    settings: Settings,
    tick: Callable[[Done], None] = lambda _: None,
) -> dict[Task, Done]:
    """All answers; with several jobs in as many processes. `tick` is called as each one ends."""
    out: dict[Task, Done] = {}
    for done in _answers(spec, tasks, settings):
        out[done.task] = done
        tick(done)
    return out


def _answers(spec: t.Spec, tasks: Sequence[Task], settings: Settings) -> Iterator[Done]:
    if settings.jobs <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield run_task(spec, task, settings)
        return
    workers = min(settings.jobs, len(tasks))
    with ProcessPoolExecutor(
        workers, mp_context=get_context("fork"), initializer=_start, initargs=(spec,)
    ) as pool:
        # Searches first: they take longest.
        order = sorted(tasks, key=lambda task: task.kind in ("init", "step", "here", "sane"))
        futures = [pool.submit(_work, task, settings) for task in order]
        for future in as_completed(futures):
            yield future.result()


def processors() -> int:
    """How many processes make sense here."""
    return max(1, len(os.sched_getaffinity(0)))
