"""Choice under a budget: against every cover, and the figures of candidates against schedules."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import pytest
from tile_graphs import Net, mobile, quantised, residual

from tessera.errors import TesseraError
from tessera.plan.cost import Counts, counts_of, time_of
from tessera.plan.graph import Graph
from tessera.plan.tiles.assess import Candidate
from tessera.plan.tiles.candidates import Space, blocks_up_to, of_group
from tessera.plan.tiles.choose import Chooser, least, pick
from tessera.plan.tiles.explain import explain
from tessera.plan.tiles.schedule import schedule
from tessera.plan.tiles.steps import Choice, Group, Weights
from tessera.plan.tiles.units import units_of

GRAPHS = {"mobile": mobile, "residual": residual, "quantised": quantised}
SMALL = Space(longest=6, bands=(1, 4), blocks=(1, 4))


@lru_cache
def _chooser(name: str) -> Chooser:
    return Chooser(GRAPHS[name](), SMALL)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_candidate_says_what_its_schedule_takes_and_costs(name: str) -> None:
    """Every candidate of some groups, alone between units run one by one."""
    graph = GRAPHS[name]()
    units = units_of(graph)
    rates = SMALL.rates
    spans = [(0, 3), (2, 5), (1, 2), (len(units) - 2, len(units))]
    for start, stop in spans:
        for one in of_group(units, start, stop, SMALL):
            around = [Group(u, u + 1, Choice()) for u in range(len(units))]
            groups = [*around[:start], Group(start, stop, one.choice), *around[stop:]]
            plan = schedule(units, groups)
            mine = [index for index, step in enumerate(plan.steps) if step.group == start]
            steps = [plan.steps[index] for index in mine]
            loads = plan.loads()
            said = f"{start}:{stop} {one.choice}"
            assert max(loads[i] for i in mine) - one.resident == one.transient, said
            assert sum((counts_of(graph, s) for s in steps), Counts()) == one.counts, said
            assert time_of(graph, steps, rates) == pytest.approx(one.cost), said


def _covers(candidates: list[Candidate], at: int, end: int) -> list[list[Candidate]]:
    if at == end:
        return [[]]
    return [
        [one, *rest]
        for one in candidates
        if one.start == at
        for rest in _covers(candidates, one.stop, end)
    ]


def _needs(cover: list[Candidate]) -> int:
    return sum(one.resident for one in cover) + max(one.transient for one in cover)


def _tiny() -> Graph:
    net = Net(1, 2, 8, 8)
    x = net.conv(net.x, 4)
    return net.finish(net.node("Add", net.conv(x, 4).name, x.name))


def test_blocks_to_try_are_powers_of_two_and_the_most() -> None:
    assert blocks_up_to(1) == (1,)
    assert blocks_up_to(32) == Space().blocks
    assert blocks_up_to(48) == (1, 2, 4, 8, 16, 32, 48)


def test_more_blocks_lower_the_least() -> None:
    coarse, fine = (
        Chooser(residual(), Space(longest=3, bands=(1,), blocks=blocks_up_to(most))).minimise()
        for most in (1, 8)
    )
    assert fine.placement.height < coarse.placement.height
    assert len(fine.schedule.steps) > len(coarse.schedule.steps)


def test_the_pick_is_the_best_of_all_covers() -> None:
    chooser = Chooser(_tiny(), Space(bands=(1, 3), blocks=(1, 2)))
    candidates, units = chooser.candidates, len(chooser.units)
    covers = _covers(candidates, 0, units)
    assert len(covers) > 30
    low = min(map(_needs, covers))
    assert least(candidates, units)[0] == low
    assert pick(candidates, units, low - 1) is None
    for budget in range(low, max(map(_needs, covers)) + 64, 112):
        best = min(sum(one.cost for one in cover) for cover in covers if _needs(cover) <= budget)
        found = pick(candidates, units, budget)
        assert found is not None
        assert _needs(found) <= budget
        assert math.isclose(sum(one.cost for one in found), best)


@pytest.mark.parametrize("name", GRAPHS)
def test_plans_stay_inside_their_budgets_and_more_memory_costs_no_more(name: str) -> None:
    chooser = _chooser(name)
    low = chooser.minimise().placement.height
    costs = []
    for budget in (low, low * 5 // 4, low * 2, low * 8):
        plan = chooser.choose(budget)
        assert plan.schedule.peak <= plan.placement.height <= budget
        costs.append(plan.cost)
        assert plan.cost == pytest.approx(
            time_of(plan.schedule.graph, plan.schedule.steps, SMALL.rates)
        )
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]


@pytest.mark.parametrize("name", GRAPHS)
def test_a_budget_too_small_names_the_layer_and_the_least_budget(name: str) -> None:
    chooser = _chooser(name)
    low = chooser.minimise().placement.height
    with pytest.raises(TesseraError) as error:
        chooser.choose(low - 1)
    nodes = {node.name for node in chooser.units.graph.nodes}
    assert error.value.message.split("'")[1] in nodes
    assert f"{low:,} bytes" in error.value.remedy
    assert chooser.choose(low).placement.height == low


def test_fusing_lowers_the_least_budget_below_what_whole_layers_need() -> None:
    graph = mobile()
    fused = _chooser("mobile").minimise().schedule.peak
    whole = Chooser(graph, Space(longest=6, bands=(), blocks=(1, 4))).minimise().schedule.peak
    assert fused < whole
    largest = max(one.bytes for one in graph.tensors.values() if one.data is None)
    assert fused < 2 * largest


def test_a_residual_sum_may_be_cut_anywhere() -> None:
    """Groups that begin or end inside a block: the skipped tensor is alive, whole, at the cut."""
    graph = residual()
    units = units_of(graph)
    add = next(i for i in range(len(units)) if units.name(i).startswith("Add"))
    for cut in range(1, add + 1):
        groups = [Group(0, cut, Choice(band=2)), Group(cut, len(units), Choice())]
        assert schedule(units, groups).peak > 0


def test_explain_has_every_layer_and_the_choice_is_the_cheapest_that_fits() -> None:
    chooser = _chooser("residual")
    budget = chooser.minimise().placement.height * 3 // 2
    plan = chooser.choose(budget)
    told = explain(plan, budget, SMALL)
    assert [one.name for one in told] == [chooser.units.name(u) for u in range(len(chooser.units))]
    for one in told:
        cheaper = [other for other in one.alternatives if other.fits and other.cost < one.cost]
        assert not cheaper, one.name
    assert any(one.recompute > 0 for one in told if one.choice.band is not None)
    assert all(one.recompute == 0 for one in told if one.choice.band is None)


def test_everything_is_resident_when_there_is_room() -> None:
    plan = _chooser("mobile").choose(1 << 24)
    assert {one.choice.weights for one in plan.chosen} == {Weights.RESIDENT}
    assert sum(one.counts.loaded for one in plan.chosen) == 0


def test_the_same_plan_every_time() -> None:
    first, second = (Chooser(quantised(), SMALL).choose(3_000) for _ in range(2))
    assert first.placement.offsets == second.placement.offsets
    assert [s.label for s in first.schedule.steps] == [s.label for s in second.schedule.steps]


def test_no_budget_is_an_error_and_not_a_plan() -> None:
    for budget in (0, -1):
        with pytest.raises(TesseraError):
            _chooser("quantised").choose(budget)


def test_candidates_that_are_beaten_are_left_out() -> None:
    chooser = _chooser("mobile")
    for span, group in itertools.groupby(chooser.candidates, key=lambda c: (c.start, c.stop)):
        for one, other in itertools.permutations(list(group), 2):
            beaten = (
                other.transient <= one.transient
                and other.resident <= one.resident
                and other.cost <= one.cost
            )
            assert not beaten, span
