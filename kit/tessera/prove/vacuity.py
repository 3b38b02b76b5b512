"""What exactly nothing satisfies: assumptions, guards, the set that an invariant speaks of.

Goal: `contradiction` names the fewest assumptions and ranges that exclude each other, `blame` the
guards because of which an action never happens, `exercised` the invariants that are true only
because no run ever meets the case that they speak of.
Non-goals: verdicts (see `tessera.prove.verdicts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import z3

from tessera.errors import Span
from tessera.lang import typed as t
from tessera.lang.types import BOOL, SortType
from tessera.lang.uses import reads
from tessera.lang.walk import walk
from tessera.model.lower import conjuncts
from tessera.model.simulator import source_text
from tessera.prove.bounded import MOST_THINGS, Found, Search, find_state
from tessera.prove.decide import Query, decide
from tessera.prove.encode import Env, State
from tessera.prove.induct import Induction
from tessera.prove.solver import solve, spent
from tessera.prove.transition import fire, substitute

SEARCH_LIMIT = 2_000_000
"""Resource units per question of a search that only explains, or that looks for a mere example."""


# --- assumptions ----------------------------------------------------------------------------------


def contradiction(spec: t.Spec, prop: t.Property | None, limit: int, seed: int) -> Found:
    """The fewest assumptions, ranges and `given` that nothing satisfies together, in words."""
    induction = Induction(spec)
    parts = list(_assumed(spec, prop))
    nowhere = Env(State({}))
    terms = [induction.encoder.term(expr, nowhere) for expr, _ in parts]
    kept = list(range(len(parts)))
    used = 0
    for index in reversed(range(len(parts))):
        fewer = [i for i in kept if i != index]
        answer = solve([terms[i] for i in fewer], limit, seed)
        used += answer.resource
        if answer.status == "unsat":
            kept = fewer
    names = " and ".join(parts[i][1] for i in kept)
    verb = "contradicts itself" if len(kept) == 1 else "contradict each other"
    return Found("found", 0, used, None, f"{names} {verb}")


def _assumed(spec: t.Spec, prop: t.Property | None) -> Iterator[tuple[t.Expr, str]]:
    numbers: list[t.Const | t.Param] = [*spec.consts.values(), *spec.params.values()]
    for item in numbers:
        kind = "param" if isinstance(item, t.Param) else "const"
        value = t.Apply(kind, item.name, (), item.type, item.span)
        said = f"the range of `{item.name}` ({item.span})"
        if isinstance(item, t.Const) and item.params:
            continue
        if item.low is not None and item.high is not None:
            low = t.Binary("<=", item.low, value, BOOL, item.span)
            high = t.Binary("<=", value, item.high, BOOL, item.span)
            yield t.Binary("and", low, high, BOOL, item.span), said
        elif item.low is not None:
            yield t.Binary("<=", item.low, value, BOOL, item.span), said
        elif item.high is not None:
            yield t.Binary("<=", value, item.high, BOOL, item.span), said
    for one in spec.properties:
        if one.kind == "assume":
            yield one.formula, f"`assume {one.name}` ({one.span})"
    if prop is not None:
        text = source_text(spec, prop.given.span)
        yield prop.given, f"`given {text}` ({prop.given.span})"


# --- guards ---------------------------------------------------------------------------------------


def blame(
    spec: t.Spec, action: t.Action, standing: Sequence[str], steps: int, limit: int, seed: int
) -> Found:
    """Which guards keep an action from ever happening, in words.

    First by proof: the fewest that no state satisfying the invariants passes; else by search: those
    that no run of `steps` steps passes even alone.
    """
    statements = [s for s in action.body if isinstance(s, t.Require | t.Choose)]
    used = 0

    def impossible(chosen: list[int]) -> bool:
        nonlocal used
        induction = Induction(spec)
        firing = fire(induction.encoder, action, induction.now, "")
        held = [p for p in spec.properties if p.name in standing]
        assumed = [
            *induction.background,
            *(induction.holds(p, induction.now) for p in held),
            *(firing.guards[i] for i in chosen),
            *induction.encoder.definitions,
        ]
        answer = decide(Query(tuple(assumed), (z3.BoolVal(True),), (), ()), limit, seed)
        used += answer.resource
        return answer.status == "unsat"

    kept = list(range(len(statements)))
    if statements and impossible(kept):
        for index in reversed(range(len(statements))):
            fewer = [i for i in kept if i != index]
            if impossible(fewer):
                kept = fewer
        return Found("found", 0, used, None, _never(spec, [statements[i] for i in kept]))
    return _searched(spec, action, statements, steps, min(limit, SEARCH_LIMIT), seed)


def _never(spec: t.Spec, guilty: Sequence[t.Require | t.Choose]) -> str:
    named = " and ".join(_named(spec, s.span) for s in guilty)
    if not guilty:
        return "no state satisfies the invariants"
    both = " together" if len(guilty) > 1 else ""
    return f"no state that satisfies the invariants passes {named}{both}"


def _named(spec: t.Spec, span: Span) -> str:
    return f"`{source_text(spec, span)}` ({span})"


def _searched(
    spec: t.Spec,
    action: t.Action,
    statements: Sequence[t.Require | t.Choose],
    steps: int,
    limit: int,
    seed: int,
) -> Found:
    used, shut, unclear = 0, [], False
    for statement in statements:
        found = find_state(spec, _passes(action, statement), max(steps - 1, 0), limit, seed)
        used += found.resource
        unclear |= found.status == "unknown"
        if found.status == "none":
            shut.append(statement)
    if shut:
        named = " nor ".join(_named(spec, s.span) for s in shut)
        text = f"no run of at most {steps - 1} steps leads where {named} can hold"
    elif unclear or not statements:
        text = "which guard is to blame is not known"
    else:
        text = f"each guard can hold after at most {steps - 1} steps, but never all at once"
    return Found("found", 0, used, None, text)


def _passes(action: t.Action, statement: t.Require | t.Choose) -> t.Expr:
    """Some arguments and choices pass this one statement."""
    binders = list(action.params)
    lets: dict[str, t.Expr] = {}
    for one in action.body:
        if isinstance(one, t.Choose):
            binders.append(one.binder)
        if one is statement:
            break
        if isinstance(one, t.Let):
            lets[one.name] = substitute(one.value, lets)
    test = substitute(statement.test, lets)
    true = t.BoolLit(True, BOOL, statement.span)
    if not binders:
        return test
    return t.Quant("exists", tuple(binders), true, test, BOOL, statement.span)


# --- invariants that are never put to the test ----------------------------------------------------


def cases(prop: t.Property) -> list[t.Quant]:
    """The universal parts of an invariant whose case has to come up in some state."""
    return [
        part
        for part in conjuncts(prop.formula)
        if isinstance(part, t.Quant) and part.kind == "forall" and not _too_many(part)
    ]


def _too_many(part: t.Quant) -> bool:
    """Whether it speaks of more things at once than a bounded search has."""
    things = [b.type for b in part.binders if isinstance(b.type, SortType)]
    return any(things.count(x) > MOST_THINGS for x in things)


def reads_state(spec: t.Spec, part: t.Quant) -> bool:
    """Whether it depends on the state which values the part speaks of."""
    guards = [part.guard]
    if isinstance(part.body, t.Binary) and part.body.op == "=>":
        guards.append(part.body.left)
    return any(reads(spec, guard) for guard in guards)


def occurs(part: t.Quant, given: t.Expr) -> t.Expr:
    """Some value that the part speaks of exists."""
    body: t.Expr = t.BoolLit(True, BOOL, part.span)
    if isinstance(part.body, t.Binary) and part.body.op == "=>":
        body = part.body.left
    exists = t.Quant("exists", part.binders, part.guard, body, BOOL, part.span)
    return t.Binary("and", given, exists, BOOL, part.span)


def exercised(
    spec: t.Spec, names: Sequence[str], steps: int, limit: int, seed: int
) -> dict[str, Found]:
    """For every named invariant with such parts: whether runs reach the case of each.

    `none` comes with the part that never does, in words.
    """
    todo = {
        p.name: [part for part in cases(p) if reads_state(spec, part)]
        for p in spec.properties
        if p.kind == "invariant" and p.name in names
    }
    todo = {name: parts for name, parts in todo.items() if parts}
    given = {p.name: p.given for p in spec.properties}
    if not todo:
        return {}
    widest = max((x for parts in todo.values() for x in parts), key=lambda x: len(list(walk(x))))
    search = Search(spec, widest, steps, min(limit, SEARCH_LIMIT), seed)
    latest = dict.fromkeys(todo, 0)
    unclear: dict[str, str] = {}
    while True:
        for name in [n for n in todo if todo[n]]:
            left = []
            for part in todo[name]:
                found = search.ask(search.reached(occurs(part, given[name])), small=False)
                if found.status == "found":
                    latest[name] = len(search.firings)
                    continue
                left.append(part)
                if found.status == "unknown":
                    unclear[name] = found.reason
            todo[name] = left
        if not any(todo.values()) or len(search.firings) >= steps or not spec.actions:
            break
        search.extend()
    used = spent(search.solver)
    out: dict[str, Found] = {}
    for name, left in todo.items():
        if not left:
            out[name] = Found("found", latest[name], used)
        elif name in unclear:
            out[name] = Found("unknown", steps, used, None, unclear[name])
        else:
            out[name] = Found("none", steps, used, None, _empty(spec, left[0]))
    return out


def _empty(spec: t.Spec, part: t.Quant) -> str:
    """The quantifier up to its body, as written, and where it stands."""
    text = source_text(spec, part.span)
    body = source_text(spec, part.body.span)
    if isinstance(part.body, t.Binary) and part.body.op == "=>":
        body = source_text(spec, part.body.right.span)
    head = text.removesuffix(body).rstrip(" :(=>") if body and text.endswith(body) else text
    return f"`{_short(head)}` ({part.span})"


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."
