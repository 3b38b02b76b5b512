"""Simple facts about a spec's state that may be the invariant that is missing.

Goal: `candidates(spec)` makes formulas from a few templates over the spec's own variables,
constants and literals, simplest first: bounds, equalities and remainders of integers, implications
between booleans and conditions, and the same for every element of a set.
Non-goals: whether any of them is true (see `tessera.prove.strengthen`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from tessera.errors import Span
from tessera.lang import typed as t
from tessera.lang.show import show
from tessera.lang.types import BOOL, BoolType, EnumType, IntType, SortType, Type
from tessera.lang.walk import walk
from tessera.model.lower import free_names
from tessera.prove.transition import substitute

MOST = 2000
_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
_SPAN = Span("", 0, 0, 0, 0)


def candidates(spec: t.Spec) -> list[t.Expr]:
    """Formulas without repetition, the shortest first."""
    maker = _Maker(spec)
    found: dict[str, t.Expr] = {}
    for expr in (*maker.closed(), *maker.of_elements(), *maker.of_pairs()):
        found.setdefault(show(expr), expr)
        if len(found) == MOST:
            break
    return sorted(found.values(), key=lambda e: (sum(1 for _ in walk(e)), len(show(e))))


class _Maker:
    def __init__(self, spec: t.Spec) -> None:
        self.spec = spec
        self.formulas = [*_formulas(spec)]
        self.literals: dict[Type, dict[int, None]] = {}
        for formula in self.formulas:
            for part in walk(formula):
                if isinstance(part, t.IntLit):
                    self.literals.setdefault(part.type, {})[part.value] = None

    # --- scalars ----------------------------------------------------------------------------------

    def closed(self) -> Iterator[t.Expr]:
        """About the variables without parameters."""
        own, made = [*self._conditions()], [*self._templates()]
        simple = [*own, *made]
        yield from simple
        yield from (_not(a) for a in simple)
        switches = [a for a in own if _is_switch(a)] + [a for a in made if _few_values(a)]
        sides = [*simple, *(_not(a) for a in simple)]
        for left, right in product([*switches, *(_not(a) for a in switches)], sides):
            if show(left) != show(right):
                yield _binary("=>", left, right)

    def _conditions(self) -> Iterator[t.Expr]:
        """Conditions on scalars that the spec itself has."""
        for formula in self.formulas:
            for part in walk(formula):
                if _is_condition(part) and not free_names(part) and _reads(part):
                    yield part

    def _templates(self) -> Iterator[t.Expr]:
        """Conditions on one scalar each."""
        for var in self.spec.vars.values():
            if not var.params:
                yield from self._about(_var(var))

    def _about(self, term: t.Expr) -> Iterator[t.Expr]:
        """What may be said of one value."""
        type_ = term.type
        match type_:
            case BoolType():
                yield term
            case EnumType():
                for member in self.spec.enums[type_.name]:
                    yield _binary("==", term, t.EnumLit(member, type_, _SPAN))
            case SortType():
                for name in self.spec.sort_elements(type_):
                    yield _binary("==", term, t.Apply("const", name, (), type_, _SPAN))
            case IntType():
                for bound in self._numbers(type_):
                    if bound != term:
                        yield from (_binary(op, term, bound) for op in ("<=", ">=", "!=", "=="))
                if type_.unit is None:
                    for step in sorted(self.literals.get(type_, {})):
                        if 2 <= step <= 16:
                            by = t.IntLit(step, type_, _SPAN)
                            rest = t.Binary("%", term, by, type_, _SPAN)
                            yield _binary("==", rest, t.IntLit(0, type_, _SPAN))

    def _numbers(self, type_: IntType) -> Iterator[t.Expr]:
        """Literals, constants, parameters and scalar variables of one type."""
        for value in sorted({0, 1, *self.literals.get(type_, {})}):
            yield t.IntLit(value, type_, _SPAN)
        for const in self.spec.consts.values():
            if not const.params and const.type == type_:
                yield t.Apply("const", const.name, (), type_, _SPAN)
        for param in self.spec.params.values():
            if param.type == type_:
                yield t.Apply("param", param.name, (), type_, _SPAN)
        for var in self.spec.vars.values():
            if not var.params and var.type == type_:
                yield _var(var)

    # --- elements ---------------------------------------------------------------------------------

    def of_elements(self) -> Iterator[t.Expr]:
        """For every element of a sort or of a set: what may be said of its maps."""
        for type_ in self._sorts():
            x = t.Local("x", type_, _SPAN)
            facts = [*self._facts(x)]
            for fact in facts:
                for set_ in self._sets(type_):
                    member = _var(set_, x)
                    if show(member) not in (show(fact), show(_not(fact))):
                        yield _all((x,), member, fact)
                        yield _all((x,), member, _not(fact))
                yield _all((x,), _true(), fact)
                yield _all((x,), _true(), _not(fact))

    def _facts(self, x: t.Local) -> Iterator[t.Expr]:
        for formula in self.formulas:
            for part in walk(formula):
                if _is_condition(part) and len(free_names(part)) == 1 and _reads(part):
                    (name,) = free_names(part)
                    if all(e.type == x.type for e in walk(part) if isinstance(e, t.Local)):
                        yield substitute(part, {name: x})
        for var in self.spec.vars.values():
            if [p.type for p in var.params] == [x.type]:
                yield from self._about(_var(var, x))

    def of_pairs(self) -> Iterator[t.Expr]:
        """Two elements of a set never have the same value."""
        for type_ in self._sorts():
            a, b = t.Local("a", type_, _SPAN), t.Local("b", type_, _SPAN)
            apart = _binary("!=", a, b)
            for var, set_ in product(self.spec.vars.values(), self._sets(type_)):
                if [p.type for p in var.params] == [type_] and not isinstance(var.type, BoolType):
                    guard = _and(_and(_var(set_, a), _var(set_, b)), apart)
                    yield _all((a, b), guard, _binary("!=", _var(var, a), _var(var, b)))
            for set_ in self._sets(type_):
                guard = _and(_var(set_, a), _var(set_, b))
                yield _all((a, b), guard, _binary("==", a, b))

    def _sorts(self) -> list[Type]:
        types = {p.type: None for v in self.spec.vars.values() for p in v.params}
        return [x for x in types if isinstance(x, SortType | EnumType)]

    def _sets(self, type_: Type) -> list[t.Var]:
        return [
            v
            for v in self.spec.vars.values()
            if isinstance(v.type, BoolType) and [p.type for p in v.params] == [type_]
        ]


# --- making expressions ---------------------------------------------------------------------------


def _formulas(spec: t.Spec) -> Iterator[t.Expr]:
    """Every formula in which a condition may stand: guards, choices, updates, properties."""
    for action in spec.actions:
        yield from _of_statements(action.body)
    yield from _of_statements(spec.init)
    for prop in spec.properties:
        if prop.kind in ("invariant", "promise", "cover"):
            yield prop.formula


def _of_statements(body: Iterable[t.Statement]) -> Iterator[t.Expr]:
    for statement in body:
        match statement:
            case t.Require() | t.Choose():
                yield statement.test
            case t.Let():
                yield statement.value
            case t.Update():
                yield statement.guard
                yield statement.value


def _is_condition(part: t.Expr) -> bool:
    """A condition without inner ones, that `show` can write."""
    if part.type != BOOL or any(isinstance(e, t.Old | t.Succeeds | t.Quant) for e in walk(part)):
        return False
    if isinstance(part, t.Apply):
        return True
    return isinstance(part, t.Binary) and part.op in _COMPARE


def _is_switch(part: t.Expr) -> bool:
    """A condition that may stand left of an implication."""
    return _few_values(part) or (isinstance(part, t.Binary) and part.op == "==")


def _few_values(part: t.Expr) -> bool:
    """A boolean, or a comparison of what is no integer."""
    if isinstance(part, t.Apply):
        return True
    return isinstance(part, t.Binary) and not isinstance(part.left.type, IntType)


def _reads(part: t.Expr) -> bool:
    return any(isinstance(e, t.Apply) and e.kind in ("var", "function") for e in walk(part))


def _true() -> t.Expr:
    return t.BoolLit(True, BOOL, _SPAN)


def _not(expr: t.Expr) -> t.Expr:
    return t.Unary("not", expr, BOOL, _SPAN)


def _and(left: t.Expr, right: t.Expr) -> t.Expr:
    return t.Binary("and", left, right, BOOL, _SPAN)


def _binary(op: str, left: t.Expr, right: t.Expr) -> t.Expr:
    return t.Binary(op, left, right, BOOL, _SPAN)


def _var(var: t.Var, *args: t.Expr) -> t.Expr:
    return t.Apply("var", var.name, args, var.type, _SPAN)


def _all(names: tuple[t.Local, ...], guard: t.Expr, body: t.Expr) -> t.Expr:
    binders = tuple(t.Binder(x.name, x.type, _SPAN) for x in names)
    return t.Quant("forall", binders, guard, body, BOOL, _SPAN)
