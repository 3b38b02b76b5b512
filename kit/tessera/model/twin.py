"""Two machines in lockstep: random runs of one, each step tried on the other.

Goal: `play` looks for what tells a changed spec from the original: a property that breaks, an
action that ought never to happen, a step that only one of the two can take.
Non-goals: concluding anything from having found no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tessera.errors import TesseraError
from tessera.lang.typed import Action, Choose, Property, Spec
from tessera.lang.types import Type
from tessera.model.explore import Explorer
from tessera.model.machine import State
from tessera.model.script import Event, Script, World
from tessera.model.simulator import NotEnabled, Simulator
from tessera.model.values import Undecided
from tessera.model.world import Sizes, sizes_of

STEPS = 150
"""Steps of each random run."""

LONGER = 4_000
"""Steps of a run where nothing cheaper decides."""

_SMALLER = 6


@dataclass(frozen=True, slots=True)
class Played:
    """What random runs saw; `taken` counts their steps.

    `violated` is a property of the changed spec that broke, `run` a short run to it. `forbidden` is
    an action that happened although it is expected never to. `extra` is a run whose last step only
    the changed machine takes, `missing` one whose last step only the original takes; a step that
    changes nothing does not count. `fired` are the actions that the changed machine took.
    """

    taken: int
    fired: frozenset[str] = frozenset()
    violated: str = ""
    run: Script | None = None
    forbidden: str = ""
    extra: Script | None = None
    missing: Script | None = None


def play(changed: Spec, original: Spec, seed: int, steps: int = STEPS) -> Played:
    """Random runs of the changed spec, then, if nothing broke, of the original: of each, one at the
    sizes of the spec's `simulate` block and one in a small world, of `steps` steps each.

    A world or start that the changed spec cannot have gives no steps.
    """
    played = Played(0)
    bare = replace(original, properties=_assumed(original))
    for index, sizes in enumerate(_worlds(original)):
        played = _lead(changed, bare, sizes, seed + index, steps, played)
        if played.violated or played.forbidden:
            return played
    other = replace(changed, properties=_assumed(changed))
    for index, sizes in enumerate(_worlds(original)):
        if played.missing is None:
            twin = _Twin(bare, other, sizes, seed + index)
            taken = played.taken + _run(twin, steps)
            played = replace(played, taken=taken, missing=twin.difference)
    return played


def _worlds(spec: Spec) -> tuple[Sizes, ...]:
    """The sizes that the spec plays with, and a sixth of them: where things soon meet."""
    usual = sizes_of(spec, {})
    small = {name: max(1, value // _SMALLER) for name, value in usual.values.items()}
    return (usual, replace(usual, values=small)) if usual.values else (usual,)


def _assumed(spec: Spec) -> tuple[Property, ...]:
    """Without properties a run is only a run."""
    return tuple(p for p in spec.properties if p.kind == "assume")


def _lead(
    changed: Spec, original: Spec, sizes: Sizes, seed: int, steps: int, so_far: Played
) -> Played:
    twin = _Twin(changed, original, sizes, seed)
    taken = so_far.taken + _run(twin, steps)
    fired = so_far.fired | twin.summary.actions.keys()
    unexpected, never = twin.summary.unexpected, _never(changed)
    # A property that fails in the first state has a run of no steps.
    run = Script(twin.world, twin.shortest) if unexpected and twin.world is not None else None
    return Played(
        taken,
        frozenset(fired),
        unexpected.name if unexpected else "",
        run,
        next((a for a in twin.summary.actions if a in never), ""),
        so_far.extra or twin.difference,
    )


def _never(spec: Spec) -> set[str]:
    """The actions that are expected never to happen."""
    actions = (n for n, e in spec.expects.items() if e.verdict == "unreachable")
    return {n.removeprefix("action ") for n in actions}


def _run(twin: _Twin, steps: int) -> int:
    try:
        for _ in twin.run(steps, draw=False):
            pass
    except _NoStartError:  # nothing is concluded from that
        return 0
    return twin.summary.steps


class _NoStartError(Exception):
    """One of the two has no world or no first state of these sizes."""


class _Twin(Explorer):
    """A random run of `lead` in which `other` is asked to take every step as well."""

    def __init__(self, lead: Spec, other: Spec, sizes: Sizes, seed: int) -> None:
        super().__init__(lead, sizes, seed)
        self._other = other
        self._twin: Simulator | None = None
        self.world: World | None = None
        self.difference: Script | None = None

    def _begin(self) -> Simulator:
        try:
            simulator = super()._begin()
            self._twin = Simulator(self._other, simulator.world)
        except TesseraError as error:
            raise _NoStartError from error
        self.world = simulator.world
        if self.difference is None and contents(self._twin.state) != contents(simulator.state):
            self.difference = Script(simulator.world, ())
        return simulator

    def _fire(self, simulator: Simulator) -> Event | None:
        before = simulator.state
        event = super()._fire(simulator)
        if (
            event is not None
            and self.difference is None
            and self._differs(simulator, before, event)
        ):
            self.difference = Script(simulator.world, (*self._events, event))
        return event

    def _differs(self, simulator: Simulator, before: State, event: Event) -> bool:
        assert self._twin is not None
        after = contents(simulator.state)
        if after == contents(before):
            return False
        named = self.spec.action(event.action)
        undecided = False
        for action in self._other.actions:
            if action.name != event.action and not fits_names(action, named):
                continue
            self._twin.restore(before, None, "")
            try:
                self._twin.fire(_as(action, event))
                if contents(self._twin.state) == after:
                    return False
            except NotEnabled:
                pass
            except Undecided:
                undecided = True
        return not undecided


def fits_names(action: Action, other: Action) -> bool:
    """Whether every argument and choice of `action` is one of `other` too: the same event may then
    be tried under either name."""
    return _names(action) <= _names(other)


def _as(action: Action, event: Event) -> Event:
    """The same values under the name of another action: what is an argument of one may be a choice
    of the other."""
    values = {**event.args, **event.choices}
    choices = [s.binder.name for s in action.body if isinstance(s, Choose)]
    args = {b.name: values[b.name] for b in action.params}
    return Event(action.name, args, {name: values[name] for name in choices})


def _names(action: Action) -> set[tuple[str, Type]]:
    choices = [s.binder for s in action.body if isinstance(s, Choose)]
    return {(b.name, b.type) for b in (*action.params, *choices)}


def contents(state: State) -> tuple[Any, ...]:
    """A state as a value to compare."""
    return tuple(
        tuple(content.values()) if isinstance(content, dict) else content for content in state
    )
