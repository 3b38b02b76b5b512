"""Why the solver gave up, as far as the formula tells, and what to do about it.

Goal: `unknown_hint` names what in the question is hard for bit-vector solving (products, divisions
and shifts of unknowns at wide widths, many quantified variables), with its place in the spec, and
the option that may help.
Non-goals: certainty: Z3 does not say what it spent its resources on.
"""

from __future__ import annotations

from collections.abc import Iterator

from tessera.lang import typed as t
from tessera.lang.types import IntType, SortType
from tessera.lang.walk import walk
from tessera.model.simulator import source_text
from tessera.prove.tasks import Done

_HARD = {
    "*": "a product of two unknowns",
    "/": "a division by an unknown",
    "%": "a remainder by an unknown",
    "<<": "a shift by an unknown",
    ">>": "a shift by an unknown",
}
_WIDE = 16
"""Bits from which on such an operation is hard."""


def unknown_hint(spec: t.Spec, prop: t.Property, done: Done, limit: int) -> str:
    """What to try when a proof was given up; parts of it have only a share of `limit`."""
    said = hardest(spec, prop, done.task.action)
    more = "try again"
    if done.answer is not None:
        more = f"raise --limit above {max(limit, done.answer.resource)}"
    if done.failed:
        more = "use fewer --jobs, or give the machine more memory"
    return f"{said}; or {more}" if said else more


def hardest(spec: t.Spec, prop: t.Property, action: str) -> str:
    """The hardest operation that a question has, in words; empty when there is none."""
    for formula in _formulas(spec, prop, action):
        for part in walk(formula):
            if _is_hard(spec, part):
                assert isinstance(part, t.Binary) and isinstance(part.type, IntType)
                return (
                    f"{_HARD[part.op]} at {part.type.width} bits, `{source_text(spec, part.span)}` "
                    f"at {part.span}, is hard for the solver: use narrower types, a literal, or "
                    "state what is needed of it as a lemma"
                )
    for formula in _formulas(spec, prop, action):
        for part in walk(formula):
            if isinstance(part, t.Quant):
                wide = [b for b in part.binders if not isinstance(b.type, SortType)]
                if part.kind == "exists" and any(isinstance(b.type, IntType) for b in wide):
                    name = next(b.name for b in wide if isinstance(b.type, IntType))
                    return (
                        f"`exists {name}` at {part.span} ranges over integers, for which the "
                        "solver has to guess a value: name one, or bound it with `where`"
                    )
    return ""


def _is_hard(spec: t.Spec, part: t.Expr) -> bool:
    if not isinstance(part, t.Binary) or part.op not in _HARD:
        return False
    if not isinstance(part.type, IntType) or part.type.width < _WIDE:
        return False
    unknown = [_unknown(spec, side) for side in (part.left, part.right)]
    return all(unknown) if part.op == "*" else unknown[1]


def _unknown(spec: t.Spec, expr: t.Expr) -> bool:
    """Whether a value depends on anything that the solver has to choose."""
    for part in walk(expr):
        if isinstance(part, t.Local):
            return True
        if isinstance(part, t.Apply) and part.kind in ("const", "var", "function"):
            return True
        if isinstance(part, t.Apply) and part.kind == "param":
            param = spec.params[part.name]
            if param.low is not None or param.high is not None:
                return True
    return False


def _formulas(spec: t.Spec, prop: t.Property, action: str) -> Iterator[t.Expr]:
    """The property, then the action, then the functions that either calls."""
    roots = [prop.formula, prop.given]
    if action:
        for statement in spec.action(action).body:
            match statement:
                case t.Require() | t.Choose():
                    roots.append(statement.test)
                case t.Let():
                    roots.append(statement.value)
                case t.Update():
                    roots += [statement.guard, statement.value, *statement.args]
    seen: set[str] = set()
    while roots:
        formula = roots.pop(0)
        yield formula
        for part in walk(formula):
            if isinstance(part, t.Apply) and part.name in spec.functions and part.name not in seen:
                seen.add(part.name)
                roots.append(spec.functions[part.name].body)
