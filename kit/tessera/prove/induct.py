"""Proof by induction: for any number of things and every size in range.

Goal: the queries "init establishes P" and "action A preserves P", each unsatisfiable when P holds.
Non-goals: deciding what a failed step means (see `tessera.prove.check`).
"""

from __future__ import annotations

from collections.abc import Iterable

import z3

from tessera.lang import typed as t
from tessera.lang.uses import reads
from tessera.prove.decide import Query
from tessera.prove.encode import Encoder, Env, State
from tessera.prove.solver import fresh_context
from tessera.prove.terms import Sorts, Term
from tessera.prove.transition import (
    expand_promise,
    fire,
    initial_state,
    symbolic_state,
)


class Induction:
    """Builds the inductive queries of one spec."""

    def __init__(self, spec: t.Spec) -> None:
        self.spec = spec
        fresh_context()
        sorts = Sorts.make(spec.enums, tuple(s.name for s in spec.sorts), None)
        self.encoder = Encoder(spec, sorts)
        self.now = symbolic_state(self.encoder, "")
        self.background = self.encoder.ranges() + [
            self.encoder.term(p.formula, Env(State({})))
            for p in spec.properties
            if p.kind == "assume"
        ]

    def _given(self, prop: t.Property) -> Term:
        return self.encoder.term(prop.given, Env(State({})))

    def holds(self, prop: t.Property, state: State) -> Term:
        """The property, under its `given`, in a state."""
        return z3.Implies(self._given(prop), self.encoder.term(prop.formula, Env(state)))

    def _hypotheses(self, invariants: Iterable[t.Property]) -> list[Term]:
        return [self.holds(p, self.now) for p in invariants]

    def assumptions(self, prop: t.Property | None) -> list[Term]:
        """What must be satisfiable for a proof to say anything: ranges, assumes, `given`."""
        return self.background + ([self._given(prop)] if prop is not None else [])

    def base(self, prop: t.Property) -> Query:
        """Init and not P."""
        state = initial_state(self.encoder, default=False)
        return self._query([], self._refuted(prop, prop.formula, Env(state)))

    def step(
        self,
        action: t.Action,
        prop: t.Property,
        invariants: Iterable[t.Property],
        *,
        least: bool = False,
    ) -> Query:
        """Invariants, a firing of the action, and not P afterwards.

        That a `least` choice is the least is left out unless `least` asks for it: few proofs need
        it, and it has a quantifier.
        """
        firing = fire(self.encoder, action, self.now, "")
        before = self.now if prop.kind == "step" else None
        refuted = self._refuted(prop, prop.formula, Env(firing.after, before))
        touched = (*firing.args.values(), *firing.choices.values())
        minimal = firing.minimal if least else ()
        hypotheses = [*self._hypotheses(invariants), *firing.guards, *minimal]
        return self._query(hypotheses, refuted, touched)

    def here(self, prop: t.Property, invariants: Iterable[t.Property]) -> Query:
        """Invariants and not P in one state: for promises and lemmas."""
        formula = expand_promise(self.spec, prop.formula, use_witness=True)
        return self._query(
            self._hypotheses(invariants), self._refuted(prop, formula, Env(self.now))
        )

    def _refuted(self, prop: t.Property, formula: t.Expr, env: Env) -> list[Term]:
        given = self._given(prop)
        return [z3.And(given, way) for way in self.encoder.refute(formula, env)]

    def _query(
        self, hypotheses: list[Term], refuted: list[Term], touched: tuple[Term, ...] = ()
    ) -> Query:
        assumed = (*self.background, *hypotheses, *self.encoder.definitions)
        things = tuple(x for x in touched if x.sort_kind() == z3.Z3_UNINTERPRETED_SORT)
        return Query(assumed, tuple(refuted), things, tuple(self.encoder.goal_constants))


def untouched(spec: t.Spec, action: t.Action, prop: t.Property) -> bool:
    """Whether the action changes no variable that the property reads."""
    changed = {u.var for u in action.body if isinstance(u, t.Update)}
    return not changed & reads(spec, prop.formula)
