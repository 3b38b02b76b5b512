"""Cost over budgets, for several ways to plan one network.

Goal: points of a curve, each a plan whose buffers were placed inside its budget; methods differ
only in what they may choose, under one cost model.
Non-goals: drawing, and times: the cost is the model's.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from tessera.plan.cost import Counts
from tessera.plan.graph import Graph
from tessera.plan.tiles.candidates import Space
from tessera.plan.tiles.choose import Chooser
from tessera.plan.tiles.place import by_first_fit
from tessera.plan.tiles.steps import Weights

METHODS: Mapping[str, Space] = MappingProxyType(
    {
        "resident": Space(longest=1, bands=(), weights=(Weights.RESIDENT,)),
        "layer by layer": Space(longest=1, bands=(), weights=(Weights.GROUP,)),
        "y-plane": Space(weights=(Weights.RESIDENT,)),
        "ours": Space(),
    }
)
"""All constants stay and layers run whole; one layer's constants at a time; bands of rows with all
constants resident; everything that `tessera plan` has."""

POINTS = 16
"""Budgets between the least of any method and the most that any of them can use."""


@dataclass(frozen=True, slots=True)
class Point:
    """A plan: its budget and peak in bytes, and its cost per run."""

    model: str
    method: str
    budget: int
    peak: int
    cost: float
    loaded: int
    moved: int
    multiply_adds: int
    switches: int
    decoded: int


def curve(
    graph: Graph,
    points: int = POINTS,
    given: Space | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Point, ...]:
    """The points of every method, budgets rising; the first of each is the least that works for it.

    Budgets are the same for all methods: a geometric sequence, and the least of each method. A
    method has no point below its own. All methods take the coefficients and blocks of
    `given`, and whether constants are packed. `say` hears of every step before it is done.
    """
    common = given or Space()
    weighed: dict[str, Any] = {
        "rates": common.rates,
        "packed": common.packed,
        "blocks": common.blocks,
    }
    choosers = {}
    for name, space in METHODS.items():
        say(f"{name}: the ways to run every layer")
        choosers[name] = Chooser(graph, replace(space, **weighed), by_first_fit)
    least = {name: one.minimise() for name, one in choosers.items()}
    low = min(one.placement.height for one in least.values())
    high = max(one.placement.height for one in least.values())
    spread = [round(low * (high / low) ** (k / (points - 1))) for k in range(points)]
    budgets = sorted({*spread, *(one.placement.height for one in least.values())})
    found = []
    for name, chooser in choosers.items():
        need = least[name].placement.height
        for budget in (one for one in budgets if one >= need):
            say(f"{name}: {budget:,} bytes")
            plan = chooser.choose(budget)
            counts = sum((one.counts for one in plan.chosen), Counts())
            figures = asdict(counts)
            peak = plan.placement.height
            found.append(Point(graph.name, name, budget, peak, plan.cost, **figures))
    return tuple(found)


def curve_csv(points: Iterable[Point]) -> str:
    """The points as CSV text with a header; sizes in bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [field.name for field in fields(Point)]
    writer.writerow(names)
    for one in points:
        row = asdict(one) | {"cost": round(one.cost)}
        writer.writerow([row[name] for name in names])
    return out.getvalue()
