"""All small changes of a spec: one mutant for every place and operator.

Goal: `changes(spec)` lists them in the order of the spec, each with a stable id, the place, the
text before and after, and the whole changed spec. What is changed is what happens and what is
decided: init, actions, and the functions that these or the policy use. A function that only
properties read is modelled code, and changed, when it computes with widths (`as`, `<<`, `>>`); else
it is vocabulary of the demands and, like them, left alone.
Non-goals: judging (see `tessera.mutate.trial`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tessera.errors import Span
from tessera.lang import typed as t
from tessera.lang.show import show
from tessera.lang.types import BOOL, CLASS
from tessera.lang.uses import called, expressions
from tessera.lang.walk import walk
from tessera.mutate.operators import Slip, ends, slips
from tessera.mutate.sites import conjuncts, without

KINDS = ("guard", "update", "choice", "bound", "width", "policy")
"""The kinds of changes, in the order in which tables show them."""


@dataclass(frozen=True, slots=True)
class Change:
    """One mutant: `spec` is the original with one node replaced.

    `id` is `kind/place/operator` with a number where the place offers the operator several times;
    the place is a function, or init or an action with the number of a guard, or with the name of
    what is chosen or updated there.
    """

    id: str
    kind: str
    span: Span
    before: str
    after: str
    spec: t.Spec


@dataclass(frozen=True, slots=True)
class _Draft:
    """A change before its number is known."""

    kind: str
    place: str
    operator: str
    span: Span
    before: str
    after: str
    spec: t.Spec


def changes(spec: t.Spec) -> tuple[Change, ...]:
    """Every change, in the order of the spec."""
    drafts = [*_init(spec), *_actions(spec), *_functions(spec)]
    drafts = [d for d in drafts if d.spec != spec]
    names = [f"{d.kind}/{d.place}/{d.operator}" for d in drafts]
    total, seen = Counter(names), Counter[str]()
    out = []
    for draft, name in zip(drafts, names, strict=True):
        seen[name] += 1
        id_ = f"{name}-{seen[name]}" if total[name] > 1 else name
        out.append(Change(id_, draft.kind, draft.span, draft.before, draft.after, draft.spec))
    return tuple(out)


# --- init and actions -----------------------------------------------------------------------------


def _init(spec: t.Spec) -> Iterator[_Draft]:
    yield from _body(spec, spec.init, "init", lambda body: replace(spec, init=body))


def _actions(spec: t.Spec) -> Iterator[_Draft]:
    for index, action in enumerate(spec.actions):

        def put(
            body: tuple[t.Statement, ...], index: int = index, action: t.Action = action
        ) -> t.Spec:
            actions = list(spec.actions)
            actions[index] = replace(action, body=body)
            return replace(spec, actions=tuple(actions))

        yield from _body(spec, action.body, action.name, put)


Rebuild = Callable[[tuple[t.Statement, ...]], t.Spec]


def _body(
    spec: t.Spec, body: tuple[t.Statement, ...], owner: str, put: Rebuild
) -> Iterator[_Draft]:
    """Changes of the statements of init or an action."""
    guards = 0
    for at, statement in enumerate(body):

        def with_(*new: t.Statement, at: int = at) -> t.Spec:
            return put((*body[:at], *new, *body[at + 1 :]))

        match statement:
            case t.Require():
                guards += 1
                yield from _guard(spec, statement, f"{owner}/{guards}", with_)
            case t.Choose():
                yield from _choice(spec, statement, f"{owner}/{statement.binder.name}", with_)
            case t.Let():
                place = f"{owner}/{statement.name}"
                for slip in slips(spec, statement.value):
                    changed = with_(replace(statement, value=slip.whole))
                    yield _draft("guard", place, slip, changed)
            case t.Update():
                yield from _update(spec, statement, f"{owner}/{statement.var}", with_)


Put = Callable[..., t.Spec]


def _guard(spec: t.Spec, guard: t.Require, place: str, put: Put) -> Iterator[_Draft]:
    shown = f"require {show(guard.test)}"
    yield _Draft("guard", place, "drop", guard.span, shown, "(no guard)", put())
    yield from _test(spec, guard.test, place, lambda test: put(replace(guard, test=test)))


def _choice(spec: t.Spec, choice: t.Choose, place: str, put: Put) -> Iterator[_Draft]:
    name = choice.binder.name
    if choice.kind == "least":
        changed = put(replace(choice, kind="some"))
        span = choice.span
        yield _Draft("choice", place, "some", span, f"least {name}", f"some {name}", changed)

    def with_test(test: t.Expr) -> t.Spec:
        return put(replace(choice, test=test))

    if conjuncts(choice.test):
        true = t.BoolLit(True, BOOL, choice.test.span)
        shown = f"{choice.kind} {name} where {show(choice.test)}"
        after = f"{choice.kind} {name}"
        yield _Draft("guard", place, "drop", choice.span, shown, after, with_test(true))
        yield from _test(spec, choice.test, place, with_test)


def _test(
    spec: t.Spec, test: t.Expr, place: str, put: Callable[[t.Expr], t.Spec]
) -> Iterator[_Draft]:
    """A guard negated, without one of its parts, and with slips inside."""
    negated = t.Unary("not", test, BOOL, test.span)
    yield _Draft("guard", place, "negate", test.span, show(test), show(negated), put(negated))
    yield from _parts(test, "guard", place, put)
    for slip in slips(spec, test):
        yield _draft("guard", place, slip, put(slip.whole))


def _parts(
    test: t.Expr, kind: str, place: str, put: Callable[[t.Expr], t.Spec]
) -> Iterator[_Draft]:
    for part, rest in without(test):
        yield _Draft(kind, place, "drop-part", part.span, show(part), "(dropped)", put(rest))


def _update(spec: t.Spec, update: t.Update, place: str, put: Put) -> Iterator[_Draft]:
    yield _Draft("update", place, "drop", update.span, _shown(update), "(no update)", put())
    if update.binders:

        def with_guard(guard: t.Expr) -> t.Spec:
            return put(replace(update, guard=guard))

        if conjuncts(update.guard):
            true = t.BoolLit(True, BOOL, update.guard.span)
            before, after = show(update.guard), "(everywhere)"
            spec_ = with_guard(true)
            yield _Draft("update", place, "everywhere", update.span, before, after, spec_)
            yield from _parts(update.guard, "update", place, with_guard)
            for slip in slips(spec, update.guard):
                yield _draft("update", f"{place}/where", slip, with_guard(slip.whole))
    else:
        for i, arg in enumerate(update.args):
            for slip in slips(spec, arg):
                args = (*update.args[:i], slip.whole, *update.args[i + 1 :])
                yield _draft("update", f"{place}/at", slip, put(replace(update, args=args)))
    for slip in slips(spec, update.value):
        yield _draft("update", place, slip, put(replace(update, value=slip.whole)))


def _shown(update: t.Update) -> str:
    args = ", ".join(show(a) for a in update.args)
    return f"{update.var}({args}) := {show(update.value)}" if args else f"{update.var} := ..."


def _draft(kind: str, place: str, slip: Slip, changed: t.Spec) -> _Draft:
    before, after = show(slip.node), show(slip.put)
    return _Draft(slip.kind or kind, place, slip.operator, slip.node.span, before, after, changed)


# --- functions ------------------------------------------------------------------------------------


def _functions(spec: t.Spec) -> Iterator[_Draft]:
    machine = read_by_machine(spec)
    judged = called(spec, [p.formula for p in spec.properties if p.kind != "assume"])
    for function in spec.functions.values():
        code = function.name in judged and _computes(function.body)
        if function.name not in machine and not code:
            continue
        kind = "policy" if function.policy or _on_classes(function) else "guard"

        def put(body: t.Expr, function: t.Function = function) -> t.Spec:
            changed = replace(function, body=body)
            return replace(spec, functions={**spec.functions, function.name: changed})

        if function.type == BOOL:
            yield from _parts(function.body, kind, function.name, put)
        for slip in slips(spec, function.body):
            yield _draft(kind, function.name, slip, put(slip.whole))
        if function.name.endswith((".lo", ".hi")):
            for slip in ends(function.body):
                yield _draft(kind, function.name, slip, put(slip.whole))


def _on_classes(function: t.Function) -> bool:
    return function.type == CLASS


def _computes(body: t.Expr) -> bool:
    """Whether an expression depends on the width in which it is computed."""
    return any(
        isinstance(e, t.Cast) or (isinstance(e, t.Binary) and e.op in ("<<", ">>"))
        for e in walk(body)
    )


def read_by_machine(spec: t.Spec) -> set[str]:
    """The functions that init, an action or the policy uses, directly or through others."""
    roots = [e for body in (spec.init, *(a.body for a in spec.actions)) for e in expressions(body)]
    names = called(spec, roots)
    policy = [f for f in spec.functions.values() if f.policy]
    return names | {f.name for f in policy} | called(spec, [f.body for f in policy])
