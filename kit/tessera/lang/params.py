"""Checking parameters: their values, their ranges, and what replaces them.

Goal: every parameter has one constant value that lies in its range, whoever gave it.
Non-goals: proofs over the whole range (see `tessera.prove`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tessera.errors import Span
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.fold import fold
from tessera.lang.scope import Symbols
from tessera.lang.types import IntType, Type


def check_params(
    symbols: Symbols,
    exprs: ExprChecker,
    items: Sequence[s.Item],
    used_with: Sequence[s.Override],
    given: Mapping[str, int],
) -> dict[str, t.Param]:
    """All parameters, in order of declaration.

    `used_with` are the overrides of `use ... with`, of which the last one of a name counts; `given`
    come from outside and count before all others, in the parameter's own unit.
    """
    decls = [i for i in items if isinstance(i, s.ValueDecl) and i.kind == "param"]
    names = [d.name.text for d in decls]
    replaced = {o.name.text: o for o in used_with}
    for item in used_with:
        if item.name.text not in names:
            exprs.error(
                item.name.span,
                f"unknown parameter '{item.name.text}'",
                nearest(item.name.text, names) or _listed(names),
            )
    for name in given:
        if name not in names:
            span = decls[0].name.span if decls else items[0].span
            remedy = nearest(name, names) or _listed(names)
            exprs.error(span, f"unknown parameter '{name}' is given from outside", remedy)
    out: dict[str, t.Param] = {}
    for decl in decls:
        override = replaced.get(decl.name.text)
        written = override.value if override is not None else decl.value
        assert written is not None
        param = _param(symbols, exprs, decl, written, out, given)
        if param is not None:
            out[decl.name.text] = param
    return out


def _listed(names: Sequence[str]) -> str:
    return f"the parameters are {', '.join(names[:12])}" if names else "no parameter is declared"


def _param(
    symbols: Symbols,
    exprs: ExprChecker,
    decl: s.ValueDecl,
    written: s.Expr,
    earlier: Mapping[str, t.Param],
    given: Mapping[str, int],
) -> t.Param | None:
    name = decl.name.text
    sig = symbols.values.get(name)
    if sig is None:
        return None
    if not isinstance(sig.result, IntType):
        exprs.error(decl.type.span, "a parameter is an integer", "use 'const' for other things")
        return None
    typed = exprs.expr(written, Context(what=f"parameter '{name}'"), sig.result)
    low, high = bounds(exprs, decl, sig.result)
    if typed is None:
        return None
    values = {n: p.value for n, p in earlier.items()}
    value = given.get(name, fold(typed, values))
    if value is None:
        exprs.error(
            written.span,
            "a parameter's value must be constant",
            "use numbers, regions and the parameters declared before it",
        )
        return None
    ends = (
        0 if low is None else fold(low, values),
        (1 << sig.result.width) - 1 if high is None else fold(high, values),
    )
    place = decl.name.span if name in given else written.span
    _in_range(exprs, place, name, value, ends, sig.result)
    return t.Param(name, sig.result, low, high, value, decl.doc, decl.span)


def _in_range(
    exprs: ExprChecker,
    span: Span,
    name: str,
    value: int,
    ends: tuple[int | None, int | None],
    type_: IntType,
) -> None:
    low, high = ends
    unit = f" {type_.unit}" if type_.unit else ""
    if low is not None and high is not None and low > high:
        exprs.error(
            span,
            f"the range of '{name}' is empty: {low} .. {high}{unit}",
            "swap its ends, or choose another platform",
        )
    elif (low is not None and value < low) or (high is not None and value > high):
        exprs.error(
            span,
            f"{name} = {value}{unit} lies outside its range {low} .. {high}{unit}",
            "choose a value in the range, or another platform",
        )


def bounds(
    exprs: ExprChecker, decl: s.ValueDecl, type_: Type
) -> tuple[t.Expr | None, t.Expr | None]:
    """The ends of `in low .. high`, or None for each when there is no range."""
    if decl.low is None or decl.high is None:
        return None, None
    if not isinstance(type_, IntType) or decl.params is not None:
        exprs.error(
            decl.low.span, "only a scalar integer has a range", "state it as: assume NAME: ..."
        )
        return None, None
    ctx = Context(what=f"the range of '{decl.name.text}'", state=False)
    return exprs.expr(decl.low, ctx, type_), exprs.expr(decl.high, ctx, type_)
