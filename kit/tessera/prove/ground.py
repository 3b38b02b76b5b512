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

from tessera.prove.nodes import QUANTIFIER, VARIABLE, Nodes, address, term_at
from tessera.prove.terms import Term

ROUNDS = 2

MOST_INSTANCES = 4096
"""Of one quantifier at one place."""

MOST_IN_ALL = 4 * MOST_INSTANCES
"""Of a formula with the quantifiers inside it: one in another makes a product, which no proof ever
needed and no memory holds. What is left out weakens the query further."""

Place = tuple[int, int]
"""An argument place: the address of an uninterpreted function, the index of the argument."""


def ground(assumed: Iterable[Term], ways: Iterable[Term]) -> tuple[list[Term], list[list[Term]]]:
    """The assumptions and each way to fail, without quantifiers.

    Universals become instances over the terms of all of them, existentials become constants.
    """
    hypotheses = _skolemised(assumed)
    goals = [_skolemised([way]) for way in ways]
    grounder = _Grounder()
    for formula in hypotheses + [f for goal in goals for f in goal]:
        grounder.collect(formula)
    grounder.remember()
    plain = [f for f in hypotheses if not grounder.quantified(f)]
    universal = [f for f in hypotheses if grounder.quantified(f)]
    out: list[Term] = []
    for _ in range(ROUNDS):
        out = [grounder.written_out(f) for f in universal]
        for formula in out:
            grounder.collect(formula)
    return plain + out, [[grounder.written_out(f) for f in goal] for goal in goals]


def _skolemised(formulas: Iterable[Term]) -> list[Term]:
    goal = z3.Goal()
    for formula in formulas:
        goal.add(formula)
    return list(z3.Tactic("snf")(goal)[0])


class _Grounder:
    """Ground terms per sort and per argument place, and what is known of each node.

    Everything is keyed by Z3's addresses; `_keep` holds the formulas, so that none is reused.
    """

    def __init__(self) -> None:
        self._context = z3.main_ctx()
        self._nodes = Nodes(self._context)
        self._by_sort: dict[int, dict[int, Term]] = {}
        self._by_place: dict[Place, dict[int, Term]] = {}
        self._facts: dict[int, tuple[bool, bool]] = {}  # has a quantifier, has a bound variable
        self._places: dict[int, list[list[Place]]] = {}
        self._collected: set[int] = set()
        self._keep: list[Term] = []
        self._first_by_sort: dict[int, dict[int, Term]] = {}
        self._first_by_place: dict[Place, dict[int, Term]] = {}
        self._left = MOST_IN_ALL

    # --- facts about nodes ------------------------------------------------------------------------

    def _fact(self, place: int) -> tuple[bool, bool]:
        known = self._facts.get(place)
        if known is not None:
            return known
        node = self._nodes.node(place)
        if node.kind == QUANTIFIER:
            fact = (True, True)
        elif node.kind == VARIABLE:
            fact = (False, True)
        else:
            parts = [self._fact(part) for part in node.parts]
            fact = (any(p[0] for p in parts), any(p[1] for p in parts))
        self._facts[place] = fact
        return fact

    def quantified(self, formula: Term) -> bool:
        """Whether a quantifier stands in it."""
        self._keep.append(formula)
        return self._fact(address(formula))[0]

    # --- collecting terms -------------------------------------------------------------------------

    def collect(self, root: Term) -> None:
        """Remember the ground terms of a formula."""
        self._keep.append(root)
        todo = [address(root)]
        while todo:
            place = todo.pop()
            if place in self._collected:
                continue
            self._collected.add(place)
            node = self._nodes.node(place)
            todo.extend(node.parts)
            if node.function:
                self._record(place, node.function, node.parts)

    def _record(self, place: int, function: int, parts: tuple[int, ...]) -> None:
        for index, part in enumerate(parts):
            if not self._fact(part)[1]:
                self._note(self._by_place.setdefault((function, index), {}), part)
                self._note(self._by_sort.setdefault(self._nodes.sort(part), {}), part)
        sort = self._nodes.sort(place)
        if (not parts or self._nodes.is_thing(sort)) and not self._fact(place)[1]:
            self._note(self._by_sort.setdefault(sort, {}), place)

    def _note(self, found: dict[int, Term], place: int) -> None:
        if place not in found:
            found[place] = term_at(place, self._context)

    def remember(self) -> None:
        """From here on, quantifiers inside quantifiers range over what is known now.

        The terms that instances bring are for the outermost ones: two levels that both feed on
        each other's terms would make a product of products.
        """
        self._first_by_sort = {sort: dict(found) for sort, found in self._by_sort.items()}
        self._first_by_place = {place: dict(found) for place, found in self._by_place.items()}

    # --- instances --------------------------------------------------------------------------------

    def written_out(self, formula: Term) -> Term:
        """Replace universals, which stand in positive places only after skolemisation."""
        self._left = MOST_IN_ALL
        return self._instantiate(formula, ROUNDS)

    def _instantiate(self, formula: Term, depth: int) -> Term:
        if not self.quantified(formula):
            return formula
        if z3.is_quantifier(formula):
            if depth < 0:
                return z3.BoolVal(True)
            body = formula.body()
            candidates = self._candidates(formula, inside=depth < ROUNDS)
            values = list(islice(product(*candidates), min(MOST_INSTANCES, self._left)))
            self._left -= len(values)
            return z3.And(
                [
                    self._instantiate(z3.substitute_vars(body, *reversed(v)), depth - 1)
                    for v in values
                ]
            )
        if z3.is_and(formula):
            return z3.And([self._instantiate(p, depth) for p in formula.children()])
        if z3.is_or(formula):
            return z3.Or([self._instantiate(p, depth) for p in formula.children()])
        return z3.BoolVal(True)

    def _candidates(self, formula: Term, inside: bool) -> list[list[Term]]:
        """The terms that each bound variable takes; `inside`: in another quantifier."""
        by_sort = self._first_by_sort if inside else self._by_sort
        by_place = self._first_by_place if inside else self._by_place
        out = []
        for index, places in enumerate(self._argument_places(formula)):
            sort: int = formula.var_sort(index).as_ast().value
            found: dict[int, Term] = {}
            if self._nodes.is_thing(sort) or not places:
                found |= by_sort.get(sort, {})
            for place in places:
                found |= by_place.get(place, {})
            if not found:  # an argument of functions of which nothing is known, as skolem ones are
                found |= by_sort.get(sort, {})
            out.append(list(found.values()))
        return out

    def _argument_places(self, formula: Term) -> list[list[Place]]:
        """For each bound variable, where it is the direct argument of an uninterpreted function."""
        root = address(formula)
        known = self._places.get(root)
        if known is not None:
            return known
        count = self._nodes.node(root).number
        places: list[dict[Place, None]] = [{} for _ in range(count)]
        seen: set[tuple[int, int]] = set()
        todo = [(self._nodes.node(root).parts[0], 0)]
        while todo:
            place, depth = todo.pop()
            if (place, depth) in seen or not self._fact(place)[1]:
                continue
            seen.add((place, depth))
            node = self._nodes.node(place)
            if node.kind == QUANTIFIER:
                todo.append((node.parts[0], depth + node.number))
                continue
            for position, part in enumerate(node.parts):
                child = self._nodes.node(part)
                if child.kind != VARIABLE:
                    todo.append((part, depth))
                elif node.function:
                    index = count - 1 - (child.number - depth)
                    if 0 <= index < count:
                        places[index][node.function, position] = None
        self._places[root] = [list(p) for p in places]
        return self._places[root]
