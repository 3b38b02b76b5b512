"""The checker of arenas: every rule has a plan that breaks it and nothing else."""

from __future__ import annotations

import ast
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.plan.certificate import arena
from tessera.plan.certificate.arena import Claim, Row, certify, read_plan

GOOD = (
    Row("a", 0, 4, 8, 4, 0),
    Row("b", 2, 6, 4, 4, 8),
    Row("c", 4, 6, 8, 8, 0),
)
CLAIM = Claim(capacity=12, peak=12, load=12)


def broken(rows: tuple[Row, ...], claim: Claim) -> dict[str, str]:
    return {ruling.rule: ruling.broken for ruling in certify(rows, claim).rulings if ruling.broken}


def moved(name: str, **changes: int) -> tuple[Row, ...]:
    return tuple(replace(row, **changes) if row.name == name else row for row in GOOD)


def test_a_good_plan_passes_every_rule() -> None:
    judged = certify(GOOD, CLAIM)
    assert judged.holds
    assert [ruling.rule for ruling in judged.rulings] == list(arena.RULES)
    assert (judged.buffers, judged.steps, judged.pairs) == (3, 4, 2)


@pytest.mark.parametrize(
    ("rule", "rows", "claim", "words"),
    [
        ("arena_disjoint", moved("c", offset=8), replace(CLAIM, peak=16, capacity=16), "step 4"),
        ("arena_inside", GOOD, replace(CLAIM, capacity=11), "b lies at [8, 12) from step 2"),
        ("arena_inside", moved("a", offset=-8), CLAIM, "a lies at [-8, 0)"),
        ("arena_aligned", moved("c", alignment=3, offset=1, size=7), CLAIM, "c lies at 1"),
        ("arena_peak", GOOD, replace(CLAIM, peak=11), "b ends at 12"),
        ("arena_peak", GOOD, replace(CLAIM, peak=13, capacity=13), "b ends at 12"),
        ("arena_bound", GOOD, replace(CLAIM, load=13), "12 bytes"),
    ],
)
def test_each_rule_refuses(rule: str, rows: tuple[Row, ...], claim: Claim, words: str) -> None:
    found = broken(rows, claim)
    assert list(found) == [rule]
    assert words in found[rule]


def test_an_overlap_names_both_buffers_the_step_and_the_bytes() -> None:
    rows = moved("b", offset=4)
    found = broken(rows, replace(CLAIM, peak=8))
    assert found["arena_disjoint"] == (
        "a and b are both alive in step 2 and share the bytes [4, 8)"
    )


def test_one_byte_of_overlap_is_enough() -> None:
    rows = (Row("a", 0, 2, 5, 1, 0), Row("b", 1, 3, 5, 1, 4))
    assert "[4, 5)" in broken(rows, Claim(9, 9))["arena_disjoint"]


def test_neighbours_in_time_may_take_the_same_bytes() -> None:
    rows = (Row("a", 0, 2, 5, 1, 0), Row("b", 2, 3, 5, 1, 0))
    assert certify(rows, Claim(5, 5, 5)).holds


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (Row("a", 1, 1, 4, 1, 0),),
        (Row("a", 0, 1, 0, 1, 0),),
        (Row("a", 0, 1, 4, 0, 0),),
        (Row("a", 0, 1, 4, 1, 0), Row("a", 1, 2, 4, 1, 0)),
    ],
)
def test_of_an_unsound_plan_nothing_holds(rows: tuple[Row, ...]) -> None:
    judged = certify(rows, Claim(4, 4))
    assert not any(ruling.holds for ruling in judged.rulings)


SHARING = (Row("in", 0, 3, 8, 1, 0), Row("out", 2, 5, 8, 1, 0))
PAIR = frozenset({("in", "out")})


def test_a_pair_shares_its_place_only_where_it_may() -> None:
    claim = Claim(8, 8, 8, PAIR)
    assert certify(SHARING, claim).holds
    assert "in and out" in broken(SHARING, replace(claim, shared=frozenset()))["arena_disjoint"]
    turned = replace(claim, shared=frozenset({("out", "in")}))
    assert "arena_disjoint" in broken(SHARING, turned)


@pytest.mark.parametrize("change", [{"offset": 4}, {"size": 7}, {"lower": 1}])
def test_a_pair_shares_whole_and_for_one_step(change: dict[str, int]) -> None:
    rows = (SHARING[0], replace(SHARING[1], **change))
    peak = max(row.offset + row.size for row in rows)
    found = broken(rows, Claim(16, peak, None, PAIR))
    assert list(found) == ["arena_shared"]
    assert "in and out" in found["arena_shared"]


@pytest.mark.parametrize("seed", range(30))
def test_the_sweep_agrees_with_looking_at_every_byte_of_every_step(seed: int) -> None:
    source = random.Random(seed)
    rows = []
    for number in range(5):
        lower, size = source.randrange(8), source.randint(1, 4)
        rows.append(
            Row(f"r{number}", lower, lower + source.randint(1, 4), size, 1, source.randrange(14))
        )
    clash = False
    for step in range(12):
        taken = [
            x for r in rows if r.lower <= step < r.upper for x in range(r.offset, r.offset + r.size)
        ]
        clash = clash or len(taken) != len(set(taken))
    peak = max(row.offset + row.size for row in rows)
    assert ("arena_disjoint" in broken(tuple(rows), Claim(peak, peak))) == clash


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"buffers": [], "capacity": "12", "height": 1},
        {"buffers": [{"id": "a"}], "capacity": 12, "height": 12},
        {"buffers": 3, "capacity": 12, "height": 12},
    ],
)
def test_what_is_no_plan_is_bad_input(document: dict[str, object]) -> None:
    with pytest.raises(TesseraError, match="not a plan"):
        read_plan(document)


def test_the_checker_shares_no_code_with_the_planner() -> None:
    assert arena.__file__ is not None
    tree = ast.parse(Path(arena.__file__).read_text(encoding="utf-8"))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    imported |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert {n for n in imported if n and n.startswith("tessera")} == {"tessera.errors"}
