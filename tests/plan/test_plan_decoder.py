"""A block of a decoder-only transformer, planned: no rows to cut, but weights come in blocks."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from test_execute import both, decoder

from tessera.plan.certificate.tiles import certify_plan
from tessera.plan.cost import Counts
from tessera.plan.execute import run
from tessera.plan.graph import Graph
from tessera.plan.make import make_plan
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.choose import Chooser
from tessera.plan.tiles.run import TiledRun

TOKENS = {"tokens": np.arange(32)[None] % 50}


@cache
def chooser(int8: bool) -> Chooser:
    nodes, weights = decoder(length=32, width=48, heads=3)
    graph = both(nodes, TOKENS, weights)[2]
    return Chooser(prepared(graph, Calibration() if int8 else None))


def equal(graph: Graph, made: np.ndarray, right: np.ndarray) -> bool:
    """Exactly where integers are computed, to one rounding else."""
    if any(node.op.startswith("QLinear") for node in graph.nodes):
        return np.array_equal(made, right)
    return bool(np.allclose(made, right, rtol=1e-6, atol=1e-6))


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("times", [1, 2, 100])
def test_a_decoder_is_planned_checked_and_run_in_blocks(int8: bool, times: int) -> None:
    found, graph = chooser(int8), chooser(int8).units.graph
    budget = times * found.minimise().placement.height
    chosen = found.choose(budget)
    plan = make_plan(chosen, budget, found.space)
    assert plan.peak <= budget
    judged = certify_plan(json.loads(json.dumps(plan.to_json())), graph)
    assert [one.broken for one in judged.rulings if one.broken] == []
    tiled = TiledRun(chosen.schedule, chosen.placement.offsets, chosen.placement.height)
    assert equal(graph, tiled.run(TOKENS)["y"], run(graph, TOKENS)["y"])


def test_weights_come_in_blocks_when_they_must() -> None:
    found = chooser(False)
    least = found.minimise()
    counts = sum((one.counts for one in least.chosen), Counts())
    assert counts.switches > len(least.chosen) / 2
    assert least.placement.height < found.units.graph.weight_bytes / 2
