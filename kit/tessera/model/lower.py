"""`exact(...)` and `succeeds` as plain formulas, and quantifiers one variable at a time.

Goal: after this pass an expression holds no `Exact` and no `Succeeds`, and every `Quant` has one
binder with the part of the guard that can be judged there, so that both evaluators stay small.
Exactness of one operation becomes a `Binary` whose operator starts with "exact ".
Non-goals: evaluation; knowing any particular spec.
"""

from __future__ import annotations

from dataclasses import replace

from tessera.errors import Span
from tessera.lang.typed import (
    Action,
    Apply,
    Binary,
    Binder,
    BoolLit,
    Cast,
    Choose,
    Exact,
    Expr,
    Function,
    Ite,
    Let,
    Local,
    Old,
    Quant,
    Require,
    Spec,
    Statement,
    Succeeds,
    Unary,
)
from tessera.lang.types import BOOL
from tessera.model.values import is_integer

EXACT = "exact "
_ALWAYS_EXACT = {"&", "|", "^", "min", "max", "==", "!=", "<", "<=", ">", ">="}


def true(span: Span) -> Expr:
    """The literal `true`."""
    return BoolLit(True, BOOL, span)


def both(left: Expr, right: Expr) -> Expr:
    """`left and right`, without needless `true`."""
    if isinstance(left, BoolLit) and left.value:
        return right
    if isinstance(right, BoolLit) and right.value:
        return left
    return Binary("and", left, right, BOOL, left.span)


def implies(left: Expr, right: Expr) -> Expr:
    """`left => right`, without needless `true`."""
    if isinstance(left, BoolLit) and left.value:
        return right
    if isinstance(right, BoolLit) and right.value:
        return right
    return Binary("=>", left, right, BOOL, left.span)


def conjuncts(expr: Expr) -> list[Expr]:
    """The parts of a conjunction, in order."""
    if isinstance(expr, Binary) and expr.op == "and":
        return conjuncts(expr.left) + conjuncts(expr.right)
    return [expr]


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct parts of an expression."""
    match expr:
        case Unary() | Cast() | Old():
            return (expr.arg,)
        case Binary():
            return (expr.left, expr.right)
        case Ite():
            return (expr.test, expr.then, expr.other)
        case Apply() | Exact():
            return expr.args
        case Quant():
            return (expr.guard, expr.body)
        case Succeeds():
            return (*expr.args, *(value for _, value in expr.witness))
        case _:
            return ()


def free_names(expr: Expr) -> frozenset[str]:
    """The local names that an expression takes from around it."""
    if isinstance(expr, Local):
        return frozenset((expr.name,))
    found: frozenset[str] = frozenset().union(*(free_names(c) for c in children(expr)))
    if isinstance(expr, Quant):
        found -= {binder.name for binder in expr.binders}
    return found


class Lowering:
    """Rewrites expressions of one spec; `functions` grows by the functions that it derives."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.functions: dict[str, Function] = {}
        for name, function in spec.functions.items():
            self.functions[name] = replace(function, body=self.expr(function.body))

    def expr(self, expr: Expr) -> Expr:
        """The same formula in the small language."""
        match expr:
            case Exact():
                out = true(expr.span)
                for arg in expr.args:
                    out = both(out, self._exact(arg))
                return self.expr(out)
            case Succeeds():
                return self._succeeds(expr)
            case Quant():
                return nest(replace(expr, guard=self.expr(expr.guard), body=self.expr(expr.body)))
            case Unary() | Cast() | Old():
                return replace(expr, arg=self.expr(expr.arg))
            case Binary():
                return replace(expr, left=self.expr(expr.left), right=self.expr(expr.right))
            case Ite():
                test, then, other = (self.expr(c) for c in children(expr))
                return replace(expr, test=test, then=then, other=other)
            case Apply():
                return replace(expr, args=tuple(self.expr(a) for a in expr.args))
            case _:
                return expr

    # --- exact -----------------------------------------------------------------------------------

    def _exact(self, expr: Expr) -> Expr:
        """A formula that says that evaluating `expr` loses nothing."""
        match expr:
            case Binary(op="and") | Binary(op="=>"):
                return both(self._exact(expr.left), implies(expr.left, self._exact(expr.right)))
            case Binary(op="or"):
                left = Unary("not", expr.left, BOOL, expr.span)
                return both(self._exact(expr.left), implies(left, self._exact(expr.right)))
            case Binary():
                parts = both(self._exact(expr.left), self._exact(expr.right))
                if expr.op in _ALWAYS_EXACT or not is_integer(expr.type):
                    return parts
                return both(parts, Binary(EXACT + expr.op, expr.left, expr.right, BOOL, expr.span))
            case Ite():
                then, other = self._exact(expr.then), self._exact(expr.other)
                return both(self._exact(expr.test), _branch(expr, then, other))
            case Cast():
                lossless = Binary(EXACT + "as", expr.arg, expr, BOOL, expr.span)
                return both(self._exact(expr.arg), lossless)
            case Quant():
                guard = _for_all(expr, true(expr.span), self._exact(expr.guard))
                return both(guard, _for_all(expr, expr.guard, self._exact(expr.body)))
            case Apply(kind="function" | "policy"):
                args = true(expr.span)
                for arg in expr.args:
                    args = both(args, self._exact(arg))
                return both(args, self._exact_call(expr))
            case _:
                out = true(expr.span)
                for child in children(expr):
                    out = both(out, self._exact(child))
                return replace(expr, arg=out, type=BOOL) if isinstance(expr, Old) else out

    def _exact_call(self, call: Apply) -> Expr:
        """The call of a derived function that says that the body loses nothing."""
        name = EXACT + call.name
        if name not in self.functions:
            function = self.spec.functions[call.name]
            body = self.expr(self._exact(function.body))
            self.functions[name] = replace(function, name=name, type=BOOL, body=body, policy=False)
        if isinstance(self.functions[name].body, BoolLit):
            return self.functions[name].body
        return Apply("function", name, call.args, BOOL, call.span)

    # --- succeeds --------------------------------------------------------------------------------

    def _succeeds(self, expr: Succeeds) -> Expr:
        """The witness is tried first: where it does, no search is needed."""
        action = self.spec.action(expr.action)
        args = tuple(self.expr(a) for a in expr.args)
        search = self._can_fire(action)
        found: Expr = Apply("function", search, args, BOOL, expr.span)
        if not expr.witness:
            return found
        names = tuple(name for name, _ in expr.witness)
        values = tuple(self.expr(value) for _, value in expr.witness)
        quick = Apply("function", self._can_fire(action, names), args + values, BOOL, expr.span)
        return Binary("or", quick, found, BOOL, expr.span)

    def _can_fire(self, action: Action, given: tuple[str, ...] = ()) -> str:
        """The name of a derived function of the parameters (and the values `given` for choices)."""
        name = f"can {action.name}({', '.join(given)})"
        if name not in self.functions:
            binders = {s.binder.name: s.binder for s in action.body if isinstance(s, Choose)}
            params = action.params + tuple(binders[g] for g in given)
            body = self.expr(self._fireable(action.body, frozenset(given), action.span))
            self.functions[name] = Function(
                name, params, BOOL, body, False, action.doc, action.span
            )
        return name

    def _fireable(self, body: tuple[Statement, ...], given: frozenset[str], span: Span) -> Expr:
        if not body:
            return true(span)
        first, rest = body[0], self._fireable(body[1:], given, span)
        match first:
            case Require():
                return both(first.test, rest)
            case Let():
                binder = Binder(first.name, first.value.type, first.span)
                return self._with(binder, first.value, rest)
            case Choose():
                return self._choice(first, rest, given)
            case _:
                return rest

    def _choice(self, choose: Choose, rest: Expr, given: frozenset[str]) -> Expr:
        binder, test, span = choose.binder, choose.test, choose.span
        used = binder.name in free_names(rest)
        if choose.kind == "fresh" and not used:
            return rest
        if choose.kind == "least" and used:
            other = Binder(binder.name + "'", binder.type, span)
            here = Local(binder.name, binder.type, span)
            there = Local(other.name, binder.type, span)
            lower = Binary("<", there, here, BOOL, span)
            missed = Unary("not", _renamed(test, binder.name, there), BOOL, span)
            least = Quant("forall", (other,), lower, missed, BOOL, span)
            return Quant("exists", (binder,), test, both(least, rest), BOOL, span)
        if binder.name in given:
            return both(test, rest)
        if used:
            return Quant("exists", (binder,), test, rest, BOOL, span)
        return both(Quant("exists", (binder,), true(span), test, BOOL, span), rest)

    def _with(self, binder: Binder, value: Expr, body: Expr) -> Expr:
        """`body` with `binder` standing for `value`: a derived function, called."""
        others = tuple(sorted(_locals(body), key=lambda b: b.name))
        params = (binder, *(b for b in others if b.name != binder.name))
        name = f"let {binder.name} {len(self.functions)}"
        self.functions[name] = Function(name, params, BOOL, self.expr(body), False, "", binder.span)
        args = tuple(Local(p.name, p.type, p.span) for p in params[1:])
        return Apply("function", name, (value, *args), BOOL, binder.span)


def _for_all(quant: Quant, guard: Expr, body: Expr) -> Expr:
    if isinstance(body, BoolLit):
        return body
    return replace(quant, kind="forall", guard=guard, body=body)


def _branch(ite: Ite, then: Expr, other: Expr) -> Expr:
    if isinstance(then, BoolLit) and isinstance(other, BoolLit):
        return then
    return Ite(ite.test, then, other, BOOL, ite.span)


def _locals(expr: Expr) -> set[Binder]:
    """The free locals of an expression, as binders without their places."""
    here = Span("", 0, 0, 0, 0)
    if isinstance(expr, Local):
        return {Binder(expr.name, expr.type, here)}
    found = set().union(*(_locals(c) for c in children(expr)))
    bound = {b.name for b in expr.binders} if isinstance(expr, Quant) else set()
    return {b for b in found if b.name not in bound}


def _renamed(expr: Expr, name: str, to: Local) -> Expr:
    """`expr` with the free local `name` replaced."""
    match expr:
        case Local():
            return to if expr.name == name else expr
        case Unary() | Cast() | Old():
            return replace(expr, arg=_renamed(expr.arg, name, to))
        case Binary():
            left, right = _renamed(expr.left, name, to), _renamed(expr.right, name, to)
            return replace(expr, left=left, right=right)
        case Ite():
            test, then, other = (_renamed(c, name, to) for c in children(expr))
            return replace(expr, test=test, then=then, other=other)
        case Apply() | Exact():
            return replace(expr, args=tuple(_renamed(a, name, to) for a in expr.args))
        case Quant():
            if name in {b.name for b in expr.binders}:
                return expr
            guard, body = _renamed(expr.guard, name, to), _renamed(expr.body, name, to)
            return replace(expr, guard=guard, body=body)
        case _:
            return expr


def nest(quant: Quant) -> Expr:
    """One quantifier per variable, integers innermost, each guard part as far out as it can be."""
    order = sorted(quant.binders, key=lambda b: is_integer(b.type))
    left = conjuncts(quant.guard)
    levels: list[tuple[Binder, Expr]] = []
    for i, binder in enumerate(order):
        later = {b.name for b in order[i + 1 :]}
        here = [part for part in left if not free_names(part) & later]
        left = [part for part in left if part not in here]
        guard = true(quant.span)
        for part in here:
            guard = both(guard, part)
        levels.append((binder, guard))
    body = quant.body
    for binder, guard in reversed(levels):
        body = Quant(quant.kind, (binder,), guard, body, BOOL, quant.span)
    return body
