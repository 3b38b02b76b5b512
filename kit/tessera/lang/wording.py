"""Expressions and actions in words, for readers who do not read formulas every day.

Goal: one English phrase for each construct of the language; what is computed stays a formula.
Non-goals: text that parses again (see `tessera.lang.show`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tessera.lang import typed as t
from tessera.lang.show import show

_COMPARISONS = {
    "==": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
}


def sentence(expr: t.Expr) -> str:
    """A truth value as a phrase, e.g. `for every a and b with live(a): ...`."""
    match expr:
        case t.Quant():
            return _quantified(expr)
        case t.Binary(op="=>"):
            return f"if {sentence(expr.left)}, then {sentence(expr.right)}"
        case t.Binary(op="and" | "or"):
            return f"{_part(expr.left, expr.op)} {expr.op} {_part(expr.right, expr.op)}"
        case t.Binary(op=op) if op in _COMPARISONS:
            return f"{show(expr.left)} {_COMPARISONS[op]} {show(expr.right)}"
        case t.Unary(op="not"):
            return f"it is not so that {sentence(expr.arg)}"
        case t.Ite():
            return (
                f"if {sentence(expr.test)}, then {sentence(expr.then)}, else {sentence(expr.other)}"
            )
        case t.Exact():
            shown = show(expr).removeprefix("exact(").removesuffix(")")
            return f"computing {shown} loses no bit"
        case t.Succeeds():
            args = ", ".join(show(arg) for arg in expr.args)
            return f"{expr.action}({args}) can happen"
        case t.BoolLit():
            return "always" if expr.value else "never"
        case t.Apply() | t.Local():
            return f"{show(expr)} holds"
        case _:
            return show(expr)


def _part(expr: t.Expr, op: str) -> str:
    mixed = isinstance(expr, t.Binary) and expr.op in ("and", "or", "=>") and expr.op != op
    return f"({sentence(expr)})" if mixed or isinstance(expr, t.Quant | t.Ite) else sentence(expr)


def _quantified(expr: t.Quant) -> str:
    names = " and ".join(f"{b.name} ({b.type})" for b in expr.binders)
    guard = "" if is_true(expr.guard) else f" such that {sentence(expr.guard)}"
    if expr.kind == "forall":
        return f"for every {names}{guard}: {sentence(expr.body)}"
    return f"there is {names}{guard} with: {sentence(expr.body)}"


def is_true(expr: t.Expr) -> bool:
    """Whether an expression is the literal `true`, as where nothing was written."""
    return isinstance(expr, t.BoolLit) and expr.value


def statements(body: Sequence[t.Statement]) -> tuple[str, ...]:
    """What an action needs, chooses and changes, a line each."""
    return tuple(_statement(s) for s in body)


def _statement(statement: t.Statement) -> str:
    match statement:
        case t.Require():
            return f"needs: {sentence(statement.test)}"
        case t.Let():
            return f"call {show(statement.value)} {statement.name}"
        case t.Choose():
            kind = {"some": "any", "least": "the smallest", "fresh": "a new"}[statement.kind]
            binder = statement.binder
            return (
                f"takes {kind} {binder.name} ({binder.type}) such that {sentence(statement.test)}"
            )
        case t.Update():
            return _update(statement)


def _update(update: t.Update) -> str:
    args = ", ".join(show(arg) for arg in update.args)
    place = f"{update.var}({args})" if args else update.var
    change = f"{place} becomes {show(update.value)}"
    if not update.binders:
        return change
    names = " and ".join(f"{b.name} ({b.type})" for b in update.binders)
    guard = "" if is_true(update.guard) else f" such that {sentence(update.guard)}"
    return f"for every {names}{guard}: {change}"
