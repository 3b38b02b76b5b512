"""Every run of a tiny world, breadth first.

Goal: an independent cross-check of the proofs: `exhaust` visits every state that is reachable in a
number of steps, `fresh` choices taken canonically, and gives the shortest run to each violation.
Non-goals: worlds of real size; runs whose integers exceed `top`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from tessera.lang.typed import Spec
from tessera.lang.types import Type
from tessera.model.machine import State
from tessera.model.properties import Truth
from tessera.model.script import Event, Script, Value, World
from tessera.model.simulator import Simulator
from tessera.model.values import elements


@dataclass(frozen=True, slots=True)
class Exhausted:
    """What an exhaustive search saw. `complete`: no state was left out below the depth."""

    states: int
    complete: bool
    violations: dict[str, Script]
    covered: dict[str, Script]


def exhaust(spec: Spec, world: World, depth: int, top: int, limit: int = 100_000) -> Exhausted:
    """Search `depth` steps deep with integer arguments up to `top`, at most `limit` states.

    A `some` choice takes its first value. Raises TesseraError as `Simulator` does.
    """
    simulator = Simulator(spec, world)
    start = simulator.state
    seen = {_key(start)}
    violations: dict[str, Script] = {}
    covered: dict[str, Script] = {}
    layer: list[tuple[State, tuple[Event, ...]]] = [(start, ())]
    complete = True
    _judge(simulator, (), violations, covered)
    events = list(_events(spec, world, top))
    for _ in range(depth):
        following: list[tuple[State, tuple[Event, ...]]] = []
        for state, path in layer:
            for name, args in events:
                simulator.restore(state, None, "")
                choices = simulator.enabled(name, args)
                if choices is None:
                    continue
                event = Event(name, args, choices)
                simulator.fire(event)
                _judge(simulator, (*path, event), violations, covered)
                key = _key(simulator.state)
                if key in seen:
                    continue
                if len(seen) >= limit:
                    complete = False
                    continue
                seen.add(key)
                following.append((simulator.state, (*path, event)))
        layer = following
    return Exhausted(len(seen), complete, violations, covered)


def _judge(
    simulator: Simulator,
    path: tuple[Event, ...],
    violations: dict[str, Script],
    covered: dict[str, Script],
) -> None:
    script = Script(simulator.world, path)
    for violation in simulator.check():
        violations.setdefault(violation.name, script)
    for name in simulator.properties.covers():
        if name not in covered and simulator.truth(name) is Truth.HOLDS:
            covered[name] = script


def _events(spec: Spec, world: World, top: int) -> Iterator[tuple[str, dict[str, Value]]]:
    """Every action with every combination of arguments."""
    for action in spec.actions:
        domains = [_domain(p.type, spec, world, top) for p in action.params]
        for values in product(*domains):
            yield action.name, dict(zip((p.name for p in action.params), values, strict=True))


def _domain(type_: Type, spec: Spec, world: World, top: int) -> tuple[Value, ...]:
    values = elements(type_, spec, world)
    return tuple(range(top + 1)) if values is None else values


def _key(state: State) -> tuple[Any, ...]:
    return tuple(
        tuple(content.values()) if isinstance(content, dict) else content for content in state
    )
