"""Interval maps against plain dicts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tessera.model.intervals import IntervalMap, complement, merge

SIZE = 24
edges = st.integers(0, SIZE)
writes = st.lists(st.tuples(edges, edges, st.sampled_from("abc")), max_size=12)


@given(writes)
def test_behaves_like_a_dict(ranges: list[tuple[int, int, str]]) -> None:
    made, model = IntervalMap("z", SIZE), dict.fromkeys(range(SIZE), "z")
    for lo, hi, value in ranges:
        made = made.set(lo, hi, value)
        model.update(dict.fromkeys(range(lo, hi), value))
    assert [made[i] for i in range(SIZE)] == list(model.values())
    spread = [v for lo, hi, v in made.runs(0, SIZE) for _ in range(lo, hi)]
    assert spread == list(model.values())


@given(writes)
def test_equal_contents_are_equal_maps(ranges: list[tuple[int, int, str]]) -> None:
    made = IntervalMap("z", SIZE)
    for lo, hi, value in ranges:
        made = made.set(lo, hi, value)
    point_by_point = IntervalMap("z", SIZE)
    for i in reversed(range(SIZE)):
        point_by_point = point_by_point.set(i, i + 1, made[i])
    assert made == point_by_point
    assert hash(made) == hash(point_by_point)
    assert all(a != b for a, b in pairwise(made.values))


def test_a_change_makes_another_map() -> None:
    base = IntervalMap("z", SIZE)
    assert base.set(3, 5, "a") != base
    assert base[4] == "z"
    assert base.set(3, 3, "a") is base
    assert base.set(3, 5, "z") is base


def test_the_whole_of_a_width_is_one_run() -> None:
    top = 1 << 32
    made = IntervalMap("z", top).set(0, top, "a")
    assert made == IntervalMap("a", top)
    assert made.set(top - 1, top, "b")[top - 1] == "b"


@given(writes, edges, edges)
def test_runs_are_cut_to_the_range(ranges: list[tuple[int, int, str]], lo: int, hi: int) -> None:
    made = IntervalMap("z", SIZE)
    for a, b, value in ranges:
        made = made.set(a, b, value)
    spread = [made[i] for i in range(lo, hi)]
    assert [v for a, b, v in made.runs(lo, hi) for _ in range(a, b)] == spread


@given(st.sets(st.integers(0, SIZE - 1)))
def test_complement_and_merge(points: set[int]) -> None:
    true = merge([(p, p + 1) for p in points])
    rest = complement(true, 0, SIZE)
    inside = {p for lo, hi in true for p in range(lo, hi)}
    outside = {p for lo, hi in rest for p in range(lo, hi)}
    assert inside == points
    assert outside == set(range(SIZE)) - points
    assert all(a[1] < b[0] for a, b in pairwise(true))
