"""Checking functions, the interface and the policy that fills it.

Goal: every function has a typed body, none is recursive, and the policy defines all that the
interface asks for and reads no state, not even through a helper.
Non-goals: translation to C (see `tessera.emit`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import POLICY_SEES, ExprChecker
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.scope import Signature, Symbols
from tessera.lang.types import IntervalType
from tessera.lang.uses import Uses


class FunctionChecker:
    """Types all functions of a spec."""

    def __init__(self, symbols: Symbols, exprs: ExprChecker) -> None:
        self.symbols = symbols
        self.exprs = exprs
        self.defined: dict[str, t.Function] = {}

    def check(self, items: Sequence[s.Item], title: s.SpecDecl) -> dict[str, t.Function]:
        """All functions by name; an interval function gives two, `f.lo` and `f.hi`."""
        for item in items:
            if isinstance(item, s.ValueDecl) and item.kind == "function":
                self._define(item, policy=False)
        self._policy(items, title)
        uses = Uses(self.defined)
        if uses.acyclic(self.exprs):
            self.symbols.readers.update(uses.readers)
            self._pure_policy(uses)
        return self.defined

    def _policy(self, items: Sequence[s.Item], title: s.SpecDecl) -> None:
        wanted = {d.name.text: d for i in items if isinstance(i, s.Interface) for d in i.items}
        for decl in wanted.values():
            if decl.value is not None:
                self.exprs.error(
                    decl.value.span,
                    f"an interface gives '{decl.name.text}' no value",
                    "give it in the policy",
                )
        given: dict[str, s.ValueDecl] = {}
        for decl in (d for i in items if isinstance(i, s.Policy) for d in i.items):
            name = decl.name.text
            if name in given:
                self.exprs.error(
                    decl.name.span,
                    f"duplicate name '{name}': the policy defines it at {given[name].name.span}",
                    "keep one of the two",
                )
            elif name not in wanted:
                self._not_asked(decl, wanted)
            else:
                given[name] = decl
                if self._matches(decl, wanted[name]):
                    self._define(decl, policy=True)
        for name, decl in wanted.items():
            if name not in given:
                self.exprs.error(
                    title.name.span,
                    f"the policy of '{title.name.text}' lacks '{name}'",
                    f"define it in: policy {{ ... }}, as the interface at {decl.name.span} says",
                )

    def _not_asked(self, decl: s.ValueDecl, wanted: dict[str, s.ValueDecl]) -> None:
        name = decl.name.text
        if not wanted:
            remedy = 'use the model that has one, e.g. use "optee/pool.tess"'
        else:
            remedy = nearest(name, wanted) or "a helper stands outside of 'policy { }'"
        self.exprs.error(decl.name.span, f"no interface asks for '{name}'", remedy)

    def _matches(self, decl: s.ValueDecl, wanted: s.ValueDecl) -> bool:
        symbols = self.symbols
        if decl.low is not None:
            self.exprs.error(
                decl.low.span, f"'{decl.name.text}' has a value and so no range", "drop the range"
            )
        found = [symbols.type(p.type) for p in decl.params or ()] + [symbols.type(decl.type)]
        asked = [symbols.type(p.type) for p in wanted.params or ()] + [symbols.type(wanted.type)]
        if None in found or None in asked:
            return False  # reported with the type
        if found == asked and decl.kind == wanted.kind:
            return True
        self.exprs.error(
            decl.name.span,
            f"'{decl.name.text}' does not have the type that the interface asks for",
            f"write: {_shape(wanted)} = ..., as at {wanted.name.span}",
        )
        return False

    def _define(self, decl: s.ValueDecl, *, policy: bool) -> None:
        name = decl.name.text
        sig = self.symbols.values.get(name)
        if decl.value is None:
            self.exprs.error(decl.name.span, f"{decl.kind} '{name}' has no body", "add: = VALUE")
            return
        if sig is None or len(sig.params) != len(decl.params or ()):
            return
        names = [p.name.text for p in decl.params or ()]
        types = [type_ for _, type_ in sig.params]
        binders = tuple(
            t.Binder(n, type_, decl.span) for n, type_ in zip(names, types, strict=True)
        )
        what = f"policy function '{name}'" if policy else f"function '{name}'"
        ctx = Context(dict(zip(names, types, strict=True)), what, policy=policy)
        for full_name, body in self._bodies(decl, sig, ctx):
            self.defined[full_name] = t.Function(
                full_name, binders, body.type, body, policy, decl.doc, decl.span
            )

    def _bodies(
        self, decl: s.ValueDecl, sig: Signature, ctx: Context
    ) -> Iterator[tuple[str, t.Expr]]:
        assert decl.value is not None
        if isinstance(sig.result, IntervalType):
            ends = self.exprs.interval(decl.value, ctx)
            if ends is not None:
                yield f"{decl.name.text}.lo", ends[0]
                yield f"{decl.name.text}.hi", ends[1]
            return
        body = self.exprs.expr(decl.value, ctx, sig.result)
        if body is not None:
            yield decl.name.text, body

    def _pure_policy(self, uses: Uses) -> None:
        """A policy function may not read state, or quantify without end, through a helper."""
        for function in (f for f in self.defined.values() if f.policy):
            for call in uses.calls(function):
                if self.defined[call.name].policy:
                    continue
                who = f"policy function '{plain(function.name)}'"
                through = f"through '{plain(call.name)}'"
                if call.name in uses.readers:
                    read = uses.readers[call.name]
                    self.exprs.error(
                        call.span,
                        f"{who} reads the state variable '{read}' {through}, which a policy may "
                        "not",
                        POLICY_SEES,
                    )
                elif call.name in uses.endless:
                    type_ = uses.endless[call.name]
                    self.exprs.error(
                        call.span,
                        f"{who} quantifies over {type_} {through}: the type is infinite",
                        "a policy becomes C: decide from its arguments and constants",
                    )


def plain(name: str) -> str:
    """The name as declared: `window.lo` is an end of `window`."""
    return name.partition(".")[0]


def _shape(decl: s.ValueDecl) -> str:
    """A declaration without its value, as one writes it."""
    params = ", ".join(f"{p.name.text}: {_type(p.type)}" for p in decl.params or ())
    listed = f"({params})" if decl.params is not None else ""
    return f"{decl.kind} {decl.name.text}{listed}: {_type(decl.type)}"


def _type(written: s.TypeName) -> str:
    return f"{written.name} {written.unit}" if written.unit else written.name
