"""Rigid functions of a world: the same in every state.

Goal: a function of an integer as runs of equal values; a missing argument has the first value.
Non-goals: making worlds (see `world`).
"""

from __future__ import annotations

from tessera.errors import TesseraError
from tessera.lang.typed import Spec
from tessera.model.intervals import IntervalMap
from tessera.model.script import Value, World
from tessera.model.values import first_value, width_of


def runs_of(
    spec: Spec, world: World, name: str, place: int
) -> dict[tuple[Value, ...], IntervalMap]:
    """A rigid function with one integer parameter, at `place`, as maps over that parameter.

    The key is the tuple of the other arguments. Raises TesseraError for an unbounded parameter.
    """
    const = spec.consts[name]
    width = width_of(const.params[place].type)
    if width is None:
        raise TesseraError(f"'{name}' has an unbounded parameter", where=const.span)
    first = first_value(const.type, spec, world)
    out: dict[tuple[Value, ...], IntervalMap] = {}
    for args, value in world.tables.get(name, {}).items():
        key = args[:place] + args[place + 1 :]
        at = int(args[place])
        out[key] = out.get(key, IntervalMap(first, 1 << width)).set(at, at + 1, value)
    return out
