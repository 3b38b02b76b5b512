"""One query to Z3: isolated, bounded by resource units, repeatable.

Goal: the same formula gives the same answer and the same cost, whatever ran before: each query is
printed and read back into a context of its own, with fixed seeds and a resource limit instead of a
clock.
Non-goals: building formulas, and models (bounded search keeps its own solver).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import z3

from tessera.prove.terms import Term

DEFAULT_LIMIT = 20_000_000
"""Resource units of Z3 (its `rlimit`): a few seconds of work at most on the shipped specs."""


PIPELINE = (
    *("simplify", "propagate-values", "solve-eqs", "simplify", "propagate-values", "solve-eqs"),
    *("simplify", "smt"),
)
"""Equations are solved and spread before bits are blasted."""

BITS = (*PIPELINE[:-1], "ackermannize_bv", "simplify", "bit-blast", "sat")
"""The same, then everything as bits at once: better where little but arithmetic is left. Equations
between things may be left out on that way, so that only unsat counts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is sat, unsat or unknown; `resource` in Z3's units; `reason` for unknown."""

    status: str
    seconds: float
    resource: int
    reason: str = ""


def fresh_context() -> None:
    """Give z3py a new main context.

    Names and numbers of terms then depend on this obligation alone, not on what was encoded before
    it, so a query's text is always the same. (z3py offers no public way; its version is pinned.)
    """
    z3.z3._main_ctx = None


def script(assertions: Iterable[Term]) -> str:
    """The query as SMT-LIB text."""
    solver = z3.Solver()
    for term in assertions:
        solver.add(term)
    return str(solver.sexpr())


def ask(text: str, limit: int = DEFAULT_LIMIT, seed: int = 0) -> Answer:
    """Decide a query; safe to call in another process."""
    began = time.perf_counter()
    context = z3.Context()
    solver = z3.Then(*(z3.Tactic(name, context) for name in PIPELINE)).solver()
    configure(solver, limit, seed)
    solver.add(z3.parse_smt2_string(text, ctx=context))
    result = solver.check()
    seconds = time.perf_counter() - began
    reason = solver.reason_unknown() if result == z3.unknown else ""
    return Answer(str(result), seconds, spent(solver), reason)


def solve(
    assertions: Iterable[Term],
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    pipeline: Sequence[str] = PIPELINE,
) -> Answer:
    """Decide a query in a context of its own, without the way over text.

    The terms are copied in the order in which they stand, so the copy, and with it the answer and
    its cost, depends on them alone.
    """
    began = time.perf_counter()
    context = z3.Context()
    solver = z3.Then(*(z3.Tactic(name, context) for name in pipeline)).solver()
    configure(solver, limit, seed)
    for term in assertions:
        solver.add(term.translate(context))
    result = solver.check()
    seconds = time.perf_counter() - began
    reason = solver.reason_unknown() if result == z3.unknown else ""
    return Answer(str(result), seconds, spent(solver), reason)


def solve_as_bits(assertions: Iterable[Term], limit: int = DEFAULT_LIMIT, seed: int = 0) -> Answer:
    """As `solve`, by bits alone: unsat, or unknown."""
    answer = solve(assertions, limit, seed, BITS)
    if answer.status != "sat":
        return answer
    return replace(answer, status="unknown", reason="satisfiable as bits")


def contradicts_at_once(assertions: Iterable[Term]) -> bool:
    """Whether simplifying alone, where the terms are, shows a contradiction.

    More than half of all cases end so, and a context of their own would cost more than that.
    """
    goal = z3.Goal()
    goal.add(*assertions)
    left = z3.Then(*PIPELINE[:-1])(goal)
    return len(left) == 1 and bool(left[0].inconsistent())


def configure(solver: z3.Solver, limit: int, seed: int) -> None:
    """Fixed seeds and a resource limit."""
    solver.set("rlimit", limit)
    solver.set("random_seed", seed)


def spent(solver: z3.Solver) -> int:
    """Resource units the solver used so far."""
    statistics = solver.statistics()
    return next((int(v) for k, v in statistics if k == "rlimit count"), 0)
