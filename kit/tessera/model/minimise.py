"""A run or state with nothing in it that the violation does not need.

Goal: `minimised` leaves out events, then makes one thing of two, then drops things that nothing
mentions, then sets places of the first state back to their types' first values; every change is
kept only when the simulator still reproduces the violation. Sizes are not touched.
Non-goals: finding runs; other actions (the search has found the fewest steps already).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tessera.lang.typed import Spec, Succeeds, Var
from tessera.lang.types import SortType, Type
from tessera.lang.walk import walk
from tessera.model.replay import replay
from tessera.model.script import Event, Script, Value, World
from tessera.model.values import elements, first_value, is_integer

Confirm = Callable[[Script], bool]


def minimised(spec: Spec, script: Script, property_name: str) -> Script:
    """The script, or a smaller one that is reproduced too; the script itself when it is not."""

    bare = _bare(spec, script, property_name)

    def confirm(candidate: Script) -> bool:
        return replay(bare, candidate, property_name).replayed

    if not confirm(script):
        return script
    script = _fewer_events(script, confirm)
    script = _fewer_things(spec, script, confirm)
    return _quieter(spec, script, confirm) if script.start is not None else script


def _bare(spec: Spec, script: Script, property_name: str) -> Spec:
    """Without what this replay does not look at, which would be compiled every time."""
    names = {property_name, *script.assumed}
    judged = tuple(p for p in spec.properties if p.name in names or p.kind == "assume")
    needed = {event.action for event in script.events} | {
        part.action for p in judged for part in walk(p.formula) if isinstance(part, Succeeds)
    }
    actions = tuple(a for a in spec.actions if a.name in needed)
    return replace(spec, actions=actions, properties=judged, views=())


def _fewer_events(script: Script, confirm: Confirm) -> Script:
    """Without neighbouring events that are not needed; those of a counterexample to induction are.

    The search's own runs are short, so every place is tried for every length.
    """
    if script.start is not None:
        return script
    chunk = len(script.events) - 1
    while chunk > 0:
        for at in reversed(range(len(script.events) - chunk + 1)):
            without = replace(script, events=script.events[:at] + script.events[at + chunk :])
            if confirm(without):
                script = without
                break
        else:
            chunk -= 1
        chunk = min(chunk, len(script.events) - 1)
    return script


# --- things ---------------------------------------------------------------------------------------


def _fewer_things(spec: Spec, script: Script, confirm: Confirm) -> Script:
    for sort in spec.sorts:
        type_ = SortType(sort.name)
        named = spec.sort_elements(type_)
        spare = [e for e in script.world.universe[sort.name] if e not in named]
        for thing in reversed(spare):
            for candidate in _without(spec, script, type_, thing):
                if confirm(candidate):
                    script = candidate
                    break
    return script


def _without(spec: Spec, script: Script, type_: SortType, thing: str) -> Iterator[Script]:
    """Scripts in a world without a thing: an earlier one takes its place in the events."""
    left = tuple(e for e in script.world.universe[type_.name] if e != thing)
    used = thing in {v for e in script.events for v in (*e.args.values(), *e.choices.values())}
    for other in left if used else left[:1]:
        yield _renamed(spec, script, type_, thing, other, left)


def _renamed(
    spec: Spec, script: Script, type_: SortType, old: str, new: str, left: tuple[str, ...]
) -> Script:
    """`new` for `old` in events and values; what is said of `old` itself is gone."""

    def put(value: Value) -> Value:
        return new if value == old else value

    def all_of(values: dict[str, Value]) -> dict[str, Value]:
        return {name: put(value) for name, value in values.items()}

    world = script.world
    tables = {
        name: {key: put(value) for key, value in table.items() if old not in key}
        for name, table in world.tables.items()
    }
    start = script.start
    if start is not None:
        start = {v.name: _state_without(start[v.name], v, 0, type_, old, new) for v in _vars(spec)}
    events = tuple(Event(e.action, all_of(e.args), all_of(e.choices)) for e in script.events)
    universe = {**world.universe, type_.name: left}
    return Script(World(world.scalars, universe, tables), events, start, script.assumed)


def _vars(spec: Spec) -> list[Var]:
    return list(spec.vars.values())


def _state_without(data: Any, var: Var, at: int, type_: Type, old: str, new: str) -> Any:
    """A variable's plain data (see `plain`) without one thing."""
    finite = [p for p in var.params if not is_integer(p.type)]
    if at < len(finite):
        return {
            key: _state_without(part, var, at + 1, type_, old, new)
            for key, part in data.items()
            if not (finite[at].type == type_ and key == old)
        }
    if var.type != type_:
        return data
    if len(finite) < len(var.params):
        return _joined([[lo, hi, new if value == old else value] for lo, hi, value in data])
    return new if data == old else data


def _joined(runs: list[list[Any]]) -> list[list[Any]]:
    out: list[list[Any]] = []
    for lo, hi, value in runs:
        if out and out[-1][2] == value:
            out[-1][1] = hi
        else:
            out.append([lo, hi, value])
    return out


# --- the first state of a counterexample to induction ---------------------------------------------


def _quieter(spec: Spec, script: Script, confirm: Confirm) -> Script:
    """With as many places as can be at their types' first values."""
    for var in _vars(spec):
        blank = first_value(var.type, spec, script.world)
        for path in _paths(spec, script, var):
            for change in _blanks(_at(script, var, path), blank, len(path) < len(var.params)):
                candidate = _set(script, var, path, change)
                if confirm(candidate):
                    script = candidate
                    break
    return script


def _paths(spec: Spec, script: Script, var: Var) -> list[tuple[str, ...]]:
    """The finite arguments of a variable."""
    paths: list[tuple[str, ...]] = [()]
    for param in var.params:
        values = elements(param.type, spec, script.world)
        if values is not None:
            words = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
            paths = [(*path, word) for path in paths for word in words]
    return paths


def _at(script: Script, var: Var, path: tuple[str, ...]) -> Any:
    assert script.start is not None
    data = script.start[var.name]
    for word in path:
        data = data[word]
    return data


def _blanks(data: Any, blank: Value, runs: bool) -> Iterator[Any]:
    """Quieter data for one place, the quietest first."""
    if not runs:
        if data != blank:
            yield blank
        return
    top = data[-1][1]
    if data != [[0, top, blank]]:
        yield [[0, top, blank]]
    # Only what lies low matters in most states: the places before some small bound are kept.
    for bound in (1, 2, 4, 8):
        kept = [[lo, min(hi, bound), value] for lo, hi, value in data if lo < bound]
        shorter = _joined([*kept, [bound, top, blank]])
        if bound < top and shorter != data:
            yield shorter


def _set(script: Script, var: Var, path: tuple[str, ...], data: Any) -> Script:
    assert script.start is not None
    return replace(
        script, start={**script.start, var.name: _put(script.start[var.name], path, data)}
    )


def _put(old: Any, path: tuple[str, ...], data: Any) -> Any:
    if not path:
        return data
    return {**old, path[0]: _put(old[path[0]], path[1:], data)}
