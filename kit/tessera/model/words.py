"""What a step changed, in words, from the spec's own names.

Goal: `changes(before, after)` gives short lines such as `b1: live, start = 0 granules` and
`residue[0..3) = ta1`; facts about one element of a sort stand on one line. `facts(state)` tells a
state that no step led to.
Non-goals: pictures (see `draw`).
"""

from __future__ import annotations

from tessera.lang.types import BoolType, SortType, Type
from tessera.model.intervals import IntervalMap
from tessera.model.machine import Machine, State
from tessera.model.script import Value
from tessera.model.state import Content, Key, Layout, first_state
from tessera.model.values import show


class Words:
    """Describes states of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._layouts = machine.layouts
        self._blank = first_state(machine.layouts, machine.spec, machine.world)

    def facts(self, state: State) -> tuple[str, ...]:
        """The state in the same words: what differs from the types' first values, and all scalars.

        An element of which nothing differs is left out; of the others all but `false` is told.
        """
        records: dict[tuple[str, str], list[str]] = {}
        lines: list[str] = []
        for name, layout in self._layouts.items():
            content, blank = state[layout.slot], self._blank[layout.slot]
            if _is_record_field(layout):
                sort = str(layout.var.params[0].type)
                for element, value in content.items():
                    if self._marked(sort, element, state) and value is not False:
                        fact = _fact(name, value, layout.var.type)
                        records.setdefault((sort, element), []).append(fact)
            elif not layout.var.params:
                lines.append(_fact(name, content, layout.var.type))
            else:
                lines += _lines(layout, blank, content)
        told = [f"{element}: {', '.join(found)}" for (_, element), found in records.items()]
        return (*told, *lines)

    def _marked(self, sort: str, element: str, state: State) -> bool:
        """Whether anything about an element differs from the first values."""
        fields = [
            x
            for x in self._layouts.values()
            if _is_record_field(x) and str(x.var.params[0].type) == sort
        ]
        return any(state[x.slot][element] != self._blank[x.slot][element] for x in fields)

    def changes(self, before: State, after: State) -> tuple[str, ...]:
        """Every difference, elements first, in order of declaration; empty when nothing changed."""
        facts: dict[tuple[str, str], list[str]] = {}
        lines: list[str] = []
        for name, layout in self._layouts.items():
            old, new = before[layout.slot], after[layout.slot]
            if old is new:
                continue
            if _is_record_field(layout):
                sort = str(layout.var.params[0].type)
                for element, value in new.items():
                    if old[element] != value:
                        fact = _fact(name, value, layout.var.type)
                        facts.setdefault((sort, element), []).append(fact)
            else:
                lines += _lines(layout, old, new)
        records = [f"{element}: {', '.join(found)}" for (_, element), found in facts.items()]
        return (*records, *lines)


def _is_record_field(layout: Layout) -> bool:
    params = layout.var.params
    return len(params) == 1 and isinstance(params[0].type, SortType)


def _fact(name: str, value: Value, type_: Type) -> str:
    if isinstance(type_, BoolType):
        return name if value else f"not {name}"
    return f"{name} = {show(value, type_)}"


def _lines(layout: Layout, old: Content, new: Content) -> list[str]:
    name = layout.var.name
    if not layout.keys:
        return _place_lines(layout, name, "", old, new)
    out: list[str] = []
    for key in new:
        if old[key] != new[key]:
            out += _place_lines(layout, name, _key_text(key), old[key], new[key])
    return out


def _key_text(key: Key) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    return f"({', '.join(str(p) for p in parts)})"


def _place_lines(layout: Layout, name: str, at: str, old: Content, new: Content) -> list[str]:
    type_ = layout.var.type
    if not isinstance(new, IntervalMap):
        return [_fact(name + at, new, type_)]
    changed: list[tuple[int, int, Value]] = []
    for lo, hi, value in new.runs(0, new.size):
        for a, b, was in old.runs(lo, hi):
            if was == value:
                continue
            if changed and changed[-1][1] == a and changed[-1][2] == value:
                changed[-1] = (changed[-1][0], b, value)
            else:
                changed.append((a, b, value))
    return [_fact(f"{name}{at}{_range_text(lo, hi)}", value, type_) for lo, hi, value in changed]


def _range_text(lo: int, hi: int) -> str:
    return f"[{lo}]" if hi == lo + 1 else f"[{lo}..{hi})"
