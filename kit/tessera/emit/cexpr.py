"""Policy expressions as C, at exactly the widths that the spec gives them.

Goal: C text whose value, computed with C's own promotions on a 32- or 64-bit core, is the value
that `tessera.lang.typed` defines: results narrower than int are cast back, products of narrow
operands are computed unsigned, `a / 0` is all ones, `a % 0` is `a`, wide shifts give 0.
Non-goals: statements and line breaks (see `layout`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.lang.types import EnumType, IntType, Type

_ATOM, _UNARY, _MUL, _ADD, _SHIFT, _ORDER, _EQUAL, _BIT, _AND, _OR, _COND = range(11, 0, -1)
_LEVELS = {
    "*": _MUL,
    "/": _MUL,
    "%": _MUL,
    "+": _ADD,
    "-": _ADD,
    "<<": _SHIFT,
    ">>": _SHIFT,
    "<": _ORDER,
    "<=": _ORDER,
    ">": _ORDER,
    ">=": _ORDER,
    "==": _EQUAL,
    "!=": _EQUAL,
    "&": _BIT,
    "|": _BIT,
    "^": _BIT,
    "and": _AND,
    "or": _OR,
}
_C_OPS = {"and": "&&", "or": "||"}
_WRAPS = frozenset({"+", "-", "*", "<<"})  # narrow results that C would leave too wide
_INT_BITS = 32  # of C's int, on every core OP-TEE runs on


@dataclass(frozen=True, slots=True)
class CText:
    """C source and how tightly it binds."""

    text: str
    level: int

    def within(self, level: int) -> str:
        """The text, in parentheses where a context of that level needs them."""
        return self.text if self.level >= level else f"({self.text})"


def c_type(kind: Type) -> str:
    """The C type with that value range."""
    return f"uint{kind.width}_t" if isinstance(kind, IntType) else "uint32_t"


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates closed expressions.

    `names` gives the C form of locals and symbols, `classes` the number of every class, `below`
    tells whether the first class has strictly lower priority than the second.
    """

    names: Mapping[str, str]
    classes: Mapping[str, int]
    below: Callable[[str, str], bool]

    def text(self, expr: t.Expr) -> str:
        """The expression as C, without outer parentheses."""
        return self.translate(expr).text

    def operand(self, expr: t.Expr) -> str:
        """The expression as C that may stand beside any operator but a member access."""
        return self.translate(expr).within(_UNARY)

    def compared(self, expr: t.Expr) -> str:
        """The expression as C that may stand beside a comparison."""
        return self.translate(expr).within(_ADD)

    def translate(self, expr: t.Expr) -> CText:
        """The expression as C. Raises `TesseraError` for what C cannot say."""
        match expr:
            case t.IntLit():
                return CText(_literal(expr.value, expr.type), _ATOM)
            case t.BoolLit():
                return CText("true" if expr.value else "false", _ATOM)
            case t.EnumLit():
                return CText(str(self.classes[expr.name]), _ATOM)
            case t.Local() | t.Apply():
                return CText(self.names[expr.name], _ATOM)
            case t.Unary():
                return self._unary(expr)
            case t.Cast():
                return CText(f"({c_type(expr.type)}){self.operand(expr.arg)}", _UNARY)
            case t.Binary():
                return self._binary(expr)
            case t.Ite():
                test = self.translate(expr.test).within(_OR)
                then = self.translate(expr.then).within(_OR)
                other = self.translate(expr.other).within(_COND)
                return CText(f"{test} ? {then} : {other}", _COND)
            case _:
                raise TesseraError(f"{type(expr).__name__.lower()} has no C form", where=expr.span)

    def _unary(self, expr: t.Unary) -> CText:
        arg = self.operand(expr.arg)
        if expr.op == "not":
            return CText(f"!{arg}", _UNARY)
        return _narrowed(CText(f"~{arg}", _UNARY), expr.type)

    def _binary(self, expr: t.Binary) -> CText:
        op = expr.op
        if op in ("min", "max"):
            pair = f"{self.text(expr.left)}, {self.text(expr.right)}"
            return CText(f"{op.upper()}({pair})", _ATOM)
        if isinstance(expr.left.type, EnumType) and op not in ("==", "!="):
            return self._class_order(expr)
        if op in ("/", "%") and not _nonzero(expr.right):
            return self._guarded_division(expr)
        if op in ("<<", ">>") and not _small_shift(expr):
            return self._guarded_shift(expr)
        plain = self._plain(expr)
        return _narrowed(plain, expr.type) if op in _WRAPS else plain

    def _plain(self, expr: t.Binary) -> CText:
        level = _LEVELS[expr.op]
        left = _beside(expr.op, self.translate(expr.left), level)
        right = _beside(expr.op, self.translate(expr.right), level + 1)
        if expr.op in ("*", "<<") and _bits(expr.type) < _INT_BITS:
            # Promoted to a signed int, the result could overflow it.
            left = f"(uint32_t){self.operand(expr.left)}"
        return CText(f"{left} {_C_OPS.get(expr.op, expr.op)} {right}", level)

    def _guarded_division(self, expr: t.Binary) -> CText:
        divisor = self.compared(expr.right)
        if expr.op == "/":
            otherwise = _literal((1 << _bits(expr.type)) - 1, expr.type)
        else:
            otherwise = self.translate(expr.left).within(_COND)
        nonzero = f"{divisor} != {_literal(0, expr.right.type)}"
        return CText(f"{nonzero} ? {self._plain(expr).text} : {otherwise}", _COND)

    def _guarded_shift(self, expr: t.Binary) -> CText:
        width = _bits(expr.type)
        if isinstance(expr.right, t.IntLit):  # not small, so everything is shifted out
            return CText(_literal(0, expr.type), _ATOM)
        amount = self.translate(expr.right).within(_SHIFT)
        shifted = _narrowed(self._plain(expr), expr.type) if expr.op == "<<" else self._plain(expr)
        limit = _literal(width, expr.right.type)
        return CText(f"{amount} < {limit} ? {shifted.text} : {_literal(0, expr.type)}", _COND)

    def _class_order(self, expr: t.Binary) -> CText:
        """An order on classes, spelled out over the pairs for which it holds."""
        left, right, op = expr.left, expr.right, expr.op
        if op in (">", ">="):
            left, right, op = right, left, "<" if op == ">" else "<="
        pairs = [
            (a, b)
            for a in self.classes
            for b in self.classes
            if self.below(a, b) or (op == "<=" and a == b)
        ]
        if isinstance(left, t.EnumLit):
            tests = [self._is(right, b) for a, b in pairs if a == left.name]
        elif isinstance(right, t.EnumLit):
            tests = [self._is(left, a) for a, b in pairs if b == right.name]
        else:
            tests = [f"({self._is(left, a)} && {self._is(right, b)})" for a, b in pairs]
        if not tests:
            return CText("false", _ATOM)
        return CText(" || ".join(tests), _OR if len(tests) > 1 else _EQUAL)

    def _is(self, expr: t.Expr, name: str) -> str:
        return f"{self.translate(expr).within(_EQUAL)} == {self.classes[name]}"


def _beside(op: str, part: CText, level: int) -> str:
    """An operand, in the parentheses that gcc's -Wparentheses wants for mixed operators."""
    if op in ("<<", ">>", "&", "|", "^"):
        return part.within(_UNARY)
    if op in ("<", "<=", ">", ">=", "==", "!="):
        return part.within(_ADD)
    if op == "or":
        return part.within(_OR) if part.level in (_OR, _ORDER, _EQUAL) else part.within(_UNARY)
    return part.within(level)


def _bits(kind: Type) -> int:
    return kind.width if isinstance(kind, IntType) else _INT_BITS


def _narrowed(part: CText, kind: Type) -> CText:
    """Cast back to a type that C would have promoted to int."""
    if _bits(kind) >= _INT_BITS:
        return part
    return CText(f"({c_type(kind)}){part.within(_UNARY)}", _UNARY)


def _nonzero(expr: t.Expr) -> bool:
    return isinstance(expr, t.IntLit) and expr.value != 0


def _small_shift(expr: t.Binary) -> bool:
    return isinstance(expr.right, t.IntLit) and expr.right.value < _bits(expr.type)


def _literal(value: int, kind: Type) -> str:
    bits = _bits(kind)
    if isinstance(kind, EnumType) or bits < _INT_BITS:
        return str(value)
    return f"{value}U" if bits == _INT_BITS else f"{value}ULL"
