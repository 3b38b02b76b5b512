"""The planner: against every order of small inputs, and against its own other half."""

from __future__ import annotations

import random

import pytest
from arena_cases import PAPER, drawn, lowest_height, small
from hypothesis import given, settings

from tessera.errors import TesseraError
from tessera.plan.arena import Budget, Buffer, plan_arena
from tessera.plan.arena.bounds import components, live_load, sections
from tessera.plan.arena.core import core_name, ordered, search
from tessera.plan.arena.document import plan_document
from tessera.plan.arena.exact import luby, ranked
from tessera.plan.arena.greedy import RULES, in_order, place
from tessera.plan.arena.ordered_plain import ordered_plain
from tessera.plan.arena.orders import ORDERS, ranks
from tessera.plan.arena.search_plain import search_plain
from tessera.plan.arena.task import EXHAUSTED, FOUND, STOPPED, task_of
from tessera.plan.certificate.arena import certify, read_plan


def clashes(buffers: tuple[Buffer, ...], offsets: tuple[int, ...]) -> list[tuple[str, str]]:
    """Pairs alive together that share a byte; neither planner nor checker."""
    rows = list(zip(buffers, offsets, strict=True))
    return [
        (b.name, c.name)
        for i, (b, o) in enumerate(rows)
        for c, p in rows[:i]
        if set(range(b.lower, b.upper)) & set(range(c.lower, c.upper))
        and set(range(o, o + b.size)) & set(range(p, p + c.size))
    ]


def test_the_papers_example_needs_twelve() -> None:
    plan = plan_arena(PAPER)
    assert (plan.height, plan.bound, plan.gap) == (12, 12, 0)
    assert clashes(PAPER, tuple(plan.offsets[b.name] for b in PAPER)) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small())
def test_the_search_finds_what_trying_all_orders_finds(buffers: tuple[Buffer, ...]) -> None:
    plan = plan_arena(buffers, budget=Budget(nodes=20_000))
    best = lowest_height(buffers)
    assert plan.height == best
    assert plan.bound <= best
    assert clashes(buffers, tuple(plan.offsets[b.name] for b in buffers)) == []
    assert certify(*read_plan(plan_document(plan))).holds


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small())
def test_an_exhausted_search_is_right(buffers: tuple[Buffer, ...]) -> None:
    """Just below the best there is nothing, at the best there is something."""
    task, best = task_of(buffers), lowest_height(buffers)
    for ceiling, status in ((best - 1, EXHAUSTED), (best, FOUND)):
        found = search_plain(task, ceiling, 50_000, 1, [16] * task.sections, (10, 1, 10, 1, 0))
        assert found.status == status


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small())
def test_an_exhausted_ordered_search_is_right(buffers: tuple[Buffer, ...]) -> None:
    """The same of the other search, whatever the rank is."""
    task, best = task_of(buffers), lowest_height(buffers)
    rank = [*range(len(buffers))]
    random.Random(best).shuffle(rank)
    for ceiling, status in ((best - 1, EXHAUSTED), (best, FOUND)):
        found = ordered_plain(task, ceiling, 50_000, rank)
        assert found.status == status
    assert clashes(buffers, found.offsets) == []
    assert [b.name for b, o in zip(buffers, found.offsets, strict=True) if o % b.alignment] == []


@pytest.mark.skipif(core_name() == "python", reason="there is no C compiler")
@pytest.mark.parametrize("seed", range(8))
def test_both_cores_of_the_ordered_search_take_the_same_decisions(seed: int) -> None:
    buffers = drawn(seed, 6 + 4 * seed, alignments=(1, 1, 4, 6))
    task, load = task_of(buffers), live_load(buffers)[0]
    source = random.Random(seed)
    for ceiling in (load - 1, load, load + 3, load + 12):
        rank = ranks(buffers, task, None, source)
        assert ordered(task, ceiling, 300, rank) == ordered_plain(task, ceiling, 300, rank)


def test_both_searches_agree_on_what_fits() -> None:
    """Aligned buffers: sums per section fit and parts fail after others were solved."""
    answers = set()
    for seed in (10, 12, 18, 25, 28, 36, 51, 61, 64):
        buffers = drawn(seed, 8, alignments=(1, 1, 4, 6))
        task, load = task_of(buffers), live_load(buffers)[0]
        rank = ranks(buffers, task, 0, random.Random(seed))
        for ceiling in (load + 1, load + 3):
            ours = ordered_plain(task, ceiling, 50_000, rank)
            weight = [16] * task.sections
            other = search_plain(task, ceiling, 50_000, 1, weight, (10, 1, 10, 1, 0))
            assert ours.status == other.status != STOPPED
            assert not ours.offsets or clashes(buffers, ours.offsets) == []
            answers.add(ours.status)
    assert answers == {FOUND, EXHAUSTED}


def test_ranks_are_fixed_first_and_shaken_then() -> None:
    buffers = drawn(4, 20)
    task, source = task_of(buffers), random.Random(1)
    fixed = [ranks(buffers, task, number, source) for number in range(len(ORDERS))]
    assert all(sorted(rank) == [*range(20)] for rank in fixed)
    assert fixed[1] == ranks(buffers, task, 1, random.Random(9))
    assert len({tuple(ranks(buffers, task, None, source)) for _ in range(6)}) > 1
    turns = [ranked(turn)[0] for turn in range(1, 40)]
    assert turns[:4] == turns[28:32] == [0, 1, 2, 3]
    assert set(turns[4:28]) == {None}
    assert ranked(29)[1] == 2 * ranked(1)[1]


@pytest.mark.skipif(core_name() == "python", reason="there is no C compiler")
@pytest.mark.parametrize("seed", range(8))
def test_both_cores_take_the_same_decisions(seed: int) -> None:
    buffers = drawn(seed, 6 + 3 * seed, alignments=(1, 1, 4, 6))
    task, load = task_of(buffers), live_load(buffers)[0]
    for ceiling in (load - 1, load, load + 3, 2 * load):
        weights = [16] * task.sections, [16] * task.sections
        ours = search(task, ceiling, 200, seed, weights[0], (1, 10, 100, 1, 100))
        plain = search_plain(task, ceiling, 200, seed, weights[1], (1, 10, 100, 1, 100))
        assert ours == plain
        assert weights[0] == weights[1]


def test_a_search_that_is_cut_short_proves_nothing() -> None:
    buffers = drawn(3, 40)
    task = task_of(buffers)
    found = search_plain(task, live_load(buffers)[0], 5, 1, [16] * task.sections, (1, 0, 0, 0, 0))
    assert (found.status, found.nodes) == (STOPPED, 5)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_keeps_buffers_apart_and_aligned(rule: str) -> None:
    buffers = drawn(11, 30, alignments=(1, 4, 16))
    offsets = place(buffers, rule)
    assert clashes(buffers, offsets) == []
    assert [b.name for b, o in zip(buffers, offsets, strict=True) if o % b.alignment] == []


def test_tflm_places_from_large_to_small_in_the_lowest_gap() -> None:
    buffers = (Buffer("s", 0, 4, 2), Buffer("l", 0, 2, 10), Buffer("m", 1, 4, 5))
    assert place(buffers, "tflm") == (15, 0, 10)


def test_best_fit_takes_the_tighter_gap() -> None:
    """Beside `new` there are gaps of 6 bytes at 0 and of 4 bytes at 8."""
    gone = (Buffer("g1", 0, 2, 6), Buffer("g2", 0, 2, 4))
    kept = (Buffer("k1", 0, 9, 2), Buffer("k2", 0, 9, 1))
    new = Buffer("new", 5, 9, 3)
    buffers = (gone[0], kept[0], gone[1], kept[1], new)
    assert in_order(buffers, range(5), best_fit=False)[4] == 0
    assert in_order(buffers, range(5), best_fit=True) == (0, 6, 8, 12, 8)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(small())
def test_the_order_of_the_rows_does_not_change_the_best_height(
    buffers: tuple[Buffer, ...],
) -> None:
    mixed = list(buffers)
    random.Random(5).shuffle(mixed)
    assert plan_arena(mixed).height == plan_arena(buffers).height


def test_the_same_input_gives_the_same_plan() -> None:
    buffers = drawn(7, 25)
    first, second = (plan_arena(buffers, budget=Budget(nodes=300)) for _ in range(2))
    assert plan_document(first) == plan_document(second)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small(10))
def test_sections_and_components_are_those_of_the_steps(buffers: tuple[Buffer, ...]) -> None:
    alive = [
        frozenset(i for i, b in enumerate(buffers) if b.lower <= step < b.upper)
        for step in range(12)
    ]
    largest = {a for a in alive if a and not any(a < other for other in alive)}
    found = sections(buffers)
    assert {frozenset(s.members) for s in found} == largest
    assert len(found) == len(largest)
    assert live_load(buffers)[0] == max(sum(buffers[i].size for i in a) for a in alive)
    groups = components(buffers)
    assert sorted(i for group in groups for i in group) == list(range(len(buffers)))
    home = {i: g for g, group in enumerate(groups) for i in group}
    assert all(len({home[i] for i in a}) <= 1 for a in alive)
    assert len(groups) == 1 + sum(
        1
        for step in range(1, 12)
        if alive[step] and any(alive[:step]) and not alive[step] & alive[step - 1]
    )


def test_an_alias_takes_the_place_of_what_dies() -> None:
    buffers = (Buffer("in", 0, 3, 8), Buffer("out", 2, 5, 8))
    apart, shared = plan_arena(buffers), plan_arena(buffers, aliases=[("in", "out")])
    assert (apart.height, shared.height) == (16, 8)
    assert shared.shared == (("in", "out"),)
    assert certify(*read_plan(plan_document(shared))).holds


def test_one_place_is_not_given_away_twice() -> None:
    buffers = (Buffer("in", 0, 3, 8), Buffer("x", 2, 5, 8), Buffer("y", 2, 5, 8))
    plan = plan_arena(buffers, aliases=[("in", "x"), ("in", "y")])
    assert (plan.height, plan.shared) == (16, (("in", "x"),))


@pytest.mark.parametrize(
    ("buffers", "aliases", "words"),
    [
        ([Buffer("a", 3, 3, 1)], [], "lives in no step"),
        ([Buffer("a", 0, 3, 0)], [], "size of 0"),
        ([Buffer("a", 0, 3, 1, 0)], [], "alignment of 0"),
        ([Buffer("a", 0, 3, 1), Buffer("a", 0, 3, 1)], [], "two buffers"),
        ([Buffer("a", 0, 3, 1 << 48), Buffer("b", 0, 3, 1)], [], "together"),
        ([Buffer("a", 0, 3, 1)], [("a", "z")], "no buffer z"),
        ([Buffer("a", 0, 3, 1), Buffer("b", 1, 3, 1)], [("a", "b")], "take the place"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    buffers: list[Buffer], aliases: list[tuple[str, str]], words: str
) -> None:
    with pytest.raises(TesseraError, match=words) as raised:
        plan_arena(buffers, aliases=aliases)
    assert raised.value.remedy


def test_lubys_sequence() -> None:
    assert [luby(i) for i in range(1, 16)] == [1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8]
