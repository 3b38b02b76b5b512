"""States and scripts as plain data that JSON can hold, and back.

Goal: `state_data` and `script_data` write everything out with no Python type left; `state_of` and
`script_of` read it back and refuse what does not fit the spec.
A scalar is its value. A map over sorts, enums or booleans is an object by element, nested in the
order of its parameters. A map over integers is a list of runs `[lo, hi, value]` that cover the
type; where a variable has both kinds of parameter, the runs stand innermost.
Non-goals: the formats of other tools (see `tessera.report.itf`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tessera.errors import TesseraError
from tessera.lang.typed import Spec
from tessera.model.intervals import IntervalMap
from tessera.model.script import Event, Script, Value, World
from tessera.model.state import Content, Key, Layout, keys_of
from tessera.model.values import first_value, fits_type

_REMEDY = "export the trace again with this version of tessera"


# --- writing --------------------------------------------------------------------------------------


def state_data(layouts: Mapping[str, Layout], state: tuple[Content, ...]) -> dict[str, Any]:
    """Every variable of a state by name."""
    return {name: _content_data(layout, state[layout.slot]) for name, layout in layouts.items()}


def _content_data(layout: Layout, content: Content) -> Any:
    if not layout.keys:
        return _place_data(content)
    out: dict[str, Any] = {}
    for key, part in content.items():
        *outer, last = _parts(key)
        inner = out
        for element in outer:
            inner = inner.setdefault(element, {})
        inner[last] = _place_data(part)
    return out


def _parts(key: Key) -> list[str]:
    return [_word(part) for part in (key if isinstance(key, tuple) else (key,))]


def _word(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _place_data(content: Content) -> Any:
    if isinstance(content, IntervalMap):
        return [list(run) for run in content.runs(0, content.size)]
    return content


def script_data(script: Script, property_name: str) -> dict[str, Any]:
    """A script and the property that it is about. Tables are lists of `[arguments, value]`."""
    world = script.world
    out: dict[str, Any] = {
        "property": property_name,
        "world": {
            "scalars": dict(world.scalars),
            "universe": {sort: list(elements) for sort, elements in world.universe.items()},
            "tables": {
                name: [[list(args), value] for args, value in table.items()]
                for name, table in world.tables.items()
            },
        },
        "events": [
            {"action": e.action, "args": dict(e.args), "choices": dict(e.choices)}
            for e in script.events
        ],
    }
    if script.start is not None:
        out |= {"start": script.start, "assumed": list(script.assumed)}
    return out


# --- reading --------------------------------------------------------------------------------------


def script_of(data: Any, where: str) -> Script:
    """The script in what `script_data` wrote. Raises TesseraError for anything else."""
    try:
        world = data["world"]
        events = tuple(
            Event(str(e["action"]), _values(e["args"]), _values(e["choices"]))
            for e in _list(data["events"])
        )
        tables = {
            str(name): {tuple(_value(a) for a in _list(args)): _value(v) for args, v in rows}
            for name, rows in world["tables"].items()
        }
        universe = {
            str(s): tuple(str(e) for e in _list(elements))
            for s, elements in world["universe"].items()
        }
        start = data.get("start")
        if start is not None and not isinstance(start, dict):
            raise TypeError("'start' is not an object")
        assumed = tuple(str(name) for name in _list(data.get("assumed", [])))
        return Script(World(_values(world["scalars"]), universe, tables), events, start, assumed)
    except KeyError as error:
        raise TesseraError(
            f"this trace's script has no {error}", where=where, remedy=_REMEDY
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise TesseraError(
            f"this trace's script cannot be read: {error}", where=where, remedy=_REMEDY
        ) from None


def _list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError(f"a list is needed, not {type(data).__name__}")
    return data


def _values(data: Any) -> dict[str, Value]:
    return {str(name): _value(value) for name, value in data.items()}


def _value(data: Any) -> Value:
    if not isinstance(data, int | bool | str):
        raise TypeError(f"a value is needed, not {type(data).__name__}")
    return data


def state_of(
    data: Mapping[str, Any], layouts: Mapping[str, Layout], spec: Spec, world: World
) -> tuple[Content, ...]:
    """The state in what `state_data` wrote. Raises TesseraError when it is not one of this spec."""
    out: list[Content] = []
    for name, layout in layouts.items():
        try:
            out.append(_content_of(data[name], layout, spec, world))
        except (KeyError, TypeError, ValueError) as error:
            said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise TesseraError(f"the state's '{name}' cannot be read: {said}") from None
    return tuple(out)


def _content_of(data: Any, layout: Layout, spec: Spec, world: World) -> Content:
    if not layout.keys:
        return _place_of(data, layout, spec, world)
    out: dict[Key, Content] = {}
    for key in keys_of(layout, spec, world):
        part = data
        for element in _parts(key):
            part = part[element]
        out[key] = _place_of(part, layout, spec, world)
    return out


def _place_of(data: Any, layout: Layout, spec: Spec, world: World) -> Content:
    if layout.integer is None:
        return _checked(data, layout, spec, world)
    made = IntervalMap(first_value(layout.var.type, spec, world), layout.size)
    reached = 0
    for lo, hi, value in data:
        if lo != reached or hi <= lo or hi > layout.size:
            raise ValueError(f"a run from {reached} on is needed, not [{lo}, {hi})")
        made = made.set(lo, hi, _checked(value, layout, spec, world))
        reached = hi
    if reached != layout.size:
        raise ValueError(f"the runs end at {reached}, not at {layout.size}")
    return made


def _checked(data: Any, layout: Layout, spec: Spec, world: World) -> Value:
    value = _value(data)
    if not fits_type(value, layout.var.type, spec, world):
        raise ValueError(f"{value!r} is not a {layout.var.type} of this world")
    return value
