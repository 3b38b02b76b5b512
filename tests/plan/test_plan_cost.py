"""Counts per step against counts by hand, and the model over them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tile_graphs import Net, mobile, residual

from tessera.plan.cost import Coefficients, Counts, counts_of, layers, table, time_of
from tessera.plan.graph import Graph
from tessera.plan.tiles.rows import Rows
from tessera.plan.tiles.schedule import schedule
from tessera.plan.tiles.steps import Choice, Group, Kind, Schedule, Weights
from tessera.plan.tiles.units import Units, units_of


def _singles(units: Units, choice: Choice) -> Schedule:
    return schedule(units, [Group(u, u + 1, choice) for u in range(len(units))])


def _total(plan: Schedule) -> Counts:
    return sum((counts_of(plan.graph, one) for one in plan.steps), Counts())


def test_counts_of_a_convolution_by_hand() -> None:
    net = Net(1, 3, 8, 8)
    graph = net.finish(net.conv(net.x, 4, stride=2, name="c"))
    plan = _singles(units_of(graph), Choice(weights=Weights.STEP))
    fetch, load, compute = (counts_of(graph, one) for one in plan.steps)
    assert fetch == Counts(moved=3 * 64 * 4)
    assert load == Counts(loaded=(4 * 3 * 9 + 4) * 4, switches=1)
    assert compute == Counts(moved=(3 * 64 + 4 * 16) * 4, multiply_adds=4 * 16 * 3 * 9)


def test_a_grouped_convolution_multiplies_its_own_channels_only() -> None:
    net = Net(1, 8, 6, 6)
    graph = net.finish(net.conv(net.x, 8, group=8))
    plan = _singles(units_of(graph), Choice())
    assert _total(plan).multiply_adds == 8 * 36 * 9


@pytest.mark.parametrize("graph", [mobile(), residual()])
def test_bands_do_the_same_multiply_adds_and_reload_per_band(graph: Graph) -> None:
    units = units_of(graph)
    once = _total(_singles(units, Choice(weights=Weights.GROUP)))
    assert once.loaded == graph.weight_bytes
    cut = [Group(0, 3, Choice(band=2, weights=Weights.STEP))]
    cut += [Group(u, u + 1, Choice()) for u in range(3, len(units))]
    plan = schedule(units, cut)
    banded = _total(plan)
    assert banded.multiply_adds == once.multiply_adds
    bands = {one.rows for one in plan.steps if one.node and one.node.name == "stem"}
    stem = sum(graph.tensors[name].bytes for name in graph.nodes[0].inputs[1:])
    loads = layers(plan)["stem"].loaded
    assert len(bands) > 1
    assert loads == stem * len(bands)
    assert banded.moved > once.moved, "halo rows are read again"


def test_resident_constants_cost_nothing_per_inference() -> None:
    graph = mobile()
    units, rates = units_of(graph), Coefficients()
    kept = _singles(units, Choice(weights=Weights.RESIDENT))
    streamed = _singles(units, Choice(weights=Weights.GROUP))
    once = table(kept, rates)[0]
    assert (once.group, once.counts.loaded, once.cost) == (-1, graph.weight_bytes, 0.0)
    saved = time_of(graph, streamed.steps, rates) - time_of(graph, kept.steps, rates)
    loads = sum(1 for one in streamed.steps if one.kind is Kind.LOAD)
    assert saved == graph.weight_bytes * rates.byte_loaded + loads * rates.world_switch


def test_an_overlapped_load_costs_what_outlasts_the_compute() -> None:
    graph = mobile()
    units = units_of(graph)
    groups = [Group(0, len(units), Choice(weights=Weights.STEP, ahead=True))]
    steps = schedule(units, groups).steps
    free = Coefficients(byte_loaded=0.0, world_switch=0.0)
    assert time_of(graph, steps, free) == sum(counts_of(graph, s).cost(free) for s in steps)
    only_loads = Coefficients(byte_moved=0.0, multiply_add=0.0)
    assert time_of(graph, steps, only_loads) == sum(
        counts_of(graph, s).cost(only_loads) for s in steps
    )
    both = time_of(graph, steps, Coefficients())
    apart = [replace(one, overlaps=False) for one in steps]
    assert both < time_of(graph, apart, Coefficients())


def test_the_tables_add_up_to_the_whole() -> None:
    graph = residual()
    units = units_of(graph)
    groups = [Group(0, 5, Choice(band=3, weights=Weights.STEP, blocks=2))]
    groups += [Group(5, len(units), Choice(weights=Weights.RESIDENT))]
    plan = schedule(units, groups)
    by_layer = sum(layers(plan).values(), Counts())
    by_group = sum((one.counts for one in table(plan, Coefficients())), Counts())
    assert by_layer == by_group == _total(plan)
    assert {node.name for node in graph.nodes} <= set(layers(plan))


def test_a_block_of_channels_counts_its_share() -> None:
    net = Net(1, 3, 4, 4)
    graph = net.finish(net.conv(net.x, 6))
    plan = _singles(units_of(graph), Choice(weights=Weights.STEP, blocks=3))
    works = [one for one in plan.steps if one.kind is Kind.COMPUTE]
    assert [one.channels for one in works] == [Rows(0, 2), Rows(2, 4), Rows(4, 6)]
    assert {counts_of(graph, one).multiply_adds for one in works} == {2 * 16 * 27}
