"""Plans of networks: from a graph to data, checked, and run tile by tile like the untiled run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tile_graphs import Net, inputs_of, mobile, quantised, residual

from tessera.errors import TesseraError
from tessera.plan import zoo
from tessera.plan.certificate.tiles import certify_plan
from tessera.plan.cost import Coefficients
from tessera.plan.curve import METHODS, curve, curve_csv
from tessera.plan.digest import digest
from tessera.plan.execute import run
from tessera.plan.graph import DType, Graph
from tessera.plan.make import make_plan
from tessera.plan.network import plan_network
from tessera.plan.passes.integers import fuse_integers
from tessera.plan.passes.simplify import simplify
from tessera.plan.plan import from_json
from tessera.plan.quantise.qdq import quantise
from tessera.plan.quantise.samples import generated
from tessera.plan.tiles.bands import can_band
from tessera.plan.tiles.candidates import Space
from tessera.plan.tiles.choose import Chooser
from tessera.plan.tiles.place import by_arena, by_first_fit, load_of
from tessera.plan.tiles.profile import GroupView
from tessera.plan.tiles.run import TiledRun
from tessera.plan.tiles.schedule import group_items, group_pieces
from tessera.plan.tiles.steps import Buffer, Choice, whole
from tessera.plan.tiles.tables import Tables
from tessera.plan.tiles.units import units_of
from tessera.plan.tiles.untiled import untiled


def budgets_of(chooser: Chooser) -> list[int | None]:
    """The least (none), everything resident, and one in between."""
    low, high = chooser.minimise().placement.height, untiled(chooser.units).resident
    return [None, (low + high) // 2, high]


def int8_digits() -> Graph:
    """The trained digits network in integers."""
    graph = simplify(zoo.build("lenet_digits"))
    return simplify(fuse_integers(simplify(quantise(graph, generated(graph, 2, 0)).graph)))


SMALL = Space(longest=5, bands=(1, 4), blocks=(1, 4))
GRAPHS: dict[str, Callable[[], Graph]] = {
    "mobile": mobile,
    "residual": residual,
    "quantised": quantised,
    "int8 digits": int8_digits,
    "lenet": lambda: simplify(zoo.build("lenet_digits")),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_three_budgets_planned_certified_and_run_like_the_untiled_network(name: str) -> None:
    graph = GRAPHS[name]()
    chooser = Chooser(graph, SMALL)
    inputs = inputs_of(graph)
    expected = run(graph, inputs)
    peaks = []
    for budget in budgets_of(chooser):
        found = chooser.minimise() if budget is None else chooser.choose(budget)
        plan = make_plan(found, budget, SMALL)
        judged = certify_plan(json.loads(json.dumps(plan.to_json())), graph)
        assert judged.holds, [one for one in judged.rulings if not one.holds]
        assert plan.peak == found.placement.height <= (budget or plan.peak)
        tiled = TiledRun(found.schedule, found.placement.offsets, plan.peak).run(inputs)
        for output, values in expected.items():
            if graph.tensors[output].dtype is DType.FLOAT32 and "int8" not in name:
                np.testing.assert_allclose(tiled[output], values, rtol=1e-5, atol=1e-6)
            else:
                np.testing.assert_array_equal(tiled[output], values)
        peaks.append(plan.peak)
    assert peaks == sorted(peaks)
    assert peaks[0] < peaks[-1]


def test_a_plan_says_what_its_schedule_does() -> None:
    chooser = Chooser(mobile(), SMALL)
    found = chooser.choose(chooser.minimise().placement.height * 2)
    plan = make_plan(found, 1 << 20, SMALL)
    assert from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert len(plan.steps) == len(found.schedule.steps)
    assert plan.peak == max(one.offset + one.size for one in plan.buffers)
    assert plan.offsets.load == max(found.schedule.loads())
    assert plan.costs.cost == pytest.approx(sum(one.costs.cost for one in plan.groups))
    assert plan.costs.multiply_adds == sum(one.costs.multiply_adds for one in plan.layers)
    assert [n for group in plan.groups for n in group.layers] == [
        found.units.name(unit) for unit in range(len(found.units))
    ]


def test_without_a_budget_everything_stays() -> None:
    plan = plan_network(mobile(), space=SMALL)
    assert plan.budget is None
    assert plan.costs.loaded == 0
    assert plan.peak <= plan.untiled.resident
    least = plan_network(mobile(), minimise=True, space=SMALL)
    assert least.peak < least.untiled.streamed


def test_too_small_a_budget_names_the_layer_and_the_least_budget_which_then_works() -> None:
    least = plan_network(residual(), minimise=True, space=SMALL).peak
    with pytest.raises(TesseraError, match="does not fit into") as error:
        plan_network(residual(), least - 16, space=SMALL)
    assert f"the least budget that works is {least:,} bytes" in error.value.remedy
    assert plan_network(residual(), least, space=SMALL).peak == least


def test_nothing_to_run_is_refused() -> None:
    net = Net(1, 3, 4, 4)
    with pytest.raises(TesseraError, match="no nodes"):
        plan_network(net.finish(net.x))


def test_the_digest_is_of_what_is_computed() -> None:
    graph = mobile()
    assert digest(graph) == digest(mobile())
    assert digest(graph) != digest(residual())
    name = graph.constants()[0].name
    data = np.array(graph.tensors[name].data)
    data.flat[0] += 1
    other = replace(graph, tensors={**graph.tensors, name: replace(graph.tensors[name], data=data)})
    assert digest(other) != digest(graph)


@pytest.mark.parametrize("name", ["mobile", "residual"])
def test_pieces_in_arrays_are_the_pieces_of_the_sweep(name: str) -> None:
    units = units_of(GRAPHS[name]())
    tables = Tables(units)
    seen = 0
    for start in range(len(units)):
        for stop in range(start + 2, min(len(units), start + 4) + 1):
            items = group_items(units, start, stop)
            if not can_band(items, units.graph.tensors):
                continue
            view = GroupView(tables, start, stop)
            for rolling in (False, True):
                pieces = group_pieces(units, start, stop, Choice(band=3, rolling=rolling))
                if pieces[0].rows is None:
                    continue
                made = view.cut(3, rolling)
                assert [items[i] for i in made.item] == [one.item for one in pieces]
                seen += len(pieces)
    assert seen > 200


def test_the_curve_has_all_methods_and_ours_is_never_dearer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = {
        k: replace(v, longest=min(v.longest, 5), bands=v.bands[:2]) for k, v in METHODS.items()
    }
    monkeypatch.setattr("tessera.plan.curve.METHODS", small)
    points = curve(mobile(), points=5)
    assert {one.method for one in points} == set(METHODS)
    assert all(one.peak <= one.budget for one in points)
    ours = [one for one in points if one.method == "ours"]
    assert min(one.budget for one in ours) == min(one.budget for one in points)
    for one in points:
        rival = min(p.cost for p in ours if p.budget <= one.budget)
        assert rival <= one.cost * (1 + 1e-9), one
    lines = curve_csv(points).splitlines()
    assert lines[0].startswith("model,method,budget,peak,cost")
    assert len(lines) == len(points) + 1


def test_the_curve_takes_rates_and_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"ours": replace(SMALL, longest=2)}
    monkeypatch.setattr("tessera.plan.curve.METHODS", small)
    heard: list[str] = []
    dear = Space(rates=Coefficients(byte_loaded=80.0), packed=True)
    plain = curve(mobile(), points=2)
    packed = curve(mobile(), 2, dear, heard.append)
    assert packed[0].loaded < plain[0].loaded and packed[0].decoded > 0 == plain[0].decoded
    assert heard[0] == "ours: the ways to run every layer"
    assert len(heard) == 1 + len(packed)


def test_placing_reaches_the_largest_load_where_one_pass_does_not() -> None:
    """Large to small leaves a hole under the third buffer; moved to the front, it fits."""
    given = [("a", 0, 2, 64), ("b", 1, 4, 48), ("c", 3, 6, 64), ("d", 5, 8, 32), ("e", 2, 6, 16)]
    given += [("f", 0, 1, 48), ("g", 6, 8, 80)]
    buffers = [Buffer(n, n, whole((size,)), None, size, a, b) for n, a, b, size in given]
    for placer in (by_first_fit, by_arena):
        placed = placer(buffers, 0)
        assert placed.height >= placed.bound >= load_of(buffers)
        for one in buffers:
            assert placed.offsets[one.name] % 16 == 0
            for other in buffers:
                if one.name < other.name and one.lower < other.upper and other.lower < one.upper:
                    a, b = placed.offsets[one.name], placed.offsets[other.name]
                    assert a + one.size <= b or b + other.size <= a
    assert by_arena(buffers).height == load_of(buffers)


def test_rates_change_what_is_chosen() -> None:
    """Loads that cost nothing are not avoided; dear ones are."""
    graph = mobile()
    budget = Chooser(graph, SMALL).minimise().placement.height * 2
    cheap = replace(SMALL, rates=Coefficients(byte_loaded=0.0, world_switch=0.0))
    dear = replace(SMALL, rates=Coefficients(byte_loaded=1000.0))
    loaded = [Chooser(graph, space).choose(budget) for space in (cheap, dear)]
    first, second = (sum(c.counts.loaded for c in one.chosen) for one in loaded)
    assert second <= first
