"""Why a plan is as it is: for every layer what was chosen, and what the alternatives cost.

Goal: data for a table; each alternative says what it would take and whether it would have fitted
where the rest of the plan stays as it is.
Non-goals: words on a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.plan.cost import Counts, counts_of
from tessera.plan.tiles.assess import Candidate
from tessera.plan.tiles.bands import Piece, recomputed
from tessera.plan.tiles.candidates import Space, of_group
from tessera.plan.tiles.choose import TilePlan
from tessera.plan.tiles.schedule import compute_step, group_items
from tessera.plan.tiles.steps import Choice, Kind
from tessera.plan.tiles.units import Units


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way to run the same group. `fits`: it could stand in the plan as it is."""

    choice: Choice
    transient: int
    resident: int
    counts: Counts
    cost: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """A unit of the network: its group (units with the same group are fused), what was chosen.

    `recompute`: multiply-adds more, for the group, if bands made their halo again instead of
    keeping it in line buffers; 0 for groups that are not cut.
    """

    name: str
    group: int
    choice: Choice
    transient: int
    cost: float
    recompute: int
    alternatives: tuple[Alternative, ...]


def recompute_adds(units: Units, start: int, stop: int, choice: Choice) -> int:
    """Multiply-adds that a banded group would repeat without line buffers."""
    if choice.band is None:
        return 0
    items = group_items(units, start, stop)
    tensors = units.graph.tensors
    rows = recomputed(items, tensors, choice.band)
    extra = 0
    for one in items:
        step = compute_step(units, 0, Piece(one, None), None, "")
        if step.kind is Kind.COMPUTE:
            full = tensors[one.tensor].shape[2]
            adds = counts_of(units.graph, step).multiply_adds
            extra += adds * max(0, rows[one.tensor] - full) // full
    return extra


def alternatives(
    plan: TilePlan, chosen: Candidate, budget: int | None, space: Space
) -> tuple[Alternative, ...]:
    """The other ways to run the units of one chosen candidate; without a budget all of them fit."""
    resident = sum(one.resident for one in plan.chosen) - chosen.resident
    rest = max((one.transient for one in plan.chosen if one is not chosen), default=0)
    return tuple(
        Alternative(
            one.choice,
            one.transient,
            one.resident,
            one.counts,
            one.cost,
            budget is None or resident + one.resident + max(rest, one.transient) <= budget,
        )
        for one in of_group(plan.units, chosen.start, chosen.stop, space)
        if one.choice != chosen.choice
    )


def explain(plan: TilePlan, budget: int | None, space: Space | None = None) -> tuple[Layer, ...]:
    """Every unit in order, with the other ways that were tried for its group."""
    layers = []
    for number, chosen in enumerate(plan.chosen):
        others = alternatives(plan, chosen, budget, space or Space())
        repeat = recompute_adds(plan.units, chosen.start, chosen.stop, chosen.choice)
        for unit in range(chosen.start, chosen.stop):
            name = plan.units.name(unit)
            transient, cost = chosen.transient, chosen.cost
            layers.append(Layer(name, number, chosen.choice, transient, cost, repeat, others))
    return tuple(layers)
