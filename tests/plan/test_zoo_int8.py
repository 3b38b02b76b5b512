"""A zoo network quantised and planned at three budgets: checked, and run tile by tile exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from typer.testing import CliRunner

from tessera.cli import plan as command
from tessera.errors import TesseraError
from tessera.plan import zoo
from tessera.plan.certificate.tiles import certify_plan
from tessera.plan.execute import run
from tessera.plan.graph import Graph
from tessera.plan.make import make_plan
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.choose import Chooser, TilePlan
from tessera.plan.tiles.run import TiledRun
from tessera.plan.tiles.steps import Kind

LENET = "lenet_digits"


@cache
def chooser() -> Chooser:
    return Chooser(prepared(zoo.build(LENET), Calibration(seed=3)))


def budgets() -> tuple[int, int, int]:
    """The least, three times as much, and more than the network can use."""
    least = chooser().minimise().placement.height
    return least, 3 * least, 1 << 20


def outputs(plan: TilePlan, graph: Graph, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the tiled run and of the untiled one."""
    given = zoo.sample(graph, seed)
    tiled = TiledRun(plan.schedule, plan.placement.offsets, plan.placement.height)
    (name,) = graph.outputs
    return tiled.run(given)[name], run(graph, given)[name]


@pytest.mark.parametrize("place", range(3))
def test_lenet_in_integers_tile_by_tile_is_exact(place: int) -> None:
    budget, graph = budgets()[place], chooser().units.graph
    assert any(node.op == "QLinearConv" for node in graph.nodes)
    found = chooser().choose(budget)
    plan = make_plan(found, budget, chooser().space)
    assert plan.peak <= budget
    judged = certify_plan(json.loads(json.dumps(plan.to_json())), graph)
    assert [one.broken for one in judged.rulings if one.broken] == []
    for seed in range(5):
        made, right = outputs(found, graph, seed)
        assert np.array_equal(made, right)


def test_the_budgets_give_plans_that_differ() -> None:
    loaded = [sum(one.counts.loaded for one in chooser().choose(b).chosen) for b in budgets()]
    assert loaded[0] > loaded[1] > loaded[2] == 0


def test_blocks_in_each_others_places_make_it_differ() -> None:
    """What is compared are numbers: weights of another place change them."""
    graph = chooser().units.graph
    found = chooser().choose(budgets()[2])
    name = next(node.inputs[1] for node in graph.nodes if node.op == "QLinearConv")
    data = graph.tensors[name].data
    assert data is not None
    turned = replace(graph.tensors[name], data=np.ascontiguousarray(data[::-1]))
    other = replace(graph, tensors={**graph.tensors, name: turned})
    made, _ = outputs(replace(found, schedule=replace(found.schedule, graph=other)), graph, 0)
    assert not np.array_equal(made, outputs(found, graph, 0)[1])


def test_a_block_that_is_not_loaded_is_caught() -> None:
    graph, found = chooser().units.graph, chooser().minimise()
    made = found.schedule
    loads = [k for k, one in enumerate(made.steps) if one.kind is Kind.LOAD]
    gone = replace(made.steps[loads[2]], writes=())
    steps = (*made.steps[: loads[2]], gone, *made.steps[loads[2] + 1 :])
    with pytest.raises(TesseraError, match="hold something else"):
        outputs(replace(found, schedule=replace(made, steps=steps)), graph, 0)


def invoked(*words: str) -> tuple[int, str, str]:
    import typer  # noqa: PLC0415

    app = typer.Typer()
    command.register(app)
    app.command(name="other")(lambda: None)
    done = CliRunner().invoke(app, ["plan", *words])
    error = done.exception.render() if isinstance(done.exception, TesseraError) else done.stderr
    code = done.exception.exit_code if isinstance(done.exception, TesseraError) else done.exit_code
    return code, done.stdout, error


def test_the_command_quantises_by_itself() -> None:
    code, printed, error = invoked(LENET, "--int8", "--budget", "12KiB", "--json")
    assert code == 0, error
    document = json.loads(printed)
    assert {one["dtype"] for one in document["tensors"] if one["constant"]} == {"int8", "int32"}
    float_peak = json.loads(invoked(LENET, "--minimise", "--json")[1])["peak"]
    assert json.loads(invoked(LENET, "--int8", "--minimise", "--json")[1])["peak"] < float_peak / 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--inputs", "digits"), "say --int8 as well"),
        (("--int8", "--inputs", "gone.npz"), "gone.npz"),
        (("--int8", "--csv", "b.csv"), "--csv places buffers"),
    ],
)
def test_words_about_int8_that_do_not_fit(words: tuple[str, ...], said: str) -> None:
    code, printed, error = invoked(LENET, *words)
    assert (code, printed) == (2, "")
    assert said in error


def test_a_network_that_is_quantised_is_not_quantised_again() -> None:
    graph = prepared(zoo.build(LENET), Calibration())
    with pytest.raises(TesseraError, match="quantised already"):
        prepared(graph, Calibration())
