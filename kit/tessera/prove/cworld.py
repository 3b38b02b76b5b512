"""One question about C beside a spec: for all inputs in range, are two numbers the same?

Goal: inputs as bit-vectors, the spec's functions by the encoder of the proofs, C's operations by
`cvalue`; `decide` asks that the ranges can be met, then that nothing undefined happens and both
numbers are equal, and gives the inputs of a difference.
Non-goals: which questions there are, and C's types (see `tessera.conform`).
"""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import z3

from tessera.lang import typed as t
from tessera.lang.types import CLASS, EnumType, IntType
from tessera.prove import cvalue
from tessera.prove.encode import Encoder, Env, State
from tessera.prove.solver import configure, fresh_context, spent
from tessera.prove.terms import Sorts, Term

WIDE = 80
"""Bits of a number outside of C: sums of two 64-bit numbers fit, as signed ones."""

LIMIT = 20_000_000
POOL_PAGES = "pool_pages"


@dataclass(frozen=True, slots=True)
class Decided:
    """`status`: equal, differs, unknown, or vacuous when no input is in range.

    `inputs` are those of a difference; `obligations` counts what must not happen in C.
    """

    status: str
    units: int
    obligations: int = 0
    inputs: dict[str, int] = field(default_factory=dict)
    reason: str = ""


class SymbolicWorld:
    """All inputs at once. Numbers are signed bit-vectors of `WIDE` bits, tests are formulas."""

    def __init__(
        self, spec: t.Spec, ranges: Mapping[str, tuple[int, int]], numbers: Mapping[str, int]
    ) -> None:
        self.do = cvalue.Symbolic()
        self.spec_of = spec
        self.numbers = numbers
        sorts = tuple(s.name for s in spec.sorts)
        self.encoder = Encoder(spec, Sorts.make(spec.enums, sorts, None))
        self.inputs: dict[str, Term] = {}
        self.given: list[Term] = []
        for name, (low, high) in ranges.items():
            self.inputs[name] = self._input(name, low, high)

    def _input(self, name: str, low: int, high: int) -> Term:
        bits = max(high.bit_length(), 1) if low >= 0 else max(high.bit_length(), 31) + 1
        symbol = z3.BitVec(f"in.{name}", bits)
        extend = z3.ZeroExt if low >= 0 else z3.SignExt
        wide = extend(WIDE - bits, symbol)
        self.given += [wide >= low, wide <= high]
        return wide

    # --- what a question is made of ---------------------------------------------------------------

    def number(self, name: str) -> Term:
        """An input."""
        return self.inputs[name]

    def typed(self, number: Term, type_: cvalue.IntType) -> Term:
        """A number as a C value, modulo the type's width."""
        return _low(number, type_.width)

    def wide(self, value: Term, type_: cvalue.IntType) -> Term:
        """A C value as a number."""
        extend = z3.SignExt if type_.signed else z3.ZeroExt
        return extend(WIDE - type_.width, value)

    def literal(self, value: int) -> Term:
        """A number."""
        return z3.BitVecVal(value, WIDE)

    def spec(self, function: str, class_: str, pages: str) -> Term:
        """What the spec's function gives for a class, in a pool of the size of that input."""
        self._pool(pages)
        made = self.spec_of.functions[function]
        literal = t.EnumLit(class_, CLASS, made.span)
        call = t.Apply("policy", function, (literal,), made.type, made.span)
        term = self.encoder.term(call, Env(State({})))
        if isinstance(made.type, EnumType):
            members = self.encoder.sorts.enums[made.type.name][1]
            out = self.literal(0)
            for name, number in self.numbers.items():
                out = z3.If(term == members[name], self.literal(number), out)
            return out
        assert isinstance(made.type, IntType)
        return z3.ZeroExt(WIDE - made.type.width, term)

    def _pool(self, pages: str) -> None:
        """The size of the spec's pool, and its parameters at what they were emitted with."""
        if POOL_PAGES in self.spec_of.consts:
            size = self.encoder.rigid(POOL_PAGES)
            self.given.append(size == z3.Extract(size.size() - 1, 0, self.inputs[pages]))
        for name, param in self.spec_of.params.items():
            self.given.append(self.encoder.param(name) == param.value)

    def both(self, *tests: Term) -> Term:
        """All of them hold."""
        return z3.And(*tests)

    def either(self, *tests: Term) -> Term:
        """One of them holds."""
        return z3.Or(*tests)

    def no(self, test: Term) -> Term:
        """It does not hold."""
        return z3.Not(test)

    def pick(self, test: Term, then: Term, other: Term) -> Term:
        """One of two numbers."""
        return z3.If(test, then, other)


def _low(term: Term, width: int) -> Term:
    """The low bits, taken of the parts of a sum, so that equal parts can cancel at that width."""
    kind = term.decl().kind()
    if kind in (z3.Z3_OP_BADD, z3.Z3_OP_BSUB, z3.Z3_OP_BMUL):
        parts = [_low(child, width) for child in term.children()]
        combine = {z3.Z3_OP_BADD: operator.add, z3.Z3_OP_BSUB: operator.sub}
        return functools.reduce(combine.get(kind, operator.mul), parts)
    if kind == z3.Z3_OP_ZERO_EXT and term.arg(0).size() == width:
        return term.arg(0)
    return z3.Extract(width - 1, 0, term)


def decide(
    world: Callable[[], SymbolicWorld],
    assume: Callable[[SymbolicWorld], Term],
    pair: Callable[[SymbolicWorld], tuple[Term, Term]],
    known: dict[str, Decided],
    limit: int = 0,
) -> Decided:
    """Whether both numbers of `pair` are equal wherever `assume` holds, and C is defined there.

    In a context of its own; `limit` in Z3's resource units, 0 for `LIMIT`. `known` remembers what
    was decided, by digest: the same formula is not asked twice.
    """
    fresh_context()
    made = world()
    assumed = assume(made)
    left, right = pair(made)
    given = [*made.given, *made.encoder.definitions, assumed]
    differs = z3.Not(z3.And(made.do.defined(), left == right))
    text = f"{limit} {z3.And(*given, differs).sexpr()}"
    formula = hashlib.sha256(text.encode()).hexdigest()
    if formula not in known:
        known[formula] = _answer(given, differs, made, limit)
    return known[formula]


def _answer(given: list[Term], differs: Term, made: SymbolicWorld, limit: int) -> Decided:
    """First whether there is any input in range, then whether one of them makes a difference."""
    first, second = _solver(limit), _solver(limit)
    first.add(given)
    status = first.check()
    units = spent(first)
    if status != z3.sat:
        return Decided("vacuous" if status == z3.unsat else "unknown", units)
    second.add(given)
    second.add(differs)
    status = second.check()
    units += spent(second)
    count = len(made.do.obligations)
    if status == z3.unsat:
        return Decided("equal", units, count)
    if status == z3.unknown:
        return Decided("unknown", units, count, reason=second.reason_unknown())
    model = second.model()
    values = {
        name: model.eval(term, model_completion=True).as_signed_long()
        for name, term in made.inputs.items()
    }
    return Decided("differs", units, count, values)


def _solver(limit: int) -> z3.Solver:
    solver = z3.SolverFor("QF_BV")
    configure(solver, limit or LIMIT, 0)
    return solver
