"""Arenas of any length: no pair is lost between windows, and what is wrong anywhere is found."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations

import pytest

from tessera.plan.certificate.arena import Claim, Row, certify
from tessera.prove import windows as module
from tessera.prove.windows import confirm_long, windows


def chain(count: int, offset: int = 0) -> list[Row]:
    """Buffers of which each lives together with the next one."""
    return [Row(f"b{k}", k, k + 2, 16, 16, offset + 16 * (k % 2)) for k in range(count)]


@pytest.mark.parametrize("seed", range(8))
def test_every_pair_alive_together_is_in_one_window(seed: int) -> None:
    source = random.Random(seed)
    rows = []
    for number in range(120):
        lower = source.randrange(200)
        upper = lower + source.randint(1, 9)
        rows.append(Row(f"b{number}", lower, upper, 16, 16, 0))
    cut = windows(rows, 20)
    assert isinstance(cut, list) and len(cut) > 4
    assert all(len(one) <= 20 for one in cut)
    together = {frozenset((a.name, b.name)) for one in cut for a, b in combinations(one, 2)}
    for a, b in combinations(rows, 2):
        if a.lower < b.upper and b.lower < a.upper:
            assert frozenset((a.name, b.name)) in together
    assert {row.name for one in cut for row in one} == {row.name for row in rows}


def test_a_step_with_too_many_is_said() -> None:
    rows = [Row(f"b{k}", 0, 5, 16, 16, 16 * k) for k in range(9)]
    assert isinstance(windows(rows, 9), list)
    assert windows(rows, 8) == "more than 8 buffers live in step 0"


def verdicts(rows: list[Row], capacity: int) -> dict[str, str]:
    return {one.property: one.verdict for one in confirm_long(rows, capacity)}


def test_a_long_arena_is_proved_and_one_pair_in_it_refused() -> None:
    rows = chain(150)
    assert certify(rows, Claim(32, 32)).holds
    assert set(verdicts(rows, 32).values()) == {"PROVED"}
    rows[97] = replace(rows[97], offset=rows[96].offset)
    found = verdicts(rows, 32)
    assert found.pop("arena_disjoint") == "VIOLATED"
    assert set(found.values()) == {"PROVED"}


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"offset": 32}, "arena_inside"), ({"offset": 8, "size": 4}, "arena_aligned")],
)
def test_one_buffer_among_many_that_is_wrong_is_found(change: dict[str, int], rule: str) -> None:
    rows = chain(70)
    rows[69] = replace(rows[69], **change)
    assert verdicts(rows, 32)[rule] == "VIOLATED"


def test_what_is_not_asked_is_unknown_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(f"b{k}", 0, 5, 16, 16, 16 * k) for k in range(65)]
    found = confirm_long(rows, 16 * 65)
    assert {one.verdict for one in found} == {"UNKNOWN"} and not any(one.met for one in found)
    assert "more than 64 buffers live in step 0" in found[0].detail
    monkeypatch.setattr(module, "LONGEST", 2)
    assert "150 buffers make 3 windows" in confirm_long(chain(150), 32)[0].detail


def test_a_limit_that_is_too_small_is_unknown() -> None:
    found = confirm_long(chain(70), 32, limit=1)
    assert {one.verdict for one in found} == {"UNKNOWN"}
