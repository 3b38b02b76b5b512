"""Z3 on small arenas: what it proves, and a plan for each rule that it refuses."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tessera.errors import TesseraError
from tessera.plan.certificate.arena import Claim, Row, certify
from tessera.prove.arena import MOST, confirm

GOOD = (Row("a", 0, 4, 8, 4, 0), Row("b", 2, 6, 4, 4, 8), Row("c", 4, 6, 8, 8, 0))
ROOM = 12


def refused(rows: tuple[Row, ...], capacity: int, width: int = 32) -> list[str]:
    asked = confirm(rows, capacity, width=width)
    assert {o.verdict for o in asked} <= {"PROVED", "VIOLATED"}
    return [o.property for o in asked if not o.met]


def test_a_good_plan_is_proved() -> None:
    assert refused(GOOD, ROOM) == []


def test_each_rule_refuses() -> None:
    overlap = (GOOD[0], replace(GOOD[1], offset=4), GOOD[2])
    assert refused(overlap, ROOM) == ["arena_disjoint"]
    assert refused(GOOD, 11) == ["arena_inside"]
    assert refused((replace(GOOD[1], alignment=3),), ROOM) == ["arena_aligned"]


def test_a_sum_that_wraps_hides_from_the_capacity_but_not_from_its_rule() -> None:
    wrapping = (Row("a", 0, 1, 0x2000, 1, 0xF000),)
    assert refused(wrapping, 0xFFFF, 16) == ["arena_no_wrap"]
    assert refused(wrapping, 0x11000, 32) == []


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_the_sweep(seed: int) -> None:
    source = random.Random(seed)
    rows = []
    for number in range(4):
        lower = source.randrange(6)
        upper = lower + source.randint(1, 4)
        rows.append(Row(str(number), lower, upper, source.randint(1, 4), 1, source.randrange(12)))
    peak = max(row.offset + row.size for row in rows)
    judged = certify(rows, Claim(peak, peak))
    overlap = any(r.rule == "arena_disjoint" and not r.holds for r in judged.rulings)
    assert ("arena_disjoint" in refused(tuple(rows), peak)) == overlap


@pytest.mark.parametrize(
    ("rows", "capacity", "width", "words"),
    [
        ((), ROOM, 32, "too many or too few"),
        (GOOD * MOST, ROOM, 32, "too many or too few"),
        (GOOD, ROOM, 31, "no C type"),
        (GOOD, 1 << 16, 16, "does not fit"),
        ((replace(GOOD[0], offset=-1),), ROOM, 32, "does not fit"),
    ],
)
def test_what_cannot_be_asked(rows: tuple[Row, ...], capacity: int, width: int, words: str) -> None:
    with pytest.raises(TesseraError, match=words):
        confirm(rows, capacity, width=width)
