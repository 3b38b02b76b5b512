"""Typed expressions as Python closures, at exact widths, for one spec in one world.

Goal: `Evaluator.compile(expr, scope)` gives a function from a frame to the value. It either gives
the exact value or raises `Undecided`; `and`, `or`, `=>` and quantifiers decide where one side does.
Constants and parameters of the world are folded.
Non-goals: `exact` and `succeeds` (rewritten by `lower`); forms over an integer variable (`sweep`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.lang.typed import (
    Apply,
    Binary,
    BoolLit,
    Cast,
    EnumLit,
    Expr,
    Ite,
    Local,
    Old,
    Quant,
    Spec,
    Unary,
)
from tessera.lang.types import EnumType, SortType
from tessera.model import arith
from tessera.model.lower import EXACT, Lowering, children
from tessera.model.scope import Code, Scope
from tessera.model.script import Value, World
from tessera.model.state import Layout, layouts_of
from tessera.model.values import Undecided, first_value, width_of

if TYPE_CHECKING:
    from tessera.model.sweep import Sweeper


class Evaluator:
    """Compiles expressions of one spec in one world. `sweeper` is set by `engine`."""

    sweeper: Sweeper

    def __init__(self, spec: Spec, world: World) -> None:
        self.spec = spec
        self.world = world
        self.lowering = Lowering(spec)
        self.layouts: dict[str, Layout] = layouts_of(spec)
        self._bodies: dict[str, tuple[Code, list[None]]] = {}
        self._pure: dict[str, bool] = {}
        names = [c.name for c in spec.classes]
        self.below = {(a, b) for a in names for b in names if spec.outranks(b, a)}

    def compile(self, expr: Expr, scope: Scope) -> Code:
        """The closure of a lowered expression."""
        code = self._compile(expr, scope)
        if not isinstance(expr, BoolLit) and self.constant(expr):
            value = code([None, None])
            return lambda f: value
        return code

    def constant(self, expr: Expr, params: frozenset[str] = frozenset()) -> bool:
        """Whether the value depends on the world alone (quantifiers are left for later)."""
        match expr:
            case Local():
                return expr.name in params
            case Quant() | Old():
                return False
            case Apply(kind="var"):
                return False
            case Apply(kind="function" | "policy"):
                return self._constant_function(expr.name) and all(
                    self.constant(a, params) for a in expr.args
                )
            case _:
                return all(self.constant(c, params) for c in children(expr))

    def _constant_function(self, name: str) -> bool:
        if name not in self._pure:
            function = self.lowering.functions[name]
            params = frozenset(p.name for p in function.params)
            self._pure[name] = self.constant(function.body, params)
        return self._pure[name]

    def _compile(self, expr: Expr, scope: Scope) -> Code:
        match expr:
            case Local():
                place = scope.places[expr.name]
                return lambda f: f[place]
            case Apply():
                return self._apply(expr, scope)
            case Unary():
                return self._unary(expr, scope)
            case Binary():
                return self._binary(expr, scope)
            case Ite():
                return self._ite(expr, scope)
            case Cast():
                return self._cast(expr, scope)
            case Quant():
                from tessera.model.domains import compile_quant  # noqa: PLC0415  mutual recursion

                return compile_quant(self, expr, scope)
            case Old():
                return self._old(expr, scope)
            case _:
                value = literal(expr)
                return lambda f: value

    # --- names -----------------------------------------------------------------------------------

    def _apply(self, expr: Apply, scope: Scope) -> Code:
        if expr.kind in ("function", "policy"):
            return self._call(expr, scope)
        if expr.kind == "var":
            return self._read(expr, scope)
        if not expr.args:
            value = self.scalar(expr)
            return lambda f: value
        table, args = self.world.tables.get(expr.name, {}), self._args(expr, scope)
        first = first_value(expr.type, self.spec, self.world)
        return lambda f: table.get(tuple(a(f) for a in args), first)

    def _args(self, expr: Apply, scope: Scope) -> tuple[Code, ...]:
        return tuple(self.compile(a, scope) for a in expr.args)

    def scalar(self, expr: Apply) -> Value:
        """The value of a const or a param without arguments."""
        if expr.kind == "param":
            return self.world.scalars.get(expr.name, self.spec.params[expr.name].value)
        if isinstance(expr.type, SortType):
            return expr.name
        first = first_value(expr.type, self.spec, self.world)
        return self.world.scalars.get(expr.name, first)

    def _read(self, expr: Apply, scope: Scope) -> Code:
        layout, args = self.layouts[expr.name], self._args(expr, scope)
        slot = layout.slot
        if not args:
            return lambda f: f[0][slot]
        if len(args) == 1:
            (index,) = args
            return lambda f: f[0][slot][index(f)]
        return lambda f: layout.read(f[0][slot], tuple(a(f) for a in args))

    def _call(self, expr: Apply, scope: Scope) -> Code:
        body, pad = self._body(expr.name)
        args = self._args(expr, scope)
        if len(args) == 1:
            (only,) = args
            return lambda f: body([f[0], f[1], only(f), *pad])
        if len(args) == 2:
            one, two = args
            return lambda f: body([f[0], f[1], one(f), two(f), *pad])
        return lambda f: body([f[0], f[1], *[a(f) for a in args], *pad])

    def _body(self, name: str) -> tuple[Code, list[None]]:
        if name not in self._bodies:
            function, scope = self.lowering.functions[name], Scope()
            for param in function.params:
                scope, _ = scope.bind(param.name)
            code = self.compile(function.body, scope)
            pad = [None] * (scope.unit.size - 2 - len(function.params))
            self._bodies[name] = code, pad
        return self._bodies[name]

    def _old(self, expr: Old, scope: Scope) -> Code:
        arg = self.compile(expr.arg, scope)

        def old(f: list[Any]) -> Any:
            return arg([f[1], *f[1:]])

        return old

    # --- operators -------------------------------------------------------------------------------

    def _unary(self, expr: Unary, scope: Scope) -> Code:
        arg = self.compile(expr.arg, scope)
        if expr.op == "not":
            return lambda f: not arg(f)
        mask = (1 << (width_of(expr.type) or 0)) - 1
        return lambda f: arg(f) ^ mask

    def _cast(self, expr: Cast, scope: Scope) -> Code:
        arg, mask = self.compile(expr.arg, scope), (1 << expr.type.width) - 1
        if (width_of(expr.arg.type) or expr.type.width + 1) <= expr.type.width:
            return arg
        return lambda f: arg(f) & mask

    def _ite(self, expr: Ite, scope: Scope) -> Code:
        test, then, other = (self.compile(c, scope) for c in children(expr))
        return lambda f: then(f) if test(f) else other(f)

    def _binary(self, expr: Binary, scope: Scope) -> Code:
        left, right = self.compile(expr.left, scope), self.compile(expr.right, scope)
        if expr.op in ("and", "or", "=>"):
            return _logic(expr.op, left, right)
        if expr.op.startswith(EXACT):
            return _exact(expr, left, right)
        if arith.is_arithmetic(expr.op):
            run = arith.operator(expr.op, width_of(expr.type))
            return lambda f: run(left(f), right(f))
        if isinstance(expr.left.type, EnumType) and expr.op not in ("==", "!="):
            below = self.class_test(expr.op)
            return lambda f: below(left(f), right(f))
        return _compare(expr.op, left, right)

    def class_test(self, op: str) -> Any:
        """The order of classes: a < b when a has strictly lower priority."""
        below = self.below
        return {
            "<": lambda a, b: (a, b) in below,
            ">": lambda a, b: (b, a) in below,
            "<=": lambda a, b: a == b or (a, b) in below,
            ">=": lambda a, b: a == b or (b, a) in below,
        }[op]


def literal(expr: Expr) -> Value:
    """The value of a literal."""
    return expr.name if isinstance(expr, EnumLit) else expr.value  # type: ignore[union-attr]


def _logic(op: str, left: Code, right: Code) -> Code:
    """Short-circuit, and three-valued: an undecided left side may be decided by the right one."""
    settles, result = op != "and", op != "and"
    if op == "=>":
        settles = False

    def run(f: list[Any]) -> bool:
        try:
            if left(f) == settles:
                return result
        except Undecided:
            if right(f) == result:
                return result
            raise
        return bool(right(f))

    return run


def _compare(op: str, left: Code, right: Code) -> Code:
    match op:
        case "==":
            return lambda f: left(f) == right(f)
        case "!=":
            return lambda f: left(f) != right(f)
        case "<":
            return lambda f: left(f) < right(f)
        case "<=":
            return lambda f: left(f) <= right(f)
        case ">":
            return lambda f: left(f) > right(f)
        case _:
            return lambda f: left(f) >= right(f)


def _exact(expr: Binary, left: Code, right: Code) -> Code:
    """Whether one operation loses nothing."""
    op = expr.op.removeprefix(EXACT)
    if op == "as":
        top = 1 << (width_of(expr.right.type) or 0)
        return lambda f: left(f) < top
    width = width_of(expr.left.type)
    test = None if width is None else arith.exact_test(op, width)
    if test is None:
        return lambda f: True
    return lambda f: test(left(f), right(f))
