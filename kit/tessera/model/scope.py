"""Where local variables live while an expression runs.

Goal: names become places in a frame (a list) when an expression is compiled, so that running it
looks nothing up by name. Place 0 holds the state, place 1 the state before the step.
Non-goals: checking names (see `tessera.lang`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Frame = list[Any]
Code = Callable[[Frame], Any]
"""A compiled expression."""

FIRST_LOCAL = 2


@dataclass(slots=True)
class Unit:
    """What shares one frame: a function body, an action, a property."""

    size: int = FIRST_LOCAL


@dataclass(frozen=True, slots=True)
class Scope:
    """The locals that can be seen, by name."""

    unit: Unit = field(default_factory=Unit)
    places: dict[str, int] = field(default_factory=dict)

    def bind(self, name: str) -> tuple[Scope, int]:
        """A scope with one more local, and its place."""
        place = self.unit.size
        self.unit.size += 1
        return Scope(self.unit, {**self.places, name: place}), place

    def frame(self, now: Any, before: Any = None) -> Frame:
        """A fresh frame of the unit's present size."""
        return [now, before] + [None] * (self.unit.size - FIRST_LOCAL)
