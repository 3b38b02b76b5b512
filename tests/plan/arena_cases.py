"""Buffers for the tests of the arena, and answers found without the planner."""

from __future__ import annotations

import random
from itertools import permutations

from hypothesis import strategies as st

from tessera.plan.arena import Buffer

PAPER = tuple(  # the worked example of the MiniMalloc paper: 12 is optimal
    Buffer(name, lower, upper, 4)
    for name, lower, upper in (
        ("b1", 0, 3),
        ("b2", 3, 9),
        ("b3", 0, 9),
        ("b4", 9, 21),
        ("b5", 0, 21),
    )
)


def lowest_height(buffers: tuple[Buffer, ...]) -> int:
    """By trying every order, each buffer on top of those before it that it meets.

    Some order by rising offset gives a plan in which nothing can be moved down; stacking in that
    order reproduces it.
    """
    best = sum(b.size + b.alignment for b in buffers)
    for order in permutations(buffers):
        done: list[tuple[Buffer, int]] = []
        for b in order:
            low = max((o + c.size for c, o in done if c.meets(b)), default=0)
            done.append((b, -(-low // b.alignment) * b.alignment))
        best = min(best, max(o + c.size for c, o in done))
    return best


def drawn(seed: int, count: int, *, alignments: tuple[int, ...] = (1,)) -> tuple[Buffer, ...]:
    """Buffers at random."""
    source = random.Random(seed)
    out = []
    for number in range(count):
        lower = source.randrange(12)
        upper = lower + source.randint(1, 8)
        size, alignment = source.randint(1, 20), source.choice(alignments)
        out.append(Buffer(f"b{number}", lower, upper, size, alignment))
    return tuple(out)


@st.composite
def small(draw: st.DrawFn, most: int = 6) -> tuple[Buffer, ...]:
    """At most `most` buffers, few steps, small sizes, some aligned."""
    count = draw(st.integers(1, most))
    out = []
    for number in range(count):
        lower = draw(st.integers(0, 5))
        upper = lower + draw(st.integers(1, 4))
        size, alignment = draw(st.integers(1, 9)), draw(st.sampled_from((1, 1, 2, 4)))
        out.append(Buffer(f"b{number}", lower, upper, size, alignment))
    return tuple(out)
