"""A concrete run of a machine as data: what the proofs hand to the simulator to replay.

Goal: the one format in which a world (constants, universes) and a sequence of events is written.
Non-goals: running it (see `tessera.model.simulator`) and finding it (see `tessera.prove`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Value = int | bool | str
"""Integers and booleans as themselves; enum members and sort elements by name."""


@dataclass(frozen=True, slots=True)
class World:
    """What stays the same during a run.

    `scalars` gives every scalar const of integer or enum type and every param; a const of sort type
    is an element of that name. `tables` gives every rigid function, by argument tuple; an
    argument that is missing has the type's first value (0, false, first element). `universe`
    lists the elements of every sort, named constants first.
    """

    scalars: dict[str, Value]
    universe: dict[str, tuple[str, ...]]
    tables: dict[str, dict[tuple[Value, ...], Value]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One firing of an action: its arguments, then its local choices, by name."""

    action: str
    args: dict[str, Value]
    choices: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Script:
    """A run from the initial state; variables that `init` leaves open start at the type's first
    value (0, false, the first element).

    With `start` it begins there instead, in a state written as `plain.state_data` does, which is to
    satisfy the properties named in `assumed`: a counterexample to induction.
    """

    world: World
    events: tuple[Event, ...]
    start: dict[str, Any] | None = None
    assumed: tuple[str, ...] = ()
