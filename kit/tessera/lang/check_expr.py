"""Typing of expressions: names, calls, binders and the special forms.

Goal: turn a surface expression into a typed one, bidirectionally: a literal takes its width and
unit from what it meets. Errors are recorded and checking goes on; a failed part is None.
Non-goals: operators (see `operators`), declarations and actions (see `check`, `check_machine`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tessera.errors import Span
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.builtins import call_builtin, is_builtin
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.literals import typed_number
from tessera.lang.operators import OperatorChecker
from tessera.lang.scope import Signature
from tessera.lang.types import BOOL, GRANULES, BoolType, EnumType, IntervalType, IntType, Type

POLICY_SEES = "a policy sees its arguments, parameters, constants and the pool's size"


class ExprChecker(OperatorChecker):
    """Types expressions against one symbol table."""

    # --- intervals and binders --------------------------------------------------------------------

    def interval(self, expr: s.Expr, ctx: Context) -> tuple[t.Expr, t.Expr] | None:
        """The two ends of an expression of type interval."""
        match expr:
            case s.Interval():
                lo, hi = self.expr(expr.lo, ctx, GRANULES), self.expr(expr.hi, ctx, GRANULES)
                return None if lo is None or hi is None else (lo, hi)
            case s.Conditional():
                test = self.boolean(expr.test, ctx)
                then, other = self.interval(expr.then, ctx), self.interval(expr.other, ctx)
                if test is None or then is None or other is None:
                    return None
                both = zip(then, other, strict=True)
                low, high = (t.Ite(test, a, b, a.type, expr.span) for a, b in both)
                return low, high
            case s.Name():
                call = s.Call(s.Ident(expr.text, expr.span), (), expr.span)
                return self._interval_call(call, expr.text, ctx)
            case s.Call():
                return self._interval_call(expr, expr.name.text, ctx)
        self.error(expr.span, "an interval is needed here", "write [low, high)")
        return None

    def _interval_call(self, call: s.Call, name: str, ctx: Context) -> tuple[t.Expr, t.Expr] | None:
        sig = self.symbols.values.get(name)
        if sig is None and not is_builtin(name) and name not in ctx.local:
            self._unknown(name, call.name.span, ctx)
            return None
        if sig is None or name in ctx.local or not isinstance(sig.result, IntervalType):
            self.error(call.span, "an interval is needed here", "write [low, high)")
            return None
        self._may_read(sig, call.name, ctx)
        args = self._arguments(call, sig, ctx)
        if args is None:
            return None
        of = sig.result.of
        low, high = (t.Apply(sig.kind, f"{name}.{x}", args, of, call.span) for x in ("lo", "hi"))
        return low, high

    def binders(
        self, groups: tuple[s.BinderGroup, ...], ctx: Context
    ) -> tuple[tuple[t.Binder, ...], t.Expr | None, Context] | None:
        """Bound variables, the guard that `in P` adds, and the context inside."""
        out: list[t.Binder] = []
        guard: t.Expr | None = None
        bound = set(ctx.local)
        types = [self._binder_type(group, ctx) for group in groups]
        for group, type_ in zip(groups, types, strict=True):
            if type_ is None:
                return None
            for name in group.names:
                if not self.symbols.usable(name):
                    return None
                if name.text in bound:
                    self.error(
                        name.span,
                        f"duplicate name '{name.text}': it is already bound around here",
                        "rename one of the two",
                    )
                    return None
                bound.add(name.text)
                out.append(t.Binder(name.text, type_, name.span))
                if group.member_of is not None:
                    local = t.Local(name.text, type_, name.span)
                    kind = self.symbols.values[group.member_of.text].kind
                    test = t.Apply(kind, group.member_of.text, (local,), BOOL, name.span)
                    guard = test if guard is None else _both(guard, test)
        return tuple(out), guard, ctx.bind({b.name: b.type for b in out})

    def _binder_type(self, group: s.BinderGroup, ctx: Context) -> Type | None:
        if group.type is not None:
            return self.symbols.plain_type(group.type, unbounded=ctx.unbounded)
        assert group.member_of is not None
        name = group.member_of
        sig = self.symbols.values.get(name.text)
        if sig is None:
            if name.text not in self.symbols.broken:
                self._unknown_set(name)
            return None
        if len(sig.params) != 1 or sig.result != BOOL:
            self.error(
                name.span,
                f"'{name.text}' is not a set",
                "a set is a bool function or variable of one argument",
            )
            return None
        self._may_read(sig, name, ctx)
        return sig.params[0][1]

    def _unknown_set(self, name: s.Ident) -> None:
        if self.symbols.is_type(name.text):
            remedy = f"'{name.text}' is a type: write ': {name.text}' for all of it"
        else:
            sets = [
                n for n, v in self.symbols.values.items() if len(v.params) == 1 and v.result == BOOL
            ]
            remedy = nearest(name.text, sets) or _known("the sets here are", sets)
        self.error(name.span, f"unknown set '{name.text}'", remedy)

    # --- one method per kind of node --------------------------------------------------------------

    def infer(self, expr: s.Expr, ctx: Context, expected: Type | None) -> t.Expr | None:
        """The typed expression; `expected` is a hint for literals."""
        match expr:
            case s.Number():
                return typed_number(self.symbols, expr, expected)
            case s.Boolean():
                return t.BoolLit(expr.value, BOOL, expr.span)
            case s.Name():
                return self._name(expr, ctx)
            case s.Call():
                return self._call(expr, ctx, expected)
            case s.Prefix():
                return self._prefix(expr, ctx, expected)
            case s.Infix():
                return self.infix(expr, ctx, expected)
            case s.Conditional():
                return self.conditional(expr, ctx, expected)
            case s.As():
                return self.cast(expr, ctx)
            case s.Field():
                return self._field(expr, ctx)
            case s.Interval():
                self.error(
                    expr.span,
                    "an interval cannot stand here",
                    "write two comparisons: low <= x and x < high",
                )
                return None
            case s.Quantified():
                return self._quantified(expr, ctx)
            case s.Succeeds():
                return self._succeeds(expr, ctx)

    def _name(self, expr: s.Name, ctx: Context) -> t.Expr | None:
        text = expr.text
        if text in ctx.local:
            return t.Local(text, ctx.local[text], expr.span)
        if text in self.symbols.members:
            return t.EnumLit(text, self.symbols.members[text], expr.span)
        if text == "granule_shift":
            return self._granule_shift(expr.span)
        sig = self.symbols.values.get(text)
        if sig is None:
            self._unknown(text, expr.span, ctx)
            return None
        if isinstance(sig.result, IntervalType):
            args = "(...)" if sig.params else ""
            self.error(expr.span, f"'{text}' is an interval", f"write {text}{args}.lo or .hi")
            return None
        if sig.params:
            names = ", ".join(name for name, _ in sig.params)
            self.error(expr.span, f"'{text}' needs its arguments", f"write {text}({names})")
            return None
        self._may_read(sig, s.Ident(text, expr.span), ctx)
        return t.Apply(sig.kind, text, (), sig.result, expr.span)

    def _granule_shift(self, span: Span) -> t.Expr | None:
        if self.symbols.platform is None:
            self.error(
                span,
                "'granule_shift' needs a platform",
                'use one, e.g. use "optee/platforms/qemu_armv8a.tess"',
            )
            return None
        return t.IntLit(self.symbols.platform.granule_shift, IntType(32, None, "u32"), span)

    def _unknown(self, name: str, span: Span, ctx: Context) -> None:
        if name in self.symbols.broken:
            return  # its declaration was reported
        known = [*ctx.local, *self.symbols.value_names()]
        remedy = nearest(name, known) or "declare it, or 'use' the file that does"
        if ctx.what == "a platform":
            remedy = "a platform is made of numbers and its earlier regions"
        elif self.symbols.region(name) is not None:
            remedy = f"'{name}' is a region: write {name}.base, {name}.size or {name}.end"
        elif name in self.symbols.actions:
            remedy = f"'{name}' is an action: in a promise, write {name}(...) succeeds"
        elif self.symbols.is_type(name):
            remedy = f"'{name}' is a type: convert with 'as {name}'"
        self.error(span, f"unknown name '{name}'", remedy)

    def _may_read(self, sig: Signature, name: s.Ident, ctx: Context) -> None:
        if sig.kind == "var" and ctx.policy:
            self.error(
                name.span,
                f"{ctx.what} reads the state variable '{name.text}', which a policy may not",
                POLICY_SEES,
            )
        elif not ctx.state:
            read = name.text if sig.kind == "var" else self.symbols.readers.get(name.text)
            if read is not None:
                through = "" if read == name.text else f" through '{name.text}'"
                self.error(
                    name.span,
                    f"{ctx.what} reads the state variable '{read}'{through}, which it may not",
                    "there is no state yet: use constants and parameters"
                    if ctx.what == "init"
                    else "it is about every state: use constants, parameters and their functions",
                )

    def _call(self, expr: s.Call, ctx: Context, expected: Type | None) -> t.Expr | None:
        name = expr.name.text
        if is_builtin(name):
            return call_builtin(self, expr, ctx, expected)
        sig = self.symbols.values.get(name)
        if sig is None:
            if name in ctx.local:
                self.error(
                    expr.span,
                    f"'{name}' is {ctx.local[name]} and takes no arguments",
                    f"write {name}, or FUNCTION({name})",
                )
            else:
                self._unknown(name, expr.name.span, ctx)
            return None
        if isinstance(sig.result, IntervalType):
            self.error(expr.span, f"'{name}' gives an interval", f"write {name}(...).lo or .hi")
            return None
        self._may_read(sig, expr.name, ctx)
        args = self._arguments(expr, sig, ctx)
        return None if args is None else t.Apply(sig.kind, name, args, sig.result, expr.span)

    def _arguments(self, expr: s.Call, sig: Signature, ctx: Context) -> tuple[t.Expr, ...] | None:
        return self.arguments(expr, sig.params, ctx)

    def arguments(
        self, expr: s.Call, params: tuple[tuple[str, Type], ...], ctx: Context
    ) -> tuple[t.Expr, ...] | None:
        """The arguments of a call, checked against the parameters' names and types."""
        name = expr.name.text
        if len(expr.args) != len(params):
            shape = ", ".join(f"{param}: {type_}" for param, type_ in params)
            self.error(
                expr.span,
                f"'{name}' takes {count(len(params), 'argument')}, not {len(expr.args)}",
                f"write {name}({shape})" if params else f"write {name} without arguments",
            )
            return None
        args = [self.expr(a, ctx, x) for a, (_, x) in zip(expr.args, params, strict=True)]
        good = [a for a in args if a is not None]
        return tuple(good) if len(good) == len(args) else None

    def _prefix(self, expr: s.Prefix, ctx: Context, expected: Type | None) -> t.Expr | None:
        if expr.op == "exact":
            return self._exact(expr, ctx)
        if expr.op == "not":
            arg = self.boolean(expr.arg, ctx)
            return None if arg is None else t.Unary("not", arg, BOOL, expr.span)
        if expr.op == "old":
            if not ctx.old:
                self.error(
                    expr.span,
                    "'old' stands only in a 'step' property, and not inside another 'old'",
                    "state it as: step NAME: ...; an action reads the old state anyway",
                )
                return None
            arg = self.expr(expr.arg, ctx.inside_old(), None)
            return None if arg is None else t.Old(arg, arg.type, expr.span)
        return self.complement(expr, ctx, expected)

    def _exact(self, expr: s.Prefix, ctx: Context) -> t.Expr | None:
        if ctx.policy:
            self.error(
                expr.span, "'exact' cannot stand in a policy", "state it as an invariant or lemma"
            )
            return None
        inner = expr.arg
        name = inner.name.text if isinstance(inner, s.Call) else ""
        name = inner.text if isinstance(inner, s.Name) else name
        sig = self.symbols.values.get(name) if name not in ctx.local else None
        ends_needed = sig is not None and isinstance(sig.result, IntervalType)
        if isinstance(inner, s.Interval) or ends_needed:
            ends = self.interval(inner, ctx)
            return None if ends is None else t.Exact(ends, BOOL, expr.span)
        arg = self.expr(inner, ctx)
        return None if arg is None else t.Exact((arg,), BOOL, expr.span)

    def _field(self, expr: s.Field, ctx: Context) -> t.Expr | None:
        field_name = expr.name.text
        if isinstance(expr.arg, s.Name):
            name = expr.arg.text
            if name in ctx.local:
                known = self.symbols.values.get(field_name)
                fits = known is not None and [x for _, x in known.params] == [ctx.local[name]]
                self.error(
                    expr.span,
                    f"'{name}' is {ctx.local[name]} and has no fields",
                    f"write {field_name}({name})" if fits else "write FUNCTION(NAME), not NAME.F",
                )
                return None
            if name not in self.symbols.values:
                return self._region_field(expr.arg, expr)
        if field_name not in ("lo", "hi"):
            self.error(expr.name.span, f"unknown field '{field_name}'", "an interval has lo and hi")
            return None
        if isinstance(expr.arg, s.Call | s.Name) and not self._may_be_interval(expr.arg, ctx):
            return None
        ends = self.interval(expr.arg, ctx)
        return None if ends is None else ends[0 if field_name == "lo" else 1]

    def _may_be_interval(self, arg: s.Call | s.Name, ctx: Context) -> bool:
        name = arg.text if isinstance(arg, s.Name) else arg.name.text
        sig = self.symbols.values.get(name)
        if sig is None or isinstance(sig.result, IntervalType):
            return True
        self.error(
            arg.span,
            f"this is {sig.result}, not an interval: it has no ends",
            "only a function of type interval has .lo and .hi",
        )
        return False

    def _region_field(self, name: s.Name, expr: s.Field) -> t.Expr | None:
        region = self.symbols.region(name.text)
        platform = self.symbols.platform
        if platform is not None and name.text in self.symbols.open_regions:
            return self._open_field(name, expr, IntType(platform.paddr, "bytes", "paddr"))
        if region is None or platform is None:
            if name.text not in self.symbols.broken:
                regions = [r.name for r in platform.regions] if platform else []
                remedy = nearest(name.text, regions) or _known("the regions here are", regions)
                remedy = remedy or (
                    "the platform has no region of that name above this place"
                    if platform
                    else 'use a platform, e.g. use "optee/platforms/qemu_armv8a.tess"'
                )
                self.error(name.span, f"unknown region '{name.text}'", remedy)
            return None
        values = {"base": region.base, "size": region.size, "end": region.base + region.size}
        if expr.name.text not in values:
            self._unknown_field(expr)
            return None
        paddr = IntType(platform.paddr, "bytes", "paddr")
        value = values[expr.name.text]
        if value >> platform.paddr:
            self.error(
                expr.span,
                f"the end of '{name.text}' is {value:#x}, which does not fit in {paddr}",
                f"compare with {name.text}.base + ({name.text}.size - 1 bytes)",
            )
            return None
        return t.IntLit(value, paddr, expr.span)

    def _open_field(self, name: s.Name, expr: s.Field, type_: IntType) -> t.Expr | None:
        """A field of a region whose place is still to be chosen."""
        if expr.name.text not in ("base", "size", "end"):
            self._unknown_field(expr)
            return None
        return t.Apply("region", f"{name.text}.{expr.name.text}", (), type_, expr.span)

    def _unknown_field(self, expr: s.Field) -> None:
        self.error(
            expr.name.span, f"unknown field '{expr.name.text}'", "a region has base, size and end"
        )

    def _quantified(self, expr: s.Quantified, ctx: Context) -> t.Expr | None:
        bound = self.binders(expr.groups, ctx)
        if bound is None:
            return None
        binders, member, inner = bound
        infinite = [b for b in binders if not isinstance(b.type, EnumType | BoolType)]
        if ctx.policy and infinite:
            self.error(
                infinite[0].span,
                f"a policy cannot quantify over {infinite[0].type}: the type is infinite",
                "a policy becomes C: decide from its arguments and constants",
            )
            return None
        guard = self.boolean(expr.guard, inner) if expr.guard is not None else None
        body = self.boolean(expr.body, inner)
        if body is None or (expr.guard is not None and guard is None):
            return None
        parts = [g for g in (member, guard) if g is not None]
        full = t.BoolLit(True, BOOL, expr.span) if not parts else parts[0]
        if len(parts) == 2:
            full = _both(parts[0], parts[1])
        return t.Quant(expr.kind, binders, full, body, BOOL, expr.span)

    def _succeeds(self, expr: s.Succeeds, ctx: Context) -> t.Expr | None:
        name = expr.call.name
        if not ctx.promise:
            self.error(
                expr.span,
                "'succeeds' stands only in a 'promise'",
                f"state it as: promise NAME: ... {name.text}(...) succeeds",
            )
            return None
        action = self.symbols.actions.get(name.text)
        if action is None:
            remedy = nearest(name.text, self.symbols.actions)
            known = _known("the actions here are", self.symbols.actions)
            self.error(name.span, f"unknown action '{name.text}'", remedy or known)
            return None
        params = [(p.name.text, self.symbols.plain_type(p.type)) for p in action.params]
        good = tuple((n, x) for n, x in params if x is not None)
        if len(good) != len(params):
            return None
        args = self.arguments(expr.call, good, ctx)
        witness = [self._witness(item, action, ctx) for item in expr.witness]
        chosen = tuple(w for w in witness if w is not None)
        if args is None or len(chosen) != len(witness):
            return None
        return t.Succeeds(name.text, args, chosen, BOOL, expr.span)

    def _witness(
        self, item: s.Override, action: s.Action, ctx: Context
    ) -> tuple[str, t.Expr] | None:
        choices = {c.name.text: c for c in action.body if isinstance(c, s.Choose)}
        choice = choices.get(item.name.text)
        if choice is None:
            remedy = nearest(item.name.text, choices) or _known("it chooses", choices)
            self.error(
                item.name.span, f"'{action.name.text}' chooses no '{item.name.text}'", remedy
            )
            return None
        type_ = self.symbols.plain_type(choice.type)
        value = None if type_ is None else self.expr(item.value, ctx, type_)
        return None if value is None else (item.name.text, value)


def count(number: int, what: str) -> str:
    """`1 argument`, `2 arguments`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _known(lead: str, names: Mapping[str, object] | list[str]) -> str:
    """A list of what may stand here, when it is short enough to read."""
    return f"{lead} {', '.join(names)}" if 0 < len(names) <= 12 else ""


def _both(a: t.Expr, b: t.Expr) -> t.Expr:
    return t.Binary("and", a, b, BOOL, b.span)
