"""States as memory strips, by the spec's own views.

Goal: `Drawer.strips(state)` evaluates every `view`; views of one name merge their items.
Non-goals: how a strip looks (see `tessera.report.strip`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tessera.lang.typed import Expr, Spec, ViewItem
from tessera.lang.types import IntType
from tessera.model.engine import Engine
from tessera.model.machine import State
from tessera.model.ramp import IDENTITY, Ramp, Unswept
from tessera.model.scope import Code, Frame, Scope
from tessera.model.script import Value
from tessera.model.sweep_logic import PieceCode, TruthCode, frame_at
from tessera.model.values import Undecided, elements
from tessera.results import Mark, Run, Strip


@dataclass(frozen=True, slots=True)
class _Item:
    """A view item compiled. `values` are those of a finite binder; an integer binder is swept."""

    kind: str
    label: str
    scope: Scope
    place: int | None
    values: tuple[Value, ...] | None
    guard: Code
    exprs: tuple[Code, ...]
    swept: _Swept | None


@dataclass(frozen=True, slots=True)
class _Swept:
    """What a mark over integers needs besides."""

    guard: TruthCode
    label: PieceCode
    top: int


class Drawer:
    """Draws states of one spec in one world."""

    def __init__(self, spec: Spec, engine: Engine) -> None:
        self._spec = spec
        self._engine = engine
        self._views: dict[str, list[_Item]] = {}
        self._titles: dict[str, str] = {}
        for view in spec.views:
            self._views.setdefault(view.name, []).extend(self._item(i) for i in view.items)
            self._titles[view.name] = self._titles.get(view.name) or view.doc
        self._titles = {name: title or name for name, title in self._titles.items()}

    def strips(self, state: State) -> tuple[Strip, ...]:
        """One strip per view name, in order of declaration.

        Raises `Undecided` when a mark ranges over too many integers.
        """
        return tuple(self._strip(self._titles[n], i, state) for n, i in self._views.items())

    def _strip(self, title: str, items: list[_Item], state: State) -> Strip:
        length = 0
        runs: list[Run] = []
        marks: list[Mark] = []
        zones: list[Mark] = []
        for item in items:
            f = item.scope.frame(state)
            if item.kind == "length":
                length = item.exprs[0](f)
            elif item.kind == "zone":
                lo, hi = (e(f) for e in item.exprs)
                zones.append(Mark(item.label, lo, max(hi - lo, 0)))
            elif item.kind == "run":
                runs += [_run(item, f) for _ in _passing(item, f)]
            else:
                marks += _marks(item, f)
        return Strip(title, length, tuple(runs), tuple(marks), tuple(zones))

    def _item(self, item: ViewItem) -> _Item:
        engine, scope, place = self._engine, Scope(), None
        values: tuple[Value, ...] | None = None
        if item.binder is not None:
            scope, place = scope.bind(item.binder.name)
            values = elements(item.binder.type, self._spec, engine.world)
        guard = engine.lower(item.guard)
        exprs = tuple(engine.lower(e) for e in item.exprs)
        codes = tuple(engine.evaluator.compile(e, scope) for e in exprs)
        code = engine.evaluator.compile(guard, scope)
        swept = self._swept(item, guard, exprs[0], scope) if values is None else None
        return _Item(item.kind, item.label, scope, place, values, code, codes, swept)

    def _swept(self, item: ViewItem, guard: Expr, label: Expr, scope: Scope) -> _Swept | None:
        if item.binder is None or not isinstance(item.binder.type, IntType):
            return None
        names, sweeper = frozenset((item.binder.name,)), self._engine.evaluator.sweeper
        top = 1 << item.binder.type.width
        return _Swept(sweeper.truth(guard, scope, names), sweeper.tried(label, scope, names), top)


def _passing(item: _Item, f: Frame) -> Iterator[Value]:
    """The elements that pass the guard; the frame holds the present one."""
    assert item.place is not None
    for value in item.values or ():
        f[item.place] = value
        if item.guard(f):
            yield value


def _run(item: _Item, f: Frame) -> Run:
    start, size, group, label = (e(f) for e in item.exprs)
    return Run(str(label), str(group), start, size)


def _marks(item: _Item, f: Frame) -> list[Mark]:
    """Neighbouring integers with one label make one mark; the hidden label makes none."""
    hidden = item.exprs[1]
    if item.swept is None:
        return [
            Mark(str(item.exprs[0](f)), 0, 1)
            for _ in _passing(item, f)
            if item.exprs[0](f) != hidden(f)
        ]
    assert item.place is not None
    f[item.place] = IDENTITY
    found: list[Mark] = []
    try:
        for a, b in item.swept.guard(f, 0, item.swept.top):
            for lo, hi, form in item.swept.label(f, a, b):
                if type(form) is Ramp:
                    raise Unswept
                if form != hidden(frame_at(f, lo)):
                    _join(found, Mark(str(form), lo, hi - lo))
    except Unswept:
        raise Undecided("a mark of the view", item.swept.top, None) from None
    return found


def _join(found: list[Mark], mark: Mark) -> None:
    last = found[-1] if found else None
    if last is not None and last.label == mark.label and last.start + last.size == mark.start:
        found[-1] = Mark(last.label, last.start, last.size + mark.size)
    else:
        found.append(mark)
