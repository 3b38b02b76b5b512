"""Which part of a formula fails in a concrete state, and for which values.

Goal: `failing` walks from a formula that is false to its smallest part that is false on its own:
one side of an `and`, the right side of an implication, the body of a universal quantifier at values
that break it. `evidence` collects the integers that show why a formula has the value that it has.
Non-goals: finding states; anything that the simulator's evaluator does not decide stays whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tessera.errors import Span
from tessera.lang.typed import Apply, Binary, Cast, Expr, Ite, Old, Quant
from tessera.lang.types import Type
from tessera.model.domains import samples
from tessera.model.engine import Engine
from tessera.model.intervals import complement
from tessera.model.lower import children
from tessera.model.machine import State
from tessera.model.ramp import IDENTITY, Unswept
from tessera.model.scope import Frame, Scope
from tessera.model.script import Value
from tessera.model.simulator import source_text
from tessera.model.values import Undecided, elements, show, width_of

_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
Names = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Conjunct:
    """A part of a formula: as written, with the values of its names, and where it stands."""

    text: str
    span: Span


class Finder:
    """Looks at formulas in one state (`before`: the state before the last step, for `old`)."""

    def __init__(self, engine: Engine, state: State, before: State | None = None) -> None:
        self._engine = engine
        self._spec = engine.spec
        self._state = state
        self._before = before

    # --- the part that fails ----------------------------------------------------------------------

    def failing(self, formula: Expr) -> Conjunct:
        """The smallest part of a false formula that is false on its own."""
        names: Names = {}
        types: dict[str, Type] = {}
        while True:
            try:
                deeper = self._deeper(formula, names)
            except (Undecided, Unswept):
                deeper = None
            if deeper is None:
                return self._conjunct(formula, names, types)
            formula, names, more = deeper
            types = {n: more.get(n) or types[n] for n in names}

    def _deeper(self, expr: Expr, names: Names) -> tuple[Expr, Names, dict[str, Type]] | None:
        """The part to look at next, its names and the types of new ones; None for a leaf."""
        match expr:
            case Binary(op="and"):
                left_fails = not self.value(expr.left, names)
                return (expr.left if left_fails else expr.right), names, {}
            case Binary(op="=>"):
                return expr.right, names, {}
            case Ite() if expr.type == expr.test.type:
                holds = self.value(expr.test, names)
                return (expr.then if holds else expr.other), names, {}
            case Quant(kind="forall"):
                found = self._bindings(expr, names)
                if found is None:
                    return None
                return expr.body, {**names, **found}, {b.name: b.type for b in expr.binders}
            case Apply(kind="function" | "policy"):
                function = self._spec.functions[expr.name]
                if not _splits(function.body):
                    return None
                args = {
                    p.name: self.value(a, names)
                    for p, a in zip(function.params, expr.args, strict=True)
                }
                return function.body, args, {p.name: p.type for p in function.params}
            case _:
                return None

    def _conjunct(self, expr: Expr, names: Names, types: dict[str, Type]) -> Conjunct:
        values = {n: show(v, types[n]) for n, v in names.items()}
        if isinstance(expr, Binary) and expr.op in _COMPARE:
            for side in (expr.left, expr.right):
                if isinstance(side, Apply | Binary | Cast | Old):
                    text = source_text(self._spec, side.span)
                    try:
                        values[text] = show(self.value(side, names), side.type)
                    except (Undecided, Unswept):
                        continue
        shown = ", ".join(f"{n} = {v}" for n, v in values.items() if n != v)
        text = source_text(self._spec, expr.span)
        return Conjunct(f"{text}  with {shown}" if shown else text, expr.span)

    # --- values -----------------------------------------------------------------------------------

    def value(self, expr: Expr, names: Names) -> Any:
        """The value of a surface expression. Raises `Undecided`."""
        return self._lowered(self._engine.lower(expr), names)

    def _lowered(self, expr: Expr, names: Names) -> Any:
        scope, places = _scope(names)
        code = self._engine.evaluator.compile(expr, scope)
        return code(self._frame(scope, places, names))

    def _frame(self, scope: Scope, places: dict[str, int], names: Names) -> Frame:
        f = scope.frame(self._state, self._before)
        for name, place in places.items():
            f[place] = names[name]
        return f

    def _bindings(self, quant: Quant, names: Names) -> Names | None:
        """Values of all its names that settle a quantifier against its default."""
        node = self._engine.lower(quant)
        found: Names = {}
        for _ in quant.binders:
            assert isinstance(node, Quant)
            value = self._settling(node, {**names, **found})
            if value is None:
                return None
            found[node.binders[0].name] = value
            node = node.body
        return {b.name: found[b.name] for b in quant.binders}

    def _settling(self, quant: Quant, names: Names) -> Value | None:
        """The first value that makes a `forall` over one name false, or an `exists` true."""
        (binder,) = quant.binders
        values = elements(binder.type, self._spec, self._engine.world)
        if values is None:
            return self._settling_integer(quant, names)
        for value in values:
            inner = {**names, binder.name: value}
            try:
                if self._lowered(quant.guard, inner) and self._lowered(quant.body, inner) != (
                    quant.kind == "forall"
                ):
                    return value
            except (Undecided, Unswept):
                continue
        return None

    def _settling_integer(self, quant: Quant, names: Names) -> int | None:
        (binder,) = quant.binders
        width = width_of(binder.type)
        if width is None:
            return None
        universal = quant.kind == "forall"
        scope, places = _scope(names)
        scope, place = scope.bind(binder.name)
        sweeper = self._engine.evaluator.sweeper
        guard = sweeper.truth(quant.guard, scope, frozenset((binder.name,)))
        body = sweeper.truth(quant.body, scope, frozenset((binder.name,)))
        f = self._frame(scope, places, names)
        open_ = [(0, 1 << width)]
        try:
            f[place] = IDENTITY
            open_ = guard(f, 0, 1 << width)
            for lo, hi in open_:
                f[place] = IDENTITY
                true = body(f, lo, hi)
                settled = complement(true, lo, hi) if universal else true
                if settled:
                    return settled[0][0]
            return None
        except (Undecided, Unswept):
            return self._sampled(quant, names, samples(open_, f))

    def _sampled(self, quant: Quant, names: Names, values: list[int]) -> int | None:
        (binder,) = quant.binders
        for value in values:
            inner = {**names, binder.name: value}
            try:
                if self._lowered(quant.guard, inner) and self._lowered(quant.body, inner) != (
                    quant.kind == "forall"
                ):
                    return value
            except (Undecided, Unswept):
                continue
        return None

    # --- why a formula has its value --------------------------------------------------------------

    def evidence(self, formula: Expr, names: Names | None = None) -> set[int]:
        """The integers at which quantifiers are settled; a universal that holds gives none."""
        return set(self._evidence(self._engine.lower(formula), names or {}))

    def _evidence(self, expr: Expr, names: Names) -> Iterator[int]:
        match expr:
            case Quant():
                try:
                    value = self._settling(expr, names)
                except (Undecided, Unswept):
                    return
                if value is None:
                    return
                if type(value) is int:
                    yield value
                inner = {**names, expr.binders[0].name: value}
                yield from self._evidence(expr.guard, inner)
                yield from self._evidence(expr.body, inner)
            case Apply(kind="function" | "policy"):
                function = self._engine.evaluator.lowering.functions[expr.name]
                try:
                    args = {
                        p.name: self._lowered(a, names)
                        for p, a in zip(function.params, expr.args, strict=True)
                    }
                except (Undecided, Unswept):
                    return
                yield from self._evidence(function.body, args)
            case _:
                for child in children(expr):
                    yield from self._evidence(child, names)


def _splits(body: Expr) -> bool:
    """Whether a function's body has parts that can fail on their own."""
    return isinstance(body, Quant | Binary) and (
        body.kind == "forall" if isinstance(body, Quant) else body.op in ("and", "=>")
    )


def _scope(names: Names) -> tuple[Scope, dict[str, int]]:
    scope, places = Scope(), {}
    for name in names:
        scope, place = scope.bind(name)
        places[name] = place
    return scope, places
