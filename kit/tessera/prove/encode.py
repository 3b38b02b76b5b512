"""Typed expressions as Z3 terms.

Goal: a direct, memoised translation; quantifiers over finite types are written out, the others stay
quantifiers.
Non-goals: actions (see `tessera.prove.transition`) and solving.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import z3

from tessera.lang import typed as t
from tessera.lang.types import EnumType, IntType, NatType, Type
from tessera.prove.nodes import has_quantifier
from tessera.prove.terms import Sorts, Term, arithmetic, is_exact, resize

Lookup = Callable[[tuple[Term, ...]], Term]
"""A state variable as a function of its argument terms."""


@dataclass(frozen=True, slots=True)
class State:
    """The value of every state variable at one moment."""

    variables: Mapping[str, Lookup]


@dataclass(frozen=True, slots=True)
class Env:
    """Where an expression is read: the state, the state before (for `old`), local names."""

    now: State
    before: State | None = None
    local: Mapping[str, Term] = field(default_factory=dict)

    def bind(self, more: Mapping[str, Term]) -> Env:
        """The same place with more local names."""
        return Env(self.now, self.before, {**self.local, **more})


class Encoder:
    """Translates the expressions of one spec; its fresh names are numbered after `numbered`."""

    def __init__(self, spec: t.Spec, sorts: Sorts, numbered: int = 0) -> None:
        self.spec = spec
        self.sorts = sorts
        self.definitions: list[Term] = []
        self.goal_constants: list[Term] = []
        self.asked: dict[str, list[tuple[Term, ...]]] = {}
        """For every const with arguments: those at which it was applied."""
        self._rigid: dict[str, Term] = {}
        self._fresh = numbered
        self._depth = 0  # quantifiers around the place being encoded

    # --- names ------------------------------------------------------------------------------------

    def fresh(self, name: str, type_: Type) -> Term:
        """A new constant of a type."""
        self._fresh += 1
        return z3.Const(f"{name}.{self._fresh}", self.sorts.of(type_))

    def rigid(self, name: str, args: tuple[Term, ...] = ()) -> Term:
        """A const of the spec, applied."""
        const = self.spec.consts[name]
        if name not in self._rigid:
            elements = self.sorts.elements.get(str(const.type), ())
            own = [e for e in elements if str(e) == f"{const.type}.{name}"]
            if own and not const.params:
                self._rigid[name] = own[0]
            elif const.params:
                domain = [self.sorts.of(b.type) for b in const.params]
                self._rigid[name] = z3.Function(name, *domain, self.sorts.of(const.type))
            else:
                self._rigid[name] = z3.Const(name, self.sorts.of(const.type))
        symbol = self._rigid[name]
        if not const.params:
            return symbol
        self.asked.setdefault(name, []).append(args)
        return symbol(*args)

    def param(self, name: str) -> Term:
        """A parameter: its configured value, or a symbol when it has a range to be proved for."""
        param = self.spec.params[name]
        if param.low is None and param.high is None:
            return z3.BitVecVal(param.value, param.type.width)
        return z3.BitVec(name, param.type.width)

    def ranges(self) -> list[Term]:
        """The declared ranges of consts and params."""
        env = Env(State({}))
        out = []
        for const in self.spec.consts.values():
            if not const.params:
                term = self.rigid(const.name)
                out += self._range(term, const.low, const.high, env)
        for param in self.spec.params.values():
            if param.low is not None or param.high is not None:
                out += self._range(self.param(param.name), param.low, param.high, env)
        return out

    def _range(self, term: Term, low: t.Expr | None, high: t.Expr | None, env: Env) -> list[Term]:
        out = []
        if low is not None:
            out.append(arithmetic("<=", self.term(low, env), term))
        if high is not None:
            out.append(arithmetic("<=", term, self.term(high, env)))
        return out

    # --- expressions ------------------------------------------------------------------------------

    def term(self, expr: t.Expr, env: Env) -> Term:
        """The value of an expression."""
        match expr:
            case t.IntLit():
                return self._int(expr)
            case t.BoolLit():
                return z3.BoolVal(expr.value)
            case t.EnumLit():
                return self.sorts.enums[expr.type.name][1][expr.name]
            case t.Local():
                return env.local[expr.name]
            case t.Apply():
                return self._apply(expr, env)
            case t.Unary():
                arg = self.term(expr.arg, env)
                return z3.Not(arg) if expr.op == "not" else ~arg
            case t.Binary():
                return self._binary(expr, env)
            case t.Ite():
                test, then, other = (self.term(e, env) for e in (expr.test, expr.then, expr.other))
                return z3.If(test, then, other)
            case t.Cast():
                return resize(self.term(expr.arg, env), expr.type.width)
            case t.Quant():
                return self._quantified(expr, env)
            case t.Old():
                assert env.before is not None
                return self.term(expr.arg, Env(env.before, None, env.local))
            case t.Exact():
                return z3.And([self.exact(arg, env) for arg in expr.args])
            case t.Succeeds():
                raise AssertionError("'succeeds' is expanded by tessera.prove.transition")

    def _int(self, expr: t.IntLit) -> Term:
        if isinstance(expr.type, IntType):
            return z3.BitVecVal(expr.value, expr.type.width)
        return z3.IntVal(expr.value)

    def _apply(self, expr: t.Apply, env: Env) -> Term:
        args = tuple(self.term(a, env) for a in expr.args)
        match expr.kind:
            case "const":
                return self.rigid(expr.name, args)
            case "param":
                return self.param(expr.name)
            case "var":
                return env.now.variables[expr.name](args)
            case _:
                function, inner = self._enter(expr, args, env)
                return self.term(function.body, inner)

    def _enter(self, expr: t.Apply, args: tuple[Term, ...], env: Env) -> tuple[t.Function, Env]:
        function = self.spec.functions[expr.name]
        names = {b.name: a for b, a in zip(function.params, args, strict=True)}
        return function, Env(env.now, env.before, names)

    def _binary(self, expr: t.Binary, env: Env) -> Term:
        left, right = self.term(expr.left, env), self.term(expr.right, env)
        match expr.op:
            case "and":
                return z3.And(left, right)
            case "or":
                return z3.Or(left, right)
            case "=>":
                return z3.Implies(left, right)
            case "==":
                return left == right
            case "!=":
                return left != right
        if isinstance(expr.left.type, EnumType):
            return self._lower_class(left, right)
        return arithmetic(expr.op, left, right)

    def _lower_class(self, low: Term, high: Term) -> Term:
        members = self.sorts.enums["class"][1]
        pairs = [
            z3.And(low == members[a], high == members[b])
            for a in members
            for b in members
            if self.spec.outranks(b, a)
        ]
        return z3.Or(pairs)

    def _quantified(self, expr: t.Quant, env: Env) -> Term:
        universal = expr.kind == "forall"

        def inside(env: Env) -> Term:
            guard, body = self.term(expr.guard, env), self.term(expr.body, env)
            return z3.Implies(guard, body) if universal else z3.And(guard, body)

        return self._bind(list(expr.binders), env, inside, universal)

    def _bind(
        self,
        binders: list[t.Binder],
        env: Env,
        inside: Callable[[Env], Term],
        universal: bool,
    ) -> Term:
        """Write out the finite binders, quantify over the others in one go."""
        spelled: list[tuple[t.Binder, tuple[Term, ...]]] = []
        bound: dict[str, Term] = {}
        for binder in binders:
            values = self.sorts.values(binder.type)
            if values is None:
                bound[binder.name] = self.fresh(binder.name, binder.type)
            else:
                spelled.append((binder, values))
        natural = [
            bound[b.name] >= 0 for b in binders if isinstance(b.type, NatType) and b.name in bound
        ]

        def write_out(index: int, env: Env) -> Term:
            if index == len(spelled):
                body = inside(env)
                if natural:
                    body = (
                        z3.Implies(z3.And(natural), body) if universal else z3.And(*natural, body)
                    )
                return body
            binder, values = spelled[index]
            parts = [write_out(index + 1, env.bind({binder.name: v})) for v in values]
            return z3.And(parts) if universal else z3.Or(parts)

        if not bound:
            return write_out(0, env)
        self._depth += 1
        body = write_out(0, env.bind(bound))
        self._depth -= 1
        names = list(bound.values())
        return z3.ForAll(names, body) if universal else z3.Exists(names, body)

    def named(self, test: Term) -> Term:
        """A closed condition under a name of its own.

        A quantifier in the condition of a term-level `if` cannot be skolemised where it stands; as
        `name == condition` among `definitions` it can.
        """
        if self._depth or not has_quantifier(test):
            return test
        self._fresh += 1
        name = z3.Bool(f"condition.{self._fresh}")
        self.definitions.append(name == test)
        return name

    def refute(self, expr: t.Expr, env: Env) -> list[Term]:
        """The ways in which a goal can fail: it holds when none is satisfiable.

        Outermost universals become fresh constants, outermost conjunctions become separate ways.
        """
        match expr:
            case t.Quant(kind="forall"):
                names = {
                    b.name: self.fresh(b.name, b.type)
                    for b in expr.binders
                    if self.sorts.values(b.type) is None
                }
                self.goal_constants += names.values()
                natural = [
                    names[b.name] >= 0
                    for b in expr.binders
                    if b.name in names and isinstance(b.type, NatType)
                ]
                inner = env.bind(names)
                rest = tuple(b for b in expr.binders if b.name not in names)
                if rest:
                    left = t.Quant("forall", rest, expr.guard, expr.body, expr.type, expr.span)
                    return [z3.And(*natural, z3.Not(self.term(left, inner)))]
                guard = z3.And(*natural, self.term(expr.guard, inner))
                return [z3.And(guard, way) for way in self.refute(expr.body, inner)]
            case t.Binary(op="and"):
                return self.refute(expr.left, env) + self.refute(expr.right, env)
            case t.Binary(op="=>"):
                left_holds = self.term(expr.left, env)
                return [z3.And(left_holds, way) for way in self.refute(expr.right, env)]
            case _:
                return [z3.Not(self.term(expr, env))]

    # --- exactness --------------------------------------------------------------------------------

    def exact(self, expr: t.Expr, env: Env) -> Term:
        """Whether no operation that `expr` needs wraps (see `lang.typed`)."""
        match expr:
            case t.Binary():
                return self._exact_binary(expr, env)
            case t.Ite():
                test = self.term(expr.test, env)
                branch = z3.If(test, self.exact(expr.then, env), self.exact(expr.other, env))
                return z3.And(self.exact(expr.test, env), branch)
            case t.Apply():
                parts = [self.exact(a, env) for a in expr.args]
                if expr.kind in ("function", "policy"):
                    args = tuple(self.term(a, env) for a in expr.args)
                    function, inner = self._enter(expr, args, env)
                    parts.append(self.exact(function.body, inner))
                return z3.And(parts)
            case t.Cast():
                arg = self.term(expr.arg, env)
                kept = z3.BoolVal(True)
                if expr.type.width < arg.size():
                    kept = resize(resize(arg, expr.type.width), arg.size()) == arg
                return z3.And(self.exact(expr.arg, env), kept)
            case t.Unary():
                return self.exact(expr.arg, env)
            case t.Quant():
                return self._exact_quantified(expr, env)
            case _:
                return z3.BoolVal(True)

    def _exact_quantified(self, expr: t.Quant, env: Env) -> Term:
        """For all values: the guard is exact and, where it holds, so is the body."""

        def inside(inner: Env) -> Term:
            needed = z3.Implies(self.term(expr.guard, inner), self.exact(expr.body, inner))
            return z3.And(self.exact(expr.guard, inner), needed)

        return self._bind(list(expr.binders), env, inside, universal=True)

    def _exact_binary(self, expr: t.Binary, env: Env) -> Term:
        left, right = self.exact(expr.left, env), self.exact(expr.right, env)
        if expr.op in ("and", "=>"):
            return z3.And(left, z3.Implies(self.term(expr.left, env), right))
        if expr.op == "or":
            return z3.And(left, z3.Or(self.term(expr.left, env), right))
        parts = [left, right]
        if isinstance(expr.left.type, IntType) and expr.op not in ("==", "!="):
            parts.append(is_exact(expr.op, self.term(expr.left, env), self.term(expr.right, env)))
        return z3.And(parts)
