"""Two specs that differ in little: do they take the same steps?

Goal: a changed action refines the original one when each of its steps, from any state that
satisfies the proved invariants, is a step of the original or changes nothing; when the original
also refines the changed one, both are the same. The same for init, and for the values that a
property reads.
Non-goals: machines whose state differs, and weak or stuttering simulations between them; finding
the steps that only one of them takes in a run (see `tessera.model.twin`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import z3

from tessera.lang import typed as t
from tessera.lang.uses import called, expressions
from tessera.lang.walk import children
from tessera.model.script import Script
from tessera.model.twin import LONGER, STEPS, fits_names, play
from tessera.prove.bounded import Found
from tessera.prove.decide import Query, decide
from tessera.prove.encode import Encoder, Env, State
from tessera.prove.solver import Answer, fresh_context
from tessera.prove.terms import Sorts, Term
from tessera.prove.transition import Firing, fire, initial_state, symbolic_state

_APART = 1_000_000
"""Where the second spec's numbers of fresh names begin, so that the two never meet."""


@dataclass(frozen=True, slots=True)
class Pair(t.Spec):
    """A changed spec that knows what it was made from; sorts, state and constants are the same.

    Questions about it (kinds of `tessera.prove.tasks.Task`):

    - "play": random runs of both, with "longer" as the property long ones; found are
      "violated/PROPERTY", "forbidden/ACTION", "extra", "missing" and "fired/ACTION" (see
      `tessera.model.twin`);
    - "refines": each step of the changed action is one of the original's (of the same action, or
      of one with the same arguments and choices), or changes nothing;
    - "extends": the other way round. With "both" as the property, the changed spec's own invariants
      are assumed too: sound when they are proved of it and all its actions are compared, since
      then, by induction, both machines are always in the same states;
    - "starts": init leads to the same states;
    - "reads": wherever a property reads a changed function, its value is the same.
    """

    original: t.Spec


def pair(changed: t.Spec, original: t.Spec) -> Pair:
    """Both in one."""
    values = {f.name: getattr(changed, f.name) for f in fields(t.Spec)}
    return Pair(**values, original=original)


def meet(
    both: Pair,
    kind: str,
    prop: str,
    action: str,
    hypotheses: Sequence[str],
    limit: int,
    seed: int,
) -> tuple[Answer | None, tuple[tuple[str, Found], ...]]:
    """Answer one question about a pair: an answer (unsat: it is so) or what play found."""
    if kind == "play":
        return None, _played(both, seed, LONGER if prop == "longer" else STEPS)
    own = kind in ("refines", "extends") and prop == "both"
    compared = _Compared(both, hypotheses, own=own)
    if kind == "starts":
        query = compared.starts()
    elif kind == "reads":
        query = compared.reads(prop)
    else:
        query = compared.refines(action, forward=kind == "refines", alone=True)
        answer = decide(query, limit, seed)
        if answer.status == "unsat":
            return answer, ()
        compared = _Compared(both, hypotheses, own=own)
        query = compared.refines(action, forward=kind == "refines", alone=False)
    return decide(query, limit, seed), ()


def _played(both: Pair, seed: int, steps: int) -> tuple[tuple[str, Found], ...]:
    found = play(both, both.original, seed, steps)
    out: list[tuple[str, Script | None]] = []
    if found.violated:
        out.append((f"violated/{found.violated}", found.run))
    if found.forbidden:
        out.append((f"forbidden/{found.forbidden}", None))
    out += [(n, s) for n, s in (("extra", found.extra), ("missing", found.missing)) if s]
    out += [(f"fired/{name}", None) for name in sorted(found.fired)]
    return tuple((n, Found("found", len(s.events) if s else 0, 0, s)) for n, s in out)


class _Compared:
    """Both specs over one set of symbols."""

    def __init__(self, both: Pair, hypotheses: Sequence[str], *, own: bool = False) -> None:
        fresh_context()
        sorts = Sorts.make(both.enums, tuple(s.name for s in both.sorts), None)
        self.original = both.original
        self.changed = both
        self.before = Encoder(both.original, sorts)
        self.after = Encoder(both, sorts, _APART)
        self.now = symbolic_state(self.before, "")
        self.background = self.before.ranges() + [
            self._holds(encoder, p)
            for encoder in ((self.before, self.after) if own else (self.before,))
            for p in encoder.spec.properties
            if p.kind == "assume" or p.name in hypotheses
        ]

    def _holds(self, encoder: Encoder, prop: t.Property) -> Term:
        given = encoder.term(prop.given, Env(State({})))
        return z3.Implies(given, encoder.term(prop.formula, Env(self.now)))

    def _query(
        self,
        assumed: Sequence[Term],
        ways: Sequence[Term],
        touched: Sequence[Term],
        goal: Sequence[Term],
    ) -> Query:
        defined = (*self.before.definitions, *self.after.definitions)
        things = tuple(x for x in touched if x.sort_kind() == z3.Z3_UNINTERPRETED_SORT)
        return Query((*self.background, *assumed, *defined), tuple(ways), things, tuple(goal))

    # --- steps ------------------------------------------------------------------------------------

    def refines(self, action: str, *, forward: bool, alone: bool) -> Query:
        """Forward: a step of the changed action that the original cannot take; else the reverse.

        Without `alone`, only a step that changes the state counts, and that no other action takes
        either with the same arguments and choices: freeing by one name what is freed by another.
        """
        one, two = self.original.action(action), self.changed.action(action)
        mine, theirs = fire(self.before, one, self.now, ""), fire(self.after, two, self.now, "")
        same = _same(theirs, mine)
        lead, other = (theirs, mine) if forward else (mine, theirs)
        shared = self._shared(one.body, two.body)
        ways = [z3.Not(g) for g in _tests(other, shared)]
        names, apart = self._apart(mine.after, theirs.after, one.body, two.body)
        ways += apart
        if not alone:
            more, moved = self._apart(self.now, lead.after, (), lead.action.body)
            names += more
            ways = [z3.And(way, z3.Or(moved)) for way in ways]
            for another in self._others(lead.action, forward=forward):
                same += _same(another, mine)
                more, apart = self._apart(lead.after, another.after, (), lead.action.body)
                names += more
                refused = [z3.Not(g) for g in _tests(another, ())]
                ways = [z3.And(way, no) for way in ways for no in (*refused, *apart)]
        touched = (*mine.args.values(), *mine.choices.values())
        query = self._query([*lead.guards, *lead.minimal], ways, touched, names)
        return _joined(_renamed(query, same))

    def _others(self, action: t.Action, *, forward: bool) -> Iterator[Firing]:
        """Other actions of the other spec whose arguments and choices this one has as well, and
        which update the same variables."""
        spec, encoder = (self.original, self.before) if forward else (self.changed, self.after)
        for another in spec.actions:
            fits = another.name != action.name and fits_names(another, action)
            if fits and _updated(another) == _updated(action):
                yield fire(encoder, another, self.now, "")

    def starts(self) -> Query:
        """A state that only one of the two inits allows; what both leave open is the same."""
        mine = initial_state(self.before, default=False)
        theirs = initial_state(self.after, default=False)
        names, apart = self._apart(mine, theirs, self.original.init, self.changed.init)
        return self._query([], apart, (), names)

    def _shared(self, one: Sequence[t.Statement], two: Sequence[t.Statement]) -> list[t.Statement]:
        """The statements of both that mean the same in both; none when a `let` differs."""
        if [s for s in one if isinstance(s, t.Let)] != [s for s in two if isinstance(s, t.Let)]:
            return []
        differing = self._functions
        return [s for s in one if s in two and not calls(self.original, [s]) & differing]

    @cached_property
    def _functions(self) -> set[str]:
        """The functions whose own bodies differ."""
        changed = self.changed.functions
        return {n for n, f in self.original.functions.items() if f != changed[n]}

    def _apart(
        self,
        one: State,
        other: State,
        updates: Sequence[t.Statement],
        others: Sequence[t.Statement],
    ) -> tuple[list[Term], list[Term]]:
        """Places, as fresh names, and for each variable that its values there differ.

        Variables that both sides update by the same statements are left out.
        """
        names: list[Term] = []
        out: list[Term] = []
        shared = self._shared(updates, others)
        for var in self.original.vars.values():
            own = [s for s in updates if isinstance(s, t.Update) and s.var == var.name]
            its = [s for s in others if isinstance(s, t.Update) and s.var == var.name]
            if own == its and all(s in shared for s in own):
                continue
            at = tuple(self.before.fresh(f"{var.name}.{b.name}", b.type) for b in var.params)
            names += at
            out.append(one.variables[var.name](at) != other.variables[var.name](at))
        return names, out

    # --- what properties read ---------------------------------------------------------------------

    def reads(self, name: str) -> Query:
        """A place where a property reads a changed function, and its value is another one."""
        mine = _property(self.original, name)
        theirs = _property(self.changed, name)
        given = self.before.term(mine.given, Env(State({})))
        earlier = symbolic_state(self.before, "@old") if mine.kind == "step" else None
        self._names: list[Term] = []
        env = Env(self.now, earlier)
        ways = list(self._differing(mine.formula, theirs.formula, env, [given]))
        return self._query([], ways, (), self._names)

    def _differing(
        self, mine: t.Expr, theirs: t.Expr, env: Env, context: list[Term]
    ) -> Iterator[Term]:
        """Both expressions have one shape; where a call is not to the same body, values count."""
        match mine, theirs:
            case t.Quant(kind="forall"), t.Quant():
                names = {b.name: self.before.fresh(b.name, b.type) for b in mine.binders}
                self._names += names.values()
                inner = env.bind(names)
                yield from self._differing(mine.guard, theirs.guard, inner, context)
                inside = [*context, self.before.term(mine.guard, inner)]
                yield from self._differing(mine.body, theirs.body, inner, inside)
            case t.Binary(op="and" | "=>"), t.Binary():
                yield from self._differing(mine.left, theirs.left, env, context)
                inside = [*context, self.before.term(mine.left, env)]
                yield from self._differing(mine.right, theirs.right, env, inside)
            case ((t.Quant() | t.Apply() | t.Exact() | t.Old()), _):
                left, right = self.before.term(mine, env), self.after.term(theirs, env)
                if not left.eq(right):
                    yield z3.And(*context, left != right)
            case _:
                for left, right in zip(children(mine), children(theirs), strict=True):
                    yield from self._differing(left, right, env, context)


def calls(spec: t.Spec, statements: Iterable[t.Statement]) -> set[str]:
    """The functions that statements call, directly or through others."""
    return called(spec, expressions(statements))


def _tests(firing: Firing, known: Sequence[t.Statement]) -> list[Term]:
    """The guards of a firing, and what makes its choices the least, but for what is known."""
    guards = iter(firing.guards)
    minimal = iter(firing.minimal)
    out = []
    for statement in firing.action.body:
        if isinstance(statement, t.Require | t.Choose):
            terms = [next(guards)]
            if isinstance(statement, t.Choose) and statement.kind == "least":
                terms.append(next(minimal))
            out += terms if statement not in known else []
    return out


def _updated(action: t.Action) -> set[str]:
    return {s.var for s in action.body if isinstance(s, t.Update)}


def _property(spec: t.Spec, name: str) -> t.Property:
    return next(p for p in spec.properties if p.name == name)


def _same(theirs: Firing, mine: Firing) -> list[tuple[Term, Term]]:
    """The arguments and choices of one firing as those of the other."""
    return [
        (term, {**mine.args, **mine.choices}[name])
        for name, term in (*theirs.args.items(), *theirs.choices.items())
    ]


def _renamed(query: Query, names: Sequence[tuple[Term, Term]]) -> Query:
    def rename(terms: Sequence[Term]) -> tuple[Term, ...]:
        return tuple(z3.substitute(x, *names) for x in terms) if names else tuple(terms)

    return Query(rename(query.assumed), rename(query.ways), query.touched, query.goal)


def _joined(query: Query) -> Query:
    """Conditions that both specs name, each for itself, under one name.

    A definition is `name == condition`; the solver would have to prove two of them equal.
    """
    known: list[tuple[Term, Term]] = []
    names: list[tuple[Term, Term]] = []
    for term in query.assumed:
        if z3.is_eq(term) and str(term.arg(0)).startswith("condition."):
            name, condition = term.children()
            first = next((n for n, c in known if _alike(c, condition)), None)
            if first is None:
                known.append((name, condition))
            else:
                names.append((name, first))
    return _renamed(query, names)


def _alike(one: Term, two: Term) -> bool:
    """Whether two terms are the same but for the names of their bound variables."""
    if one.eq(two):
        return True
    if z3.is_quantifier(one) and z3.is_quantifier(two):
        count = one.num_vars()
        return (
            one.is_forall() == two.is_forall()
            and count == two.num_vars()
            and all(one.var_sort(i) == two.var_sort(i) for i in range(count))
            and _alike(one.body(), two.body())
        )
    if not (z3.is_app(one) and z3.is_app(two)) or not one.decl().eq(two.decl()):
        return False
    pairs = zip(one.children(), two.children(), strict=True)
    return one.num_args() == two.num_args() > 0 and all(_alike(a, b) for a, b in pairs)
