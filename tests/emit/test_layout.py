"""Lines that are broken at 80 columns stay the same statement."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tessera.emit.layout import COLUMNS, wrap


def joined(lines: list[str]) -> str:
    """The statement on one line again."""
    return " ".join([lines[0], *(line.strip() for line in lines[1:])])


NAMES = ("a", "pool->pages", "entry->offset", "some_rather_long_identifier")
SHAPES = ("{} + {}", "({} ? {} : {})", "MIN({}, {})", "{} && {}")


def expression(random: Random, depth: int) -> str:
    """A nested expression in C's looks."""
    if depth == 0 or random.random() < 0.2:
        return random.choice(NAMES)
    shape = random.choice(SHAPES)
    return shape.format(*(expression(random, depth - 1) for _ in range(shape.count("{}"))))


@given(
    seed=st.integers(0, 2**32), head=st.sampled_from(["\tlo = ", "\t\treturn ", "\tif (pool && "])
)
def test_breaking_changes_only_white_space(seed: int, head: str) -> None:
    line = f"{head}{expression(Random(seed), 4)}{')' if head.count('(') else ''};"
    lines = wrap(line)
    assert joined(lines) == line
    for piece in lines:
        # Nothing but a piece without any place to break at may pass the limit.
        words = piece.split()
        unbreakable = not any(w.endswith(",") or w in ("+", "&&", "?", ":") for w in words[:-1])
        assert len(piece.expandtabs(8)) <= COLUMNS or unbreakable, piece


def test_continues_at_the_open_parenthesis() -> None:
    line = "\tif (pool->pages && " + " + ".join(["entry->offset"] * 5) + " > limit)"
    first, second = wrap(line)
    assert second.startswith("\t    e") and len(first.expandtabs(8)) <= COLUMNS


def test_continues_at_the_start_of_the_assigned_value() -> None:
    line = "\tlo = " + " + ".join(["entry->offset"] * 6) + ";"
    assert wrap(line)[1].startswith("\t     e")


def test_short_lines_stay() -> None:
    assert wrap("\tlo = 0;") == ["\tlo = 0;"]
