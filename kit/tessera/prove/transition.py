"""Actions as relations between two states.

Goal: the guard and the state after an action, with symbolic arguments and choices; `succeeds`
expanded into the action's guard.
Non-goals: sequences of actions (see `bounded`) and induction (see `induct`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import z3

from tessera.lang import typed as t
from tessera.lang.types import BOOL
from tessera.lang.walk import walk
from tessera.prove.encode import Encoder, Env, Lookup, State
from tessera.prove.terms import Term, arithmetic


@dataclass(frozen=True, slots=True)
class Firing:
    """One symbolic firing: its arguments and choices, when it is allowed, what it leads to."""

    action: t.Action
    args: Mapping[str, Term]
    choices: Mapping[str, Term]
    guards: tuple[Term, ...]
    minimal: tuple[Term, ...]  # what makes a `least` choice the least
    after: State


def symbolic_state(encoder: Encoder, tag: str) -> State:
    """A state in which every variable is an uninterpreted function."""
    variables: dict[str, Lookup] = {}
    for var in encoder.spec.vars.values():
        sorts = [encoder.sorts.of(b.type) for b in var.params]
        result = encoder.sorts.of(var.type)
        name = f"{var.name}{tag}"
        symbol = z3.Function(name, *sorts, result) if sorts else z3.Const(name, result)
        variables[var.name] = _lookup(symbol, bool(sorts))
    return State(variables)


def _lookup(symbol: Term, applied: bool) -> Lookup:
    return lambda args: symbol(*args) if applied else symbol


def initial_state(encoder: Encoder, *, default: bool) -> State:
    """The state that `init` assigns.

    What it leaves open is the type's first value when `default` (bounded search, so that a trace is
    one run), else arbitrary (induction).
    """
    blank: dict[str, Lookup] = {}
    arbitrary = symbolic_state(encoder, "@init")
    for var in encoder.spec.vars.values():
        if default:
            first = encoder.sorts.first(var.type)
            blank[var.name] = _constant(first)
        else:
            blank[var.name] = arbitrary.variables[var.name]
    base = State(blank)
    updates = [u for u in encoder.spec.init if isinstance(u, t.Update)]
    return apply_updates(encoder, updates, Env(base), base)


def _constant(value: Term) -> Lookup:
    return lambda _: value


def apply_updates(encoder: Encoder, updates: Iterable[t.Update], env: Env, before: State) -> State:
    """The state after simultaneous updates; their right-hand sides read `env`."""
    after = dict(before.variables)
    for update in updates:
        after[update.var] = _memo(_updated(encoder, update, env, after[update.var]))
    return State(after)


def _updated(encoder: Encoder, update: t.Update, env: Env, otherwise: Lookup) -> Lookup:
    if update.binders:

        def bulk(args: tuple[Term, ...]) -> Term:
            names = {b.name: a for b, a in zip(update.binders, args, strict=True)}
            inner = env.bind(names)
            test = encoder.named(encoder.term(update.guard, inner))
            return z3.If(test, encoder.term(update.value, inner), otherwise(args))

        return bulk
    at = tuple(encoder.term(a, env) for a in update.args)
    value = encoder.term(update.value, env)

    def point(args: tuple[Term, ...]) -> Term:
        if not at:
            return value
        same = [a == b for a, b in zip(args, at, strict=True)]
        return z3.If(z3.And(same), value, otherwise(args))

    return point


def _memo(lookup: Lookup) -> Lookup:
    known: dict[tuple[int, ...], tuple[tuple[Term, ...], Term]] = {}

    def remembered(args: tuple[Term, ...]) -> Term:
        key = tuple(a.get_id() for a in args)
        if key not in known:
            known[key] = (args, lookup(args))  # keeping args alive keeps their ids unique
        return known[key][1]

    return remembered


def fire(encoder: Encoder, action: t.Action, before: State, tag: str) -> Firing:
    """The action with fresh symbols for its parameters and choices."""
    args = {p.name: encoder.fresh(f"{action.name}{tag}.{p.name}", p.type) for p in action.params}
    guards, minimal, local, choices = _guards(encoder, action, args, Env(before), tag)
    updates = [u for u in action.body if isinstance(u, t.Update)]
    env = Env(before, None, local)
    after = apply_updates(encoder, updates, env, before)
    return Firing(action, args, choices, tuple(guards), tuple(minimal), after)


def _guards(
    encoder: Encoder, action: t.Action, args: Mapping[str, Term], env: Env, tag: str
) -> tuple[list[Term], list[Term], Mapping[str, Term], dict[str, Term]]:
    env = Env(env.now, None, dict(args))
    guards: list[Term] = []
    minimal: list[Term] = []
    choices: dict[str, Term] = {}
    for statement in action.body:
        match statement:
            case t.Require():
                guards.append(encoder.term(statement.test, env))
            case t.Let():
                env = env.bind({statement.name: encoder.term(statement.value, env)})
            case t.Choose():
                binder = statement.binder
                term = encoder.fresh(f"{action.name}{tag}.{binder.name}", binder.type)
                choices[binder.name] = term
                env = env.bind({binder.name: term})
                guards.append(encoder.term(statement.test, env))
                if statement.kind == "least":
                    minimal.append(_nothing_smaller(encoder, statement, env, term))
    return guards, minimal, env.local, choices


def _nothing_smaller(encoder: Encoder, choice: t.Choose, env: Env, term: Term) -> Term:
    smaller = encoder.fresh(choice.binder.name, choice.binder.type)
    test = encoder.term(choice.test, env.bind({choice.binder.name: smaller}))
    return z3.ForAll([smaller], z3.Implies(arithmetic("<", smaller, term), z3.Not(test)))


# --- promises -------------------------------------------------------------------------------------


def expand_promise(spec: t.Spec, formula: t.Expr, *, use_witness: bool) -> t.Expr:
    """The formula with every `succeeds` replaced by the action's guard.

    With `use_witness` the choices are the proposed values, which is stronger than "some choice
    exists" and so sound for a proof; without it the choices are existentially quantified.
    """
    match formula:
        case t.Succeeds():
            return _enabled(spec, formula, use_witness)
        case t.Binary():
            left = expand_promise(spec, formula.left, use_witness=use_witness)
            right = expand_promise(spec, formula.right, use_witness=use_witness)
            return t.Binary(formula.op, left, right, formula.type, formula.span)
        case t.Unary():
            arg = expand_promise(spec, formula.arg, use_witness=use_witness)
            return t.Unary(formula.op, arg, formula.type, formula.span)
        case t.Quant():
            guard = expand_promise(spec, formula.guard, use_witness=use_witness)
            body = expand_promise(spec, formula.body, use_witness=use_witness)
            return t.Quant(formula.kind, formula.binders, guard, body, formula.type, formula.span)
        case _:
            return formula


def _enabled(spec: t.Spec, promise: t.Succeeds, use_witness: bool) -> t.Expr:
    action = spec.action(promise.action)
    values: dict[str, t.Expr] = {
        p.name: a for p, a in zip(action.params, promise.args, strict=True)
    }
    witness = dict(promise.witness)
    return _enabled_body(action.body, values, witness if use_witness else {}, promise)


def _enabled_body(
    body: Sequence[t.Statement],
    values: dict[str, t.Expr],
    witness: Mapping[str, t.Expr],
    promise: t.Succeeds,
) -> t.Expr:
    span = promise.span
    if not body:
        return t.BoolLit(True, BOOL, span)
    head, rest = body[0], body[1:]
    match head:
        case t.Require():
            test = substitute(head.test, values)
            return t.Binary("and", test, _enabled_body(rest, values, witness, promise), BOOL, span)
        case t.Let():
            inner = {**values, head.name: substitute(head.value, values)}
            return _enabled_body(rest, inner, witness, promise)
        case t.Choose(kind="fresh"):
            # A fresh element is assumed to exist; nothing after it may constrain it.
            return _enabled_body(rest, values, witness, promise)
        case t.Choose():
            name = head.binder.name
            local = t.Local(f"{name}?", head.binder.type, span)
            inner = {**values, name: witness.get(name, local)}
            test = substitute(head.test, inner)
            if head.kind == "least" and _mentions(rest, name):
                # Where any value passes, one is the least; but what follows must do with that one.
                test = t.Binary("and", test, _none_less(head, values, inner[name]), BOOL, span)
            tail = _enabled_body(rest, inner, witness, promise)
            both = t.Binary("and", test, tail, BOOL, span)
            if name in witness:
                return both
            binder = t.Binder(local.name, head.binder.type, span)
            true = t.BoolLit(True, BOOL, span)
            return t.Quant("exists", (binder,), true, both, BOOL, span)
        case t.Update():
            return _enabled_body(rest, values, witness, promise)


def _mentions(body: Sequence[t.Statement], name: str) -> bool:
    """Whether what decides if an action can go on from here mentions a choice."""
    decisive = [
        s.value if isinstance(s, t.Let) else s.test for s in body if not isinstance(s, t.Update)
    ]
    return any(isinstance(e, t.Local) and e.name == name for test in decisive for e in walk(test))


def _none_less(choice: t.Choose, values: Mapping[str, t.Expr], value: t.Expr) -> t.Expr:
    """No smaller value passes the test of a least choice."""
    span = choice.span
    less = t.Local(f"{choice.binder.name}?less", choice.binder.type, span)
    binder = t.Binder(less.name, less.type, span)
    smaller = t.Binary("<", less, value, BOOL, span)
    fails = t.Unary(
        "not", substitute(choice.test, {**values, choice.binder.name: less}), BOOL, span
    )
    return t.Quant("forall", (binder,), smaller, fails, BOOL, span)


def substitute(expr: t.Expr, values: Mapping[str, t.Expr]) -> t.Expr:
    """The expression with local names replaced; bound names shadow."""
    match expr:
        case t.Local():
            return values.get(expr.name, expr)
        case t.Apply():
            args = tuple(substitute(a, values) for a in expr.args)
            return t.Apply(expr.kind, expr.name, args, expr.type, expr.span)
        case t.Unary():
            return t.Unary(expr.op, substitute(expr.arg, values), expr.type, expr.span)
        case t.Binary():
            left, right = substitute(expr.left, values), substitute(expr.right, values)
            return t.Binary(expr.op, left, right, expr.type, expr.span)
        case t.Ite():
            test, then, other = (substitute(e, values) for e in (expr.test, expr.then, expr.other))
            return t.Ite(test, then, other, expr.type, expr.span)
        case t.Cast():
            return t.Cast(substitute(expr.arg, values), expr.type, expr.span)
        case t.Quant():
            return _substitute_under(expr, values)
        case t.Exact():
            return t.Exact(tuple(substitute(a, values) for a in expr.args), expr.type, expr.span)
        case _:
            return expr


def _substitute_under(expr: t.Quant, values: Mapping[str, t.Expr]) -> t.Quant:
    """Under a binder: its names shadow, and are renamed where a value mentions the same name."""
    bound = {b.name for b in expr.binders}
    kept = {n: v for n, v in values.items() if n not in bound}
    free = {e.name for v in kept.values() for e in walk(v) if isinstance(e, t.Local)}
    binders = []
    for binder in expr.binders:
        name = binder.name
        while name in free:
            name += "'"
        if name != binder.name:
            kept[binder.name] = t.Local(name, binder.type, binder.span)
        binders.append(t.Binder(name, binder.type, binder.span))
    guard, body = substitute(expr.guard, kept), substitute(expr.body, kept)
    return t.Quant(expr.kind, tuple(binders), guard, body, expr.type, expr.span)
