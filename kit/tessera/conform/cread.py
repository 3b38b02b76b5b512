"""What a C expression means: types, promotions and conversions, over numbers of either kind.

Goal: the rules of C11 6.3 and 6.5 for integers and for pointers as addresses, apart from the
emitter: integer promotion, usual arithmetic conversions, conversion on assignment, `&&`,
`||` and `?:` that evaluate only what they need, undefined behaviour as something that must not
happen. The numbers are Z3's (`tessera.prove.cvalue`) or plain ones (`cplain`).
Non-goals: statements, floating point, and anything not met in a policy: that is `NotModelled`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tessera.conform.ctypes_of import BOOL, INT, DataModel, Int, Pointer, Type, Types, usual
from tessera.emit import csyntax as c

V = Any
"""A number: a bit-vector of the type's width, or an int in the type's range."""
B = Any
"""A truth value: a Z3 formula or a bool."""


class NotModelled(Exception):
    """C that this reader gives no meaning to; the text says what."""


class Arithmetic(Protocol):
    """Operations on numbers whose types are given; both operands of `binary` have type `type_`."""

    def constant(self, value: int, type_: Int) -> V:
        """A constant in the range of its type."""

    def convert(self, value: V, old: Int, new: Int) -> V:
        """Conversion between integer types; to bool it is a comparison with 0."""

    def unary(self, op: str, value: V, type_: Int) -> V:
        """`-`, `~` or `+`."""

    def binary(self, op: str, left: V, right: V, type_: Int) -> V:
        """`+ - * / % & | ^`."""

    def shift(self, op: str, left: V, type_: Int, right: V, by: Int) -> V:
        """`<<` or `>>`."""

    def compare(self, op: str, left: V, right: V, type_: Int) -> B:
        """`== != < <= > >=`."""

    def choose(self, test: B, then: Callable[[], V], other: Callable[[], V]) -> V:
        """One of two values of one type, the other not evaluated."""

    def require(self, what: str, test: B) -> None:
        """Behaviour is undefined here unless `test` holds."""


Handler = Callable[["Reader", tuple[c.CExpr, ...]], tuple[V, Type]]
"""The value of a call, which may look at its arguments as text and evaluate them."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean: their types, the values of inputs, functions and macros.

    `inputs` gives the value of an object by its text, e.g. "entry->next->offset"; `sound` names the
    pointers that are not null. `inline` are functions whose bodies are read where they are called.
    """

    types: Types
    names: Mapping[str, str]
    inputs: Mapping[str, V]
    sound: frozenset[str] = frozenset()
    calls: Mapping[str, Handler] = field(default_factory=dict)
    inline: Mapping[str, c.Function] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)  # macros that are an int


_POINTER_CONSTANTS = ("NULL",)
_TRUTHS = {"true": 1, "false": 0}


@dataclass(frozen=True, slots=True)
class Reader:
    """Evaluates expressions; raises `NotModelled` for what it does not know."""

    do: Arithmetic
    model: DataModel
    scope: Scope

    # --- entry ------------------------------------------------------------------------------------

    def assigned(self, expr: c.CExpr, type_: str) -> V:
        """The value after assignment to an object of that type."""
        target = self._type(type_)
        if not isinstance(target, Int):
            raise NotModelled(f"an object of type {type_} is not an integer")
        return self.to(expr, target)

    def test(self, expr: c.CExpr) -> B:
        """Whether the expression, as a condition, holds."""
        value, type_ = self.value(expr)
        number = self._number(type_)
        return self.do.compare("!=", value, self.do.constant(0, number), number)

    def to(self, expr: c.CExpr, target: Int) -> V:
        """The value converted to an integer type."""
        value, type_ = self.value(expr)
        if isinstance(type_, Pointer) and target != BOOL:
            raise NotModelled(f"{c.show(expr)} is a pointer where an integer is needed")
        return self.do.convert(value, self._number(type_), target)

    # --- types ------------------------------------------------------------------------------------

    def type_of(self, expr: c.CExpr) -> Type:
        """The type of an expression, without evaluating it."""
        match expr:
            case c.Number():
                return self.model.literal(expr.value, expr.base, expr.suffix)
            case c.Name(name) if name in _POINTER_CONSTANTS:
                return Pointer("void")
            case c.Name(name) if name in _TRUTHS or name in self.scope.constants:
                return INT
            case c.Name(name) if name in self.scope.names:
                return self._type(self.scope.names[name])
            case c.Member():
                return self._type(self.member_type(expr))
            case c.Cast():
                return self._type(expr.type)
            case c.SizeOf():
                return Int(self.model.size, False)
            case c.Unary("!"):
                return INT
            case c.Unary("-" | "~" | "+"):
                return self._promoted(expr.arg)
            case c.Unary("&"):
                return Pointer("")
            case c.Binary(op) if op in _COMPARE or op in ("&&", "||"):
                return INT
            case c.Binary("<<" | ">>"):
                return self._promoted(expr.left)
            case c.Binary():
                return self._common(expr.left, expr.right)
            case c.Conditional():
                return self._common(expr.then, expr.other)
            case c.Call("MIN" | "MAX", (left, right)):
                return self._common(left, right)
            case c.Call(name) if name in self.scope.inline:
                return self._type(self.scope.inline[name].type)
            case c.Call(name) if name in self.scope.names:
                return self._type(self.scope.names[name])
        raise NotModelled(f"{c.show(expr)} is not modelled")

    def member_type(self, expr: c.Member) -> str:
        """The declared type of a member, as text."""
        base = self.type_text(expr.base)
        struct = base.removesuffix("*").strip() if expr.arrow else base
        found = self.scope.types.field(struct, expr.field)
        if found is None:
            raise NotModelled(f"the type of {c.show(expr)} is not known")
        return found

    def type_text(self, expr: c.CExpr) -> str:
        """The declared type of an object, as text."""
        match expr:
            case c.Name(name) | c.Call(name) if name in self.scope.names:
                return self.scope.names[name]
            case c.Member():
                return self.member_type(expr)
        raise NotModelled(f"the type of {c.show(expr)} is not known")

    def _type(self, text: str) -> Type:
        found = self.model.type(text)
        if found is None:
            raise NotModelled(f"the type {text} is not modelled")
        return found

    def _promoted(self, expr: c.CExpr) -> Int:
        type_ = self.type_of(expr)
        if not isinstance(type_, Int):
            raise NotModelled(f"arithmetic on the pointer {c.show(expr)} is not modelled")
        return type_.promoted()

    def _common(self, left: c.CExpr, right: c.CExpr) -> Type:
        a, b = self.type_of(left), self.type_of(right)
        if isinstance(a, Pointer) or isinstance(b, Pointer):
            if isinstance(a, Pointer) and isinstance(b, Pointer):
                return a if a.to != "void" else b
            raise NotModelled(f"{c.show(left)} and {c.show(right)}: a pointer and a number")
        return usual(a, b)

    def _number(self, type_: Type) -> Int:
        """The integer type that a value of a type is computed in."""
        return type_ if isinstance(type_, Int) else Int(self.model.pointer, False)

    # --- values -----------------------------------------------------------------------------------

    def value(self, expr: c.CExpr) -> tuple[V, Type]:
        """The value and its type."""
        text = c.show(expr)
        type_ = self.type_of(expr) if not isinstance(expr, c.Call) else None
        if isinstance(expr, c.Member) and expr.arrow:
            self.not_null(expr.base)
        if text in self.scope.inputs:
            return self.scope.inputs[text], self.type_of(expr)
        match expr:
            case c.Number(value):
                return self.do.constant(value, _int(type_)), _int(type_)
            case c.Name(name) if name in self.scope.sound:
                return self.do.constant(1, self._number(_known(type_))), _known(type_)
            case c.Name("NULL"):
                return self.do.constant(0, self._number(_known(type_))), _known(type_)
            case c.Name(name) if name in _TRUTHS or name in self.scope.constants:
                number = _TRUTHS[name] if name in _TRUTHS else self.scope.constants[name]
                return self.do.constant(number, INT), INT
            case c.Cast():
                return self._cast(expr, _known(type_))
            case c.SizeOf():
                return self._size(expr), _known(type_)
            case c.Unary("!"):
                return self._truth(lambda: self._not(expr.arg)), INT
            case c.Unary("-" | "~" | "+" as op):
                own = _int(type_)
                return self.do.unary(op, self.to(expr.arg, own), own), own
            case c.Binary("&&" | "||" as op):
                return self._logical(op, expr.left, expr.right), INT
            case c.Binary(op) if op in _COMPARE:
                return self._truth(lambda: self._compare(expr)), INT
            case c.Binary("<<" | ">>" as op):
                own, by = _int(type_), self._promoted(expr.right)
                left, right = self.to(expr.left, own), self.to(expr.right, by)
                return self.do.shift(op, left, own, right, by), own
            case c.Binary(op):
                own = _int(type_)
                left, right = self.to(expr.left, own), self.to(expr.right, own)
                return self.do.binary(op, left, right, own), own
            case c.Conditional():
                return self._conditional(expr, _known(type_)), _known(type_)
            case c.Call():
                return self._call(expr)
        raise NotModelled(f"the value of {text} is not modelled")

    def not_null(self, base: c.CExpr) -> None:
        """Undefined unless the pointer is one to an object."""
        value, type_ = self.value(base)
        number = self._number(type_)
        not_null = self.do.compare("!=", value, self.do.constant(0, number), number)
        self.do.require(f"{c.show(base)} is not null where it is read", not_null)

    def _not(self, arg: c.CExpr) -> B:
        value, type_ = self.value(arg)
        number = self._number(type_)
        return self.do.compare("==", value, self.do.constant(0, number), number)

    def _compare(self, expr: c.Binary) -> B:
        left, right = expr.left, expr.right
        if isinstance(self.type_of(left), Pointer) or isinstance(self.type_of(right), Pointer):
            number = Int(self.model.pointer, False)
            return self.do.compare(expr.op, self._address(left), self._address(right), number)
        number = _int(self._common(left, right))
        return self.do.compare(expr.op, self.to(left, number), self.to(right, number), number)

    def _address(self, expr: c.CExpr) -> V:
        if expr == c.Number(0, 8, ""):
            return self.do.constant(0, Int(self.model.pointer, False))
        value, type_ = self.value(expr)
        if isinstance(type_, Int):
            raise NotModelled(f"{c.show(expr)} is a number beside a pointer")
        return value

    def _truth(self, test: Callable[[], B]) -> V:
        return self.do.choose(test(), lambda: self._int(1), lambda: self._int(0))

    def _int(self, value: int) -> V:
        return self.do.constant(value, INT)

    def _logical(self, op: str, left: c.CExpr, right: c.CExpr) -> V:
        def last() -> V:
            return self._truth(lambda: self.test(right))

        first = self.test(left)
        if op == "&&":
            return self.do.choose(first, last, lambda: self._int(0))
        return self.do.choose(first, lambda: self._int(1), last)

    def _conditional(self, expr: c.Conditional, type_: Type) -> V:
        def side(part: c.CExpr) -> Callable[[], V]:
            if isinstance(type_, Int):
                return lambda: self.to(part, type_)
            return lambda: self._address(part)

        return self.do.choose(self.test(expr.test), side(expr.then), side(expr.other))

    def _cast(self, expr: c.Cast, type_: Type) -> tuple[V, Type]:
        value, old = self.value(expr.arg)
        return self.do.convert(value, self._number(old), self._number(type_)), type_

    def _size(self, expr: c.SizeOf) -> V:
        size = self.model.sizeof(expr.type or self._object(expr.arg or c.Name("?")))
        if size is None:
            raise NotModelled(f"{c.show(expr)} is not known")
        return self.do.constant(size, Int(self.model.size, False))

    def _object(self, arg: c.CExpr) -> str:
        """The type of what sizeof is asked of."""
        return "void *" if isinstance(arg, c.Unary) and arg.op == "&" else self.type_text(arg)

    def _call(self, expr: c.Call) -> tuple[V, Type]:
        if expr.name in self.scope.calls:
            return self.scope.calls[expr.name](self, expr.args)
        if expr.name in ("MIN", "MAX") and len(expr.args) == 2:
            return self._extreme(expr)
        if expr.name in self.scope.inline:
            function = self.scope.inline[expr.name]
            inner = Reader(self.do, self.model, self._callee(function, expr.args))
            type_ = self._type(function.type)
            body = as_expression(function.body)
            value, old = inner.value(_with_arguments(body, function, expr.args))
            return self.do.convert(value, self._number(old), self._number(type_)), type_
        raise NotModelled(f"{expr.name}() is not modelled")

    def _callee(self, function: c.Function, args: tuple[c.CExpr, ...]) -> Scope:
        """The caller's scope: arguments take the place of parameters."""
        if len(args) != len(function.params):
            raise NotModelled(f"{function.name}() is called with {len(args)} arguments")
        return self.scope

    def _extreme(self, expr: c.Call) -> tuple[V, Type]:
        """OP-TEE's MIN and MAX: both arguments evaluated once, kept in their own types."""
        left, right = expr.args
        number = _int(self._common(left, right))
        a, b = self.to(left, number), self.to(right, number)
        first = self.do.compare("<" if expr.name == "MIN" else ">", a, b, number)
        return self.do.choose(first, lambda: a, lambda: b), number


_COMPARE = ("==", "!=", "<", "<=", ">", ">=")


def as_expression(body: tuple[c.Statement, ...]) -> c.CExpr:
    """A body of nothing but ifs and returns as one expression."""
    if body:
        match body[0].what:
            case c.Return(value) if value is not None:
                return value
            case c.If(test, then, other):
                rest = (*other, *body[1:])
                return c.Conditional(test, as_expression(then), as_expression(rest))
    raise NotModelled("a function that does more than return a value is not modelled")


def _with_arguments(body: c.CExpr, function: c.Function, args: tuple[c.CExpr, ...]) -> c.CExpr:
    """Pointers are put in as they are, so that objects keep their names; numbers converted."""
    values = {
        name: arg if type_.endswith("*") else c.Cast(type_, arg)
        for (type_, name), arg in zip(function.params, args, strict=True)
    }
    return c.substitute(body, values)


def _int(type_: Type | None) -> Int:
    assert isinstance(type_, Int)
    return type_


def _known(type_: Type | None) -> Type:
    assert type_ is not None
    return type_
