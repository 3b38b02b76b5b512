"""Typing of expressions: widths, units, names.

Goal: turn a surface expression into a typed one, bidirectionally: a literal takes its width and
unit from what it meets. Errors are recorded and checking goes on; a failed part is None.
Non-goals: declarations and actions (see `tessera.lang.check`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tessera.errors import Span
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.builtins import call_builtin, is_builtin
from tessera.lang.diagnostics import nearest
from tessera.lang.literals import typed_number
from tessera.lang.scope import Signature, Symbols
from tessera.lang.types import (
    BOOL,
    CLASS,
    BoolType,
    EnumType,
    IntervalType,
    IntType,
    NatType,
    Type,
)

_COMPARE = {"==", "!=", "<", "<=", ">", ">="}
_LOGIC = {"and", "or", "=>"}


@dataclass(frozen=True, slots=True)
class Context:
    """Where an expression stands: its local names and what it may look at."""

    local: dict[str, Type] = field(default_factory=dict)
    what: str = "this expression"
    state: bool = True  # may read state variables
    old: bool = False  # may use old(...)
    policy: bool = False  # becomes C
    promise: bool = False  # may use `succeeds`
    unbounded: bool = False

    def bind(self, names: dict[str, Type]) -> Context:
        """The same place with more local names."""
        return Context(
            {**self.local, **names},
            self.what,
            self.state,
            self.old,
            self.policy,
            self.promise,
            self.unbounded,
        )


class ExprChecker:
    """Types expressions against one symbol table."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols

    def error(self, span: Span, message: str, remedy: str = "") -> None:
        """Record a mistake."""
        self.symbols.diagnostics.add(span, message, remedy)

    # --- entry points -----------------------------------------------------------------------------

    def boolean(self, expr: s.Expr, ctx: Context) -> t.Expr | None:
        """A condition."""
        return self.expr(expr, ctx, BOOL)

    def expr(self, expr: s.Expr, ctx: Context, expected: Type | None = None) -> t.Expr | None:
        """The typed expression; reports when it does not have the expected type."""
        typed = self._infer(expr, ctx, expected)
        if typed is None or expected is None or typed.type == expected:
            return typed
        self._mismatch(typed, expected)
        return None

    def interval(self, expr: s.Expr, ctx: Context) -> tuple[t.Expr, t.Expr] | None:
        """The two ends of an expression of type interval."""
        if isinstance(expr, s.Interval):
            of = IntervalType(IntType(32, "granules", "u32")).of
            lo, hi = self.expr(expr.lo, ctx, of), self.expr(expr.hi, ctx, of)
            return None if lo is None or hi is None else (lo, hi)
        if isinstance(expr, s.Conditional):
            test = self.boolean(expr.test, ctx)
            then, other = self.interval(expr.then, ctx), self.interval(expr.other, ctx)
            if test is None or then is None or other is None:
                return None
            ends = [t.Ite(test, a, b, a.type, expr.span) for a, b in zip(then, other, strict=True)]
            return ends[0], ends[1]
        if isinstance(expr, s.Call):
            sig = self.symbols.values.get(expr.name.text)
            if sig is not None and isinstance(sig.result, IntervalType):
                args = self._arguments(expr, sig, ctx)
                if args is None:
                    return None
                of = sig.result.of
                lo, hi = (
                    t.Apply(sig.kind, f"{expr.name.text}.{end}", args, of, expr.span)
                    for end in ("lo", "hi")
                )
                return lo, hi
        self.error(expr.span, "an interval is needed here", "write [low, high)")
        return None

    def binders(
        self, groups: tuple[s.BinderGroup, ...], ctx: Context
    ) -> tuple[tuple[t.Binder, ...], t.Expr | None, Context] | None:
        """Bound variables, the guard that `in P` adds, and the context inside."""
        out: list[t.Binder] = []
        guard: t.Expr | None = None
        for group in groups:
            type_ = self._binder_type(group, ctx)
            if type_ is None:
                return None
            for name in group.names:
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
            known = [n for n, v in self.symbols.values.items() if len(v.params) == 1]
            self.error(name.span, f"unknown set '{name.text}'", nearest(name.text, known))
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

    # --- one method per kind of node --------------------------------------------------------------

    def _infer(self, expr: s.Expr, ctx: Context, expected: Type | None) -> t.Expr | None:
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
                return self._infix(expr, ctx, expected)
            case s.Conditional():
                return self._conditional(expr, ctx, expected)
            case s.As():
                return self._cast(expr, ctx)
            case s.Field():
                return self._field(expr, ctx)
            case s.Interval():
                self.error(expr.span, "an interval cannot stand here", "name one end: .lo or .hi")
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
        if text == "granule_shift" and self.symbols.platform is not None:
            value = self.symbols.platform.granule_shift
            return t.IntLit(value, IntType(32, None, "u32"), expr.span)
        sig = self.symbols.values.get(text)
        if sig is None:
            self._unknown(expr.text, expr.span, ctx)
            return None
        if sig.params or isinstance(sig.result, IntervalType):
            self.error(expr.span, f"'{text}' needs its arguments", f"write {text}(...)")
            return None
        self._may_read(sig, s.Ident(text, expr.span), ctx)
        return t.Apply(sig.kind, text, (), sig.result, expr.span)

    def _unknown(self, name: str, span: Span, ctx: Context) -> None:
        known = [*ctx.local, *self.symbols.value_names()]
        self.error(span, f"unknown name '{name}'", nearest(name, known) or "declare it first")

    def _may_read(self, sig: Signature, name: s.Ident, ctx: Context) -> None:
        if sig.kind != "var" or (ctx.state and not ctx.policy):
            return
        if ctx.policy:
            self.error(
                name.span,
                f"{ctx.what} reads the state variable '{name.text}', which a policy may not",
                "a policy sees its arguments, parameters, constants and the pool's size",
            )
        else:
            self.error(name.span, f"{ctx.what} may not read the state ('{name.text}')")

    def _call(self, expr: s.Call, ctx: Context, expected: Type | None) -> t.Expr | None:
        name = expr.name.text
        if is_builtin(name):
            return call_builtin(self, expr, ctx, expected)
        sig = self.symbols.values.get(name)
        if sig is None:
            self._unknown(name, expr.name.span, ctx)
            return None
        if isinstance(sig.result, IntervalType):
            self.error(expr.span, f"'{name}' gives an interval", f"write {name}(...).lo or .hi")
            return None
        self._may_read(sig, expr.name, ctx)
        args = self._arguments(expr, sig, ctx)
        return None if args is None else t.Apply(sig.kind, name, args, sig.result, expr.span)

    def _arguments(self, expr: s.Call, sig: Signature, ctx: Context) -> tuple[t.Expr, ...] | None:
        return self.arguments(expr, tuple(type_ for _, type_ in sig.params), ctx)

    def arguments(
        self, expr: s.Call, types: tuple[Type, ...], ctx: Context
    ) -> tuple[t.Expr, ...] | None:
        """The arguments of a call, checked against the parameter types."""
        if len(expr.args) != len(types):
            self.error(
                expr.span,
                f"'{expr.name.text}' takes {len(types)} arguments, not {len(expr.args)}",
            )
            return None
        args = [self.expr(a, ctx, type_) for a, type_ in zip(expr.args, types, strict=True)]
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
                self.error(expr.span, "'old' stands only in a 'step' property")
                return None
            arg = self.expr(expr.arg, ctx, None)
            return None if arg is None else t.Old(arg, arg.type, expr.span)
        arg = self.expr(expr.arg, ctx, expected if isinstance(expected, IntType) else None)
        if arg is None or not self._integer(arg):
            return None
        return t.Unary("~", arg, arg.type, expr.span)

    def _exact(self, expr: s.Prefix, ctx: Context) -> t.Expr | None:
        inner = expr.arg
        sig = self.symbols.values.get(inner.name.text) if isinstance(inner, s.Call) else None
        if isinstance(inner, s.Interval) or (
            sig is not None and isinstance(sig.result, IntervalType)
        ):
            ends = self.interval(inner, ctx)
            return None if ends is None else t.Exact(ends, BOOL, expr.span)
        arg = self.expr(inner, ctx)
        return None if arg is None else t.Exact((arg,), BOOL, expr.span)

    def _infix(self, expr: s.Infix, ctx: Context, expected: Type | None) -> t.Expr | None:
        if expr.op in _LOGIC:
            left, right = self.boolean(expr.left, ctx), self.boolean(expr.right, ctx)
            if left is None or right is None:
                return None
            return t.Binary(expr.op, left, right, BOOL, expr.span)
        if expr.op in ("<<", ">>"):
            return self._shift(expr, ctx, expected)
        wanted = expected if expr.op not in _COMPARE and isinstance(expected, IntType) else None
        pair = self.same_type(expr.left, expr.right, ctx, wanted, expr.op)
        if pair is None:
            return None
        left, right = pair
        if expr.op in _COMPARE:
            return self._comparison(expr, left, right)
        if not self._integer(left):
            return None
        return t.Binary(expr.op, left, right, self._result(expr.op, left, right), expr.span)

    @staticmethod
    def _result(op: str, left: t.Expr, right: t.Expr) -> Type:
        """The unit algebra of * and /: a ratio of two like quantities has no unit."""
        a, b = left.type, right.type
        assert isinstance(a, IntType | NatType) and isinstance(b, IntType | NatType)
        if isinstance(a, NatType) or isinstance(b, NatType):
            return a
        if op == "/" and a.unit == b.unit:
            return IntType(a.width, None)
        if op == "*" and a.unit is None:
            return b
        return a

    def same_type(
        self, a: s.Expr, b: s.Expr, ctx: Context, wanted: Type | None, op: str
    ) -> tuple[t.Expr, t.Expr] | None:
        """Two operands of one type; a literal adapts to the other side."""
        flip = _literal(a) and not _literal(b)
        first, second = (b, a) if flip else (a, b)
        loose = op in ("*", "/", "%")
        head = (
            self.expr(first, ctx, None)
            if wanted is None or loose
            else self._infer(first, ctx, wanted)
        )
        if head is None:
            self._infer(second, ctx, wanted)
            return None
        hint: Type = head.type
        if loose and isinstance(hint, IntType) and _literal(second):
            has_unit = isinstance(second, s.Number) and (second.unit or second.scale in _BYTES)
            hint = hint if has_unit else IntType(hint.width, None, hint.name)
        tail = self._infer(second, ctx, hint)
        if tail is None:
            return None
        if not self._compatible(head.type, tail.type, loose):
            self._mismatch(tail, head.type)
            return None
        return (tail, head) if flip else (head, tail)

    @staticmethod
    def _compatible(a: Type, b: Type, loose: bool) -> bool:
        if loose and isinstance(a, IntType) and isinstance(b, IntType):
            return a.width == b.width and (a.unit is None or b.unit is None or a.unit == b.unit)
        return a == b

    def _comparison(self, expr: s.Infix, left: t.Expr, right: t.Expr) -> t.Expr | None:
        op = expr.op
        if op in ("==", "!="):
            return t.Binary(op, left, right, BOOL, expr.span)
        if left.type == CLASS:
            if op in (">", ">="):
                left, right, op = right, left, {">": "<", ">=": "<="}[op]
            lower = t.Binary("<", left, right, BOOL, expr.span)
            if op == "<":
                return lower
            same = t.Binary("==", left, right, BOOL, expr.span)
            return t.Binary("or", lower, same, BOOL, expr.span)
        if not self._integer(left):
            return None
        return t.Binary(op, left, right, BOOL, expr.span)

    def _shift(self, expr: s.Infix, ctx: Context, expected: Type | None) -> t.Expr | None:
        by_granule = isinstance(expr.right, s.Name) and expr.right.text == "granule_shift"
        wanted = expected if isinstance(expected, IntType) and not by_granule else None
        left = self._infer(expr.left, ctx, wanted if _literal(expr.left) else None)
        right = self.expr(expr.right, ctx)
        if left is None or right is None or not self._integer(left) or not self._integer(right):
            return None
        if isinstance(left.type, NatType) or not isinstance(left.type, IntType):
            self.error(expr.span, "an unbounded integer cannot be shifted", "use * or /")
            return None
        unit = left.type.unit
        if by_granule:
            needs, gives = ("granules", "bytes") if expr.op == "<<" else ("bytes", "granules")
            if unit != needs:
                self.error(
                    expr.left.span,
                    f"unit mismatch: '{expr.op} granule_shift' turns {needs} into {gives}, but "
                    f"this is {unit or 'without a unit'}",
                )
                return None
            unit = gives
        type_ = IntType(left.type.width, unit, left.type.name)
        return t.Binary(expr.op, left, right, type_, expr.span)

    def _conditional(
        self, expr: s.Conditional, ctx: Context, expected: Type | None
    ) -> t.Expr | None:
        test = self.boolean(expr.test, ctx)
        pair = self.same_type(expr.then, expr.other, ctx, expected, "if")
        if test is None or pair is None:
            return None
        return t.Ite(test, pair[0], pair[1], pair[0].type, expr.span)

    def _cast(self, expr: s.As, ctx: Context) -> t.Expr | None:
        target = self.symbols.plain_type(expr.type)
        arg = self.expr(expr.arg, ctx)
        if target is None or arg is None or not self._integer(arg):
            return None
        if not isinstance(target, IntType) or not isinstance(arg.type, IntType):
            self.error(expr.span, f"'as' converts integers, not to {target}")
            return None
        if target.unit is not None and arg.type.unit not in (None, target.unit):
            self.error(
                expr.span,
                f"unit mismatch: {arg.type.unit} cannot become {target.unit} by 'as'",
                "shift by granule_shift to convert between granules and bytes",
            )
            return None
        unit = target.unit or arg.type.unit
        return t.Cast(arg, IntType(target.width, unit, target.name), expr.span)

    def _field(self, expr: s.Field, ctx: Context) -> t.Expr | None:
        field_name = expr.name.text
        if isinstance(expr.arg, s.Name) and expr.arg.text not in self.symbols.values:
            return self._region_field(expr.arg, expr)
        if field_name not in ("lo", "hi"):
            self.error(expr.name.span, f"unknown field '{field_name}'", "an interval has lo and hi")
            return None
        ends = self.interval(expr.arg, ctx)
        return None if ends is None else ends[0 if field_name == "lo" else 1]

    def _region_field(self, name: s.Name, expr: s.Field) -> t.Expr | None:
        region = self.symbols.region(name.text)
        if region is None:
            regions = (
                [r.name for r in self.symbols.platform.regions] if self.symbols.platform else []
            )
            remedy = nearest(name.text, regions) or "use a platform that has this region"
            self.error(name.span, f"unknown region '{name.text}'", remedy)
            return None
        values = {"base": region.base, "size": region.size, "end": region.base + region.size}
        if expr.name.text not in values:
            self.error(
                expr.name.span,
                f"unknown field '{expr.name.text}'",
                "a region has base, size and end",
            )
            return None
        width = self.symbols.platform.paddr if self.symbols.platform else 64
        return t.IntLit(values[expr.name.text], IntType(width, "bytes", "paddr"), expr.span)

    def _quantified(self, expr: s.Quantified, ctx: Context) -> t.Expr | None:
        bound = self.binders(expr.groups, ctx)
        if bound is None:
            return None
        binders, member, inner = bound
        if ctx.policy:
            for binder in binders:
                if not isinstance(binder.type, EnumType | BoolType):
                    self.error(
                        binder.span,
                        f"a policy cannot quantify over {binder.type}: the type is infinite",
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
        if not ctx.promise:
            self.error(expr.span, "'succeeds' stands only in a 'promise'")
            return None
        name = expr.call.name
        action = self.symbols.actions.get(name.text)
        if action is None:
            self.error(
                name.span, f"unknown action '{name.text}'", nearest(name.text, self.symbols.actions)
            )
            return None
        types = [self.symbols.plain_type(p.type) for p in action.params]
        args = self.arguments(expr.call, tuple(x for x in types if x is not None), ctx)
        choices = {c.name.text: c for c in action.body if isinstance(c, s.Choose)}
        witness: list[tuple[str, t.Expr]] = []
        for item in expr.witness:
            choice = choices.get(item.name.text)
            if choice is None:
                self.error(
                    item.span,
                    f"'{name.text}' chooses no '{item.name.text}'",
                    nearest(item.name.text, choices),
                )
                return None
            value = self.expr(item.value, ctx, self.symbols.plain_type(choice.type))
            if value is not None:
                witness.append((item.name.text, value))
        if args is None or len(witness) != len(expr.witness):
            return None
        return t.Succeeds(name.text, args, tuple(witness), BOOL, expr.span)

    # --- messages ---------------------------------------------------------------------------------

    def _integer(self, expr: t.Expr) -> bool:
        if isinstance(expr.type, IntType | NatType):
            return True
        self.error(expr.span, f"an integer is needed here, not {expr.type}")
        return False

    def _mismatch(self, found: t.Expr, expected: Type) -> None:
        a, b = expected, found.type
        if isinstance(a, IntType) and isinstance(b, IntType):
            if a.width != b.width:
                self.error(
                    found.span,
                    f"width mismatch: {b} meets {a}",
                    f"convert it: (...) as {a.name or f'u{a.width}'}",
                )
            else:
                self.error(
                    found.span,
                    f"unit mismatch: {b.unit or 'no unit'} meets {a.unit or 'no unit'}",
                    "shift by granule_shift to convert between granules and bytes",
                )
            return
        self.error(found.span, f"type mismatch: this is {b}, but {a} is needed")


_BYTES = ("KiB", "MiB", "GiB")


def _literal(expr: s.Expr) -> bool:
    """Whether an expression is made of numbers only, so that it has no width of its own."""
    if isinstance(expr, s.Infix):
        return _literal(expr.left) and _literal(expr.right)
    return isinstance(expr, s.Number)


def _both(a: t.Expr, b: t.Expr) -> t.Expr:
    return t.Binary("and", a, b, BOOL, b.span)
