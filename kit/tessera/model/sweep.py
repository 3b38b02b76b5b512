"""An expression for all values of one integer variable at once.

Goal: `truth(expr)` gives the intervals of `[lo, hi)` where a formula is true, `pieces(expr)` the
pieces of any expression. Both are exact: what no `Ramp` can express is
tried point by point where few points are left, and raises `Unswept` where many are.
A local is *swept* when it depends on the variable; its place in the frame then holds a form.
Non-goals: the arithmetic of forms (see `ramp`), and parts that no swept local reaches (`evaluate`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessera.lang.typed import Apply, Binary, Cast, Expr, Ite, Local, Old, Quant, Unary
from tessera.lang.types import BoolType, EnumType
from tessera.model import sweep_ops
from tessera.model.evaluate import Evaluator
from tessera.model.intervals import Interval, complement, merge
from tessera.model.lower import EXACT, children, free_names
from tessera.model.ramp import Piece, Unswept, equal
from tessera.model.scope import FIRST_LOCAL, Frame, Scope
from tessera.model.sweep_logic import (
    PieceCode,
    RefineCode,
    Refined,
    TruthCode,
    and_,
    either_first,
    not_,
    or_,
    points,
)
from tessera.model.sweep_read import compile_read
from tessera.model.sweep_search import guided
from tessera.model.values import elements, is_integer, width_of

Names = frozenset[str]
_LOGIC = ("and", "or", "=>")


class Sweeper:
    """Compiles expressions into sweeps, next to an `Evaluator` that compiles them into closures."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._truths: dict[tuple[str, Names], tuple[TruthCode, list[None]]] = {}
        self._pieces: dict[tuple[str, Names], tuple[PieceCode, list[None]]] = {}

    # --- formulas --------------------------------------------------------------------------------

    def truth(self, expr: Expr, scope: Scope, swept: Names) -> TruthCode:
        """Where a formula holds; raises `Unswept` and `Undecided` when run."""
        if not free_names(expr) & swept:
            code = self.evaluator.compile(expr, scope)
            return lambda f, lo, hi: [(lo, hi)] if code(f) else []
        if isinstance(expr, Unary) or (isinstance(expr, Binary) and expr.op in _LOGIC):
            return self._logic(expr, scope, swept)
        if isinstance(expr, Ite):
            return self._choice(expr, scope, swept)
        if isinstance(expr, Quant) and not is_integer(expr.binders[0].type):
            return self._finite(expr, scope, swept)
        if isinstance(expr, Quant):
            return guided(self, expr, scope, swept, self._pointwise(expr, scope, swept))
        return self._leaf(expr, scope, swept)

    def _logic(self, expr: Unary | Binary, scope: Scope, swept: Names) -> TruthCode:
        if isinstance(expr, Unary):
            return not_(self.truth(expr.arg, scope, swept))
        left, right = (self.truth(c, scope, swept) for c in children(expr))
        if expr.op == "and":
            return either_first(and_(left, right), and_(right, left))
        if expr.op == "=>":
            left = not_(left)
        return either_first(or_(left, right), or_(right, left))

    def _choice(self, expr: Ite, scope: Scope, swept: Names) -> TruthCode:
        test, then, other = (self.truth(c, scope, swept) for c in children(expr))

        def run(f: Frame, lo: int, hi: int) -> list[Interval]:
            holds = test(f, lo, hi)
            out = [part for a, b in holds for part in then(f, a, b)]
            rest = complement(holds, lo, hi)
            return merge(out + [part for a, b in rest for part in other(f, a, b)])

        return run

    def _finite(self, quant: Quant, scope: Scope, swept: Names) -> TruthCode:
        """A quantifier over a finite type, inside: each element narrows what is still open."""
        (binder,) = quant.binders
        evaluator = self.evaluator
        values = elements(binder.type, evaluator.spec, evaluator.world) or ()
        inner, place = scope.bind(binder.name)
        swept -= {binder.name}
        guard = self.truth(quant.guard, inner, swept)
        body = self.truth(quant.body, inner, swept)
        universal = quant.kind == "forall"

        def run(f: Frame, lo: int, hi: int) -> list[Interval]:
            still: list[Interval] = [(lo, hi)]  # forall: true so far; exists: not yet true
            for value in values:
                f[place] = value
                next_: list[Interval] = []
                for a, b in still:
                    hit: list[Interval] = []
                    for c, d in guard(f, a, b):
                        good = body(f, c, d)
                        hit += complement(good, c, d) if universal else good
                    next_ += complement(hit, a, b) if hit else [(a, b)]
                still = next_
                if not still:
                    break
            return still if universal else complement(still, lo, hi)

        return run

    def _leaf(self, expr: Expr, scope: Scope, swept: Names) -> TruthCode:
        """A formula without logic inside: solved, or tried point by point."""
        solved = self._solved(expr, scope, swept)
        tried = self._pointwise(expr, scope, swept)

        def run(f: Frame, lo: int, hi: int) -> list[Interval]:
            try:
                return solved(f, lo, hi)
            except Unswept:
                return tried(f, lo, hi)

        return run

    def _solved(self, expr: Expr, scope: Scope, swept: Names) -> TruthCode:
        if isinstance(expr, Apply) and expr.kind in ("function", "policy"):
            return self._call_truth(expr, scope, swept)
        if isinstance(expr, Old):
            arg = self.truth(expr.arg, scope, swept)
            return lambda f, lo, hi: arg([f[1], *f[1:]], lo, hi)
        if isinstance(expr, Binary):
            return self._relation(expr, scope, swept)
        values = self._parts(expr, scope, swept)
        return lambda f, lo, hi: merge([(a, b) for a, b, form in values(f, lo, hi) if form])

    def _relation(self, expr: Binary, scope: Scope, swept: Names) -> TruthCode:
        solve: Callable[[Any, Any, int, int], list[Interval]]
        if expr.op.startswith(EXACT):
            of = expr.right if expr.op == EXACT + "as" else expr.left
            solve = sweep_ops.exactness(expr.op.removeprefix(EXACT), width_of(of.type))
        elif is_integer(expr.left.type):
            solve = sweep_ops.comparison(expr.op)
        elif isinstance(expr.left.type, EnumType) and expr.op not in ("==", "!="):
            test = self.evaluator.class_test(expr.op)
            solve = lambda a, b, lo, hi: [(lo, hi)] if test(a, b) else []  # noqa: E731
        elif expr.op == "==":
            solve = equal
        else:
            solve = lambda a, b, lo, hi: complement(equal(a, b, lo, hi), lo, hi)  # noqa: E731

        parts = self._refine((expr.left, expr.right), scope, swept)

        def run(f: Frame, lo: int, hi: int) -> list[Interval]:
            found = parts(f, lo, hi)
            if len(found) == 1:
                ((a, b, (one, two)),) = found
                return solve(one, two, a, b)
            return [part for a, b, (one, two) in found for part in solve(one, two, a, b)]

        return run

    def _pointwise(self, expr: Expr, scope: Scope, swept: Names) -> TruthCode:
        code = self.evaluator.compile(expr, scope)

        def run(f: Frame, lo: int, hi: int) -> list[Interval]:
            return merge([(x, x + 1) for x, g in points(f, lo, hi) if code(g)])

        return run

    # --- values ----------------------------------------------------------------------------------

    def pieces(self, expr: Expr, scope: Scope, swept: Names) -> PieceCode:
        """The forms of an expression; raises `Unswept` and `Undecided` when run."""
        if not free_names(expr) & swept:
            code = self.evaluator.compile(expr, scope)
            return lambda f, lo, hi: [(lo, hi, code(f))]
        if isinstance(expr.type, BoolType) and not isinstance(expr, Local | Apply):
            holds = self.truth(expr, scope, swept)

            def run(f: Frame, lo: int, hi: int) -> list[Piece]:
                true = holds(f, lo, hi)
                out = [(a, b, True) for a, b in true]
                return sorted(out + [(a, b, False) for a, b in complement(true, lo, hi)])

            return run
        return self._parts(expr, scope, swept)

    def tried(self, expr: Expr, scope: Scope, swept: Names) -> PieceCode:
        """As `pieces`, but point by point where no form is found."""
        solved, code = self.pieces(expr, scope, swept), self.evaluator.compile(expr, scope)

        def run(f: Frame, lo: int, hi: int) -> list[Piece]:
            try:
                return solved(f, lo, hi)
            except Unswept:
                return [(x, x + 1, code(g)) for x, g in points(f, lo, hi)]

        return run

    def _parts(self, expr: Expr, scope: Scope, swept: Names) -> PieceCode:
        match expr:
            case Local():
                place = scope.places[expr.name]
                return lambda f, lo, hi: [(lo, hi, f[place])]
            case Apply(kind="function" | "policy"):
                return self._call(expr, scope, swept)
            case Apply():
                return compile_read(self.evaluator, expr, self._refine(expr.args, scope, swept))
            case Ite():
                return self._ite(expr, scope, swept)
            case Old():
                arg = self.pieces(expr.arg, scope, swept)
                return lambda f, lo, hi: arg([f[1], *f[1:]], lo, hi)
            case Binary() | Cast() | Unary():
                return self._arithmetic(expr, scope, swept)
            case _:
                raise TypeError(f"{type(expr).__name__} has no pieces")

    def _arithmetic(self, expr: Binary | Cast | Unary, scope: Scope, swept: Names) -> PieceCode:
        if isinstance(expr, Binary):
            width = width_of(expr.type)
            run = sweep_ops.operation(expr.op, width)
            parts = self._refine(children(expr), scope, swept)
            return lambda f, lo, hi: [
                piece for a, b, (x, y) in parts(f, lo, hi) for piece in run(x, y, a, b)
            ]
        one = (
            sweep_ops.cast(width_of(expr.type))
            if isinstance(expr, Cast)
            else (sweep_ops.invert(width_of(expr.type)))
        )
        arg = self.pieces(expr.arg, scope, swept)
        return lambda f, lo, hi: [p for a, b, x in arg(f, lo, hi) for p in one(x, a, b)]

    def _ite(self, expr: Ite, scope: Scope, swept: Names) -> PieceCode:
        test = self.truth(expr.test, scope, swept)
        then, other = (self.pieces(c, scope, swept) for c in (expr.then, expr.other))

        def run(f: Frame, lo: int, hi: int) -> list[Piece]:
            holds = test(f, lo, hi)
            out = [p for a, b in holds for p in then(f, a, b)]
            out += [p for a, b in complement(holds, lo, hi) for p in other(f, a, b)]
            return sorted(out, key=lambda piece: piece[0])

        return run

    def _refine(self, exprs: tuple[Expr, ...], scope: Scope, swept: Names) -> RefineCode:
        """The pieces on which every one of several expressions has one form."""
        codes = [self.pieces(e, scope, swept) for e in exprs]
        moving = [i for i, e in enumerate(exprs) if free_names(e) & swept]
        if len(moving) == 1 and len(exprs) <= 3:
            return self._refine_one(exprs, codes[moving[0]], moving[0], scope)

        def run(f: Frame, lo: int, hi: int) -> Refined:
            out: Refined = [(lo, hi, ())]
            for code in codes:
                out = [(c, d, (*fs, x)) for a, b, fs in out for c, d, x in code(f, a, b)]
            return out

        return run

    def _refine_one(
        self, exprs: tuple[Expr, ...], code: PieceCode, at: int, scope: Scope
    ) -> RefineCode:
        """The same where only `exprs[at]` is swept, which is most of the time: faster."""
        fixed = [self.evaluator.compile(e, scope) for i, e in enumerate(exprs) if i != at]
        if not fixed:
            return lambda f, lo, hi: [(a, b, (x,)) for a, b, x in code(f, lo, hi)]
        if len(fixed) == 2:
            one, two = fixed

            def three(f: Frame, lo: int, hi: int) -> Refined:
                rest = [one(f), two(f)]
                return [(a, b, (*rest[:at], x, *rest[at:])) for a, b, x in code(f, lo, hi)]

            return three
        (other,) = fixed

        def first(f: Frame, lo: int, hi: int) -> Refined:
            y = other(f)
            return [(a, b, (x, y)) for a, b, x in code(f, lo, hi)]

        def second(f: Frame, lo: int, hi: int) -> Refined:
            y = other(f)
            return [(a, b, (y, x)) for a, b, x in code(f, lo, hi)]

        return second if at else first

    def _call_truth(self, expr: Apply, scope: Scope, swept: Names) -> TruthCode:
        inner = self._swept_params(expr, swept)
        args = self._refine(expr.args, scope, swept)
        key = (expr.name, inner)
        if key not in self._truths:
            self._truths[key] = self._compiled(expr.name, inner, self.truth)
        body, pad = self._truths[key]

        def run(f: Frame, lo: int, hi: int) -> list[Interval]:
            return [
                part
                for a, b, forms in args(f, lo, hi)
                for part in body([f[0], f[1], *forms, *pad], a, b)
            ]

        return run

    def _call(self, expr: Apply, scope: Scope, swept: Names) -> PieceCode:
        inner = self._swept_params(expr, swept)
        args = self._refine(expr.args, scope, swept)
        key = (expr.name, inner)
        if key not in self._pieces:
            self._pieces[key] = self._compiled(expr.name, inner, self.pieces)
        body, pad = self._pieces[key]

        def run(f: Frame, lo: int, hi: int) -> list[Piece]:
            return [
                part
                for a, b, forms in args(f, lo, hi)
                for part in body([f[0], f[1], *forms, *pad], a, b)
            ]

        return run

    def _swept_params(self, expr: Apply, swept: Names) -> Names:
        params = self.evaluator.lowering.functions[expr.name].params
        pairs = zip(params, expr.args, strict=True)
        return frozenset(p.name for p, a in pairs if free_names(a) & swept)

    def _compiled(self, name: str, swept: Names, how: Any) -> tuple[Any, list[None]]:
        function, scope = self.evaluator.lowering.functions[name], Scope()
        for param in function.params:
            scope, _ = scope.bind(param.name)
        code = how(function.body, scope, swept)
        return code, [None] * (scope.unit.size - FIRST_LOCAL - len(function.params))
