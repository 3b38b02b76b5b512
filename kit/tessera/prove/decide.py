"""Deciding one inductive query: ground it, try it, split it where it is hard.

Goal: turn a hard bit-vector query into a few easy ones by the case distinctions that a person would
make: is this block the one that was touched, and which class does this owner have? After such a
split both sides are the same terms and the solver has little left to do.
Non-goals: building the query (see `tessera.prove.induct`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import z3

from tessera.prove.ground import ground
from tessera.prove.nodes import count_nodes
from tessera.prove.solver import DEFAULT_LIMIT, Answer, contradicts_at_once, solve, solve_as_bits
from tessera.prove.terms import Term

FIRST_TRY = 150_000
"""Resource units before a split is tried, where it would make many cases."""

FEW_CASES = 64
"""Up to so many cases a question is split at once. Most that are split have two or four, of which
simplifying alone decides half: trying the whole first cost more than all its cases."""

LARGE = 4096
"""Distinct nodes of a question from which on each part of a split costs about as much as the whole:
then the whole is given nearly all that is left before it is split."""

FIRST_WAY = 4_000_000
"""Resource units, or a quarter of what is left where that is more, for the first of two ways to
decide a case that is not split. Most that it decides at all take fewer."""

SECOND_TRY = 1_000_000
"""Resource units for the original query, quantifiers and all, when the weakened one fails: enough
to find most counterexamples to induction, and a proof is not to be expected there."""

SECOND_SHARE = 20
"""Or this part of the limit, where that is more: so that a higher limit helps."""


@dataclass(frozen=True, slots=True)
class Query:
    """An obligation: it holds when `assumed` contradicts each of the `ways` to fail.

    `touched` are the things an action names, `goal` the fresh constants of the refuted goal.
    """

    assumed: tuple[Term, ...]
    ways: tuple[Term, ...]
    touched: tuple[Term, ...]
    goal: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """A case distinction: `term` against each of `values`; for two things, same or distinct."""

    term: Term
    values: tuple[Term, ...]
    same_or_not: bool

    @property
    def cases(self) -> int:
        """How many cases it makes."""
        return len(self.values) + self.same_or_not


def _cases(splits: Sequence[Split]) -> int:
    return math.prod(split.cases for split in splits)


def decide(
    query: Query, limit: int = DEFAULT_LIMIT, seed: int = 0, *, insist: bool = True
) -> Answer:
    """unsat: holds. sat or unknown: see `tessera.prove.check` for what is done then.

    Where the query without quantifiers is satisfiable, the original is asked, unless `insist` is
    false; then it is unknown.
    """
    began = time.perf_counter()
    budget = _Budget(limit, seed)
    status = "unsat"
    assumed, ways = ground(query.assumed, query.ways)
    for way in ways:
        formulas = assumed + way
        budget.large = count_nodes(formulas) >= LARGE
        status = budget.solve(formulas, _splits(query, way))
        if status != "unsat":
            break
    if status == "sat" and not insist:
        status, budget.reason = "unknown", "satisfiable with its quantifiers written out"
    elif status == "sat":
        # The weakened query says nothing then; ask the original, quantifiers and all.
        left = max(1, limit - budget.spent)
        share = min(max(SECOND_TRY, limit // SECOND_SHARE), left)
        answer = solve([*query.assumed, z3.Or(query.ways)], share, seed)
        budget.spent += answer.resource
        status, budget.reason = answer.status, answer.reason
    return Answer(status, time.perf_counter() - began, budget.spent, budget.reason)


class _Budget:
    """Shares one resource limit among all cases of a query."""

    def __init__(self, limit: int, seed: int) -> None:
        self.limit = limit
        self.seed = seed
        self.spent = 0
        self.reason = ""
        self.large = False

    def first_try(self, left: int, splits: Sequence[Split]) -> int:
        """What a question is given before it is split; nothing: split it at once."""
        if self.large:
            return max(1, left - left // 10)
        return 0 if _cases(splits) <= FEW_CASES else min(FIRST_TRY, left)

    def solve(self, formulas: Sequence[Term], splits: Sequence[Split]) -> str:
        """The status of a case; a satisfiable or unknown part decides the whole."""
        left = self.limit - self.spent
        if left <= 0:
            self.reason = "resource limit"
            return "unknown"
        if contradicts_at_once(formulas):
            return "unsat"
        if not splits:
            return self._last(formulas, left)
        share = self.first_try(left, splits)
        if share:
            answer = solve(formulas, share, self.seed)
            self.spent += answer.resource
            if answer.status != "unknown":
                self.reason = answer.reason
                return answer.status
        for case in _branches(formulas, splits[0]):
            status = self.solve(case, splits[1:])
            if status != "unsat":
                return status
        return "unsat"

    def _last(self, formulas: Sequence[Term], left: int) -> str:
        """The status of a case that is not split; a hard one is tried as bits in the end."""
        share = min(left, max(FIRST_WAY, left // 4))
        answer = solve(formulas, share, self.seed)
        self.spent += answer.resource
        if answer.status == "unknown" and share < left:
            answer = solve_as_bits(formulas, left - share, self.seed)
            self.spent += answer.resource
        self.reason = answer.reason
        return answer.status


def _splits(query: Query, way: Sequence[Term]) -> list[Split]:
    """Touched things against the goal's, then the classes of what the goal names."""
    things: dict[str, Term] = {}
    classes: dict[str, Term] = {}
    todo, seen = list(way), set()
    while todo:
        node = todo.pop()
        if node.get_id() in seen:
            continue
        seen.add(node.get_id())
        todo.extend(node.children())
        if z3.is_app(node) and node.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            simple = all(z3.is_const(c) for c in node.children())
            if simple and node.sort_kind() == z3.Z3_UNINTERPRETED_SORT:
                things[node.sexpr()] = node
            elif simple and node.sort_kind() == z3.Z3_DATATYPE_SORT:
                classes[node.sexpr()] = node
    touched = {x.sexpr() for x in query.touched}
    out = [
        Split(things[name], (other,), True)
        for name in sorted(things, key=lambda n: (len(n), n))
        for other in query.touched
        if name not in touched
        and _is_goal_term(things[name], query)
        and things[name].sort() == other.sort()
    ]
    for name in sorted(classes, key=lambda n: (len(n), n)):
        sort = classes[name].sort()
        members = tuple(sort.constructor(i)() for i in range(sort.num_constructors()))
        out.append(Split(classes[name], members, False))
    return out


def _is_goal_term(term: Term, query: Query) -> bool:
    """A fresh constant of the goal, or a function of fresh constants: `holder(g)`."""
    parts = term.children() or [term]
    return all(any(p.eq(c) for c in query.goal) for p in parts)


def _branches(formulas: Sequence[Term], split: Split) -> list[list[Term]]:
    cases = [_assume_same(formulas, split.term, v, split.same_or_not) for v in split.values]
    if split.same_or_not:
        cases.append(_assume_distinct(formulas, split.term, split.values[0]))
    return cases


def _assume_same(formulas: Sequence[Term], term: Term, value: Term, gone: bool) -> list[Term]:
    """Replace `term` by `value` everywhere (and keep the equation unless the term is gone)."""
    out = [z3.simplify(z3.substitute(f, (term, value))) for f in formulas]
    return out if gone else [*out, term == value]


def _assume_distinct(formulas: Sequence[Term], a: Term, b: Term) -> list[Term]:
    """Replace both spellings of the equation by false; the solver does not turn one around."""
    false = z3.BoolVal(False)
    out = [z3.simplify(z3.substitute(f, (a == b, false), (b == a, false))) for f in formulas]
    return [*out, a != b]
