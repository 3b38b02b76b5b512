"""A shorter run to the same violation.

Goal: leave out events, in chunks of falling size, as long as the property still fails at the end
of those that can still fire; choices and integers are kept where they can be and else made anew.
Non-goals: the shortest run possible (the proofs find that).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product

from tessera.lang.typed import Spec
from tessera.model.boundaries import boundaries
from tessera.model.properties import Truth
from tessera.model.script import Event, Script, Value
from tessera.model.simulator import NotEnabled, Simulator
from tessera.model.values import Undecided, is_integer

_VARIANTS = 40


def shrink(spec: Spec, script: Script, property_name: str) -> Script:
    """A script with a subset of the events that still violates the property; else the script."""
    simulator = Simulator(spec, script.world)
    events: Sequence[Event] = _failing(simulator, script.events, property_name) or script.events
    chunk = max(len(events) // 2, 1)
    while True:
        shorter = _without_some(simulator, events, chunk, property_name)
        if shorter is not None:
            events = shorter
        elif chunk == 1:
            return Script(script.world, tuple(events))
        else:
            chunk //= 2


def _without_some(
    simulator: Simulator, events: Sequence[Event], chunk: int, name: str
) -> list[Event] | None:
    """The events without one run of `chunk` of them, None when all are needed."""
    for at in range(len(events) - chunk, -chunk, -chunk):
        kept = [*events[: max(at, 0)], *events[max(at, 0) + chunk :]]
        found = _failing(simulator, kept, name) if len(kept) < len(events) else None
        if found is not None:
            return found
    return None


def _fired(simulator: Simulator, event: Event) -> Event | None:
    """Take the step with its own choices (so that later events still mean the same things), else
    with others, else with other integers; None when it cannot be taken."""
    try:
        simulator.fire(event)
        return event
    except (NotEnabled, Undecided):
        pass
    for args in islice(_variants(simulator, event), _VARIANTS):
        try:
            choices = simulator.enabled(event.action, args)
        except Undecided:
            continue
        if choices is not None:
            other = Event(event.action, args, choices)
            simulator.fire(other)
            return other
    return None


def _variants(simulator: Simulator, event: Event) -> Iterator[dict[str, Value]]:
    """The arguments as they are, then with integers taken from the state's boundaries."""
    yield event.args
    params = simulator.machine.actions[event.action].params
    marks = boundaries(simulator)
    domains = [marks if is_integer(p.type) else [event.args[p.name]] for p in params]
    for values in product(*domains):
        yield dict(zip((p.name for p in params), values, strict=True))


def _failing(simulator: Simulator, events: Sequence[Event], name: str) -> list[Event] | None:
    """The run of those events that can fire, cut where the property first fails."""
    simulator.reset()
    taken: list[Event] = []
    if simulator.truth(name) is Truth.FAILS:
        return taken
    for event in events:
        fired = _fired(simulator, event)
        if fired is None:
            continue
        taken.append(fired)
        if simulator.truth(name) is Truth.FAILS:
            return taken
    return None
