"""Runs made easy to read: things numbered as they appear, unused ones left out.

Goal: two scripts that say the same as the one that the solver gave.
Non-goals: shortening runs or shrinking sizes (see `tessera.prove.bounded`).
"""

from __future__ import annotations

from tessera.model.script import Event, Script, Value, World


def in_order(script: Script) -> Script:
    """The same run with unnamed things numbered in the order in which they appear."""
    renamed: dict[str, str] = {}
    for elements in script.world.universe.values():
        fresh = [e for e in elements if e[-1:].isdigit()]
        used: list[str] = []
        for event in script.events:
            for value in (*event.args.values(), *event.choices.values()):
                if value in fresh and value not in used:
                    used.append(str(value))
        rest = [e for e in fresh if e not in used]
        renamed |= dict(zip([*used, *rest], fresh, strict=True))

    def new(value: Value) -> Value:
        return renamed.get(value, value) if isinstance(value, str) else value

    events = tuple(
        Event(
            e.action,
            {k: new(v) for k, v in e.args.items()},
            {k: new(v) for k, v in e.choices.items()},
        )
        for e in script.events
    )
    tables = {
        name: {tuple(new(k) for k in key): new(v) for key, v in sorted(table.items(), key=str)}
        for name, table in script.world.tables.items()
    }
    return Script(World(script.world.scalars, script.world.universe, tables), events)


def trimmed(script: Script) -> Script:
    """The run in a world without the unnamed things that no event mentions.

    A property may speak of a thing that no event names, so the caller replays this first and falls
    back on the whole world.
    """
    used = {v for e in script.events for v in (*e.args.values(), *e.choices.values())}
    universe = {
        sort: tuple(e for e in elements if e in used or not e[-1:].isdigit())
        for sort, elements in script.world.universe.items()
    }
    gone = {
        e
        for sort, elements in script.world.universe.items()
        for e in elements
        if e not in universe[sort]
    }
    tables = {
        name: {key: v for key, v in table.items() if not gone & set(key) and v not in gone}
        for name, table in script.world.tables.items()
    }
    return Script(World(script.world.scalars, universe, tables), script.events)
