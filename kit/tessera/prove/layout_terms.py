"""What a layout must satisfy, as Z3 terms over the bases and sizes of its regions.

Goal: one named constraint per line of the platform and per pair of regions, at the width of an
address, with a side condition wherever an expression could wrap.
Non-goals: asking (see `tessera.prove.layout`) and choosing (`tessera.prove.layout_solve`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import z3

from tessera.errors import Span
from tessera.lang import typed as t
from tessera.lang.typed_layout import CORE, POOL, SHARED, Area, Layout, Places
from tessera.lang.types import IntType
from tessera.prove.terms import Term, arithmetic, is_exact, resize

_SHIFT_BITS = 32  # tee_mm_get_smem() shifts a uint32_t
_LOOKUP_BITS = 16  # tee_mm_find() keeps a uint16_t


@dataclass(frozen=True, slots=True)
class Constraint:
    """One thing that must hold; `needed` is False for what others imply (asked, not assumed)."""

    prop: str
    words: str
    term: Term
    span: Span | None
    needed: bool = True


class LayoutTerms:
    """The constraints of one layout; use it in one Z3 context."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.width = layout.paddr
        self.base = {a.name: z3.BitVec(f"{a.name}.base", self.width) for a in layout.areas}
        self.size = {a.name: z3.BitVec(f"{a.name}.size", self.width) for a in layout.areas}

    def at(self, places: Places) -> list[Term]:
        """The regions lie at these places."""
        out = []
        for name, (base, size) in places.items():
            out += [self.base[name] == self.number(base), self.size[name] == self.number(size)]
        return out

    def number(self, value: int) -> Term:
        """A number at the width of an address."""
        return z3.BitVecVal(value, self.width)

    def constraints(self) -> tuple[Constraint, ...]:
        """All of them, in order of the platform."""
        groups = (
            self._placed(),
            self._contained(),
            self._aligned(),
            self._disjoint(),
            self._worlds(),
            self._reach(),
            self._shared(),
            self._pool(),
            self._demands(),
            self._configuration(),
        )
        return tuple(c for group in groups for c in group)

    # --- expressions ------------------------------------------------------------------------------

    def term(self, expr: t.Expr) -> tuple[Term, Term]:
        """The expression, and that computing it wraps nowhere."""
        match expr:
            case t.IntLit(type=IntType(width=width)):
                return z3.BitVecVal(expr.value, width), z3.BoolVal(True)
            case t.BoolLit():
                return z3.BoolVal(expr.value), z3.BoolVal(True)
            case t.Apply(kind="region", name=name):
                return self._field(name)
            case t.Cast():
                arg, exact = self.term(expr.arg)
                out = resize(arg, expr.type.width)
                return out, z3.And(exact, resize(out, arg.size()) == arg)
            case t.Unary():
                arg, exact = self.term(expr.arg)
                return (z3.Not(arg) if expr.op == "not" else ~arg), exact
            case t.Ite():
                test, sure = self.term(expr.test)
                (then, one), (other, two) = self.term(expr.then), self.term(expr.other)
                return z3.If(test, then, other), z3.And(sure, z3.If(test, one, two))
            case t.Binary():
                return self._binary(expr)
        raise AssertionError(f"not an expression of a platform: {expr}")

    def _field(self, name: str) -> tuple[Term, Term]:
        region, _, part = name.partition(".")
        base, size = self.base[region], self.size[region]
        if part == "end":
            return base + size, z3.BVAddNoOverflow(base, size, False)
        return (base if part == "base" else size), z3.BoolVal(True)

    def _binary(self, expr: t.Binary) -> tuple[Term, Term]:
        (a, one), (b, two) = self.term(expr.left), self.term(expr.right)
        match expr.op:
            case "and":
                return z3.And(a, b), z3.And(one, z3.Implies(a, two))
            case "or":
                return z3.Or(a, b), z3.And(one, z3.Or(a, two))
            case "=>":
                return z3.Implies(a, b), z3.And(one, z3.Implies(a, two))
            case "==":
                return a == b, z3.And(one, two)
            case "!=":
                return a != b, z3.And(one, two)
        return arithmetic(expr.op, a, b), z3.And(one, two, is_exact(expr.op, a, b))

    # --- groups of constraints --------------------------------------------------------------------

    def _placed(self) -> Iterator[Constraint]:
        for area in self.layout.areas:
            base, size = self.base[area.name], self.size[area.name]
            if area.base is not None:
                at, exact = self.term(area.base)
                words = f"'{area.name}' starts where its line says"
                yield Constraint("placed", words, z3.And(exact, base == at), area.base.span)
            low, exact = self.term(area.size)
            term, words = z3.And(exact, size == low), f"the size of '{area.name}'"
            if area.most is not None:
                high, sure = self.term(area.most)
                term = z3.And(exact, sure, z3.ULE(low, size), z3.ULE(size, high))
                words = f"the range of sizes of '{area.name}'"
            yield Constraint("placed", words, term, area.size.span)

    def _contained(self) -> Iterator[Constraint]:
        for area in self.layout.areas:
            base, size = self.base[area.name], self.size[area.name]
            last = size - self.number(1)
            whole = z3.And(size != 0, z3.BVAddNoOverflow(base, last, False))
            words = f"'{area.name}' is not empty and ends within {self.width} bits"
            yield Constraint("contained", words, whole, area.span)
            if area.parent is not None:
                low, room = self.base[area.parent], self.size[area.parent]
                inside = z3.And(z3.ULE(low, base), z3.ULE(size, room))
                inside = z3.And(inside, z3.ULE(base - low, room - size))
                words = f"'{area.name}' lies in '{area.parent}'"
                yield Constraint("contained", words, inside, area.span)

    def _aligned(self) -> Iterator[Constraint]:
        for area in self.layout.areas:
            base, size = self.base[area.name], self.size[area.name]
            words = f"'{area.name}' starts at a multiple of {area.align:#x}"
            yield Constraint("aligned", words, base & (area.align - 1) == 0, area.span)
            words = f"'{area.name}' is whole granules"
            whole = size & (self.layout.granule - 1) == 0
            yield Constraint("aligned", words, whole, area.span)

    def _apart(self, one: Area, other: Area) -> Term:
        """No common byte, stated without an end that could wrap."""
        a, m, b, n = (x[y.name] for y in (one, other) for x in (self.base, self.size))
        return z3.Or(z3.And(z3.ULE(a, b), z3.ULE(m, b - a)), z3.And(z3.ULE(b, a), z3.ULE(n, a - b)))

    def _disjoint(self) -> Iterator[Constraint]:
        for one, other in combinations(self.layout.areas, 2):
            if one.parent == other.parent:
                words = f"'{one.name}' and '{other.name}' share no byte"
                yield Constraint("disjoint", words, self._apart(one, other), other.span)

    def _worlds(self) -> Iterator[Constraint]:
        for one, other in combinations(self.layout.areas, 2):
            if one.world != other.world and "secure" in (one.world, other.world):
                words = f"{one.world} '{one.name}' and {other.world} '{other.name}' share no byte"
                yield Constraint("worlds", words, self._apart(one, other), other.span, needed=False)

    def _reach(self) -> Iterator[Constraint]:
        last = self.number((1 << self.layout.reach) - 1)
        for area in self.layout.areas:
            base, size = self.base[area.name], self.size[area.name]
            term = z3.And(z3.ULE(base, last), z3.ULE(size - self.number(1), last - base))
            words = f"'{area.name}' ends within {self.layout.reach} bits"
            yield Constraint("reach", words, term, area.span)

    def _shared(self) -> Iterator[Constraint]:
        shared = self.layout.area(SHARED)
        if shared is None:
            return
        outside = z3.BoolVal(shared.world == "nonsecure")
        yield Constraint("shared_outside", f"'{SHARED}' is nonsecure", outside, shared.span)
        for area in self.layout.areas:
            if area.world == "secure" and area.name != SHARED:
                words, term = f"'{SHARED}' does not meet '{area.name}'", self._apart(shared, area)
                yield Constraint("shared_outside", words, term, shared.span, needed=False)

    def _pool(self) -> Iterator[Constraint]:
        pool = self.layout.area(POOL)
        if pool is None:
            return
        size, shift = self.size[POOL], self.layout.granule.bit_length() - 1
        core = self.size.get(CORE, self.number(0))
        words = "the pool is larger than the core"
        yield Constraint("room", words, z3.ULT(core, size), pool.span)
        pages = z3.LShR(size, self.number(shift))
        last = pages - self.number(1)  # the largest offset, when there is one
        narrow = z3.Extract(_SHIFT_BITS - 1, 0, last)
        back = z3.LShR(narrow << shift, z3.BitVecVal(shift, _SHIFT_BITS))
        words = f"offsets of the pool, shifted by {shift}, fit in {_SHIFT_BITS} bits"
        fits = z3.Or(pages == 0, resize(back, self.width) == last)
        yield Constraint("offsets", words, fits, pool.span)
        kept = resize(z3.Extract(_LOOKUP_BITS - 1, 0, last), self.width)
        words = f"offsets of the pool fit in {_LOOKUP_BITS} bits"
        yield Constraint("lookup", words, z3.Or(pages == 0, kept == last), pool.span)

    def _demands(self) -> Iterator[Constraint]:
        for demand in self.layout.demands:
            test, exact = self.term(demand.test)
            words = f"require {demand.name}: {demand.text}"
            yield Constraint(demand.name, words, z3.And(exact, test), demand.span)

    def _configuration(self) -> Iterator[Constraint]:
        for setting in self.layout.settings:
            exact = z3.And(*(self.term(expr)[1] for expr in setting.values))
            words = f"the value of {setting.key} does not wrap"
            yield Constraint("configuration", words, exact, setting.span)
