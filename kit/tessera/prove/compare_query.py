"""The inductive questions about two specs: is each step of one a step of the other?

Goal: queries for `decide` that are unsatisfiable when the first spec's init, or every step of one
of its actions from any state that satisfies the given invariants, is one of the second spec's.
Choices are shared by name: what the one chooses the other must be able to choose too, as the least
where it takes the least.
Non-goals: runs (see `tessera.prove.compare_run`) and verdicts (see `tessera.prove.compare`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import z3

from tessera.lang import typed as t
from tessera.lang.types import Type
from tessera.prove.compare_pair import Pair, alike, signature, texts
from tessera.prove.decide import Query
from tessera.prove.encode import Encoder, Env, State
from tessera.prove.solver import fresh_context
from tessera.prove.terms import Sorts, Term
from tessera.prove.transition import (
    Firing,
    apply_updates,
    fire,
    initial_state,
    symbolic_state,
)

_APART = 1_000_000
"""Where the second spec's numbers of fresh names begin, so that the two never meet."""


class Follower(Encoder):
    """Encodes the second spec, with the first one's arguments and choices where it has them."""

    def __init__(self, spec: t.Spec, sorts: Sorts) -> None:
        super().__init__(spec, sorts, _APART)
        self._shared: dict[str, Term] = {}

    def fresh(self, name: str, type_: Type) -> Term:
        """A new constant, or the shared one of that name."""
        return self._shared.get(name) if name in self._shared else super().fresh(name, type_)

    def follow(self, lead: Firing, action: t.Action, before: State, tag: str) -> Firing:
        """The action with the arguments and choices of `lead`, as far as they have the same names
        and sorts."""
        wanted = {p.name: p.type for p in action.params}
        wanted |= {s.binder.name: s.binder.type for s in action.body if isinstance(s, t.Choose)}
        given: Mapping[str, Term] = {**lead.args, **lead.choices}
        self._shared = {
            f"{action.name}{tag}.{name}": given[name]
            for name, type_ in wanted.items()
            if name in given and given[name].sort() == self.sorts.of(type_)
        }
        firing = fire(self, action, before, tag)
        self._shared = {}
        return firing


def followers(both: Pair, action: t.Action, *, any_name: bool) -> list[t.Action]:
    """The second spec's action of the same name; with `any_name` all that take such arguments."""
    own = both.b.action(action.name)
    if not any_name:
        return [own]
    others = [x for x in both.b.actions if x != own and signature(x) == signature(action)]
    return [own, *others]


def unmatched(
    both: Pair,
    lead: Firing,
    leader: Encoder,
    follower: Follower,
    before: State,
    candidates: Sequence[t.Action],
    tag: str = "",
) -> list[list[Term]]:
    """For each candidate, the ways in which its step differs from the lead's: one must hold."""
    return [_differences(both, lead, leader, follower, before, c, tag) for c in candidates]


def _differences(
    both: Pair,
    lead: Firing,
    leader: Encoder,
    follower: Follower,
    before: State,
    candidate: t.Action,
    tag: str,
) -> list[Term]:
    theirs = follower.follow(lead, candidate, before, tag)
    same = alike(both, lead.action.body, candidate.body)
    apart = _apart(both, lead, theirs.after, leader, same, candidate)
    own = {**lead.args, **lead.choices}
    free = {n: x for n, x in theirs.choices.items() if not (n in own and own[n].eq(x))}
    tests = _tests(theirs, [s for s in same if not _chooses(s, free)])
    least = {n for n, made in tests if n in free and len(made) == 2}
    if len(free) > 1 or least != set(free):
        # What the lead does not choose may be anything: each must fail, somewhere.
        ways = [z3.Not(x) for _, made in tests for x in made]
        ways += [z3.Exists(list(at), differs) if at else differs for at, differs in apart]
        return [z3.ForAll(list(free.values()), z3.Or(ways))]
    leader.goal_constants += [x for at, _ in apart for x in at]
    ways = [_refuted(leader, x) for n, made in tests if n not in free for x in made]
    ways += [differs for _, differs in apart]
    for name, made in tests:
        if name in free:
            # There is one least value at most: either none passes, or it does and the rest fails.
            term = free[name]
            ways = [z3.And(*made, way) for way in ways]
            ways.append(z3.ForAll([term], z3.Not(made[0])))
    return ways


def _apart(
    both: Pair,
    lead: Firing,
    after: State,
    leader: Encoder,
    same: Sequence[t.Statement],
    candidate: t.Action,
) -> list[tuple[tuple[Term, ...], Term]]:
    """For each variable that counts, a place and that its values there differ."""
    out = []
    for var in both.observed:
        if _updated_alike(var.name, lead.action.body, candidate.body, same):
            continue
        at = tuple(leader.fresh(f"{var.name}.{b.name}", b.type) for b in var.params)
        out.append((at, lead.after.variables[var.name](at) != after.variables[var.name](at)))
    return out


def _updated_alike(
    name: str,
    mine: Sequence[t.Statement],
    theirs: Sequence[t.Statement],
    same: Sequence[t.Statement],
) -> bool:
    """Whether both update a variable by the same statements in the same order."""
    bodies = [
        [s for s in body if isinstance(s, t.Update) and s.var == name] for body in (mine, theirs)
    ]
    return texts(bodies[0]) == texts(bodies[1]) and all(s in same for s in bodies[0])


def _refuted(leader: Encoder, test: Term) -> Term:
    """That a test fails; of "for all x", at a named x, so that others can be told of it."""
    if not (z3.is_quantifier(test) and test.is_forall()):
        return z3.Not(test)
    at = [z3.FreshConst(test.var_sort(i), test.var_name(i)) for i in range(test.num_vars())]
    leader.goal_constants += at
    return z3.Not(z3.substitute_vars(test.body(), *reversed(at)))


def _instances(taken: Sequence[Term], named: Sequence[Term]) -> list[Term]:
    """What "nothing smaller fits" and its like say of each of the named integers."""
    out = []
    for test in taken:
        if z3.is_quantifier(test) and test.is_forall() and test.num_vars() == 1:
            at = [x for x in named if x.sort() == test.var_sort(0) and z3.is_bv(x)]
            out += [z3.substitute_vars(test.body(), x) for x in at]
    return out


def _chooses(statement: t.Statement, names: Iterable[str]) -> bool:
    return isinstance(statement, t.Choose) and statement.binder.name in names


def _tests(firing: Firing, known: Sequence[t.Statement]) -> list[tuple[str, list[Term]]]:
    """What a firing asks, but for what is known: the name of a choice (empty for a guard), its
    test and, for a least choice, that nothing smaller passes."""
    guards, minimal = iter(firing.guards), iter(firing.minimal)
    out: list[tuple[str, list[Term]]] = []
    for statement in firing.action.body:
        if isinstance(statement, t.Require | t.Choose):
            terms, name = [next(guards)], ""
            if isinstance(statement, t.Choose):
                name = statement.binder.name
                if statement.kind == "least":
                    terms.append(next(minimal))
            if statement not in known:
                out.append((name, terms))
    return out


def background(both: Pair, encoders: Iterable[Encoder]) -> list[Term]:
    """Ranges and assumptions of both, and the values that were fixed."""
    out: list[Term] = []
    for encoder in encoders:
        out += encoder.ranges()
        out += [
            encoder.term(p.formula, Env(State({})))
            for p in encoder.spec.properties
            if p.kind == "assume"
        ]
    leader = next(iter(encoders))
    for name, value in both.fixed.items():
        is_const = name in leader.spec.consts
        symbol = leader.rigid(name) if is_const else leader.param(name)
        out.append(symbol == value)
    return out


class Questions:
    """Both specs over one set of symbols and one state."""

    def __init__(self, both: Pair) -> None:
        fresh_context()
        self.both = both
        sorts = Sorts.make(both.a.enums, tuple(s.name for s in both.a.sorts), None)
        self.leader, self.follower = Encoder(both.a, sorts), Follower(both.b, sorts)
        self.now = symbolic_state(self.leader, "")
        self.background = background(both, (self.leader, self.follower))

    def _query(
        self, assumed: Sequence[Term], ways: Sequence[Term], touched: Sequence[Term]
    ) -> Query:
        defined = (*self.leader.definitions, *self.follower.definitions)
        things = tuple(x for x in touched if x.sort_kind() == z3.Z3_UNINTERPRETED_SORT)
        goal = tuple(self.leader.goal_constants)
        return Query((*self.background, *assumed, *defined), tuple(ways), things, goal)

    def step(
        self, action: t.Action, invariants: Iterable[t.Property], *, least: bool, any_name: bool
    ) -> Query:
        """A step of the first spec's action that none of the second's candidates takes.

        `least` says that the first spec's least choices are the least; without, it is asked of any
        choice, which is the easier question where it suffices.
        """
        lead = fire(self.leader, action, self.now, "")
        candidates = followers(self.both, action, any_name=any_name)
        apart = unmatched(self.both, lead, self.leader, self.follower, self.now, candidates)
        ways = apart[0] if len(apart) == 1 else [z3.And([z3.Or(w) for w in apart])]
        holds = [self._holds(p) for p in invariants]
        touched = (*lead.args.values(), *lead.choices.values())
        taken = [*lead.guards, *(lead.minimal if least else ())]
        named = (*lead.choices.values(), *self.leader.goal_constants)
        return self._query([*holds, *taken, *_instances(taken, named)], ways, touched)

    def _holds(self, prop: t.Property) -> Term:
        given = self.leader.term(prop.given, Env(State({})))
        return z3.Implies(given, self.leader.term(prop.formula, Env(self.now)))

    def init(self) -> Query:
        """An initial state of the first spec that the second's init would change."""
        mine = initial_state(self.leader, default=False)
        updates = [u for u in self.both.b.init if isinstance(u, t.Update)]
        theirs = _assigned(self.follower, updates, mine)
        out = []
        for var in self.both.observed:
            at = tuple(self.leader.fresh(f"{var.name}.{b.name}", b.type) for b in var.params)
            self.leader.goal_constants += at
            out.append(mine.variables[var.name](at) != theirs.variables[var.name](at))
        return self._query([], out, ())

    def function(self, name: str) -> tuple[list[Term], dict[str, Term]]:
        """The background and that a policy function differs; its arguments by name."""
        differs, args = disagreement(self.both, self.leader, self.follower, name)
        return [*self.background, differs], args


def _assigned(encoder: Encoder, updates: Sequence[t.Update], base: State) -> State:
    """What `init` of the second spec makes of a state."""
    return apply_updates(encoder, updates, Env(base), base)


def disagreement(
    both: Pair, leader: Encoder, follower: Encoder, name: str
) -> tuple[Term, dict[str, Term]]:
    """That both specs give a policy function different values; an interval is a set of granules."""
    parts = [name] if name in both.a.functions else [f"{name}.lo", f"{name}.hi"]
    params = both.a.functions[parts[0]].params
    args = {p.name: leader.fresh(f"{name}.{p.name}", p.type) for p in params}
    values = [[_value(encoder, part, args) for part in parts] for encoder in (leader, follower)]
    mine, theirs = values
    differs = z3.Or([x != y for x, y in zip(mine, theirs, strict=True)])
    if len(parts) == 2:
        empty = [z3.UGE(lo, hi) for lo, hi in values]
        differs = z3.And(differs, z3.Not(z3.And(empty)))
    return differs, args


def _value(encoder: Encoder, name: str, args: Mapping[str, Term]) -> Term:
    function = encoder.spec.functions[name]
    local = {p.name: args[q] for p, q in zip(function.params, args, strict=True)}
    return encoder.term(function.body, Env(State({}), None, local))
