"""A state of the machine: the value of every state variable.

Goal: a cheap immutable record; a map over sorts and enums is a dict, a map over integers an
`IntervalMap`, a map over both a dict of `IntervalMap`s. Copies share what did not change.
Non-goals: deciding what an action changes (see `machine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from tessera.errors import TesseraError
from tessera.lang.typed import Spec, Var
from tessera.model.intervals import IntervalMap
from tessera.model.script import Value, World
from tessera.model.values import elements, first_value, is_integer, width_of

Content = Any
"""A value, a dict from a key to a value or an `IntervalMap`, or an `IntervalMap`."""
Key = Any
"""The one finite argument, or the tuple of several."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a variable is stored: which of its parameters are finite, and which is an integer."""

    var: Var
    slot: int
    keys: tuple[int, ...]
    integer: int | None

    @property
    def size(self) -> int:
        """One past the largest integer index."""
        assert self.integer is not None
        width = width_of(self.var.params[self.integer].type)
        assert width is not None
        return 1 << width

    def split(self, args: tuple[Value, ...]) -> tuple[Key, Value | None]:
        """The dict key (None when there is no finite parameter) and the integer index."""
        key: Key = tuple(args[i] for i in self.keys)
        if len(self.keys) < 2:
            key = key[0] if key else None
        return key, None if self.integer is None else args[self.integer]

    def read(self, content: Content, args: tuple[Value, ...]) -> Value:
        """The value at `args`."""
        key, index = self.split(args)
        if self.keys:
            content = content[key]
        value: Value = content if index is None else content[index]
        return value

    def write(self, content: Content, key: Key, lo: int, hi: int, value: Value) -> Content:
        """A copy with `[lo, hi)` (or, without an integer parameter, the one place) set."""
        old = content[key] if self.keys else content
        new = value if self.integer is None else old.set(lo, hi, value)
        if not self.keys:
            return new
        if new is old or (self.integer is None and new == old):
            return content
        return {**content, key: new}


def layout_of(var: Var, slot: int) -> Layout:
    """The layout of a variable. Raises TesseraError for two integer parameters."""
    integers = [i for i, p in enumerate(var.params) if is_integer(p.type)]
    if len(integers) > 1:
        raise TesseraError(
            f"'{var.name}' has {len(integers)} integer parameters; the simulator takes one",
            where=var.span,
            remedy="make one of them a sort or an enum",
        )
    keys = tuple(i for i in range(len(var.params)) if i not in integers)
    return Layout(var, slot, keys, integers[0] if integers else None)


def layouts_of(spec: Spec) -> dict[str, Layout]:
    """The layout of every variable, in order of declaration."""
    return {name: layout_of(var, i) for i, (name, var) in enumerate(spec.vars.items())}


def keys_of(layout: Layout, spec: Spec, world: World) -> list[Key]:
    """Every dict key of a variable, in order; empty when it has no finite parameter."""
    if not layout.keys:
        return []
    domains = [elements(layout.var.params[i].type, spec, world) or () for i in layout.keys]
    return [k[0] if len(k) == 1 else k for k in product(*domains)]


def first_state(layouts: dict[str, Layout], spec: Spec, world: World) -> tuple[Content, ...]:
    """The state before `init`: every variable at its type's first value."""
    out: list[Content] = []
    for layout in layouts.values():
        value: Content = first_value(layout.var.type, spec, world)
        if layout.integer is not None:
            value = IntervalMap(value, layout.size)
        if layout.keys:
            value = dict.fromkeys(keys_of(layout, spec, world), value)
        out.append(value)
    return tuple(out)
