"""From what was chosen to a plan as data.

Goal: one place that writes `Plan` records: rows of the schedule, its offsets, costs per layer and
per group with the alternatives.
Non-goals: choosing (`tessera.plan.tiles.choose`), placing (`tessera.plan.arena`), judging.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from tessera.plan import cost
from tessera.plan.compress.measure import CHUNK
from tessera.plan.cost import Coefficients, Counts
from tessera.plan.digest import digest
from tessera.plan.graph import Graph
from tessera.plan.graph_count import multiply_adds
from tessera.plan.plan import (
    Access,
    Alternative,
    BufferRow,
    Costs,
    GroupRow,
    LayerRow,
    Model,
    NodeRow,
    Offsets,
    Plan,
    Rates,
    StepRow,
    TensorRow,
    Untiled,
    Way,
)
from tessera.plan.tiles.candidates import Space
from tessera.plan.tiles.choose import TilePlan
from tessera.plan.tiles.explain import alternatives, recompute_adds
from tessera.plan.tiles.rows import Rows
from tessera.plan.tiles.steps import ALIGNMENT, Choice, Kind, Region, Schedule, Step
from tessera.plan.tiles.units import Units
from tessera.plan.tiles.untiled import untiled


def make_plan(found: TilePlan, budget: int | None, space: Space) -> Plan:
    """The plan as data; `space` is what the alternatives are taken from."""
    graph, made, rates = found.units.graph, found.schedule, space.rates
    loads = made.loads()
    most = max(loads)
    height = found.placement.height
    bound = max(found.placement.bound, most)
    counts = sum((one.counts for one in found.chosen), Counts())
    return Plan(
        model=_model(graph),
        budget=budget,
        alignment=ALIGNMENT,
        peak=height,
        offsets=Offsets(
            found.placement.method, bound, most, loads.index(most), round(height / bound - 1, 6)
        ),
        costs=_costs(counts, found.cost),
        rates=Rates(**asdict(rates)),
        untiled=Untiled(**asdict(untiled(found.units))),
        tensors=tuple(
            TensorRow(one.name, one.shape, one.dtype.value, one.bytes, one.data is not None)
            for one in graph.tensors.values()
        ),
        nodes=tuple(
            NodeRow(n.name, n.op, n.inputs, n.outputs, _plain(asdict(n.attrs)), str(n.source))
            for n in graph.nodes
        ),
        buffers=_buffers(found),
        steps=tuple(_step(one, found.units) for one in made.steps),
        groups=_groups(found, budget, space),
        layers=_layers(made, loads, rates),
        chunk=CHUNK if space.packed else None,
    )


def _plain(value: Any) -> Any:
    """Lists for tuples, and words for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _model(graph: Graph) -> Model:
    adds = sum(multiply_adds(graph, node) for node in graph.nodes)
    sizes = (graph.weight_bytes, adds)
    return Model(graph.name, digest(graph), graph.inputs, graph.outputs, *sizes)


def _costs(counts: Counts, total: float) -> Costs:
    return Costs(**asdict(counts), cost=total)


def _range(rows: Rows | None) -> tuple[int, int] | None:
    return None if rows is None else (rows.start, rows.stop)


def _access(region: Region) -> Access:
    box = tuple((one.start, one.stop) for one in region.box)
    return Access(region.buffer, region.tensor, box)


def _step(step: Step, units: Units) -> StepRow:
    stored = None
    if step.kind is Kind.LOAD:
        stored = cost.counts_of(units.graph, step, units.store).loaded
    return StepRow(
        step.kind.value,
        step.group,
        step.node.name if step.node else "",
        _range(step.rows),
        _range(step.channels),
        step.overlaps,
        tuple(map(_access, step.reads)),
        tuple(map(_access, step.writes)),
        stored,
    )


def _buffers(found: TilePlan) -> tuple[BufferRow, ...]:
    offsets = found.placement.offsets
    return tuple(
        BufferRow(
            one.name,
            one.tensor,
            tuple((axis.start, axis.stop) for axis in one.origin),
            one.ring,
            one.size,
            one.lower,
            one.upper,
            offsets[one.name],
        )
        for one in found.schedule.buffers.values()
    )


def _way(choice: Choice) -> Way:
    weights = choice.weights.value
    words = str(choice)
    return Way(choice.band, choice.rolling, weights, choice.blocks, choice.ahead, words)


def _groups(found: TilePlan, budget: int | None, space: Space) -> tuple[GroupRow, ...]:
    rows = []
    for chosen in found.chosen:
        others = tuple(
            Alternative(
                _way(one.choice),
                one.transient,
                one.resident,
                _costs(one.counts, one.cost),
                one.fits,
            )
            for one in alternatives(found, chosen, budget, space)
        )
        start, stop = chosen.start, chosen.stop
        rows.append(
            GroupRow(
                tuple(found.units.name(unit) for unit in range(start, stop)),
                _way(chosen.choice),
                chosen.transient,
                chosen.resident,
                chosen.worst,
                _costs(chosen.counts, chosen.cost),
                recompute_adds(found.units, start, stop, chosen.choice),
                others,
            )
        )
    return tuple(rows)


def _layers(made: Schedule, loads: list[int], rates: Coefficients) -> tuple[LayerRow, ...]:
    """Nodes (and inputs) in the order of their first step."""
    counts = cost.layers(made)
    load: dict[str, int] = {}
    steps: dict[str, int] = {}
    group: dict[str, int] = {}
    for index, step in enumerate(made.steps):
        if step.kind is Kind.LOAD:
            continue
        name = step.node.name if step.node else step.writes[0].tensor
        load[name] = max(load.get(name, 0), loads[index])
        steps[name] = steps.get(name, 0) + 1
        group.setdefault(name, step.group)
    return tuple(
        LayerRow(name, group[name], load[name], steps[name], _costs(one, one.cost(rates)))
        for name, one in ((name, counts[name]) for name in load)
    )
