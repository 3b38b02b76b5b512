"""Runs that tell two specs apart: of the one, up to a step that the other cannot take.

Goal: a shortest run of the first spec whose last step the second one does not have, found by
bounded search and judged by the simulator on both; constants for which a policy function differs.
Non-goals: proofs that there is none (see `tessera.prove.compare_query`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import z3

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.lang.types import BOOL, BoolType, EnumType
from tessera.model.engine import Engine
from tessera.model.machine import State
from tessera.model.replay import Recorder
from tessera.model.scope import Scope
from tessera.model.script import Event, Script, Value, World
from tessera.model.simulator import NotEnabled, Simulator
from tessera.model.twin import contents
from tessera.model.values import show
from tessera.prove.bounded import Found, Search
from tessera.prove.compare_pair import Pair
from tessera.prove.compare_query import Follower, background, disagreement, followers, unmatched
from tessera.prove.terms import Term
from tessera.results import Trace


class PairSearch(Search):
    """Runs of the first spec, with the second one's steps at hand."""

    def __init__(self, both: Pair, steps: int, limit: int, seed: int) -> None:
        # Nothing but assumptions: what the first spec demands plays no part.
        bare = replace(both.a, properties=tuple(p for p in both.a.properties if p.kind == "assume"))
        super().__init__(bare, t.BoolLit(True, BOOL, _span(both.a)), steps, limit, seed)
        self.both = both
        self.follower = Follower(both.b, self.encoder.sorts)
        self.solver.add(*background(both, (self.encoder, self.follower)))
        self.named: dict[str, Term] = {}
        self.picked: dict[str, Value] = {}

    def _define(self) -> None:
        super()._define()
        follower = getattr(self, "follower", None)
        if follower is not None:
            self.solver.add(*follower.definitions)
            follower.definitions.clear()

    def _script(self, model: z3.ModelRef) -> Script:
        self.picked = {name: self._value(term, model) for name, term in self.named.items()}
        return super()._script(model)

    def stray(self, action: t.Action) -> Term:
        """The last step is that action, and no step of the second spec."""
        index = [a.name for a in self.spec.actions].index(action.name)
        lead, tag = self.firings[-1][index], f".{len(self.firings)}"
        candidates = followers(self.both, action, any_name=True)
        before = self.states[-2]
        ways = unmatched(self.both, lead, self.encoder, self.follower, before, candidates, tag)
        out = z3.And(self.fired_last(action.name), *(z3.Or(w) for w in ways))
        self._define()
        return out

    def disagrees(self, function: str) -> Term:
        """A policy function differs."""
        out, self.named = disagreement(self.both, self.encoder, self.follower, function)
        return out


def find_stray(both: Pair, action: t.Action, steps: int, limit: int, seed: int) -> Found:
    """A shortest run of the first spec that ends in a step which the second does not have."""
    search = PairSearch(both, steps, limit, seed)
    while True:
        search.extend()
        found = search.ask(search.stray(action))
        if found.status != "none" or len(search.firings) >= steps:
            return found


def _span(spec: t.Spec) -> Any:
    return spec.actions[0].span if spec.actions else spec.properties[0].span


# --- judged by the simulator ----------------------------------------------------------------------


def replay_stray(both: Pair, script: Script) -> Trace:
    """The run, taken by the first spec's simulator, and the last step refused by the second's.

    `replayed` is True only when both really happened.
    """
    world = script.world
    trace = Trace(_constants(both, world), ())
    try:
        recorder = Recorder(Simulator(_bare(both.a), world))
        for event in script.events[:-1]:
            recorder.fire(event)
        before = recorder.simulator.state
        last = script.events[-1]
        recorder.fire(last)
        trace = replace(trace, steps=tuple(recorder.steps))
        said = _refusals(both, world, before, recorder.simulator, last)
    except TesseraError as error:
        return replace(trace, broken=f"not reproduced: {error.message}")
    if said is None:
        return replace(trace, broken=f"not reproduced: '{both.b.name}' takes the step too")
    return replace(trace, broken=said, replayed=True)


def _bare(spec: t.Spec) -> t.Spec:
    return replace(spec, properties=tuple(p for p in spec.properties if p.kind == "assume"))


def _refusals(both: Pair, world: World, before: State, mine: Simulator, event: Event) -> str | None:
    """Why the second spec has no such step; None when it has one."""
    other = Simulator(_bare(both.b), world)
    start = _moved(before, mine, other)
    wanted = _counted(both, mine, mine.state)
    out = ""
    for action in followers(both, both.a.action(event.action), any_name=True):
        other.restore(start, None, "")
        why = _tried(both, other, action, event, wanted)
        if why is None:
            return None
        out = out or why  # of the action of the same name, which comes first
    return out


def _tried(
    both: Pair, other: Simulator, action: t.Action, event: Event, wanted: dict[str, Any]
) -> str | None:
    names = [s.binder.name for s in action.body if isinstance(s, t.Choose)]
    choices = dict(event.choices)
    if not set(names) <= choices.keys():
        found = other.enabled(action.name, event.args)
        if found is None:
            return f"in '{both.b.name}' {action.name} cannot happen here"
        choices = {**found, **choices}
    try:
        other.fire(Event(action.name, event.args, {n: choices[n] for n in names}))
    except NotEnabled as error:
        return f"'{both.b.name}': {error.message}"
    reached = _counted(both, other, other.state)
    apart = [name for name, content in wanted.items() if reached[name] != content]
    if not apart:
        return None
    return f"'{both.b.name}' leaves {', '.join(apart)} otherwise"


def _moved(state: State, source: Simulator, target: Simulator) -> State:
    """The same values in the other machine's order of variables."""
    old = source.machine.layouts
    return tuple(state[old[name].slot] for name in target.machine.layouts)


def _counted(both: Pair, simulator: Simulator, state: State) -> dict[str, Any]:
    layouts = simulator.machine.layouts
    return {v.name: contents((state[layouts[v.name].slot],)) for v in both.observed}


def _constants(both: Pair, world: World) -> dict[str, str]:
    items: dict[str, t.Const | t.Param] = {**both.a.consts, **both.a.params}
    out = {n: show(v, items[n].type) for n, v in world.scalars.items() if n in items}
    for name, table in world.tables.items():
        const = both.a.consts[name]
        for args, value in table.items():
            shown = ", ".join(show(x, p.type) for x, p in zip(args, const.params, strict=True))
            out[f"{name}({shown})"] = show(value, const.type)
    return out


# --- policy functions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Constants and arguments for which a policy function differs, and its two values as text."""

    found: Found
    trace: Trace | None


def find_disagreement(both: Pair, function: str, limit: int, seed: int) -> Disagreement:
    """Smallest constants for which the two specs decide differently, evaluated by the simulator."""
    search = PairSearch(both, 0, limit, seed)
    found = search.ask(search.disagrees(function))
    if found.status != "found" or found.script is None:
        return Disagreement(found, None)
    world, args = found.script.world, search.picked
    mine, theirs = (_decides(spec, world, function, args) for spec in (both.a, both.b))
    names = both.a.functions
    first = names.get(function) or names[f"{function}.lo"]
    call = ", ".join(f"{p.name} = {show(args[p.name], p.type)}" for p in first.params)
    trace = Trace(
        _constants(both, world),
        (),
        broken=f"{function}({call}) is {mine} in '{both.a.name}' and {theirs} in '{both.b.name}'",
        replayed=mine != theirs,
    )
    return Disagreement(found, trace)


def _decides(spec: t.Spec, world: World, function: str, args: dict[str, Value]) -> str:
    if function in spec.functions:
        return _evaluated(spec, world, spec.functions[function], args)
    ends = [_evaluated(spec, world, spec.functions[f"{function}.{e}"], args) for e in ("lo", "hi")]
    return f"[{ends[0]}, {ends[1]})"


def _evaluated(spec: t.Spec, world: World, function: t.Function, args: dict[str, Value]) -> str:
    literals = tuple(
        _literal(value, p) for value, p in zip(args.values(), function.params, strict=True)
    )
    call = t.Apply("policy", function.name, literals, function.type, function.span)
    scope = Scope()
    value = Engine(spec, world).compile(call, scope)(scope.frame(()))
    return show(value, function.type)


def _literal(value: Value, binder: t.Binder) -> t.Expr:
    if isinstance(binder.type, EnumType):
        return t.EnumLit(str(value), binder.type, binder.span)
    if isinstance(binder.type, BoolType):
        return t.BoolLit(bool(value), binder.type, binder.span)
    return t.IntLit(int(value), binder.type, binder.span)
