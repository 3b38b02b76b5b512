"""Functions that the language itself knows: min, max and the two questions about worlds.

Goal: desugar them into plain typed operators.
Non-goals: anything about pools or policies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.types import BOOL, IntType, Type

if TYPE_CHECKING:
    from tessera.lang.check_expr import ExprChecker
    from tessera.lang.context import Context

_WORLDS = {"is_secure": "secure", "touches_nonsecure": "nonsecure"}


def is_builtin(name: str) -> bool:
    """Whether a call of that name is one of ours."""
    return name in ("min", "max") or name in _WORLDS


def call_builtin(
    checker: ExprChecker, call: s.Call, ctx: Context, expected: Type | None
) -> t.Expr | None:
    """The typed form of a built-in call."""
    name = call.name.text
    if len(call.args) != 2:
        checker.error(
            call.span,
            f"'{name}' takes 2 arguments, not {len(call.args)}",
            f"write {name}(low, high)" if name in _WORLDS else f"write {name}(a, b)",
        )
        return None
    if name in _WORLDS:
        return _world(checker, call, ctx)
    wanted = expected if isinstance(expected, IntType) else None
    pair = checker.same_type(call.args[0], call.args[1], ctx, wanted, name)
    if pair is None or not checker.integer(pair[0], f"'{name}' is for integers"):
        return None
    return t.Binary(name, pair[0], pair[1], pair[0].type, call.span)


def _world(checker: ExprChecker, call: s.Call, ctx: Context) -> t.Expr | None:
    """`is_secure(lo, hi)`: [lo, hi) lies in one outermost secure region;
    `touches_nonsecure(lo, hi)`: it meets a non-secure region."""
    platform = checker.symbols.platform
    if platform is None:
        checker.error(
            call.span,
            f"'{call.name.text}' needs a platform",
            'use one, e.g. use "optee/platforms/qemu_armv8a.tess"',
        )
        return None
    if ctx.what == "a platform":
        checker.error(
            call.span,
            f"a platform cannot ask '{call.name.text}': its worlds are what it says",
            "compare with the bases and ends of its regions",
        )
        return None
    paddr = IntType(platform.paddr, "bytes", "paddr")
    lo, hi = (checker.expr(arg, ctx, paddr) for arg in call.args)
    if lo is None or hi is None:
        return None
    world = _WORLDS[call.name.text]
    out: t.Expr | None = None
    for region in platform.regions:
        if region.parent is None and region.world == world:
            base = t.IntLit(region.base, paddr, call.span)
            end = t.IntLit(region.base + region.size, paddr, call.span)
            if world == "secure":
                pairs = ((base, lo), (lo, hi), (hi, end))
                parts = [t.Binary("<=", a, b, BOOL, call.span) for a, b in pairs]
                test: t.Expr = t.Binary("and", parts[0], parts[1], BOOL, call.span)
                test = t.Binary("and", test, parts[2], BOOL, call.span)
            else:
                below = t.Binary("<", lo, end, BOOL, call.span)
                above = t.Binary("<", base, hi, BOOL, call.span)
                test = t.Binary("and", below, above, BOOL, call.span)
            out = test if out is None else t.Binary("or", out, test, BOOL, call.span)
    return out or t.BoolLit(False, BOOL, call.span)
