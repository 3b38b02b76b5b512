"""The invariant that is missing, when it is a simple one.

Goal: of the candidates that the state of a counterexample to induction breaks, find one that holds
at the start and in random runs, is preserved by every action together with the hypotheses, and,
best, makes the property provable; and say exactly what was proved of it.
Non-goals: invariants that no template has; several at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.lang.show import show
from tessera.lang.types import BOOL, Type
from tessera.model.boundaries import boundaries
from tessera.model.conjunct import Finder
from tessera.model.machine import State
from tessera.model.plain import state_of
from tessera.model.ramp import Unswept
from tessera.model.script import Event, Script, Value, World
from tessera.model.simulator import Simulator
from tessera.model.values import Undecided, elements, width_of
from tessera.prove.candidates import candidates
from tessera.prove.decide import decide
from tessera.prove.induct import Induction, untouched
from tessera.prove.solver import Answer

TRY_LIMIT = 400_000
"""Resource units per proof about a candidate."""

MOST_TRIED = 12
"""Candidates that are tried by proof; thousands are refused by the simulator before."""

_WALK = 60


@dataclass(frozen=True, slots=True)
class Advice:
    """What to say about a counterexample to induction, and what finding it cost."""

    text: str
    resource: int


def advise(
    spec: t.Spec, prop: t.Property, action: str, assumed: Sequence[str], script: Script, seed: int
) -> Advice:
    """A strengthening that rules the state of `script` out, in words; else that none was found."""
    fitting, looked = _fitting(spec, script)
    trial = _Trial(spec, prop, action, assumed, seed)
    step, partial = "", ""
    for formula in fitting[:MOST_TRIED]:
        text = f"invariant {prop.name}_needs: {show(formula)}"
        candidate = t.Property(
            "invariant",
            f"{prop.name}_needs",
            "",
            t.BoolLit(True, BOOL, prop.span),
            (),
            None,
            False,
            formula,
            text,
            prop.span,
        )
        helps = trial.proves_here(candidate)
        worth = helps if step or partial else True
        if worth and trial.holds(candidate):
            if helps and trial.proves_everywhere(candidate):
                return Advice(f"adding `{text}` proves it", trial.resource)
            if helps:
                step = step or f"adding `{text}` proves this step of it"
            else:
                partial = f"`{text}` holds and rules this state out, but does not yet prove it"
    if step or partial:
        return Advice(step or partial, trial.resource)
    said = f"none of {looked} simple invariants rules this state out and is inductive"
    return Advice(f"{said}: look for what no run can bring about in state 0", trial.resource)


def _fitting(spec: t.Spec, script: Script) -> tuple[list[t.Expr], int]:
    """The candidates that the state breaks and that reached states keep; how many there were."""
    simulator = Simulator(spec, script.world)
    assert script.start is not None
    try:
        state = state_of(script.start, simulator.machine.layouts, spec, script.world)
    except TesseraError:
        return [], 0
    everything = candidates(spec)
    here = Finder(simulator.machine.engine, state)
    breaking = [e for e in everything if _value(here, e) is False]
    for reached in _reached(spec, script.world):
        there = Finder(simulator.machine.engine, reached)
        breaking = [e for e in breaking if _value(there, e) is True]
    return breaking, len(everything)


def _value(finder: Finder, expr: t.Expr) -> bool | None:
    try:
        return bool(finder.value(expr, {}))
    except (Undecided, Unswept):
        return None


def _reached(spec: t.Spec, world: World) -> list[State]:
    """The initial state and some that random steps reach; the seed is fixed."""
    simulator = Simulator(spec, world)
    rng = Random(0)
    states = [simulator.state]
    for number in range(_WALK):
        if number % 20 == 0:
            simulator.reset()
        action = rng.choice(spec.actions)
        marks = boundaries(simulator)
        args = {p.name: _some(p.type, spec, world, marks, rng) for p in action.params}
        try:
            choices = simulator.enabled(action.name, args, rng)
            if choices is not None:
                simulator.fire(Event(action.name, args, choices))
                states.append(simulator.state)
        except (TesseraError, Unswept):
            continue
    return states


def _some(type_: Type, spec: t.Spec, world: World, marks: list[int], rng: Random) -> Value:
    """Any value; of integers every other one is a boundary."""
    values = elements(type_, spec, world)
    if values is not None:
        return rng.choice(values)
    return rng.choice(marks) if rng.random() < 0.5 else rng.getrandbits(width_of(type_) or 1)


class _Trial:
    """Proofs about candidates, bounded by resource."""

    def __init__(
        self, spec: t.Spec, prop: t.Property, action: str, assumed: Sequence[str], seed: int
    ) -> None:
        self.spec = spec
        self.prop = prop
        self.action = action
        self.assumed = [p for p in spec.properties if p.name in assumed]
        self.seed = seed
        self.resource = 0

    def proves_here(self, candidate: t.Property) -> bool:
        """Whether the failed question has its proof with the candidate."""
        if self.action:
            return self._step(self.action, self.prop, [*self.assumed, candidate])
        induction = Induction(self.spec)
        query = induction.here(self.prop, [*self.assumed, candidate])
        return self._proved(decide(query, TRY_LIMIT, self.seed))

    def holds(self, candidate: t.Property) -> bool:
        """Whether the candidate is inductive, together with what was assumed."""
        induction = Induction(self.spec)
        if not self._proved(decide(induction.base(candidate), TRY_LIMIT, self.seed)):
            return False
        return self._everywhere(candidate, candidate)

    def proves_everywhere(self, candidate: t.Property) -> bool:
        """Whether the property is then preserved by every action; `init` was not the question."""
        return not self.action or self._everywhere(self.prop, candidate)

    def _everywhere(self, prop: t.Property, candidate: t.Property) -> bool:
        together = [*self.assumed, candidate]
        return all(
            self._step(a.name, prop, together)
            for a in self.spec.actions
            if a.name not in prop.excepted and not untouched(self.spec, a, prop)
        )

    def _step(self, action: str, prop: t.Property, assumed: Sequence[t.Property]) -> bool:
        induction = Induction(self.spec)
        query = induction.step(self.spec.action(action), prop, assumed)
        return self._proved(decide(query, TRY_LIMIT, self.seed))

    def _proved(self, answer: Answer) -> bool:
        self.resource += answer.resource
        return answer.status == "unsat"
