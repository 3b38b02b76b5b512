"""Which hypotheses a proof needed.

Goal: for a step or promise that was proved, hypotheses that suffice, from one more query in which
each of them can be switched off. A proof from fewer hypotheses is a proof from more, so the result
cache can keep it when the others change. The solver's word is not taken for it: whoever uses the
answer asks for the proof from these hypotheses alone.
Non-goals: the smallest such set, and proofs that need case distinctions (all hypotheses count as
needed there).
"""

from __future__ import annotations

from collections.abc import Sequence

import z3

from tessera.lang import typed as t
from tessera.prove.ground import ground
from tessera.prove.induct import Induction
from tessera.prove.solver import configure
from tessera.prove.terms import Term

EFFORT = 1_000_000
"""Resource units for the extra query; where they do not suffice, all hypotheses stay."""


def needed(
    spec: t.Spec, prop: t.Property, action: str, assumed: Sequence[t.Property], seed: int
) -> tuple[str, ...]:
    """Names of hypotheses that probably suffice (`action` is empty for promises and lemmas)."""
    induction = Induction(spec)
    if action:
        query = induction.step(spec.action(action), prop, assumed)
    else:
        query = induction.here(prop, assumed)
    # A query's assumptions begin with the background and the hypotheses, in this order.
    first = len(induction.background)
    last = first + len(assumed)
    switches = [z3.Bool(f"needs.{p.name}") for p in assumed]
    switched = [
        z3.Implies(switch, term)
        for switch, term in zip(switches, query.assumed[first:last], strict=True)
    ]
    facts, ways = ground([*query.assumed[:first], *switched, *query.assumed[last:]], query.ways)
    found: set[str] = set()
    for way in ways:
        core = _core([*facts, *way], switches, seed)
        if core is None:
            return tuple(p.name for p in assumed)
        found |= core
    return tuple(p.name for p in assumed if f"needs.{p.name}" in found)


def _core(formulas: Sequence[Term], switches: Sequence[Term], seed: int) -> set[str] | None:
    # The tactics of `decide` lose track of assumptions; the plain solver does not.
    solver = z3.SimpleSolver()
    configure(solver, EFFORT, seed)
    solver.add(*formulas)
    if solver.check(*switches) != z3.unsat:
        return None
    return {str(switch) for switch in solver.unsat_core()}
