"""One call from a network to its plan.

Goal: `plan_network` chooses under a budget, or without one, or looks for the least that works.
Non-goals: reading networks (`graph_load`) and the passes before (`passes.simplify`).
"""

from __future__ import annotations

from tessera.errors import TesseraError
from tessera.plan.graph import Graph
from tessera.plan.make import make_plan
from tessera.plan.plan import Plan
from tessera.plan.tiles.candidates import Space
from tessera.plan.tiles.choose import Chooser
from tessera.plan.tiles.untiled import untiled


def plan_network(
    graph: Graph, budget: int | None = None, *, minimise: bool = False, space: Space | None = None
) -> Plan:
    """The cheapest plan within `budget` bytes; without one, whatever is cheapest.

    `minimise`: the plan of the least memory. Raises `TesseraError` for a budget that is too small,
    with the layer and the least budget, and for a network without anything to run.
    """
    if not graph.nodes:
        raise TesseraError(
            "this network has no nodes",
            where=graph.name,
            remedy="give a network that computes something from its inputs",
        )
    chooser = Chooser(graph, space)
    if minimise:
        return make_plan(chooser.minimise(), None, chooser.space)
    if budget is None:
        # Twice, as offsets may lie above the largest load; nothing needs more than that.
        return make_plan(chooser.choose(2 * untiled(chooser.units).resident), None, chooser.space)
    return make_plan(chooser.choose(budget), budget, chooser.space)
