"""Checking functions, the interface and the policy that fills it.

Goal: every function has a typed body, none is recursive, and the policy defines all that the
interface asks for and reads no state, not even through a helper.
Non-goals: translation to C (see `tessera.emit`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.scope import Signature, Symbols
from tessera.lang.types import IntervalType
from tessera.lang.walk import applications


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
                if item.value is None:
                    self.exprs.error(
                        item.name.span,
                        f"function '{item.name.text}' has no body",
                        "add = EXPRESSION",
                    )
                else:
                    self._define(item, policy=False)
        self._policy(items, title)
        self._acyclic()
        self._pure_policy()
        return self.defined

    def _policy(self, items: Sequence[s.Item], title: s.SpecDecl) -> None:
        wanted = {d.name.text: d for i in items if isinstance(i, s.Interface) for d in i.items}
        given: dict[str, s.ValueDecl] = {}
        for decl in (d for i in items if isinstance(i, s.Policy) for d in i.items):
            name = decl.name.text
            if name in given:
                self.exprs.error(
                    decl.name.span,
                    f"duplicate name '{name}': the policy defines it at {given[name].span}",
                    "keep one of the two",
                )
            elif name not in wanted:
                self.exprs.error(
                    decl.name.span, f"no interface asks for '{name}'", nearest(name, wanted)
                )
            elif self._matches(decl, wanted[name]):
                given[name] = decl
                self._define(decl, policy=True)
        for name, decl in wanted.items():
            if name not in given and not self.symbols.diagnostics.found:
                self.exprs.error(
                    title.span,
                    f"the policy of '{title.name.text}' lacks '{name}'",
                    f"define it as in the interface at {decl.span}",
                )

    def _matches(self, decl: s.ValueDecl, wanted: s.ValueDecl) -> bool:
        symbols = self.symbols
        found = [symbols.type(p.type) for p in decl.params or ()] + [symbols.type(decl.type)]
        asked = [symbols.type(p.type) for p in wanted.params or ()] + [symbols.type(wanted.type)]
        if found == asked and decl.kind == wanted.kind:
            return True
        shape = ", ".join(str(a) for a in asked[:-1])
        self.exprs.error(
            decl.name.span,
            f"'{decl.name.text}' does not have the type that the interface asks for",
            f"it is a {wanted.kind} ({shape}): {asked[-1]}, see {wanted.span}",
        )
        return False

    def _define(self, decl: s.ValueDecl, *, policy: bool) -> None:
        sig = self.symbols.values.get(decl.name.text)
        if sig is None or decl.value is None:
            if sig is not None and decl.value is None:
                self.exprs.error(
                    decl.name.span, f"'{decl.name.text}' has no value", "add = EXPRESSION"
                )
            return
        names = [p.name.text for p in decl.params or ()]
        types = [type_ for _, type_ in sig.params]
        binders = tuple(
            t.Binder(n, type_, decl.span) for n, type_ in zip(names, types, strict=True)
        )
        word = "policy function" if policy else "function"
        ctx = Context(
            dict(zip(names, types, strict=True)), f"{word} '{decl.name.text}'", policy=policy
        )
        for name, body in self._bodies(decl, sig, ctx):
            self.defined[name] = t.Function(
                name, binders, body.type, body, policy, decl.doc, decl.span
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

    def _acyclic(self) -> None:
        state: dict[str, int] = {}

        def visit(name: str) -> None:
            state[name] = 1
            for call in applications(self.defined[name].body):
                if call.name in self.defined:
                    if state.get(call.name) == 1:
                        self.exprs.error(
                            call.span,
                            f"function '{call.name}' calls itself",
                            "functions are not recursive",
                        )
                    elif call.name not in state:
                        visit(call.name)
            state[name] = 2

        for name in list(self.defined):
            if name not in state:
                visit(name)
        self.symbols.diagnostics.raise_if_any()

    def _pure_policy(self) -> None:
        """A policy function may not read state through a helper either."""
        for function in self.defined.values():
            if not function.policy:
                continue
            for call in applications(function.body):
                read = self._reads(call)
                if read is not None:
                    self.exprs.error(
                        call.span,
                        f"policy function '{function.name}' reads the state variable '{read}' "
                        f"through '{call.name}', which a policy may not",
                        "a policy sees its arguments, parameters, constants and the pool's size",
                    )

    def _reads(self, call: t.Apply) -> str | None:
        if call.kind != "function":
            return None
        for inner in applications(self.defined[call.name].body):
            found = inner.name if inner.kind == "var" else self._reads(inner)
            if found is not None:
                return found
        return None
