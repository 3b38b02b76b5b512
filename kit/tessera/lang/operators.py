"""Typing of operators: widths, units, conversions.

Goal: the rules by which two operands meet; a literal takes its width and unit from the other side.
Non-goals: names, calls and binders (see `tessera.lang.check_expr`, which builds on this).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import islice

from tessera.errors import Span
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.context import Context
from tessera.lang.literals import BYTE_SCALES
from tessera.lang.scope import Symbols
from tessera.lang.show import show
from tessera.lang.types import BOOL, CLASS, EnumType, IntType, NatType, Type
from tessera.lang.walk import walk

_COMPARE = {"==", "!=", "<", "<=", ">", ">="}
_LOGIC = {"and", "or", "=>"}
_ARITHMETIC = {"+", "-", "*", "/", "%", "&", "|", "^", "min", "max"}
_LONGEST_QUOTE = 40
_MOST_REPEATED = 64  # `a <= b` of classes repeats both sides
_NAME_IT = "name it: function NAME(...): class = ..."


class OperatorChecker(ABC):
    """Types operators against one symbol table; a failed part is None and was reported."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols

    def error(self, span: Span, message: str, remedy: str = "") -> None:
        """Record a mistake."""
        self.symbols.diagnostics.add(span, message, remedy)

    @abstractmethod
    def infer(self, expr: s.Expr, ctx: Context, expected: Type | None) -> t.Expr | None:
        """The typed expression; `expected` is a hint for literals."""

    def boolean(self, expr: s.Expr, ctx: Context) -> t.Expr | None:
        """A condition."""
        return self.expr(expr, ctx, BOOL)

    def expr(self, expr: s.Expr, ctx: Context, expected: Type | None = None) -> t.Expr | None:
        """The typed expression; reports when it does not have the expected type."""
        typed = self.infer(expr, ctx, expected)
        if typed is None or expected is None or typed.type == expected:
            return typed
        self.mismatch(typed, expected)
        return None

    # --- one operand ------------------------------------------------------------------------------

    def complement(self, expr: s.Prefix, ctx: Context, expected: Type | None) -> t.Expr | None:
        """`~e`."""
        arg = self.expr(expr.arg, ctx, expected if isinstance(expected, IntType) else None)
        if arg is None or not self.integer(arg):
            return None
        if isinstance(arg.type, NatType):
            self.error(expr.span, "an unbounded integer has no bits to flip", "use a C width")
            return None
        return t.Unary("~", arg, arg.type, expr.span)

    def cast(self, expr: s.As, ctx: Context) -> t.Expr | None:
        """`e as T`."""
        target = self.symbols.plain_type(expr.type, unbounded=ctx.unbounded)
        arg = self.expr(expr.arg, ctx)
        if target is None or arg is None or not self.integer(arg):
            return None
        if not isinstance(target, IntType) or not isinstance(arg.type, IntType):
            self.error(
                expr.span,
                f"'as' converts between integers of C widths, not {arg.type} to {target}",
                "the widths are u8 u16 u32 u64 usize paddr",
            )
            return None
        if target.unit is not None and arg.type.unit not in (None, target.unit):
            self.error(
                expr.span,
                f"unit mismatch: {arg.type.unit} cannot become {target.unit} by 'as'",
                _unit_remedy(arg, target.unit),
            )
            return None
        unit = target.unit or arg.type.unit
        return t.Cast(arg, IntType(target.width, unit, target.name), expr.span)

    # --- two operands -----------------------------------------------------------------------------

    def infix(self, expr: s.Infix, ctx: Context, expected: Type | None) -> t.Expr | None:
        """A binary operator."""
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
        if not self.integer(left):
            return None
        type_ = self._result(expr, left.type, right.type)
        return None if type_ is None else t.Binary(expr.op, left, right, type_, expr.span)

    def _result(self, expr: s.Infix, a: Type, b: Type) -> Type | None:
        """The unit algebra of * / %: a ratio of two like quantities has no unit."""
        if not isinstance(a, IntType) or not isinstance(b, IntType):
            return a
        if expr.op == "*" and a.unit is not None and b.unit is not None:
            self.error(
                expr.span,
                f"unit mismatch: {a.unit} times {b.unit} has no meaning",
                "only one side of '*' may have a unit",
            )
            return None
        if expr.op in ("/", "%") and b.unit is not None and a.unit is None:
            self.error(
                expr.span,
                f"unit mismatch: a number without a unit is divided by {b.unit}",
                "give the left side the same unit, or the right side none",
            )
            return None
        if expr.op == "/" and a.unit == b.unit:
            return IntType(a.width, None, a.name)
        if expr.op == "*" and a.unit is None:
            return b
        return a

    def same_type(
        self, a: s.Expr, b: s.Expr, ctx: Context, wanted: Type | None, op: str
    ) -> tuple[t.Expr, t.Expr] | None:
        """Two operands of one type; a literal adapts to the other side."""
        flip = is_literal(a) and not is_literal(b)
        first, second = (b, a) if flip else (a, b)
        loose = op in ("*", "/", "%")
        head = self.infer(first, ctx, _own_unit(first, wanted) if loose else wanted)
        if head is None:
            if not is_literal(second):
                self.infer(second, ctx, wanted)
            return None
        if op in _ARITHMETIC and not self.integer(head):
            return None
        hint: Type | None = head.type
        if loose and is_literal(second):
            # In `2 * 4 MiB` it is the second side that has the unit of the result.
            plain = isinstance(head.type, IntType) and head.type.unit is None
            hint = _own_unit(second, wanted if wanted and plain and op == "*" else head.type)
        tail = self.infer(second, ctx, hint)
        if tail is None:
            return None
        if not _compatible(head.type, tail.type, loose):
            self.mismatch(tail, head.type, head)
            return None
        return (tail, head) if flip else (head, tail)

    def _comparison(self, expr: s.Infix, left: t.Expr, right: t.Expr) -> t.Expr | None:
        op = expr.op
        if op in ("==", "!="):
            return t.Binary(op, left, right, BOOL, expr.span)
        if left.type == CLASS:
            if _longer(left) or _longer(right):
                self.error(left.span, "this is too long for a comparison of classes", _NAME_IT)
                return None
            if op in (">", ">="):
                left, right, op = right, left, {">": "<", ">=": "<="}[op]
            lower = t.Binary("<", left, right, BOOL, expr.span)
            if op == "<":
                return lower
            same = t.Binary("==", left, right, BOOL, expr.span)
            return t.Binary("or", lower, same, BOOL, expr.span)
        if not self.integer(left, "only == and != compare other things than integers"):
            return None
        return t.Binary(op, left, right, BOOL, expr.span)

    def _shift(self, expr: s.Infix, ctx: Context, expected: Type | None) -> t.Expr | None:
        by_granule = (
            isinstance(expr.right, s.Name)
            and expr.right.text == "granule_shift"
            and expr.right.text not in ctx.local
        )
        wanted = expected if isinstance(expected, IntType) and not by_granule else None
        left = self.infer(expr.left, ctx, wanted if is_literal(expr.left) else None)
        right = self.expr(expr.right, ctx)
        if left is None or right is None or not self.integer(left) or not self.integer(right):
            return None
        if not isinstance(left.type, IntType) or not isinstance(right.type, IntType):
            self.error(expr.span, "an unbounded integer cannot be shifted", "use * or /")
            return None
        if right.type.unit is not None:
            self.error(
                right.span, f"unit mismatch: a shift is by bits, not {right.type.unit}", "drop it"
            )
            return None
        unit = left.type.unit
        if by_granule:
            needs, gives = ("granules", "bytes") if expr.op == "<<" else ("bytes", "granules")
            if unit != needs:
                self.error(
                    expr.left.span,
                    f"unit mismatch: '{expr.op} granule_shift' turns {needs} into {gives}, but "
                    f"this is {unit or 'without a unit'}",
                    f"give it a unit: (...) as {left.type.name or f'u{left.type.width}'} {needs}"
                    if unit is None
                    else "use the other shift, or none",
                )
                return None
            unit = gives
        type_ = IntType(left.type.width, unit, left.type.name)
        return t.Binary(expr.op, left, right, type_, expr.span)

    def conditional(
        self, expr: s.Conditional, ctx: Context, expected: Type | None
    ) -> t.Expr | None:
        """`if c then a else b`."""
        test = self.boolean(expr.test, ctx)
        pair = self.same_type(expr.then, expr.other, ctx, expected, "if")
        if test is None or pair is None:
            return None
        return t.Ite(test, pair[0], pair[1], pair[0].type, expr.span)

    # --- messages ---------------------------------------------------------------------------------

    def integer(self, expr: t.Expr, remedy: str = "check the declaration") -> bool:
        """Whether this is an integer; reports when not."""
        if isinstance(expr.type, IntType | NatType):
            return True
        self.error(expr.span, f"an integer is needed here, not {expr.type}", remedy)
        return False

    def mismatch(self, found: t.Expr, expected: Type, other: t.Expr | None = None) -> None:
        """Report that `found` does not have the expected type, which is that of `other`."""
        a, b = expected, found.type
        if not isinstance(a, IntType) or not isinstance(b, IntType):
            self.error(
                found.span,
                f"type mismatch: this is {'a number' if isinstance(found, t.IntLit) else b}, "
                f"but {a} is needed",
                self._type_remedy(found, expected),
            )
        elif a.width != b.width:
            self.error(found.span, f"width mismatch: {b} meets {a}", _widen(found, a, other))
        else:
            self.error(
                found.span,
                f"unit mismatch: {b.unit or 'no unit'} meets {a.unit or 'no unit'}",
                _unit_remedy(found, a.unit),
            )

    def _type_remedy(self, found: t.Expr, wanted: Type) -> str:
        if wanted == BOOL and isinstance(found.type, IntType | NatType):
            return "compare it with something, e.g. ... != 0"
        members = self.symbols.enums.get(wanted.name, ()) if isinstance(wanted, EnumType) else ()
        if 0 < len(members) <= 12:
            return f"the values of {wanted} are {', '.join(members)}"
        return "check the declarations of both sides"


def _longer(expr: t.Expr) -> bool:
    return next(islice(walk(expr), _MOST_REPEATED, None), None) is not None


def _compatible(a: Type, b: Type, loose: bool) -> bool:
    if loose and isinstance(a, IntType) and isinstance(b, IntType):
        return a.width == b.width and (a.unit is None or b.unit is None or a.unit == b.unit)
    return a == b


def _quote(expr: t.Expr) -> str:
    """The expression as the operand of `as`; dots when it is long."""
    shown = show(expr, atom=True)
    return shown if len(shown) <= _LONGEST_QUOTE else "(...)"


def _widen(found: t.Expr, wanted: IntType, other: t.Expr | None) -> str:
    """Convert the narrower side: that loses nothing."""
    assert isinstance(found.type, IntType)
    if found.type.width < wanted.width:
        return f"convert it: {_quote(found)} as {_name(wanted)}"
    if other is not None:
        return f"convert the narrower side: {_quote(other)} as {_name(found.type)}"
    return f"convert it: {_quote(found)} as {_name(wanted)}, which drops the high bits"


def _name(type_: IntType) -> str:
    return type_.name or f"u{type_.width}"


def _unit_remedy(found: t.Expr, wanted: str | None) -> str:
    assert isinstance(found.type, IntType)
    unit = found.type.unit
    if unit == "granules" and wanted == "bytes":
        return f"granules become bytes by: ({_quote(found)} as paddr) << granule_shift"
    if unit == "bytes" and wanted == "granules":
        return f"bytes become granules by: ({_quote(found)} >> granule_shift) as u32"
    if unit is None:
        return f"give it the unit: {_quote(found)} as {_name(found.type)} {wanted}"
    return f"give the other side a unit too, or divide this one by 1 {unit}"


def is_literal(expr: s.Expr) -> bool:
    """Whether an expression is made of numbers only, so that it has no width of its own."""
    match expr:
        case s.Infix(op="<<" | ">>"):
            return is_literal(expr.left)
        case s.Infix():
            return is_literal(expr.left) and is_literal(expr.right)
        case s.Prefix(op="~"):
            return is_literal(expr.arg)
        case s.Conditional():
            return is_literal(expr.then) and is_literal(expr.other)
    return isinstance(expr, s.Number)


def _own_unit(expr: s.Expr, like: Type | None) -> Type | None:
    """What a literal factor or divisor becomes beside `like`: only one with a unit takes one."""
    if isinstance(like, NatType) and is_literal(expr):
        return like
    if not isinstance(like, IntType) or not is_literal(expr):
        return None
    unit = _unit(expr)
    return IntType(like.width, unit and (like.unit or unit), like.name)


def _unit(literal: s.Expr) -> str | None:
    match literal:
        case s.Number():
            return literal.unit or ("bytes" if literal.scale in BYTE_SCALES else None)
        case s.Infix():
            return _unit(literal.left) or _unit(literal.right)
        case s.Prefix():
            return _unit(literal.arg)
        case s.Conditional():
            return _unit(literal.then) or _unit(literal.other)
    return None
