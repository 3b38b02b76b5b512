"""A shorter list of operations that still leads to a difference.

Goal: leave out operations, in chunks of falling size, while both sides still differ.
Non-goals: the shortest list there is (see Zeller and Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002, for what the method promises).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tessera.conform.operations import Op

Differs = Callable[[Sequence[Op]], bool]
MOST_TRIES = 200


def shorten(ops: Sequence[Op], differs: Differs, most_tries: int = MOST_TRIES) -> list[Op]:
    """A list that differs, of which (within the bound on tries) no operation can be left out.

    `differs(ops)` must be true.
    """
    kept, tries = list(ops), 0
    chunk = max(len(kept) // 2, 1)
    while True:
        at, left_out = len(kept) - chunk, False
        while at > -chunk and tries < most_tries:
            shorter = kept[: max(at, 0)] + kept[at + chunk :]
            tries += 1
            if len(shorter) < len(kept) and differs(shorter):
                kept, left_out = shorter, True
            at -= chunk
        if tries >= most_tries or (chunk == 1 and not left_out):
            return _without_failures(kept, differs)
        chunk = max(chunk // 2, 1)


def _without_failures(ops: list[Op], differs: Differs) -> list[Op]:
    """The same without injected failures, where those do not matter."""
    plain = [replace(op, fail=0) for op in ops]
    return plain if plain != ops and differs(plain) else ops


def few_slots(ops: Sequence[Op]) -> list[Op]:
    """The same operations with blocks numbered as they appear."""
    numbers: dict[int, int] = {}
    for op in ops:
        numbers.setdefault(op.slot, len(numbers))
    return [replace(op, slot=numbers[op.slot]) for op in ops]
