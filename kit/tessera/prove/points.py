"""Formulas over a few things and a few integers: quantifiers written out, none left.

Goal: an encoder for which every sort has listed elements and every quantifier over integers speaks
of some points only. A universal hypothesis is then too weak and an existential one too strong, so
what is found is only a proposal, which the simulator has to confirm.
Non-goals: proofs (see `tessera.prove.induct`) and runs (see `tessera.prove.bounded`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import z3

from tessera.lang import typed as t
from tessera.lang.types import IntType, NatType, Type
from tessera.prove.encode import Encoder, Env
from tessera.prove.terms import Sorts, Term


@dataclass(frozen=True, slots=True)
class PointSorts(Sorts):
    """Sorts whose integers are some literals and some terms."""

    points: tuple[int, ...] = ()
    terms: tuple[Term, ...] = ()

    def values(self, type_: Type) -> tuple[Term, ...] | None:
        """All values of a finite type; the points of an integer type."""
        if isinstance(type_, IntType):
            fitting = [z3.BitVecVal(p, type_.width) for p in self.points if p < 1 << type_.width]
            sort = z3.BitVecSort(type_.width)
            return (*fitting, *(x for x in self.terms if x.sort() == sort))
        if isinstance(type_, NatType):
            return tuple(z3.IntVal(p) for p in self.points)
        return Sorts.values(self, type_)


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a formula fails: `term` says that it does, `names` are the constants that
    stand for its bound names, `parts` the guards passed and last the part that is false."""

    term: Term
    names: Mapping[str, Term]
    parts: tuple[t.Expr, ...]


class PointEncoder(Encoder):
    """Encodes over elements and points."""

    def __init__(
        self, spec: t.Spec, universe: Mapping[str, tuple[str, ...]], points: tuple[int, ...]
    ):
        plain = Sorts.make(spec.enums, tuple(s.name for s in spec.sorts), universe)
        self.point_sorts = PointSorts(plain.enums, plain.things, plain.elements, points)
        super().__init__(spec, self.point_sorts)

    def also(self, terms: tuple[Term, ...]) -> None:
        """From now on quantifiers speak of these integers too."""
        bits = tuple(x for x in terms if z3.is_bv(x))
        self.point_sorts = replace(self.point_sorts, terms=(*self.point_sorts.terms, *bits))
        self.sorts = self.point_sorts

    def ways(self, expr: t.Expr, env: Env) -> list[Way]:
        """As `refute`, with a constant for every outermost bound name."""
        return list(self._ways(expr, env, {}, (), []))

    def _ways(
        self,
        expr: t.Expr,
        env: Env,
        names: Mapping[str, Term],
        parts: tuple[t.Expr, ...],
        holds: list[Term],
    ) -> Iterator[Way]:
        match expr:
            case t.Quant(kind="forall"):
                new = {b.name: self.fresh(b.name, b.type) for b in expr.binders}
                natural = [x >= 0 for x in new.values() if z3.is_int(x)]
                inner = env.bind(new)
                guard = self.term(expr.guard, inner)
                yield from self._ways(
                    expr.body,
                    inner,
                    {**names, **new},
                    (*parts, expr.guard),
                    [*holds, *natural, guard],
                )
            case t.Binary(op="and"):
                yield from self._ways(expr.left, env, names, parts, holds)
                yield from self._ways(expr.right, env, names, parts, holds)
            case t.Binary(op="=>"):
                left = self.term(expr.left, env)
                yield from self._ways(expr.right, env, names, (*parts, expr.left), [*holds, left])
            case _:
                fails = z3.Not(self.term(expr, env))
                yield Way(z3.And(*holds, fails), names, (*parts, expr))
