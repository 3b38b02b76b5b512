"""Checking what a platform says about its regions: constraints, configuration, expectations.

Goal: every `require`, `config` and `expect` of a platform typed, with its own messages.
Non-goals: the regions themselves (see `tessera.lang.check_platform`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.scope import Symbols
from tessera.lang.typed_layout import CHOICES, KINDS, PROPERTIES, Demand, Setting
from tessera.lang.types import BOOL, IntType
from tessera.lang.walk import walk

_CONTEXT = Context(what="a platform", state=False)
_ALLOWED = (t.IntLit, t.BoolLit, t.Apply, t.Unary, t.Binary, t.Ite, t.Cast)
_LOGIC = ("and", "or", "=>", "==", "!=", "<", "<=", ">", ">=", "+", "-")


def in_bytes(expr: s.Expr) -> s.Expr:
    """A physical address is written bare (0x0e00_0000): in a platform it is a number of bytes.

    Factors and shift amounts stay plain numbers.
    """
    match expr:
        case s.Number(unit=None):
            return replace(expr, unit=None if (expr.scale or "").endswith("B") else "bytes")
        case s.Infix(op=op) if op in _LOGIC:
            return replace(expr, left=in_bytes(expr.left), right=in_bytes(expr.right))
        case s.Infix(op="<<" | ">>"):
            return replace(expr, left=in_bytes(expr.left))
        case s.Prefix(op="not"):
            return replace(expr, arg=in_bytes(expr.arg))
        case s.Conditional():
            return replace(
                expr,
                test=in_bytes(expr.test),
                then=in_bytes(expr.then),
                other=in_bytes(expr.other),
            )
        case s.Call(name=s.Ident(text="min" | "max")):
            return replace(expr, args=tuple(in_bytes(a) for a in expr.args))
        case _:
            return expr


def opens(expr: t.Expr) -> bool:
    """Whether the expression uses a region whose place is not chosen yet."""
    return any(isinstance(node, t.Apply) and node.kind == "region" for node in walk(expr))


def check_constraints(symbols: Symbols, written: Sequence[s.Constraint]) -> tuple[Demand, ...]:
    """All `require` items that are sound."""
    out: list[Demand] = []
    for item in written:
        name = item.name.text
        if name in PROPERTIES or name in CHOICES:
            symbols.diagnostics.add(
                item.name.span,
                f"'{name}' is asked of every platform",
                "choose another name",
            )
            continue
        fresh = symbols.declare(item.name, "constraint")
        typed = ExprChecker(symbols).expr(in_bytes(item.test), _CONTEXT, BOOL)
        if typed is not None and fresh and _plain(symbols, typed):
            out.append(Demand(name, item.doc, typed, _words(symbols, item), item.span))
    return tuple(out)


def _plain(symbols: Symbols, typed: t.Expr) -> bool:
    """A platform has numbers and regions, nothing else."""
    for node in walk(typed):
        if not isinstance(node, _ALLOWED):
            symbols.diagnostics.add(
                node.span,
                "a platform's require is made of numbers, regions and comparisons",
                "state what is about the machine as an invariant or a lemma of the spec",
            )
            return False
    return True


def _words(symbols: Symbols, item: s.Constraint) -> str:
    """The test as it was written, on one line."""
    span = item.test.span
    lines = symbols.diagnostics.lines.get(span.file, [])[span.line - 1 : span.end_line]
    if not lines:
        return item.name.text
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return " ".join(" ".join(line.split("#")[0].split()) for line in lines)


def check_configs(
    symbols: Symbols, written: Sequence[s.Config], type_: IntType
) -> tuple[Setting, ...]:
    """All `config` items that are sound."""
    out: list[Setting] = []
    for item in written:
        kind = item.kind.text
        if kind not in KINDS:
            symbols.diagnostics.add(
                item.kind.span,
                f"unknown kind of configuration '{kind}'",
                nearest(kind, KINDS) or "one of: optee, tfa, dt",
            )
            continue
        if any((o.kind, o.key) == (kind, item.key) for o in out):
            symbols.diagnostics.add(
                item.span, f'"{item.key}" is configured twice', "drop one of the two lines"
            )
            continue
        if len(item.values) != (2 if kind == "dt" else 1):
            symbols.diagnostics.add(
                item.span,
                "a device-tree reservation has a base and a size"
                if kind == "dt"
                else f"{KINDS[kind]} takes one value for a name",
                'write for example: config dt "optee_core" = tzdram.base, tzdram.size'
                if kind == "dt"
                else f'write for example: config {kind} "{item.key}" = tzdram.base',
            )
            continue
        typed = [ExprChecker(symbols).expr(in_bytes(v), _CONTEXT, type_) for v in item.values]
        values = tuple(v for v in typed if v is not None)
        if len(values) == len(typed) and all(_plain(symbols, v) for v in values):
            out.append(Setting(kind, item.key, values, item.span))
    return tuple(out)


def check_expects(
    symbols: Symbols, written: Sequence[s.Expect], known: Mapping[str, str]
) -> dict[str, str]:
    """What the platform expects of its properties; reports what it cannot expect."""
    out: dict[str, str] = {}
    for item in written:
        if item.verdict not in ("proved", "violated") or item.within is not None:
            symbols.diagnostics.add(
                item.span,
                "a layout has no steps: a property of it is proved or violated",
                "write: expect NAME proved, or: expect NAME violated",
            )
            continue
        for name in item.names:
            if name.text not in known:
                symbols.diagnostics.add(
                    name.span,
                    f"unknown property '{name.text}' of a platform",
                    nearest(name.text, known) or f"the properties are {', '.join(known)}",
                )
            elif out.get(name.text, item.verdict) != item.verdict:
                symbols.diagnostics.add(
                    name.span,
                    f"'{name.text}' is expected to be proved and to be violated",
                    "drop one of the two",
                )
            else:
                out[name.text] = item.verdict
    return out
