"""Choosing the places of open regions with Z3's optimiser, or naming the constraints in conflict.

Goal: the largest size of one region; then, so that the answer is one and the same, the other open
sizes as large and the open bases as low as possible, in order of declaration. Where nothing
satisfies the constraints, a smallest set of them that cannot hold together.
Non-goals: trusting the optimiser (see `tessera.prove.layout`, which asks again).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import z3

from tessera.lang.fold import fold
from tessera.lang.typed_layout import Area, Layout, Place
from tessera.prove.layout_terms import Constraint, LayoutTerms
from tessera.prove.solver import spent
from tessera.prove.terms import Term


@dataclass(frozen=True, slots=True)
class Choice:
    """`places` when there are some; else `conflict`, or `reason` when the solver gave up.

    `smallest`: no set of fewer constraints is in conflict (else: none of these can be left out).
    """

    places: dict[str, Place] | None
    conflict: tuple[Constraint, ...]
    reason: str
    resource: int
    seconds: float
    smallest: bool = True


def choose(
    terms: LayoutTerms,
    constraints: Sequence[Constraint],
    maximise: str | None,
    limit: int,
    seed: int = 0,
) -> Choice:
    """Places that satisfy all constraints; see the module. `limit` is per question."""
    began = time.perf_counter()
    conflict = _Conflict(constraints, limit, seed)
    status = conflict.check(range(len(constraints)))
    if status != z3.sat:
        refuted = status == z3.unsat
        found = conflict.smallest() if refuted else ()
        reason = "" if refuted else conflict.reason
        seconds = time.perf_counter() - began
        return Choice(None, found, reason, conflict.resource, seconds, conflict.is_smallest)
    checked = conflict.resource  # Z3 counts per context: read before the search adds its own
    search = _Search(terms, constraints, limit)
    places = search.run(maximise)
    return Choice(places, (), search.reason, checked + search.resource, time.perf_counter() - began)


class _Search:
    """One objective after the other, each pinned before the next."""

    def __init__(self, terms: LayoutTerms, constraints: Sequence[Constraint], limit: int) -> None:
        self.layout = terms.layout
        self.limit = limit
        self.resource = 0
        self.reason = ""
        asserted = {c.prop for c in constraints}
        shift = self.layout.granule.bit_length() - 1
        self._reach = self.layout.reach if "reach" in asserted else self.layout.paddr
        self._whole = shift if "aligned" in asserted else 0
        self._free: dict[str, Term] = {}  # "region.size" or "region.base" to its few unknown bits
        self._meaning: list[tuple[Term, Term]] = []
        for area in self.layout.areas:
            self._define(terms, area)
        reduced = (z3.simplify(z3.substitute(c.term, *self._meaning)) for c in constraints)
        self._terms = [term for term in reduced if not z3.is_true(term)]
        self._values: list[tuple[Term, Term]] = []

    def _define(self, terms: LayoutTerms, area: Area) -> None:
        """Base and size in terms of the bits that are really unknown: fewer bits, faster search."""
        aligned = area.align.bit_length() - 1 if self._whole else 0
        if area.base is not None:
            base, _ = terms.term(area.base)
        else:
            base = self._unknown(f"{area.name}.base", self._reach - aligned, aligned)
        if area.most is None:
            size, _ = terms.term(area.size)
        else:
            high = fold(area.most, {})
            bits = (high >> self._whole).bit_length() if high else self._reach - self._whole
            size = self._unknown(f"{area.name}.size", bits, self._whole)
        for name, term in ((terms.base[area.name], base), (terms.size[area.name], size)):
            self._meaning.append((name, z3.simplify(z3.substitute(term, *self._meaning))))

    def _unknown(self, name: str, bits: int, zeros: int) -> Term:
        """An address or size of which only the middle bits are unknown."""
        self._free[name] = z3.BitVec(f"{name}'", bits)
        above = self.layout.paddr - bits - zeros
        parts = [self._free[name]]
        if above:
            parts.insert(0, z3.BitVecVal(0, above))
        if zeros:
            parts.append(z3.BitVecVal(0, zeros))
        return z3.Concat(*parts) if len(parts) > 1 else parts[0]

    def run(self, maximise: str | None) -> dict[str, Place] | None:
        """The places, or None with `reason` set."""
        sizes = [a.name for a in self.layout.areas if f"{a.name}.size" in self._free]
        if maximise is not None:
            if maximise not in sizes and not self._improve(self._size(maximise), largest=True):
                return None
            sizes.sort(key=lambda name: name != maximise)
        for name in sizes:
            if not self._improve(self._free[f"{name}.size"], largest=True):
                return None
        for area in self.layout.areas:
            base = self._free.get(f"{area.name}.base")
            if base is not None and not self._improve(base, largest=False):
                return None
        out: dict[str, Place] = {}
        for (_, base), (_, size) in zip(self._meaning[::2], self._meaning[1::2], strict=True):
            numbers = (z3.simplify(z3.substitute(x, *self._values)) for x in (base, size))
            name = self.layout.areas[len(out)].name
            first, second = (n.as_long() for n in numbers)
            out[name] = (first, second)
        return out

    def _size(self, name: str) -> Term:
        """The size of a region whose own line has none open: it follows from others."""
        place = [a.name for a in self.layout.areas].index(name)
        return self._meaning[2 * place + 1][1]

    def _improve(self, objective: Term, *, largest: bool) -> bool:
        """Find the best value of an objective and pin it."""
        optimiser = z3.Optimize()
        optimiser.set("rlimit", self.limit)
        for term in self._terms:
            optimiser.add(term)
        goal = z3.simplify(z3.substitute(objective, *self._values)) if self._values else objective
        (optimiser.maximize if largest else optimiser.minimize)(goal)
        before = _count(optimiser)
        status = optimiser.check()
        self.resource += max(_count(optimiser) - before, 0)
        if status != z3.sat:
            self.reason = optimiser.reason_unknown() or str(status)
            return False
        best = optimiser.model().eval(goal, model_completion=True)
        known = [(objective, best)] if z3.is_const(objective) else []
        self._values += known
        pinned = (z3.simplify(z3.substitute(term, *known)) for term in self._terms)
        self._terms = [term for term in pinned if not z3.is_true(term)]
        if not known:
            self._terms.append(goal == best)
        return True


def _count(optimiser: Any) -> int:
    return next((int(v) for k, v in optimiser.statistics() if k == "rlimit count"), 0)


class _Conflict:
    """A smallest unsatisfiable subset, by implicit hitting sets (Ignatiev and others, CP 2015)."""

    _MOST_ROUNDS = 400

    def __init__(self, constraints: Sequence[Constraint], limit: int, seed: int) -> None:
        self.constraints = constraints
        self.reason = ""
        self.is_smallest = True
        self._solver = z3.Solver()
        self._solver.set("rlimit", limit)
        self._solver.set("random_seed", seed)
        self._choice = [z3.Bool(f"constraint {n}") for n in range(len(constraints))]
        for chosen, constraint in zip(self._choice, constraints, strict=True):
            self._solver.add(z3.Implies(chosen, constraint.term))
        self._started = spent(self._solver)

    @property
    def resource(self) -> int:
        """Resource units spent."""
        return max(spent(self._solver) - self._started, 0)

    def check(self, chosen: Sequence[int]) -> Any:
        """Whether these constraints can hold together."""
        status = self._solver.check(*(self._choice[n] for n in chosen))
        if status == z3.unknown:
            self.reason = self._solver.reason_unknown()
        return status

    def smallest(self) -> tuple[Constraint, ...]:
        """The conflict; past the limits one that is subset-minimal, and `is_smallest` is False."""
        hitting = z3.Optimize()
        bits = [z3.Bool(f"in the conflict {n}") for n in range(len(self.constraints))]
        for bit in bits:
            hitting.add_soft(z3.Not(bit))
        for _ in range(self._MOST_ROUNDS):
            hitting.check()
            model = hitting.model()
            seed = [n for n, bit in enumerate(bits) if z3.is_true(model.eval(bit))]
            status = self.check(seed)
            if status == z3.unsat:
                return tuple(self.constraints[n] for n in seed)
            if status != z3.sat:
                break
            kept = self._grow(seed)
            hitting.add(z3.Or(*(bits[n] for n in range(len(bits)) if n not in kept)))
        self.is_smallest = False
        return tuple(self.constraints[n] for n in self._shrink())

    def _grow(self, seed: list[int]) -> set[int]:
        """A maximal satisfiable set around `seed`."""
        kept = self._satisfied() | set(seed)
        for n in range(len(self.constraints)):
            if n not in kept and self.check([*sorted(kept), n]) == z3.sat:
                kept |= self._satisfied() | {n}
        return kept

    def _satisfied(self) -> set[int]:
        """What the last model satisfies anyway."""
        model = self._solver.model()
        return {
            n
            for n, c in enumerate(self.constraints)
            if z3.is_true(model.eval(c.term, model_completion=True))
        }

    def _shrink(self) -> list[int]:
        """A subset-minimal conflict, by deletion."""
        kept = list(range(len(self.constraints)))
        for n in range(len(self.constraints)):
            without = [k for k in kept if k != n]
            if self.check(without) == z3.unsat:
                kept = without
        return kept


def pinned(terms: LayoutTerms, layout: Layout, fixed: dict[str, int]) -> tuple[Constraint, ...]:
    """What the caller fixes from outside, e.g. `carveout.size` to a number of bytes."""
    out = []
    for key, value in fixed.items():
        region, _, part = key.partition(".")
        term = (terms.base if part == "base" else terms.size)[region] == terms.number(value)
        words = f"{key} = {value:#x}, fixed by the caller"
        area = layout.area(region)
        out.append(Constraint("placed", words, term, area.span if area else None))
    return tuple(replace(c, needed=True) for c in out)
