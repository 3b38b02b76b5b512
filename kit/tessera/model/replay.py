"""A run found elsewhere, taken again step by step.

Goal: `replay(spec, script, name)` fires every event of a script exactly as given and gives the
trace; `replayed` is True only when every step was enabled with exactly these choices and the
property is then really violated (or, for a cover, really reached). A script with a `start` begins
there, and every property that it assumes must hold in that state.
Non-goals: finding runs; forgiving a step that does not fit: the trace ends there and says why.
"""

from __future__ import annotations

from dataclasses import replace

from tessera.errors import TesseraError
from tessera.lang.typed import Action, Choose, Property, Spec
from tessera.lang.types import SortType
from tessera.model.conjunct import Conjunct, Finder
from tessera.model.draw import Drawer
from tessera.model.plain import script_data, state_data, state_of
from tessera.model.properties import Truth
from tessera.model.script import Event, Script, Value
from tessera.model.simulator import NotEnabled, Simulator, call_text
from tessera.model.values import show
from tessera.model.words import Words
from tessera.results import Step, Trace

SOME_STATE = "some state that satisfies the invariants"
"""Names the first state of a counterexample to induction."""


def replay(spec: Spec, script: Script, property_name: str) -> Trace:
    """The trace of a script that is meant to violate a property, or to reach a cover.

    A world that breaks an assumption, an event that does not fit and a step that is not enabled
    give a trace with `replayed` False whose `broken` says why. Raises TesseraError for an unknown
    property.
    """
    prop = _property(spec, property_name)
    kind = "run" if script.start is None else "cti"
    data = script_data(script, property_name)
    trace = Trace(_constants(spec, script), (), kind=kind, script=data)
    try:
        simulator = Simulator(spec, script.world)
        if script.start is not None:
            layouts = simulator.machine.layouts
            state = state_of(script.start, layouts, spec, script.world)
            simulator.restore(state, None, "")
        recorder = Recorder(simulator, "init" if script.start is None else SOME_STATE)
        trace = replace(trace, steps=tuple(recorder.steps))
        doubt = _assumption_broken(simulator, script)
        if doubt:
            return replace(trace, broken=f"not reproduced: {doubt}")
        for event in script.events:
            recorder.fire(event)
            trace = replace(trace, steps=tuple(recorder.steps))
        return _judged(trace, simulator, prop)
    except NotEnabled as error:
        step = len(trace.steps)
        return replace(trace, broken=f"not reproduced, step {step}: {error.message}")
    except TesseraError as error:
        return replace(trace, broken=f"not reproduced: {error.message}")


def _assumption_broken(simulator: Simulator, script: Script) -> str:
    """Which assumed property does not hold in the first state; empty when all do."""
    for name in script.assumed:
        truth = simulator.truth(_property(simulator.spec, name).name)
        if truth is not Truth.HOLDS:
            return f"the first state does not satisfy '{name}' ({truth.value})"
    return ""


class Recorder:
    """Fires events and keeps a record of every state."""

    def __init__(self, simulator: Simulator, first: str = "init") -> None:
        self.simulator = simulator
        self._words = Words(simulator.machine)
        self._drawer = Drawer(simulator.spec, simulator.machine.engine)
        known = () if first == "init" else self._words.facts(simulator.state)
        self.steps = [self._step(first, known)]

    def _step(self, action: str, changes: tuple[str, ...], span: str = "") -> Step:
        state = self.simulator.state
        plain = state_data(self.simulator.machine.layouts, state)
        return Step(action, changes, self._drawer.strips(state), plain, span)

    def fire(self, event: Event) -> Step:
        """Take and record one step. Raises as `Simulator.fire`."""
        simulator = self.simulator
        before = simulator.state
        simulator.fire(event)
        action = simulator.spec.action(event.action)
        said = call_text(action, event.args) + choice_text(action, event)
        step = self._step(said, self._words.changes(before, simulator.state), str(action.span))
        self.steps.append(step)
        return step


def choice_text(action: Action, event: Event) -> str:
    """What the action chose, e.g. ` with o = 0 granules, e = b1`; empty without choices."""
    types = {s.binder.name: s.binder.type for s in action.body if isinstance(s, Choose)}
    parts = [f"{n} = {show(v, types[n])}" for n, v in event.choices.items() if n in types]
    return f" with {', '.join(parts)}" if parts else ""


def _property(spec: Spec, name: str) -> Property:
    for prop in spec.properties:
        if prop.name == name:
            return prop
    raise TesseraError(f"there is no property '{name}'")


def _judged(trace: Trace, simulator: Simulator, prop: Property) -> Trace:
    truth = simulator.truth(prop.name)
    if prop.kind == "cover":
        if truth is Truth.HOLDS:
            return replace(trace, broken=_says(prop), replayed=True)
    elif truth is Truth.FAILS:
        found = failing_part(simulator, prop)
        span = str(found.span)
        return replace(
            trace, broken=_says(prop), replayed=True, conjunct=found.text, conjunct_span=span
        )
    what = "reached" if prop.kind == "cover" else "violated"
    return replace(trace, broken=f"not reproduced: '{prop.name}' is not {what} ({truth.value})")


def failing_part(simulator: Simulator, prop: Property) -> Conjunct:
    """The smallest part of a property that fails in the simulator's present state or step."""
    finder = Finder(simulator.machine.engine, simulator.state, simulator.before)
    return finder.failing(prop.formula)


def _says(prop: Property) -> str:
    doc = f": {prop.doc}" if prop.doc else ""
    return f"{prop.name} is reached{doc}" if prop.kind == "cover" else f"{prop.name}{doc}"


def _constants(spec: Spec, script: Script) -> dict[str, str]:
    """Every const and param by name; rigid functions by place, e.g. `class_of(ta1)`."""
    world = script.world
    out: dict[str, str] = {}
    for const in spec.consts.values():
        if const.params:
            for args, value in world.tables.get(const.name, {}).items():
                shown = ", ".join(show(a, p.type) for a, p in zip(args, const.params, strict=True))
                out[f"{const.name}({shown})"] = show(value, const.type)
        elif const.name in world.scalars and not isinstance(const.type, SortType):
            out[const.name] = show(world.scalars[const.name], const.type)
    for param in spec.params.values():
        value_: Value = world.scalars.get(param.name, param.value)
        out[param.name] = show(value_, param.type)
    return out
