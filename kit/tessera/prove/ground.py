"""Quantifiers written out over the terms at hand.

Goal: a quantifier-free weakening of a query. Every universal hypothesis is replaced by its
instances over the ground terms that occur, so an unsatisfiable result proves the original query
unsatisfiable. Few blocks are touched by an action, so few instances are needed, and bit-vector
queries without quantifiers are decided fast and predictably.
Non-goals: completeness; a satisfiable result says nothing (the caller then asks the original).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import z3

from tessera.prove.encode import has_quantifier
from tessera.prove.terms import Term

ROUNDS = 2
MOST_INSTANCES = 4096


def ground(assertions: Iterable[Term], rounds: int = ROUNDS) -> list[Term]:
    """The assertions with universals replaced by instances; existentials become constants."""
    goal = z3.Goal()
    for term in assertions:
        goal.add(term)
    skolemised = list(z3.Tactic("snf")(goal)[0])
    plain = [f for f in skolemised if not has_quantifier(f)]
    quantified = [f for f in skolemised if has_quantifier(f)]
    terms = _Terms()
    terms.add(plain)
    for formula in quantified:
        terms.add([formula])
    out: list[Term] = []
    for _ in range(rounds):
        out = [_instantiate(f, terms, rounds) for f in quantified]
        terms.add(out)
    return plain + out


class _Terms:
    """Ground terms: per sort, and per argument place of an uninterpreted function."""

    def __init__(self) -> None:
        self.by_sort: dict[str, dict[str, Term]] = {}
        self.by_place: dict[tuple[str, int], dict[str, Term]] = {}
        self._seen: set[int] = set()
        self._keep: list[Term] = []  # keeps ids in `_seen` from being reused

    def add(self, formulas: Iterable[Term]) -> None:
        """Collect from formulas; terms with bound variables are passed over."""
        for formula in formulas:
            self._keep.append(formula)
            self._visit(formula)

    def _visit(self, root: Term) -> None:
        todo = [root]
        while todo:
            node = todo.pop()
            if node.get_id() in self._seen:
                continue
            self._seen.add(node.get_id())
            if z3.is_quantifier(node):
                todo.append(node.body())
                continue
            todo.extend(node.children())
            if z3.is_app(node) and node.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                self._record(node)

    def _record(self, node: Term) -> None:
        for place, arg in enumerate(node.children()):
            if not _has_var(arg):
                key = (node.decl().name(), place)
                self.by_place.setdefault(key, {}).setdefault(arg.sexpr(), arg)
                self.by_sort.setdefault(arg.sort().sexpr(), {}).setdefault(arg.sexpr(), arg)
        plain_thing = node.sort_kind() == z3.Z3_UNINTERPRETED_SORT
        if (node.num_args() == 0 or plain_thing) and not _has_var(node):
            self.by_sort.setdefault(node.sort().sexpr(), {}).setdefault(node.sexpr(), node)


def _has_var(term: Term) -> bool:
    todo, seen = [term], set()
    while todo:
        node = todo.pop()
        if z3.is_var(node):
            return True
        if node.get_id() not in seen:
            seen.add(node.get_id())
            todo.extend(node.children())
    return False


def _instantiate(formula: Term, terms: _Terms, depth: int) -> Term:
    """Replace universals, which stand in positive positions only after skolemisation."""
    if z3.is_quantifier(formula):
        instances = []
        for values in product(*_candidates(formula, terms)):
            instance = z3.substitute_vars(formula.body(), *reversed(values))
            instances.append(_instantiate(instance, terms, depth - 1) if depth else z3.BoolVal(True))
            if len(instances) >= MOST_INSTANCES:
                break
        return z3.And(instances)
    if z3.is_and(formula) or z3.is_or(formula):
        parts = [
            _instantiate(p, terms, depth) if has_quantifier(p) else p for p in formula.children()
        ]
        return z3.And(parts) if z3.is_and(formula) else z3.Or(parts)
    if has_quantifier(formula):
        return z3.BoolVal(True)
    return formula


def _candidates(formula: Term, terms: _Terms) -> list[list[Term]]:
    count = formula.num_vars()
    places: list[set[tuple[str, int]]] = [set() for _ in range(count)]
    _find_places(formula.body(), places, count, 0)
    out = []
    for index in range(count):
        sort = formula.var_sort(index)
        found: dict[str, Term] = {}
        if sort.kind() == z3.Z3_UNINTERPRETED_SORT or not places[index]:
            found = dict(terms.by_sort.get(sort.sexpr(), {}))
        for place in places[index]:
            for name, term in terms.by_place.get(place, {}).items():
                if term.sort() == sort:
                    found[name] = term
        out.append([found[name] for name in sorted(found)])
    return out


def _find_places(
    body: Term, places: list[set[tuple[str, int]]], count: int, nested: int
) -> None:
    """Where each bound variable is the direct argument of an uninterpreted function."""
    seen: set[tuple[int, int]] = set()
    todo = [(body, nested)]
    while todo:
        node, depth = todo.pop()
        if (node.get_id(), depth) in seen:
            continue
        seen.add((node.get_id(), depth))
        if z3.is_quantifier(node):
            todo.append((node.body(), depth + node.num_vars()))
            continue
        uninterpreted = z3.is_app(node) and node.decl().kind() == z3.Z3_OP_UNINTERPRETED
        for place, arg in enumerate(node.children()):
            if z3.is_var(arg):
                index = count - 1 - (z3.get_var_index(arg) - depth)
                if uninterpreted and 0 <= index < count:
                    places[index].add((node.decl().name(), place))
            else:
                todo.append((arg, depth))
