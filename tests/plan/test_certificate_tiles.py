"""The checker of whole plans: good plans pass, and every rule has a plan that breaks it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tile_graphs import Net, mobile, quantised, residual

from tessera.errors import TesseraError
from tessera.plan.certificate import contents, loads, needs, tiles
from tessera.plan.certificate.tiles import RULES, certify_plan
from tessera.plan.graph import Graph
from tessera.plan.graph_ops import AlphaAttrs
from tessera.plan.make import make_plan
from tessera.plan.plan import from_json
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.candidates import Space
from tessera.plan.tiles.choose import Chooser


def leaky() -> Graph:
    """In integers a leaky rectifier is a table of 256 entries, looked up in place."""
    net = Net(1, 3, 12, 12)
    x = net.conv(net.x, 4)
    for _ in range(2):
        slope = AlphaAttrs(0.1)
        x = net.conv(net.node("LeakyRelu", x.name, attrs=slope), 4)
    return prepared(net.finish(net.node("LeakyRelu", x.name, attrs=slope)), Calibration())


SPACE = Space(longest=5, bands=(1, 2), blocks=(1, 2, 4))
NETS: dict[str, Callable[[], Graph]] = {
    "mobile": mobile,
    "residual": residual,
    "quantised": quantised,
    "leaky": leaky,
}
Document = dict[str, Any]


@cache
def planned(net: str, size: str) -> tuple[str, Graph]:
    """A plan as JSON text: `least`, or inside half as much again, or with everything resident."""
    graph = NETS[net]()
    chooser = Chooser(graph, SPACE)
    found = chooser.minimise()
    if size != "least":
        height = found.placement.height
        found = chooser.choose(height * 3 // 2 if size == "some" else 1 << 24)
    return json.dumps(make_plan(found, 1 << 24, SPACE).to_json()), graph


def document(net: str = "quantised", size: str = "least") -> Document:
    return dict(json.loads(planned(net, size)[0]))


def broken(plan: Document, graph: Graph | None = None) -> dict[str, str]:
    return {r.rule: r.broken for r in certify_plan(plan, graph).rulings if r.broken}


@pytest.mark.parametrize("size", ["least", "some", "all"])
@pytest.mark.parametrize("net", list(NETS))
def test_plans_of_the_planner_pass_every_rule(net: str, size: str) -> None:
    text, graph = planned(net, size)
    judged = certify_plan(json.loads(text), graph)
    assert [(one.rule, one.broken) for one in judged.rulings] == [(rule, "") for rule in RULES]
    assert judged.steps == len(json.loads(text)["steps"])


def test_the_plans_have_what_is_checked() -> None:
    """Bands, rings, rows in place and loads ahead occur, so that the rules speak of something."""
    plans = [document(net, size) for net in NETS for size in ("least", "some")]
    assert any(one["ring"] for plan in plans for one in plan["buffers"])
    assert any(step["overlaps"] for plan in plans for step in plan["steps"])
    assert any(step["rows"] and step["channels"] for plan in plans for step in plan["steps"])
    shared = [
        (plan["model"]["name"], access["buffer"])
        for plan in plans
        for step in plan["steps"]
        for access in step["reads"]
        if any(access["buffer"] == made["buffer"] for made in step["writes"])
    ]
    assert shared


def step_of(plan: Document, wanted: Callable[[Document], bool]) -> int:
    return next(n for n, step in enumerate(plan["steps"]) if wanted(step))


def tall(step: Document) -> bool:
    """Computes rows from a convolution's halo."""
    return bool(step["kind"] == "compute" and step["rows"] and step["reads"][0]["box"][2][1] > 2)


def shift(plan: Document) -> None:
    plan["buffers"][0]["offset"] += 1


def pile(plan: Document) -> None:
    for one in plan["buffers"]:
        one["offset"] = 0
    plan["peak"] = max(one["size"] for one in plan["buffers"])


def sink(plan: Document) -> None:
    plan["buffers"][0]["offset"] -= 1 << 20


def lower_budget(plan: Document) -> None:
    plan["budget"] = plan["peak"] - 1


def lie_about_the_peak(plan: Document) -> None:
    plan["peak"] += 16


def lie_about_the_load(plan: Document) -> None:
    plan["offsets"]["load"] -= 16


def drop_a_halo_row(plan: Document) -> None:
    plan["steps"][step_of(plan, tall)]["reads"][0]["box"][2][1] -= 1


def drop_a_channel(plan: Document) -> None:
    step = plan["steps"][step_of(plan, lambda s: s["kind"] == "compute")]
    step["reads"][1]["box"][0][1] -= 1


def claim_a_taller_band(plan: Document) -> None:
    """Writes a row more than the rows that it reads give."""
    at = step_of(plan, lambda s: bool(s["rows"]) and s["node"] == "stem")
    plan["steps"][at]["writes"][0]["box"][2][1] += 1


def late(plan: Document) -> None:
    """A compute step goes before the fetch of the rows that it reads."""
    at = step_of(plan, lambda s: s["node"] == "stem")
    plan["steps"][at], plan["steps"][at - 1] = plan["steps"][at - 1], plan["steps"][at]
    for one in plan["buffers"]:
        one["lower"] = 0


def run_ahead(plan: Document) -> None:
    """Rows of the input come earlier, over rows of the ring that are still to be read."""
    fetches = [n for n, step in enumerate(plan["steps"]) if step["kind"] == "fetch"]
    for number in fetches[3:6]:
        plan["steps"].insert(fetches[2] + 1, plan["steps"].pop(number))
    for one in plan["buffers"]:
        one["lower"], one["upper"] = 0, len(plan["steps"])


def narrow_the_ring(plan: Document) -> None:
    next(one for one in plan["buffers"] if one["ring"])["ring"] -= 1


def die_early(plan: Document) -> None:
    one = max(plan["buffers"], key=lambda one: one["upper"] - one["lower"])
    one["upper"] -= 1


def read_another_buffer(plan: Document) -> None:
    plan["steps"][-1]["reads"][0]["buffer"] = "nobody"


def outgrow(plan: Document) -> None:
    """Touches a row that the tensor does not have."""
    plan["steps"][step_of(plan, tall)]["reads"][0]["box"][2][1] += 1000


def fetch_weights(plan: Document) -> None:
    plan["steps"][step_of(plan, lambda s: s["kind"] == "load")]["kind"] = "fetch"


def make_another_tensor(plan: Document) -> None:
    step = plan["steps"][step_of(plan, lambda s: s["kind"] == "compute")]
    step["node"] = plan["nodes"][-1]["name"]


def beside_its_own_load(plan: Document) -> None:
    plan["steps"][step_of(plan, lambda s: s["kind"] == "load")]["overlaps"] = True


def beside_nothing(plan: Document) -> None:
    plan["steps"][-1]["overlaps"] = True


def a_convolution_over_its_input(plan: Document) -> None:
    """The depthwise convolution has an output of its input's shape, so it would fit."""
    node = next(one["name"] for one in plan["nodes"] if one["attrs"].get("group") == 8)
    step = plan["steps"][step_of(plan, lambda s: s["node"] == node)]
    step["writes"][0]["buffer"] = step["reads"][0]["buffer"]


def leave_the_last_rows_out(plan: Document) -> None:
    plan["steps"].pop()
    for one in plan["buffers"]:
        one["upper"] = min(one["upper"], len(plan["steps"]))
        one["lower"] = min(one["lower"], one["upper"] - 1)


def forget_the_output(plan: Document) -> None:
    name = plan["model"]["outputs"][0]
    home = next(w["buffer"] for s in plan["steps"] for w in s["writes"] if w["tensor"] == name)
    plan["steps"].append(deepcopy(plan["steps"][0]))
    for one in plan["buffers"]:
        if one["id"] != home and one["id"] == plan["steps"][0]["writes"][0]["buffer"]:
            one["upper"] = len(plan["steps"])


def other_pads(plan: Document) -> None:
    plan["nodes"][0]["attrs"]["pads"] = [0, 0, 0, 0]


def other_order(plan: Document) -> None:
    plan["nodes"].reverse()


def too_few_bytes(plan: Document) -> None:
    plan["buffers"][0]["size"] = 1


def no_life(plan: Document) -> None:
    plan["buffers"][0]["upper"] = plan["buffers"][0]["lower"]


def two_of_a_name(plan: Document) -> None:
    plan["buffers"][1]["id"] = plan["buffers"][0]["id"]


def a_load_of_fewer_bytes(plan: Document) -> None:
    load = next(one for one in plan["steps"] if one["kind"] == "load" and one["group"] >= 0)
    load["stored"] -= 4
    plan["costs"]["loaded"] -= 4


def a_sum_of_fewer_bytes(plan: Document) -> None:
    plan["costs"]["loaded"] -= 1


def a_load_that_is_not_counted(plan: Document) -> None:
    plan["costs"]["switches"] -= 1


MUTANTS: list[tuple[str, str, Callable[[Document], None]]] = [
    ("arena_aligned", "quantised", shift),
    ("arena_disjoint", "quantised", pile),
    ("arena_inside", "quantised", sink),
    ("arena_inside", "quantised", lower_budget),
    ("arena_peak", "quantised", lie_about_the_peak),
    ("arena_bound", "quantised", lie_about_the_load),
    ("arena_halo", "mobile", drop_a_halo_row),
    ("arena_halo", "mobile", drop_a_channel),
    ("arena_halo", "mobile", claim_a_taller_band),
    ("arena_initialised", "mobile", late),
    ("arena_initialised", "quantised", run_ahead),
    ("arena_access", "quantised", narrow_the_ring),
    ("arena_access", "mobile", die_early),
    ("arena_access", "mobile", read_another_buffer),
    ("arena_access", "mobile", outgrow),
    ("arena_kind", "mobile", fetch_weights),
    ("arena_kind", "mobile", make_another_tensor),
    ("arena_ahead", "mobile", beside_its_own_load),
    ("arena_ahead", "mobile", beside_nothing),
    ("arena_in_place", "quantised", a_convolution_over_its_input),
    ("arena_complete", "quantised", leave_the_last_rows_out),
    ("arena_complete", "quantised", forget_the_output),
    ("arena_loaded", "mobile", a_load_of_fewer_bytes),
    ("arena_loaded", "mobile", a_sum_of_fewer_bytes),
    ("arena_loaded", "quantised", a_load_that_is_not_counted),
    ("arena_model", "mobile", other_pads),
    ("arena_model", "mobile", other_order),
    ("arena_sound", "mobile", too_few_bytes),
    ("arena_sound", "mobile", no_life),
    ("arena_sound", "mobile", two_of_a_name),
]


@pytest.mark.parametrize(("rule", "net", "mutate"), MUTANTS, ids=[m[2].__name__ for m in MUTANTS])
def test_each_mutant_breaks_its_rule(
    rule: str, net: str, mutate: Callable[[Document], None]
) -> None:
    plan, graph = document(net), planned(net, "least")[1]
    mutate(plan)
    found = broken(plan, graph)
    assert rule in found
    assert found[rule]


def test_a_table_is_looked_up_in_place_and_never_written_over() -> None:
    plan, graph = document("leaky"), planned("leaky", "least")[1]
    node = next(one for one in from_json(plan).nodes if one.op == "QLinearTable")
    over = [
        step
        for step in plan["steps"]
        if step["node"] == node.name and step["reads"][0]["buffer"] == step["writes"][0]["buffer"]
    ]
    assert over and not broken(plan, graph)
    assert tiles._by_element(node, node.inputs[0])
    assert not tiles._by_element(node, node.inputs[1])
    other = replace(node, inputs=(node.inputs[1], node.inputs[1]))
    assert not tiles._by_element(other, node.inputs[1])


def test_every_rule_has_a_mutant() -> None:
    assert {rule for rule, _, _ in MUTANTS} == set(RULES)


def test_a_dropped_halo_row_is_named() -> None:
    plan = document("mobile")
    drop_a_halo_row(plan)
    found = broken(plan)
    assert [*found] == ["arena_halo"]
    assert found["arena_halo"] == (
        "step 7 (compute stem): makes [0:1, 0:8, 1:2, 0:16] of stem.out without reading "
        "[0:1, 0:3, 3:4, 0:32] of x"
    )


def test_no_step_can_be_left_out() -> None:
    whole = document("quantised", "some")
    for number in range(0, len(whole["steps"]), 7):
        plan = deepcopy(whole)
        # The number of steps stays: the first or last step is run twice instead.
        plan["steps"][number] = plan["steps"][-1 if number == 0 else number - 1]
        assert broken(plan), f"step {number} was replaced and nothing was said"


def test_neighbours_change_places_only_where_neither_needs_the_other() -> None:
    whole = document("quantised", "some")
    places = range(0, len(whole["steps"]) - 1, 5)
    refused = 0
    for number in places:
        plan = deepcopy(whole)
        steps = plan["steps"]
        steps[number], steps[number + 1] = steps[number + 1], steps[number]
        made = {(one["buffer"], one["tensor"]) for one in steps[number + 1]["writes"]}
        read = {(one["buffer"], one["tensor"]) for one in steps[number]["reads"]}
        if broken(plan):
            refused += 1
        elif made & read:  # the rows that were made are not among those that were read
            first = next(one for one in steps[number + 1]["writes"])["box"][2]
            others = [o["box"][2] for o in steps[number]["reads"] if len(o["box"]) > 2]
            assert all(first[1] <= other[0] or other[1] <= first[0] for other in others)
    assert len(places) // 2 < refused


def test_without_the_network_the_plan_is_judged_by_its_own_nodes() -> None:
    plan = document("mobile")
    other_pads(plan)
    assert "arena_model" not in broken(plan)


def test_what_is_no_plan_is_refused() -> None:
    with pytest.raises(TesseraError, match="not a plan"):
        certify_plan({"kind": "tessera-arena-plan"})


@pytest.mark.parametrize("module", [tiles, contents, needs, loads])
def test_it_shares_no_code_with_the_planner(module: Any) -> None:
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    names = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tessera")
    }
    assert names <= {
        "tessera.plan.certificate.arena",
        "tessera.plan.certificate.contents",
        "tessera.plan.certificate.loads",
        "tessera.plan.certificate.needs",
        "tessera.plan.compress.stream",  # the format itself, which the planner does not write
        "tessera.plan.graph",
        "tessera.plan.plan",
    }
