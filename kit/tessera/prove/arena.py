"""Z3's opinion on a small arena: for every step, every address and every pair at once.

Goal: `confirm` asks, over bit-vectors of the C type's width, for a step and two different buffers
that share an address, for an address outside, for a sum that wraps, for an offset that is not
aligned; no answer to any of them is a proof. Arithmetic wraps as in C, so that a plan that is only
right with unbounded integers is refused.
Non-goals: large plans (the certificate's sweep is for those) and finding offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import z3

from tessera.errors import TesseraError
from tessera.prove.solver import DEFAULT_LIMIT, fresh_context, solve
from tessera.results import Obligation

MOST = 64
"""Buffers; beyond, the questions grow too large to be worth asking."""
WIDTHS = (16, 32, 64)


class Placed(Protocol):
    """A buffer of a plan: alive in [lower, upper), at [offset, offset + size), in bytes."""

    @property
    def name(self) -> str: ...
    @property
    def lower(self) -> int: ...
    @property
    def upper(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def alignment(self) -> int: ...
    @property
    def offset(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Columns:
    """A row's values as functions of its symbolic number."""

    lower: z3.BitVecRef
    upper: z3.BitVecRef
    size: z3.BitVecRef
    alignment: z3.BitVecRef
    offset: z3.BitVecRef


def confirm(
    rows: Sequence[Placed],
    capacity: int,
    *,
    width: int = 32,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    pairs: bool | None = None,
) -> tuple[Obligation, ...]:
    """One obligation per rule; `width` is the bits of the C type that holds offsets and sizes.

    `pairs`: only the rules about two buffers, or only those about one (None: all).

    Raises `TesseraError` for more than `MOST` buffers, an unknown width, and values that the type
    cannot hold. A pair that shares its place on purpose is refused as any other.
    """
    _require_askable(rows, capacity, width)
    fresh_context()
    return tuple(
        _asked(name, words, question(rows, capacity, width), limit, seed)
        for name, (words, question) in _QUESTIONS.items()
        if pairs is None or pairs == (question is _two)
    )


def _require_askable(rows: Sequence[Placed], capacity: int, width: int) -> None:
    if width not in WIDTHS:
        raise TesseraError(f"no C type of {width} bits", remedy=f"one of {WIDTHS}")
    if not 0 < len(rows) <= MOST:
        raise TesseraError(
            f"{len(rows)} buffers are too many or too few to confirm symbolically",
            remedy=f"give 1 to {MOST}; the certificate's sweep has no limit",
        )
    numbers = [capacity]
    for row in rows:
        numbers += [row.lower, row.upper, row.size, row.alignment, row.offset]
        if row.alignment == 0:
            raise TesseraError(f"{row.name} is aligned to 0", remedy="an alignment is 1 or more")
    if any(not 0 <= number < 1 << width for number in numbers):
        raise TesseraError(
            f"a value of the plan does not fit into {width} bits without a sign",
            remedy="confirm it at the width of the C type that holds it",
        )


def _asked(name: str, words: str, terms: list[z3.BoolRef], limit: int, seed: int) -> Obligation:
    answer = solve(terms, limit, seed)
    verdict = {"unsat": "PROVED", "sat": "VIOLATED"}.get(answer.status, "UNKNOWN")
    return Obligation(
        id=f"arena/{name}",
        property=name,
        doc=words,
        verdict=verdict,
        expect="proved",
        met=verdict == "PROVED",
        seconds=answer.seconds,
        resource=answer.resource,
        detail=answer.reason,
    )


def _row(rows: Sequence[Placed], name: str, width: int) -> tuple[_Columns, z3.BoolRef]:
    """A row of which only the number is not known, and that the number is one of a row."""
    index = z3.BitVec(name, 8)

    def pick(value: Callable[[Placed], int]) -> z3.BitVecRef:
        term = z3.BitVecVal(value(rows[-1]), width)
        for number in range(len(rows) - 2, -1, -1):
            term = z3.If(index == number, z3.BitVecVal(value(rows[number]), width), term)
        return term

    columns = _Columns(
        pick(lambda r: r.lower),
        pick(lambda r: r.upper),
        pick(lambda r: r.size),
        pick(lambda r: r.alignment),
        pick(lambda r: r.offset),
    )
    return columns, z3.ULT(index, z3.BitVecVal(len(rows), 8))


def _alive(row: _Columns, step: z3.BitVecRef) -> z3.BoolRef:
    return z3.And(z3.ULE(row.lower, step), z3.ULT(step, row.upper))


def _holds(row: _Columns, address: z3.BitVecRef) -> z3.BoolRef:
    """As C compares: the end is a sum that may wrap."""
    return z3.And(z3.ULE(row.offset, address), z3.ULT(address, row.offset + row.size))


def _two(rows: Sequence[Placed], capacity: int, width: int) -> list[z3.BoolRef]:
    one, is_one = _row(rows, "one", width)
    two, is_two = _row(rows, "two", width)
    step, address = z3.BitVec("step", width), z3.BitVec("address", width)
    other = z3.ULT(z3.BitVec("one", 8), z3.BitVec("two", 8))
    both = [_alive(one, step), _alive(two, step), _holds(one, address), _holds(two, address)]
    return [is_one, is_two, other, *both]


def _outside(rows: Sequence[Placed], capacity: int, width: int) -> list[z3.BoolRef]:
    row, is_row = _row(rows, "one", width)
    end = row.offset + row.size
    return [is_row, z3.UGT(end, z3.BitVecVal(capacity, width))]


def _wraps(rows: Sequence[Placed], capacity: int, width: int) -> list[z3.BoolRef]:
    row, is_row = _row(rows, "one", width)
    return [is_row, z3.Not(z3.BVAddNoOverflow(row.offset, row.size, False))]


def _misaligned(rows: Sequence[Placed], capacity: int, width: int) -> list[z3.BoolRef]:
    row, is_row = _row(rows, "one", width)
    return [is_row, z3.URem(row.offset, row.alignment) != 0]


_Question = Callable[[Sequence[Placed], int, int], list[z3.BoolRef]]
_QUESTIONS: dict[str, tuple[str, _Question]] = {
    "arena_no_wrap": ("no offset plus size wraps at the width of its C type", _wraps),
    "arena_disjoint": ("no address belongs to two buffers that are alive in one step", _two),
    "arena_inside": ("no buffer ends above the capacity", _outside),
    "arena_aligned": ("every offset is a multiple of its buffer's alignment", _misaligned),
}
