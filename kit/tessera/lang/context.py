"""Where an expression stands: its local names and what it may look at.

Goal: one frozen value that is passed down while an expression is typed.
Non-goals: global names (see `tessera.lang.scope`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tessera.lang.types import Type


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of an expression; `what` names them in messages."""

    local: dict[str, Type] = field(default_factory=dict)
    what: str = "this expression"
    state: bool = True  # may read state variables
    old: bool = False  # may use old(...)
    policy: bool = False  # becomes C
    promise: bool = False  # may use `succeeds`
    unbounded: bool = False

    def bind(self, names: dict[str, Type]) -> Context:
        """The same place with more local names."""
        return replace(self, local={**self.local, **names})

    def inside_old(self) -> Context:
        """The argument of `old`, where no second `old` can stand."""
        return replace(self, old=False)
