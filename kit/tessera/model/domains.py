"""Quantifiers and choices: which values a variable takes and which of them pass.

Goal: finite types are enumerated; an integer is swept over its whole type at once. Where a sweep
is impossible and too many points are left, a sample is tried: a counterexample (or witness) found
there counts, but its absence raises `Undecided` and never becomes "holds".
Non-goals: guards written as binders `x in P` (the checker made them guards).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tessera.errors import Span
from tessera.lang.typed import Apply, Binder, Expr, Quant
from tessera.model.evaluate import Evaluator
from tessera.model.intervals import Interval, IntervalMap, count
from tessera.model.lower import children
from tessera.model.ramp import IDENTITY, Unswept
from tessera.model.scope import Code, Frame, Scope
from tessera.model.sweep_logic import MAX_POINTS
from tessera.model.values import Undecided, elements, is_integer, width_of

_SAMPLES = 256


def compile_quant(evaluator: Evaluator, quant: Quant, scope: Scope) -> Code:
    """The closure of a quantifier over one variable."""
    (binder,) = quant.binders
    inner, place = scope.bind(binder.name)
    values = elements(binder.type, evaluator.spec, evaluator.world)
    if values is not None:
        guard = evaluator.compile(quant.guard, inner)
        body = evaluator.compile(quant.body, inner)
        return _finite(values, guard, body, place, quant.kind == "forall")
    return _Swept(evaluator, quant, inner, place).run


def _finite(values: tuple[Any, ...], guard: Code, body: Code, place: int, universal: bool) -> Code:
    def careful(f: Frame) -> bool:
        """Go on after an undecided value: another one may settle it."""
        doubt: Undecided | None = None
        for value in values:
            f[place] = value
            try:
                if guard(f) and bool(body(f)) != universal:
                    return not universal
            except Undecided as undecided:
                doubt = undecided
        if doubt is not None:
            raise doubt
        return universal

    def run(f: Frame) -> bool:
        try:
            for value in values:
                f[place] = value
                if guard(f) and bool(body(f)) != universal:
                    return not universal
            return universal
        except Undecided:
            return careful(f)

    return run


class _Swept:
    """A quantifier over an integer."""

    def __init__(self, evaluator: Evaluator, quant: Quant, inner: Scope, place: int) -> None:
        (binder,) = quant.binders
        self.binder, self.span, self.place = binder, quant.span, place
        self.universal = quant.kind == "forall"
        self.top = _top(binder, quant.span)
        names = frozenset((binder.name,))
        self.guard = evaluator.sweeper.truth(quant.guard, inner, names)
        self.body = evaluator.sweeper.truth(quant.body, inner, names)
        self.guard_at = evaluator.compile(quant.guard, inner)
        self.body_at = evaluator.compile(quant.body, inner)
        # A search inside the body is tried point by point: look at the ends of ranges first.
        self.ends_first = searches(evaluator, quant.body)

    def run(self, f: Frame) -> bool:
        open_: list[Interval] = [(0, self.top)]
        f[self.place] = IDENTITY
        try:
            open_ = self.guard(f, 0, self.top)
            if self.ends_first and self._settled_at_an_end(f, open_):
                return not self.universal
            f[self.place] = IDENTITY
            for lo, hi in open_:
                true = self.body(f, lo, hi)
                if (count(true) < hi - lo) if self.universal else bool(true):
                    return not self.universal
            return self.universal
        except (Unswept, Undecided):
            self._sample(f, open_)
            return not self.universal

    def _settled_at_an_end(self, f: Frame, open_: list[Interval]) -> bool:
        for lo, hi in open_:
            for x in (hi - 1, lo):
                f[self.place] = x
                if bool(self.body_at(f)) != self.universal:
                    return True
        return False

    def _sample(self, f: Frame, open_: list[Interval]) -> None:
        """Return when a point settles the quantifier against its default; else raise Undecided."""
        for x in samples(open_, f):
            f[self.place] = x
            try:
                if self.guard_at(f) and bool(self.body_at(f)) != self.universal:
                    return
            except Undecided:
                continue
        raise Undecided(f"the quantifier over '{self.binder.name}'", count(open_), self.span)


def searches(evaluator: Evaluator, expr: Expr) -> bool:
    """Whether evaluating an expression runs a quantifier over integers, through functions."""
    todo, seen = [expr], set[str]()
    while todo:
        part = todo.pop()
        if isinstance(part, Quant) and is_integer(part.binders[0].type):
            return True
        if isinstance(part, Apply) and part.kind in ("function", "policy"):
            if part.name not in seen:
                todo.append(evaluator.lowering.functions[part.name].body)
            seen.add(part.name)
        todo += children(part)
    return False


def samples(open_: Iterable[Interval], f: Frame) -> list[int]:
    """Points worth trying, from low to high: ends of the ranges, every integer in the state and
    its neighbours, powers of two and theirs."""
    marks = {0, *(1 << k for k in range(64))} | set(_integers(f))
    near = {m + d for m in marks for d in (-1, 0, 1)}
    out: set[int] = set()
    for lo, hi in open_:
        out |= {lo, lo + 1, (lo + hi) // 2, hi - 2, hi - 1}
        out |= {x for x in near if lo <= x < hi}
    inside = sorted(x for x in out if any(lo <= x < hi for lo, hi in open_))
    step = -(-len(inside) // _SAMPLES) or 1
    return inside[::step]


def _integers(f: Frame) -> set[int]:
    """The integers that the state and the locals hold."""
    found: set[int] = set()

    def visit(content: Any) -> None:
        if isinstance(content, IntervalMap):
            found.update(content.starts[:_SAMPLES])
            found.update(v for v in content.values[:_SAMPLES] if type(v) is int)
        elif isinstance(content, dict):
            for value in content.values():
                visit(value)
        elif type(content) is int:
            found.add(content)

    for content in (*(f[0] or ()), *f[2:]):
        visit(content)
    return found


def _top(binder: Binder, span: Span) -> int:
    width = width_of(binder.type)
    if width is None:
        raise Undecided(f"the quantifier over '{binder.name}'", 1 << 128, span)
    return 1 << width


Candidates = Callable[[Frame], list[Interval]]


def passing(evaluator: Evaluator, binder: Binder, test: Expr, scope: Scope) -> Candidates:
    """The integers that pass a test, as sorted intervals; the binder is bound in `scope`.

    Running it raises `Undecided` when the test cannot be swept, after the low end is tried: then
    the first interval may still be known, see `first_passing`.
    """
    place, top = scope.places[binder.name], _top(binder, binder.span)
    truth = evaluator.sweeper.truth(test, scope, frozenset((binder.name,)))

    def run(f: Frame) -> list[Interval]:
        f[place] = IDENTITY
        try:
            return truth(f, 0, top)
        except Unswept:
            raise Undecided(f"the choice of '{binder.name}'", top, binder.span) from None

    return run


def first_passing(
    evaluator: Evaluator, binder: Binder, test: Expr, scope: Scope
) -> Callable[[Frame], int | None]:
    """The smallest integer that passes a test, None when there is none."""
    everywhere = passing(evaluator, binder, test, scope)
    code, place = evaluator.compile(test, scope), scope.places[binder.name]
    top = _top(binder, binder.span)

    def run(f: Frame) -> int | None:
        try:
            found = everywhere(f)
        except Undecided:
            for x in range(min(MAX_POINTS, top)):
                f[place] = x
                if code(f):
                    return x
            raise
        return found[0][0] if found else None

    return run
