"""Random runs of a spec: every property is judged at every step.

Goal: seeded, deterministic steps (same seed, same run), fair among the actions that can fire, with
integers skewed to small ones and to boundaries; the first unexpected violation ends the run and is
cut down to a short trace.
Non-goals: completeness (see `exhaust` and `tessera.prove`); printing (see `tessera.cli.simulate`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from tessera.lang.typed import Action, Spec
from tessera.model.boundaries import boundaries
from tessera.model.draw import Drawer
from tessera.model.properties import Truth, Violation
from tessera.model.replay import choice_text, replay
from tessera.model.script import Event, Script, Value, World
from tessera.model.shrink import shrink
from tessera.model.simulator import Simulator, call_text
from tessera.model.values import Undecided, elements, width_of
from tessera.model.world import Sizes, draw_world
from tessera.results import Strip, Trace

EPISODE = 250
"""Steps until a run starts again in a new world."""
_DRAWS = 48
_SMALL = 5
_PICKS = 16


@dataclass(frozen=True, slots=True)
class Turn:
    """One step of a random run. `action` is empty where a new world starts."""

    number: int
    action: str
    world: World
    strips: tuple[Strip, ...]
    fresh: tuple[Violation, ...]  # violations that the state before did not have


@dataclass(slots=True)
class Summary:
    """What a random run saw; filled while it runs."""

    steps: int = 0
    runs: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)  # states per expected violation
    first: dict[str, int] = field(default_factory=dict)  # violation -> step where first seen
    covered: dict[str, int] = field(default_factory=dict)  # cover -> step where first reached
    sampled: set[str] = field(default_factory=set)  # properties not judged at every value
    unexpected: Violation | None = None
    trace: Trace | None = None


class Explorer:
    """A random run over one spec."""

    def __init__(self, spec: Spec, sizes: Sizes, seed: int) -> None:
        self.spec = spec
        self.summary = Summary()
        self._sizes = sizes
        self._rng = Random(seed)
        self._wanted = {n for n, e in spec.expects.items() if e.verdict == "violated"}
        self.shortest: tuple[Event, ...] = ()  # the events of `summary.trace`
        self._events: list[Event] = []
        self._bad: set[str] = set()

    def run(self, steps: int, draw: bool = True) -> Iterator[Turn]:
        """Up to `steps` steps, ended early by an unexpected violation (see `summary`).

        Raises TesseraError when no world meets the assumptions at these sizes.
        """
        simulator = self._begin()
        drawer = Drawer(self.spec, simulator.machine.engine)
        yield self._turn("", simulator, drawer if draw else None)
        while self.summary.steps < steps and self.summary.unexpected is None:
            event = self._fire(simulator) if len(self._events) < EPISODE else None
            if event is None:
                if not self._events:
                    return  # nothing can ever happen here
                simulator = self._begin()
                drawer = Drawer(self.spec, simulator.machine.engine)
                yield self._turn("", simulator, drawer if draw else None)
                continue
            self._events.append(event)
            self.summary.steps += 1
            self.summary.actions[event.action] += 1
            action = self.spec.action(event.action)
            text = call_text(action, event.args) + choice_text(action, event)
            yield self._turn(text, simulator, drawer if draw else None)

    def _begin(self) -> Simulator:
        simulator = Simulator(self.spec, draw_world(self.spec, self._sizes, self._rng))
        self.summary.runs += 1
        self._events, self._bad = [], set()
        return simulator

    # --- what happens next -----------------------------------------------------------------------

    def _fire(self, simulator: Simulator) -> Event | None:
        """Take a random step; None when no action is found that can fire."""
        for _ in range(_PICKS):
            event = self._pick(simulator)
            if event is None:
                return None
            try:
                simulator.fire(event)
                return event
            except Undecided:  # an update that is too large to write out
                continue
        return None

    def _pick(self, simulator: Simulator) -> Event | None:
        """A random event that can fire; every action gets its turn at being tried first."""
        order = list(self.spec.actions)
        self._rng.shuffle(order)
        marks = boundaries(simulator)
        for action in order:
            for _ in range(_DRAWS if action.params else 1):
                args = {p.name: self._value(p.type, simulator, marks) for p in action.params}
                choices = self._choices(simulator, action, args)
                if choices is not None:
                    return Event(action.name, args, choices)
        return None

    def _choices(
        self, simulator: Simulator, action: Action, args: dict[str, Value]
    ) -> dict[str, Value] | None:
        try:
            return simulator.enabled(action.name, args, self._rng)
        except Undecided:
            return None

    def _value(self, type_: object, simulator: Simulator, marks: list[int]) -> Value:
        values = elements(type_, self.spec, simulator.world)  # type: ignore[arg-type]
        if values is not None:
            return self._rng.choice(values)
        top = 1 << (width_of(type_) or 16)  # type: ignore[arg-type]
        kind = self._rng.random()
        if kind < 0.4:
            value = self._rng.randrange(_SMALL)
        elif kind < 0.7:
            value = self._rng.randrange(marks[-1] + 2)
        elif kind < 0.94:
            value = self._rng.choice(marks) + self._rng.choice((-1, 0, 0, 1))
        else:
            value = -1 - self._rng.randrange(_SMALL)  # the largest ones, which make sums wrap
        return value % top

    # --- what it broke ---------------------------------------------------------------------------

    def _turn(self, action: str, simulator: Simulator, drawer: Drawer | None) -> Turn:
        found = simulator.check()
        fresh = tuple(v for v in found if v.name not in self._bad)
        self._bad = {v.name for v in found}
        for violation in found:
            self.summary.first.setdefault(violation.name, self.summary.steps)
            if violation.name in self._wanted:
                self.summary.expected[violation.name] += 1
        for name in simulator.properties.covers():
            if name not in self.summary.covered and simulator.truth(name) is Truth.HOLDS:
                self.summary.covered[name] = self.summary.steps
        self.summary.sampled |= simulator.properties.sampled
        surprise = next((v for v in found if v.name not in self._wanted), None)
        if surprise is not None and self.summary.unexpected is None:
            self.summary.unexpected = surprise
            self.summary.trace = self._trace(simulator, surprise)
        strips = drawer.strips(simulator.state) if drawer else ()
        return Turn(self.summary.steps, action, simulator.world, strips, fresh)

    def _trace(self, simulator: Simulator, violation: Violation) -> Trace:
        """A short run to the violation, replayed from the start."""
        script = Script(simulator.world, tuple(self._events))
        script = shrink(self.spec, script, violation.name)
        self.shortest = script.events
        return replay(self.spec, script, violation.name)
