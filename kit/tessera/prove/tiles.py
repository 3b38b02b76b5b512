"""Z3's opinion on a tiled layer: the bands of a convolution or pool, for every height at once.

Goal: for all input heights of a range, as a C `int32_t` has them: the bands cover the output, the
halo rows that a band asks for are those that its windows read, and those are still in the line
buffer; no product or sum wraps. A broken rule gives the height and the row that break it.
Non-goals: whole plans (`tessera.plan.certificate.tiles` runs those) and columns, which are not cut.

Output row r reads the input rows r * stride - before + dilation * t, t below the kernel's height.
Quotients are stated as products (q * b <= r < q * b + b), so that no division has to be decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import z3

from tessera.errors import TesseraError
from tessera.prove.solver import DEFAULT_LIMIT, configure, fresh_context, solve
from tessera.results import Obligation

WIDTH = 32
TALLEST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Bands:
    """A layer that is made `band` output rows at a time from a line buffer of `ring` input rows.

    `first` is the height of the first band, where padding lets it be another (0: as the others).
    `before` and `after` are rows of padding. `ahead`: how many rows more than the band asks for may
    have been written by then. `short`: rows that the asked halo is too short by (0 where it is
    right). `whole_only`: the loop leaves out a last band that is not whole (a mistake).
    """

    kernel: int
    stride: int
    before: int
    after: int
    dilation: int
    band: int
    ring: int
    first: int = 0
    ahead: int = 0
    short: int = 0
    whole_only: bool = False

    @property
    def reach(self) -> int:
        """Input rows from the first to the last of one window."""
        return self.dilation * (self.kernel - 1) + 1


def confirm_bands(
    layer: Bands,
    heights: tuple[int, int],
    *,
    name: str = "layer",
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
) -> tuple[Obligation, ...]:
    """One obligation per rule, for every input height from the first to the second of `heights`.

    A range in which the layer makes no row at all is VACUOUS. Raises `TesseraError` for sizes that
    make no sense.
    """
    _require_sound(layer, heights)
    fresh_context()
    found = []
    for rule, (words, question) in _QUESTIONS.items():
        asked = _Terms(layer, heights)
        wrong = question(asked)
        found.append(_judged(f"{name}/{rule}", rule, words, asked, wrong, limit, seed))
    return tuple(found)


def _require_sound(layer: Bands, heights: tuple[int, int]) -> None:
    for field in fields(layer):
        value = getattr(layer, field.name)
        least = 1 if field.name in ("kernel", "stride", "dilation", "band", "ring") else 0
        if not least <= value < 1 << 16:
            raise TesseraError(
                f"a layer with {field.name} = {value}",
                remedy=f"give {least} to {(1 << 16) - 1}, as the network's attributes have it",
            )
    if not 1 <= heights[0] <= heights[1] <= TALLEST:
        raise TesseraError(
            f"input heights from {heights[0]} to {heights[1]}",
            remedy=f"give two heights, the smaller first, between 1 and {TALLEST}",
        )


class _Terms:
    """The unknowns of a layer and what is known of them."""

    def __init__(self, layer: Bands, heights: tuple[int, int]) -> None:
        self.layer = layer
        self.height, self.rows, self.row = _ints("height", "rows", "row")
        self.start, self.stop, self.tap = _ints("start", "stop", "tap")
        self.bands, self.number = _ints("bands", "number")
        last, whole = self.rows - 1, self.height + layer.before + layer.after
        self.range = [self.height >= heights[0], self.height <= heights[1]]
        self.made = [  # rows is the quotient of a division, rounded down, and one more
            *(self.rows >= 1, self.rows <= whole),
            last * layer.stride + layer.reach <= whole,
            self.rows * layer.stride + layer.reach > whole,
        ]
        self.known = [*self.range, *self.made]

    def some_band(self) -> list[z3.BoolRef]:
        """A band that may begin anywhere, so that bands of several sizes are spoken of too."""
        layer, size = self.layer, self.stop - self.start
        later = self.start >= layer.first if layer.first else z3.BoolVal(True)
        others = z3.And(later, size <= layer.band)
        return [
            *(self.start >= 0, self.start < self.rows, self.stop > self.start),
            self.stop <= self.rows,
            z3.Or(others, z3.And(self.start == 0, size <= layer.first)),
        ]

    def asked(self) -> tuple[z3.BitVecRef, z3.BitVecRef]:
        """Input rows that the band asks for: [first, last), clipped at the borders."""
        layer = self.layer
        first = self.start * layer.stride - layer.before
        last = (self.stop - 1) * layer.stride - layer.before + layer.reach - layer.short
        return self._clipped(first), self._clipped(last)

    def _clipped(self, row: z3.BitVecRef) -> z3.BitVecRef:
        zero = z3.BitVecVal(0, WIDTH)
        return z3.If(row < 0, zero, z3.If(row > self.height, self.height, row))

    def read(self) -> tuple[z3.BitVecRef, list[z3.BoolRef]]:
        """An input row that some window of the band reads, padding aside."""
        layer = self.layer
        row = self.row * layer.stride - layer.before + self.tap * layer.dilation
        within = [self.start <= self.row, self.row < self.stop, self.tap >= 0]
        return row, [*within, self.tap < layer.kernel, row >= 0, row < self.height]


def _ints(*names: str) -> tuple[z3.BitVecRef, ...]:
    return tuple(z3.BitVec(name, WIDTH) for name in names)


def _uncovered(terms: _Terms) -> list[z3.BoolRef]:
    """A row of the output that the loop over the bands after the first does not make."""
    band, number = terms.layer.band, terms.number
    row, rows = terms.row - terms.layer.first, terms.rows - terms.layer.first
    known = [*terms.known, terms.row >= terms.layer.first, terms.row < terms.rows]
    known += [number >= 0, number <= row, number * band <= row, row < number * band + band]
    count = [terms.bands >= 0, terms.bands <= rows]
    if terms.layer.whole_only:
        count += [terms.bands * band <= rows, rows < terms.bands * band + band]
    else:
        count += [(terms.bands - 1) * band < rows, rows <= terms.bands * band]
    end = number * band + band
    stop = z3.If(end > rows, rows, end)
    made = z3.And(number < terms.bands, number * band <= row, row < stop)
    return [*known, *count, z3.Not(made)]


def _not_asked(terms: _Terms) -> list[z3.BoolRef]:
    """A row that a window of the band reads and the band does not ask for."""
    first, last = terms.asked()
    row, read = terms.read()
    outside = z3.Or(row < first, row >= last)
    return [*terms.known, *terms.some_band(), *read, outside]


def _not_held(terms: _Terms) -> list[z3.BoolRef]:
    """A row that is asked for, and whose slot in the ring was given to the row `ring` below it."""
    first, last = terms.asked()
    row = terms.number
    asked = [first <= row, row < last]
    written = last + terms.layer.ahead
    written = z3.If(written > terms.height, terms.height, written)
    return [*terms.known, *terms.some_band(), *asked, row + terms.layer.ring < written]


def _wraps(terms: _Terms) -> list[z3.BoolRef]:
    """Some sum or product of the layer's loops that a C `int32_t` does not hold."""
    layer = terms.layer

    def times(left: z3.BitVecRef, right: int) -> z3.BoolRef:
        return z3.BVMulNoOverflow(left, z3.BitVecVal(right, WIDTH), True)

    def plus(left: z3.BitVecRef, right: z3.BitVecRef | int) -> z3.BoolRef:
        term = z3.BitVecVal(right, WIDTH) if isinstance(right, int) else right
        return z3.BVAddNoOverflow(left, term, True)

    # No more is known of the rows than that there are no more than padded input rows: what is known
    # otherwise is stated with the very sums that are judged here.
    row, height, padding = terms.row, terms.height, layer.before + layer.after
    base = row * layer.stride
    fine = [
        *(plus(height, padding), times(row, layer.stride), plus(base, layer.reach)),
        *(plus(row, layer.band), plus(height, layer.ring + layer.ahead)),
    ]
    below = [row >= 0, z3.ULT(row, height + padding), height > 0]
    reached = [z3.Or(layer.stride == 1, z3.ULE(row, z3.UDiv(height + padding, _value(layer))))]
    return [*terms.range, *below, *reached, z3.Not(z3.And(fine))]


def _value(layer: Bands) -> z3.BitVecRef:
    return z3.BitVecVal(layer.stride, WIDTH)


def _judged(
    name: str,
    rule: str,
    words: str,
    terms: _Terms,
    wrong: Sequence[z3.BoolRef],
    limit: int,
    seed: int,
) -> Obligation:
    possible = solve([*terms.known, *terms.some_band()], limit, seed)
    answer = solve(wrong, limit, seed)
    verdict = {"unsat": "PROVED", "sat": "VIOLATED"}.get(answer.status, "UNKNOWN")
    detail = answer.reason
    if verdict == "VIOLATED":
        detail = _example(wrong, limit, seed)
    elif possible.status == "unsat" and verdict == "PROVED":
        verdict, detail = "VACUOUS", "no height of the range gives an output row"
    return Obligation(
        id=f"tiles/{name}",
        property=rule,
        doc=words,
        verdict=verdict,
        expect="proved",
        met=verdict == "PROVED",
        seconds=answer.seconds,
        resource=answer.resource + possible.resource,
        detail=detail,
    )


def _example(wrong: Sequence[z3.BoolRef], limit: int, seed: int) -> str:
    """Values that break the rule, `name = value`, in the order of the names."""
    solver = z3.Solver()
    configure(solver, limit, seed)
    solver.add(*wrong)
    if solver.check() != z3.sat:
        return "a counterexample exists; its values were not found within the limit"
    model = solver.model()
    values = sorted((str(d), model[d].as_signed_long()) for d in model.decls())
    return ", ".join(f"{name} = {value}" for name, value in values)


_Question = Callable[[_Terms], list[z3.BoolRef]]
_QUESTIONS: dict[str, tuple[str, _Question]] = {
    "arena_no_wrap": ("no sum or product over rows wraps at the width of its C type", _wraps),
    "arena_complete": ("every output row lies in a band of the loop", _uncovered),
    "arena_halo": ("a band asks for every input row that its windows read", _not_asked),
    "arena_initialised": ("every row that is asked for is still in the line buffer", _not_held),
}
