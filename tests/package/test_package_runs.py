"""Packages run by the C executor: equal to the reference, int8 to the bit, float32 within units.

A unit is the spacing of float32 at the largest output. The executor sums in float32, the reference
in float64: for the sums of up to 576 products here, a few units are what rounding explains.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from package_cases import Layers, contents, network

from tessera.package import layouts
from tessera.package.contents import Contents
from tessera.package.pack import Packing, pack
from tessera.plan import zoo
from tessera.plan.execute import run
from tessera.plan.graph import Graph
from tessera.plan.graph_ops import (
    AlphaAttrs,
    AxisAttrs,
    ClipAttrs,
    EpsilonAttrs,
    HardSigmoidAttrs,
    PoolAttrs,
    ReduceAttrs,
    ResizeAttrs,
    SliceAttrs,
)
from tessera.plan.network import plan_network

UNITS = 8.0
BUDGETS = (400_000, 20_000, None)


def _compare(
    bench: ModuleType, program: Path, graph: Graph, made: Contents, most: float = UNITS
) -> None:
    """Runs twice, so that the second inference starts with what the first left."""
    inputs = zoo.sample(graph, 3)
    ran = bench.execute(program, made, graph, inputs, times=2)
    assert tuple(ran.once["order"]) == made.once and tuple(ran.each["order"]) == made.each
    reference = run(graph, inputs)
    assert ran.outputs
    for name, one in zip(graph.outputs, ran.outputs, strict=True):
        if one.dtype == np.float32:
            assert bench.units(one, reference[name]) <= most, name
        else:
            assert (one == reference[name]).all(), name


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("int8", [False, True])
def test_the_digits_network(
    bench: ModuleType, program: Path, int8: bool, budget: int | None
) -> None:
    """Its logits come right from integers, so that int8 has no rounding of its own."""
    made = contents("lenet_digits", int8, budget)
    most = 0.0 if int8 else UNITS
    _compare(bench, program, network("lenet_digits", int8), made, most)


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("budget", [200_000, None])
def test_branches_groups_and_several_outputs(
    bench: ModuleType, program: Path, int8: bool, budget: int | None
) -> None:
    _compare(bench, program, network("mixed", int8), contents("mixed", int8, budget))


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("compress", [False, True])
def test_small_blocks(bench: ModuleType, program: Path, int8: bool, compress: bool) -> None:
    made = contents("lenet_digits", int8, 100_000, 1024, compress)
    assert made.manifest.chunk == 1024
    _compare(bench, program, network("lenet_digits", int8), made)


def _shrunk(net: Layers) -> Graph:
    """What the zoo has not: averages of all kinds, slices, upsampling, curves, a batch norm in
    front of everything, a mean over axes."""
    first = net.node("BatchNormalization", [net.x, *net.statistics(4)], EpsilonAttrs(1e-3))
    a = net.pool(first, "AveragePool", whole=True)
    b = net.pool(first, "AveragePool")
    c = net.node("Concat", [a, b], AxisAttrs(1))
    d = net.node("Slice", [c], SliceAttrs((0, 2, 0, 0), (1, 5, 8, 7), (1,) * 4))
    attrs = ResizeAttrs("nearest", "asymmetric", "floor", (1.0, 1.0, 2.0, 2.0), (1, 5, 16, 14))
    e = net.node("Clip", [net.node("Resize", [d], attrs)], ClipAttrs(0.2, 0.7))
    f = net.node("HardSigmoid", [net.conv(e, 6)], HardSigmoidAttrs(0.2, 0.5))
    g = net.node("Tanh", [net.node("HardSwish", [f])])
    pool = PoolAttrs((2, 3), (2, 1), (0, 1, 1, 2), (1, 1))
    h = net.node("MaxPool", [net.node("LeakyRelu", [g], AlphaAttrs(0.1))], pool)
    mean = net.node("ReduceMean", [h], ReduceAttrs((2, 3), False))
    return net.done(
        net.node("GlobalMaxPool", [h]), h, mean, net.node("Erf", [net.node("Exp", [d])])
    )


@pytest.mark.parametrize("minimise", [False, True])
def test_what_the_zoo_does_not_have(bench: ModuleType, program: Path, minimise: bool) -> None:
    graph = _shrunk(Layers(1, 4, 16, 14))
    plan = plan_network(graph, None if minimise else 1 << 20, minimise=minimise)
    _compare(bench, program, graph, pack(graph, plan, Packing("shrunk")).contents)


@pytest.mark.parametrize("int8", [False, True])
def test_weights_in_other_lanes_are_seen(
    bench: ModuleType, program: Path, monkeypatch: pytest.MonkeyPatch, int8: bool
) -> None:
    """What is compared depends on the layout: with 4 lanes for 8, outputs differ."""
    monkeypatch.setattr(layouts, "LANES", 4)
    graph = network("lenet_digits", int8)
    made = pack(graph, plan_network(graph, 100_000), Packing("x")).contents
    with pytest.raises(AssertionError):
        _compare(bench, program, graph, made)


def test_a_package_of_another_program_does_not_run(bench: ModuleType, program: Path) -> None:
    """The driver refuses, and nothing is taken for an output."""
    made = contents("mixed", False, 200_000)
    short = replace(made, blocks=made.blocks[:-1])
    with pytest.raises(RuntimeError, match="no such block"):
        bench.execute(program, short, network("mixed"), zoo.sample(network("mixed"), 3))
    moved = (made.blocks[0], made.blocks[2], made.blocks[1], *made.blocks[3:])
    with pytest.raises(RuntimeError, match=r"bad code|no such block"):
        bench.execute(
            program, replace(made, blocks=moved), network("mixed"), zoo.sample(network("mixed"), 3)
        )


def test_the_bench_says_what_does_not_hold(bench: ModuleType, tmp_path: Path) -> None:
    """A row with other integers, another order or too many units ends with exit code 1."""
    good = {"feed_kept": True, "integers_equal": True, "units": 2.0}
    assert bench.holds(good, 2.0) and bench.holds({**good, "integers_equal": None}, 2.0)
    for bad in ({"feed_kept": False}, {"integers_equal": False}, {"units": 2.5}):
        assert not bench.holds({**good, **bad}, 2.0)


def test_units_are_spacings_at_the_largest(bench: ModuleType) -> None:
    reference = np.array([1.0, 9.0], np.float32)
    made = np.array([1.0 + 2 * np.spacing(np.float32(9)), 9.0], np.float32)
    assert bench.units(made, reference) == 2.0


def test_integers_before_the_last_floats_are_given_out(bench: ModuleType) -> None:
    graph = bench.with_integers(network("mixed", True))
    kinds = [graph.tensors[name].dtype.value for name in graph.outputs]
    assert kinds == ["float32", "float32", "int8", "int8"]
    assert bench.with_integers(network("mixed")).outputs == network("mixed").outputs
