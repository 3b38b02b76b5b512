"""Quantifiers written out over the terms at hand.

Goal: a quantifier-free weakening of a query. Every universal hypothesis is replaced by its
instances over the ground terms that occur, so an unsatisfiable result proves the original query
unsatisfiable. Few blocks are touched by an action, so few instances are needed, and bit-vector
queries without quantifiers are decided fast and predictably.
Non-goals: completeness; a satisfiable result says nothing (the caller then asks the original).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, product

import z3

from tessera.prove.terms import Term

ROUNDS = 2
MOST_INSTANCES = 4096

Place = tuple[int, int]
"""An argument place: the id of an uninterpreted function, the index of the argument."""


def ground(assumed: Iterable[Term], ways: Iterable[Term]) -> tuple[list[Term], list[list[Term]]]:
    """The assumptions and each way to fail, without quantifiers.

    Universals become instances over the terms of all of them, existentials become constants.
    """
    hypotheses = _skolemised(assumed)
    goals = [_skolemised([way]) for way in ways]
    grounder = _Grounder()
    for formula in hypotheses + [f for goal in goals for f in goal]:
        grounder.collect(formula)
    plain = [f for f in hypotheses if not grounder.quantified(f)]
    universal = [f for f in hypotheses if grounder.quantified(f)]
    out: list[Term] = []
    for _ in range(ROUNDS):
        out = [grounder.instantiate(f, ROUNDS) for f in universal]
        for formula in out:
            grounder.collect(formula)
    return plain + out, [[grounder.instantiate(f, ROUNDS) for f in goal] for goal in goals]


def _skolemised(formulas: Iterable[Term]) -> list[Term]:
    goal = z3.Goal()
    for formula in formulas:
        goal.add(formula)
    return list(z3.Tactic("snf")(goal)[0])


class _Grounder:
    """Ground terms per sort and per argument place, and what is known of each node.

    Everything is keyed by Z3's node ids; `_keep` holds the formulas, so that no id is reused.
    """

    def __init__(self) -> None:
        self._by_sort: dict[int, dict[int, Term]] = {}
        self._by_place: dict[Place, dict[int, Term]] = {}
        self._facts: dict[int, tuple[bool, bool]] = {}  # has a quantifier, has a bound variable
        self._places: dict[int, list[list[Place]]] = {}
        self._children: dict[int, list[Term]] = {}
        self._collected: set[int] = set()
        self._keep: list[Term] = []

    def _parts(self, node: Term) -> list[Term]:
        """The children of a node; asking Z3 for them is the dearest thing done here."""
        known = self._children.get(node.get_id())
        if known is None:
            known = self._children[node.get_id()] = node.children()
            self._keep.append(node)
        return known

    # --- facts about nodes ------------------------------------------------------------------------

    def _fact(self, root: Term) -> tuple[bool, bool]:
        known = self._facts.get(root.get_id())
        if known is not None:
            return known
        self._keep.append(root)
        if z3.is_quantifier(root):
            fact = (True, True)
            self._fact(root.body())
        elif z3.is_var(root):
            fact = (False, True)
        else:
            parts = [self._fact(c) for c in self._parts(root)]
            fact = (any(p[0] for p in parts), any(p[1] for p in parts))
        self._facts[root.get_id()] = fact
        return fact

    def quantified(self, formula: Term) -> bool:
        """Whether a quantifier stands in it."""
        return self._fact(formula)[0]

    # --- collecting terms -------------------------------------------------------------------------

    def collect(self, root: Term) -> None:
        """Remember the ground terms of a formula."""
        self._keep.append(root)
        todo = [root]
        while todo:
            node = todo.pop()
            if node.get_id() in self._collected:
                continue
            self._collected.add(node.get_id())
            if z3.is_quantifier(node):
                todo.append(node.body())
            elif z3.is_app(node):
                children = self._parts(node)
                todo.extend(children)
                if node.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                    self._record(node, children)

    def _record(self, node: Term, children: list[Term]) -> None:
        function = node.decl().get_id()
        for index, arg in enumerate(children):
            if not self._fact(arg)[1]:
                self._by_place.setdefault((function, index), {}).setdefault(arg.get_id(), arg)
                self._by_sort.setdefault(arg.sort().get_id(), {}).setdefault(arg.get_id(), arg)
        is_thing = node.sort_kind() == z3.Z3_UNINTERPRETED_SORT
        if (not children or is_thing) and not self._fact(node)[1]:
            self._by_sort.setdefault(node.sort().get_id(), {}).setdefault(node.get_id(), node)

    # --- instances --------------------------------------------------------------------------------

    def instantiate(self, formula: Term, depth: int) -> Term:
        """Replace universals, which stand in positive places only after skolemisation."""
        if not self.quantified(formula):
            return formula
        if z3.is_quantifier(formula):
            if depth < 0:
                return z3.BoolVal(True)
            body = formula.body()
            values = islice(product(*self._candidates(formula)), MOST_INSTANCES)
            return z3.And(
                [
                    self.instantiate(z3.substitute_vars(body, *reversed(v)), depth - 1)
                    for v in values
                ]
            )
        if z3.is_and(formula):
            return z3.And([self.instantiate(p, depth) for p in self._parts(formula)])
        if z3.is_or(formula):
            return z3.Or([self.instantiate(p, depth) for p in self._parts(formula)])
        return z3.BoolVal(True)

    def _candidates(self, formula: Term) -> list[list[Term]]:
        out = []
        for index, places in enumerate(self._argument_places(formula)):
            sort = formula.var_sort(index)
            found: dict[int, Term] = {}
            if sort.kind() == z3.Z3_UNINTERPRETED_SORT or not places:
                found |= self._by_sort.get(sort.get_id(), {})
            for place in places:
                found |= self._by_place.get(place, {})
            if not found:  # an argument of functions of which nothing is known, as skolem ones are
                found |= self._by_sort.get(sort.get_id(), {})
            out.append(list(found.values()))
        return out

    def _argument_places(self, formula: Term) -> list[list[Place]]:
        """For each bound variable, where it is the direct argument of an uninterpreted function."""
        known = self._places.get(formula.get_id())
        if known is not None:
            return known
        self._keep.append(formula)
        count = formula.num_vars()
        places: list[dict[Place, None]] = [{} for _ in range(count)]
        seen: set[tuple[int, int]] = set()
        todo = [(formula.body(), 0)]
        while todo:
            node, depth = todo.pop()
            if (node.get_id(), depth) in seen or not self._fact(node)[1]:
                continue
            seen.add((node.get_id(), depth))
            if z3.is_quantifier(node):
                todo.append((node.body(), depth + node.num_vars()))
                continue
            if not z3.is_app(node):
                continue
            free = node.decl().kind() == z3.Z3_OP_UNINTERPRETED
            for position, arg in enumerate(self._parts(node)):
                if not z3.is_var(arg):
                    todo.append((arg, depth))
                elif free:
                    index = count - 1 - (z3.get_var_index(arg) - depth)
                    if 0 <= index < count:
                        places[index][(node.decl().get_id(), position)] = None
        self._places[formula.get_id()] = [list(p) for p in places]
        return self._places[formula.get_id()]
