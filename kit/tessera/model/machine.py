"""The actions of a spec in one world, compiled.

Goal: for every action its guards, choices and updates as closures; `Machine.initial()`.
All updates read the state before the action; later updates of a variable win.
Non-goals: picking actions (see `explore`), properties (see `properties`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from tessera.errors import Span
from tessera.lang.typed import (
    Action,
    Binder,
    Choose,
    Let,
    Local,
    Require,
    Spec,
    Statement,
    Update,
)
from tessera.model.domains import Candidates, first_passing, passing
from tessera.model.engine import Engine
from tessera.model.ramp import IDENTITY, Ramp, Unswept
from tessera.model.scope import Code, Frame, Scope
from tessera.model.script import Value, World
from tessera.model.state import Content, first_state
from tessera.model.sweep_logic import MAX_POINTS, PieceCode, TruthCode, frame_at
from tessera.model.values import Undecided, elements, is_integer

State = tuple[Content, ...]
"""The contents of all variables, in order of declaration."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A `require`."""

    test: Code
    span: Span


@dataclass(frozen=True, slots=True)
class Bind:
    """A `let`."""

    place: int
    value: Code


@dataclass(frozen=True, slots=True)
class Choice:
    """A local choice: `values` for finite types, else `passing` and `first`."""

    kind: str
    binder: Binder
    place: int
    test: Code
    values: tuple[Value, ...] | None
    passing: Candidates | None
    first: Any
    span: Span


@dataclass(frozen=True, slots=True)
class Write:
    """An update. `finite` are enumerated; `swept` is the place of an integer binder."""

    var: str
    args: tuple[Code, ...]
    finite: tuple[tuple[int, tuple[Value, ...]], ...]
    swept: int | None
    guard: Code
    guard_parts: TruthCode | None
    value: Code
    value_parts: PieceCode | None
    span: Span


Compiled = Guard | Bind | Choice | Write


@dataclass(frozen=True, slots=True)
class CompiledAction:
    """An action with the places of its parameters in the frame."""

    name: str
    params: tuple[Binder, ...]
    places: tuple[int, ...]
    body: tuple[Compiled, ...]
    scope: Scope
    span: Span

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The local choices, in order."""
        return tuple(s for s in self.body if isinstance(s, Choice))

    def frame(self, state: State, args: dict[str, Value]) -> Frame:
        """A frame with the arguments in place."""
        f = self.scope.frame(state)
        for param, place in zip(self.params, self.places, strict=True):
            f[place] = args[param.name]
        return f


class Machine:
    """The actions and the initial state of a spec in a world."""

    def __init__(self, spec: Spec, world: World) -> None:
        self.spec = spec
        self.world = world
        self.engine = Engine(spec, world)
        self.layouts = self.engine.evaluator.layouts
        self.actions = {a.name: self._action(a) for a in spec.actions}
        init = Action("init", (), "", spec.init, spec.init[0].span if spec.init else _NOWHERE)
        self._init = self._action(init)

    def initial(self) -> State:
        """The state after `init`; variables that it leaves open are at their first value."""
        first = first_state(self.layouts, self.spec, self.world)
        f = self._init.scope.frame(first)
        for statement in self._init.body:
            if isinstance(statement, Bind):
                f[statement.place] = statement.value(f)
        return self.after(self._init, f)

    def after(self, action: CompiledAction, f: Frame) -> State:
        """The state that the updates give; `f` holds the state before and every local."""
        out = list(f[0])
        for statement in action.body:
            if isinstance(statement, Write):
                slot = self.layouts[statement.var].slot
                out[slot] = self._written(statement, f, out[slot])
        return tuple(out)

    # --- running an update -----------------------------------------------------------------------

    def _written(self, write: Write, f: Frame, content: Content) -> Content:
        for values in product(*(domain for _, domain in write.finite)):
            for (place, _), value in zip(write.finite, values, strict=True):
                f[place] = value
            if write.swept is not None:
                content = self._swept(write, f, content, write.swept)
            elif write.guard(f):
                content = self._point(write, f, content)
        return content

    def _point(self, write: Write, f: Frame, content: Content) -> Content:
        layout = self.layouts[write.var]
        key, index = layout.split(tuple(a(f) for a in write.args))
        lo = index if isinstance(index, int) else 0
        return layout.write(content, key, lo, lo + 1, write.value(f))

    def _swept(self, write: Write, f: Frame, content: Content, place: int) -> Content:
        layout = self.layouts[write.var]
        assert write.guard_parts is not None and write.value_parts is not None
        f[place] = IDENTITY
        try:
            for a, b in write.guard_parts(f, 0, layout.size):
                for lo, hi, form in write.value_parts(f, a, b):
                    if type(form) is Ramp:
                        content = self._each(write, f, content, lo, hi)
                        continue
                    key, _ = layout.split(tuple(code(f) for code in write.args))
                    content = layout.write(content, key, lo, hi, form)
        except Unswept:
            raise Undecided(f"the update of '{write.var}'", layout.size, write.span) from None
        return content

    def _each(self, write: Write, f: Frame, content: Content, lo: int, hi: int) -> Content:
        if hi - lo > MAX_POINTS:
            raise Unswept
        for x in range(lo, hi):
            content = self._point(write, frame_at(f, x), content)
        return content

    # --- compiling -------------------------------------------------------------------------------

    def _action(self, action: Action) -> CompiledAction:
        scope, places = Scope(), []
        for param in action.params:
            scope, place = scope.bind(param.name)
            places.append(place)
        body: list[Compiled] = []
        for statement in action.body:
            scope, compiled = self._statement(statement, scope)
            body.append(compiled)
        return CompiledAction(
            action.name, action.params, tuple(places), tuple(body), scope, action.span
        )

    def _statement(self, statement: Statement, scope: Scope) -> tuple[Scope, Compiled]:
        engine = self.engine
        match statement:
            case Require():
                return scope, Guard(engine.compile(statement.test, scope), statement.span)
            case Let():
                value = engine.compile(statement.value, scope)
                scope, place = scope.bind(statement.name)
                return scope, Bind(place, value)
            case Choose():
                return self._choice(statement, scope)
            case Update():
                return scope, self._update(statement, scope)

    def _choice(self, choose: Choose, scope: Scope) -> tuple[Scope, Choice]:
        binder, evaluator = choose.binder, self.engine.evaluator
        scope, place = scope.bind(binder.name)
        test = self.engine.lower(choose.test)
        values = elements(binder.type, self.spec, self.world)
        parts = None if values is not None else passing(evaluator, binder, test, scope)
        first = None if values is not None else first_passing(evaluator, binder, test, scope)
        code = evaluator.compile(test, scope)
        return scope, Choice(choose.kind, binder, place, code, values, parts, first, choose.span)

    def _update(self, update: Update, scope: Scope) -> Write:
        engine, evaluator = self.engine, self.engine.evaluator
        finite: list[tuple[int, tuple[Value, ...]]] = []
        swept: Binder | None = None
        for binder in update.binders:
            scope, place = scope.bind(binder.name)
            if is_integer(binder.type):
                swept = binder
            else:
                finite.append((place, elements(binder.type, self.spec, self.world) or ()))
        guard, value = engine.lower(update.guard), engine.lower(update.value)
        args = tuple(engine.compile(a, scope) for a in update.args)
        names = frozenset((swept.name,)) if swept else frozenset()
        parts = evaluator.sweeper.truth(guard, scope, names) if swept else None
        forms = evaluator.sweeper.tried(value, scope, names) if swept else None
        indexes = {a.name for a in update.args if isinstance(a, Local)}
        assert swept is None or swept.name in indexes, "the index of a bulk update is its binder"
        return Write(
            update.var,
            args,
            tuple(finite),
            scope.places[swept.name] if swept else None,
            evaluator.compile(guard, scope),
            parts,
            evaluator.compile(value, scope),
            forms,
            update.span,
        )


_NOWHERE = Span("", 0, 0, 0, 0)


def candidates(choice: Choice, f: Frame) -> Iterator[Value]:
    """Every value that a choice may take, in order; for `least` the one it must take.

    Raises `Undecided` when an integer choice cannot be enumerated.
    """
    if choice.kind == "least":
        yield from _least(choice, f)
    elif choice.values is not None:
        for value in choice.values:
            f[choice.place] = value
            if choice.test(f):
                yield value
    else:
        assert choice.passing is not None
        for lo, hi in choice.passing(f):
            yield from range(lo, hi)


def _least(choice: Choice, f: Frame) -> Iterator[Value]:
    if choice.values is None:
        found = choice.first(f)
        if found is not None:
            yield found
        return
    for value in choice.values:
        f[choice.place] = value
        if choice.test(f):
            yield value
            return
