"""Two specs of one machine: what they must share to be compared.

Goal: refuse pairs whose state, classes or actions differ, with the difference named; one spec that
declares what either of them does, so that one world serves both.
Non-goals: questions about the pair (see `tessera.prove.compare`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.lang.show import show
from tessera.lang.types import IntType, SortType
from tessera.lang.uses import reads
from tessera.lang.walk import applications


@dataclass(frozen=True, slots=True)
class Pair:
    """`a` and `b` compared, each with the declarations of both.

    `ignored` are variables whose values do not count; `fixed` gives integer constants and
    parameters one value, in their own unit.
    """

    a: t.Spec
    b: t.Spec
    ignored: frozenset[str]
    fixed: Mapping[str, int]

    def turned(self) -> Pair:
        """The same with the roles exchanged."""
        return Pair(self.b, self.a, self.ignored, self.fixed)

    @property
    def observed(self) -> tuple[t.Var, ...]:
        """The variables that count."""
        return tuple(v for v in self.a.vars.values() if v.name not in self.ignored)


def pair(
    a: t.Spec, b: t.Spec, *, ignore: Iterable[str] = (), fixed: Mapping[str, int] | None = None
) -> Pair:
    """Both specs, ready to be compared. Raises TesseraError when they are not one machine."""
    _same_things(a, b)
    _same_machine(a, b)
    ignored = frozenset(ignore)
    _ignorable(a, b, ignored)
    values = dict(fixed or {})
    for name in values:
        _fixable(a, b, name)
    enums = {**a.enums, **b.enums}
    consts, params = {**b.consts, **a.consts}, {**b.params, **a.params}
    return Pair(
        replace(a, enums=enums, consts=consts, params=params),
        replace(b, enums=enums, consts=consts, params=params),
        ignored,
        values,
    )


def _differ(a: t.Spec, b: t.Spec, what: str) -> TesseraError:
    return TesseraError(
        f"'{a.name}' and '{b.name}' are not two policies of one machine: {what}",
        where=b.file,
        remedy="compare specs that use the same model, or without --equivalent and --refines",
    )


def _same_things(a: t.Spec, b: t.Spec) -> None:
    """Sorts, enumerations, the order of classes, constants and parameters."""
    if {s.name for s in a.sorts} != {s.name for s in b.sorts}:
        raise _differ(a, b, "their sorts differ")
    for name in a.enums.keys() & b.enums.keys():
        if a.enums[name] != b.enums[name]:
            raise _differ(a, b, f"the members of '{name}' differ")
    for high in a.enums.get("class", ()):
        for low in a.enums["class"]:
            if a.outranks(high, low) != b.outranks(high, low):
                raise _differ(a, b, f"'{high}' outranks '{low}' in one of them only")
    for const in {**a.consts, **b.consts}.values():
        mine, other = a.consts.get(const.name), b.consts.get(const.name)
        if mine is None or other is None:
            if isinstance(const.type, SortType) and not const.params:
                raise _differ(a, b, f"the constant '{const.name}' is in one of them only")
        elif _shape(mine) != _shape(other) or _range(mine) != _range(other):
            raise _differ(a, b, f"the constant '{const.name}' is declared differently")
    for name in a.params.keys() & b.params.keys():
        one, two = a.params[name], b.params[name]
        if one.type != two.type or _fixed_value(one) != _fixed_value(two):
            raise _differ(a, b, f"the parameter '{name}' is declared differently")


def _fixed_value(param: t.Param) -> int | None:
    """The one value of a parameter without a range."""
    return param.value if param.low is None and param.high is None else None


def _range(const: t.Const) -> list[str]:
    """The bounds as text: where they stand in a file does not matter."""
    return ["" if bound is None else show(bound) for bound in (const.low, const.high)]


def _shape(item: t.Const | t.Var) -> tuple[object, ...]:
    return (tuple(p.type for p in item.params), item.type)


def _same_machine(a: t.Spec, b: t.Spec) -> None:
    for name in sorted(a.vars.keys() ^ b.vars.keys()):
        raise _differ(a, b, f"the variable '{name}' is in one of them only")
    for name, var in a.vars.items():
        if _shape(var) != _shape(b.vars[name]):
            raise _differ(a, b, f"the variable '{name}' has another type")
    one, two = ({x.name: x for x in spec.actions} for spec in (a, b))
    for name in sorted(one.keys() ^ two.keys()):
        raise _differ(a, b, f"the action '{name}' is in one of them only")
    for name, action in one.items():
        if signature(action) != signature(two[name]):
            raise _differ(a, b, f"the action '{name}' takes other arguments")


def signature(action: t.Action) -> dict[str, object]:
    """The parameters of an action and their types."""
    return {p.name: p.type for p in action.params}


def _ignorable(a: t.Spec, b: t.Spec, ignored: frozenset[str]) -> None:
    """What is ignored must not steer what is not."""
    for name in sorted(ignored - a.vars.keys()):
        known = ", ".join(a.vars)
        raise TesseraError(f"there is no variable '{name}' to ignore", remedy=f"one of: {known}")
    for spec in (a, b):
        for action in spec.actions:
            for statement in action.body:
                if isinstance(statement, t.Update) and statement.var in ignored:
                    continue
                read = {n for e in _expressions(statement) for n in reads(spec, e)} & ignored
                for name in sorted(read):
                    raise TesseraError(
                        f"'{name}' cannot be ignored: '{action.name}' of '{spec.name}' depends "
                        "on it",
                        where=statement.span,
                        remedy=f"ignore the variables that follow from '{name}' too, or none",
                    )


def _fixable(a: t.Spec, b: t.Spec, name: str) -> None:
    for spec in (a, b):
        const, param = spec.consts.get(name), spec.params.get(name)
        if param is not None and _fixed_value(param) is None:
            return
        if const is not None and not const.params and isinstance(const.type, IntType):
            return
    raise TesseraError(
        f"'{name}' cannot be given a value here",
        remedy="name an integer constant, or a parameter that is declared with a range",
    )


# --- what both say alike --------------------------------------------------------------------------


def alike(both: Pair, one: Sequence[t.Statement], two: Sequence[t.Statement]) -> list[t.Statement]:
    """The statements of both, wherever they stand, that mean the same: the same text, and the same
    text of all that they call. The second action's are given as well as the first one's."""
    if not _same_names(one, two):
        return []
    mine, theirs = ({_text(s) for s in body} for body in (one, two))
    lets = [[_text(s) for s in body if isinstance(s, t.Let)] for body in (one, two)]
    if lets[0] != lets[1]:
        return []
    common = mine & theirs
    return [s for s in (*one, *two) if _text(s) in common and _same_calls(both, s)]


def _same_names(one: Sequence[t.Statement], two: Sequence[t.Statement]) -> bool:
    """Whether choices of one name have one type."""
    types = [
        {s.binder.name: s.binder.type for s in body if isinstance(s, t.Choose)}
        for body in (one, two)
    ]
    return all(types[0][n] == types[1][n] for n in types[0].keys() & types[1].keys())


def texts(statements: Sequence[t.Statement]) -> list[tuple[object, ...]]:
    """Statements without their places in files."""
    return [_text(s) for s in statements]


def _text(statement: t.Statement) -> tuple[object, ...]:
    """A statement without its place in a file."""
    words = tuple(show(e) for e in _expressions(statement))
    match statement:
        case t.Choose():
            return (statement.kind, statement.binder.name, statement.binder.type, *words)
        case t.Let():
            return ("let", statement.name, *words)
        case t.Update():
            binders = tuple((b.name, b.type) for b in statement.binders)
            return (":=", statement.var, binders, *words)
        case t.Require():
            return ("require", *words)


def _same_calls(both: Pair, statement: t.Statement) -> bool:
    todo, seen = list(_expressions(statement)), set()
    while todo:
        for call in applications(todo.pop()):
            if call.kind in ("function", "policy") and call.name not in seen:
                seen.add(call.name)
                mine, other = both.a.functions.get(call.name), both.b.functions.get(call.name)
                if mine is None or other is None or _signature(mine) != _signature(other):
                    return False
                todo.append(mine.body)
    return True


def _signature(function: t.Function) -> tuple[object, ...]:
    params = tuple((p.name, p.type) for p in function.params)
    return (params, function.type, show(function.body))


def _expressions(statement: t.Statement) -> tuple[t.Expr, ...]:
    match statement:
        case t.Require() | t.Choose():
            return (statement.test,)
        case t.Let():
            return (statement.value,)
        case t.Update():
            return (*statement.args, statement.guard, statement.value)
