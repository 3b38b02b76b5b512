"""Checking what is said about a machine: expectations, pictures, sizes to play with.

Goal: expectations that can be met, views that can be drawn, sizes that are in range.
Non-goals: the machine itself (see `tessera.lang.check_machine`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.fold import fold
from tessera.lang.scope import Symbols
from tessera.lang.types import BOOL, IntType

_PROVABLE = ("proved", "violated")
_VERDICTS = {"cover": ("covered", "violated")}
_ARTICLE = {"invariant": "an"}


class RestChecker:
    """Types the parts of a spec that do not move."""

    def __init__(self, symbols: Symbols, exprs: ExprChecker) -> None:
        self.symbols = symbols
        self.exprs = exprs

    # --- expectations -----------------------------------------------------------------------------

    def expects(
        self, items: Sequence[s.Item], properties: Mapping[str, s.Property]
    ) -> dict[str, t.Expect]:
        """The expected verdict of every property that has one."""
        out: dict[str, t.Expect] = {}
        for item in items:
            if not isinstance(item, s.Expect):
                continue
            if item.verdict == "unreachable":
                out |= self._unreachable(item)
                continue
            for name in item.names:
                prop = properties.get(name.text)
                if prop is None:
                    self.exprs.error(
                        name.span,
                        f"unknown property '{name.text}'",
                        nearest(name.text, properties) or "name an invariant, promise, ...",
                    )
                    continue
                expect = t.Expect(item.verdict, item.within, name.span)
                if self._possible(name, expect, prop.kind, out.get(name.text)):
                    out[name.text] = expect
        return out

    def _unreachable(self, item: s.Expect) -> dict[str, t.Expect]:
        """Actions that this machine is not expected to take; keys are `action NAME`."""
        out = {}
        for name in item.names:
            if name.text in self.symbols.actions:
                out[f"action {name.text}"] = t.Expect(item.verdict, item.within, name.span)
            else:
                self.exprs.error(
                    name.span,
                    f"unknown action '{name.text}'",
                    nearest(name.text, self.symbols.actions) or "only an action is unreachable",
                )
        return out

    def _possible(
        self, name: s.Ident, expect: t.Expect, kind: str, earlier: t.Expect | None
    ) -> bool:
        if kind == "assume":
            self.exprs.error(
                name.span,
                f"'{name.text}' is an assumption: it has no verdict",
                "drop it here, or make it an invariant or a lemma",
            )
        elif expect.verdict not in _VERDICTS.get(kind, _PROVABLE):
            self.exprs.error(
                name.span,
                f"'{name.text}' is {_ARTICLE.get(kind, 'a')} {kind} and cannot be {expect.verdict}",
                "a cover is covered or violated; all others are proved or violated",
            )
        elif earlier is not None and (earlier.verdict, earlier.within) != (
            expect.verdict,
            expect.within,
        ):
            self.exprs.error(
                name.span,
                f"'{name.text}' is expected to be {_verdict(expect)} here and "
                f"{_verdict(earlier)} at {earlier.span}",
                "keep one of the two",
            )
        else:
            return True
        return False

    # --- pictures ---------------------------------------------------------------------------------

    def views(self, items: Sequence[s.Item]) -> tuple[t.View, ...]:
        """The views; those of one name are merged."""
        merged: dict[str, t.View] = {}
        for item in items:
            if not isinstance(item, s.View):
                continue
            typed = tuple(v for v in (self._view_item(i) for i in item.items) if v is not None)
            old = merged.get(item.name.text)
            merged[item.name.text] = t.View(
                item.name.text,
                item.doc or (old.doc if old else ""),
                (old.items if old else ()) + typed,
            )
        return tuple(merged.values())

    def _view_item(self, item: s.ViewItem) -> t.ViewItem | None:
        ctx = Context(what="a view")
        binder, guard = None, None
        if item.binders is not None:
            if len(item.binders.names) > 1:
                self.exprs.error(
                    item.binders.names[1].span, "a view binds one name", "drop the others"
                )
                return None
            bound = self.exprs.binders((item.binders,), ctx)
            if bound is None:
                return None
            binders, guard, ctx = bound
            binder = binders[0]
        exprs = [self.exprs.expr(e, ctx) for e in item.exprs]
        good = tuple(e for e in exprs if e is not None)
        if len(good) != len(exprs) or not self._view_types(item.kind, good):
            return None
        full = guard or t.BoolLit(True, BOOL, item.span)
        return t.ViewItem(item.kind, binder, full, item.label, good)

    def _view_types(self, kind: str, exprs: tuple[t.Expr, ...]) -> bool:
        """Places and lengths are integers; what a mark is compared with has the mark's type."""
        if kind == "mark":
            if exprs[0].type != exprs[1].type:
                self.exprs.mismatch(exprs[1], exprs[0].type, exprs[0])
                return False
            return True
        return all(self.exprs.integer(e) for e in exprs[:2])

    # --- sizes ------------------------------------------------------------------------------------

    def simulate(
        self, items: Sequence[s.Item], params: Mapping[str, t.Param], consts: Mapping[str, t.Const]
    ) -> dict[str, int]:
        """Sizes for playing: constants and parameters by name; the last one of a name counts."""
        out: dict[str, int] = {}
        ranges: dict[str, t.Param | t.Const] = {**params, **consts}
        values = {name: param.value for name, param in params.items()}
        for entry in (e for i in items if isinstance(i, s.Simulate) for e in i.values):
            name = entry.name.text
            sig = self.symbols.values.get(name)
            if sig is None or sig.kind not in ("const", "param") or sig.params:
                if name not in self.symbols.broken:
                    known = [n for n, v in self.symbols.values.items() if v.kind in _SIZED]
                    self.exprs.error(
                        entry.name.span,
                        f"'{name}' is not a constant or parameter",
                        nearest(name, known) or "only sizes can be chosen here",
                    )
                continue
            if not isinstance(sig.result, IntType):
                self.exprs.error(
                    entry.name.span, f"'{name}' is {sig.result}, not a size", "drop it here"
                )
                continue
            ctx = Context(what="'simulate'", state=False)
            typed = self.exprs.expr(entry.value, ctx, sig.result)
            if typed is None:
                continue
            value = fold(typed, values)
            if value is None:
                self.exprs.error(
                    entry.value.span, "a size to play with must be constant", "write a number"
                )
                continue
            self._in_range(entry, value, ranges.get(name), values)
            out[name] = value
        return out

    def _in_range(
        self,
        entry: s.Override,
        value: int,
        declared: t.Param | t.Const | None,
        values: Mapping[str, int],
    ) -> None:
        low = fold(declared.low, values) if declared and declared.low else None
        high = fold(declared.high, values) if declared and declared.high else None
        if (low is not None and value < low) or (high is not None and value > high):
            self.exprs.error(
                entry.value.span,
                f"{entry.name.text} = {value} lies outside its range {low} .. {high}",
                "choose a value in the range",
            )


_SIZED = ("const", "param")


def _verdict(expect: t.Expect) -> str:
    return expect.verdict if expect.within is None else f"{expect.verdict} within {expect.within}"
