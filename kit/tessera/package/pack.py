"""From a network and its plan to the contents of a package.

Goal: one call that has the plan judged, lowers it and links the blocks.
Non-goals: making the plan (`tessera.plan.network`), sealing (`seal`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.package.contents import Contents, Frame, link, require_chunk
from tessera.package.lower import lower
from tessera.package.manifest import MOST_CHUNK, MOST_TENSORS, Side, family_of
from tessera.package.views import element_of, extent_of
from tessera.plan.certificate.tiles import certify_plan
from tessera.plan.graph import Graph
from tessera.plan.plan import Plan
from tessera.plan.tiles.steps import ALIGNMENT

MOST_VERSION = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Packing:
    """What is asked for. `chunk`: bytes of the largest block; `name` and `version`: the family
    that the version counter belongs to, and where in it this package stands."""

    name: str
    version: int = 1
    chunk: int = MOST_CHUNK
    compress: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """The contents, and bytes of its constants before they were packed, each counted once."""

    contents: Contents
    plain: int


def pack(graph: Graph, plan: Plan, packing: Packing) -> Packed:
    """The package of a network under a plan.

    Raises `TesseraError` for a plan that the checker refuses, a network that the runtime has no
    operations for, and sizes and versions that the format has no room for.
    """
    _require(packing, graph)
    judged = certify_plan(plan.to_json(), graph)
    if not judged.holds:
        broken = next(one for one in judged.rulings if one.broken)
        raise TesseraError(
            f"the plan does not hold: {broken.rule}: {broken.broken}",
            where=plan.model.name,
            remedy="plan this network again: tessera plan MODEL -o plan.json",
        )
    program = lower(plan, graph, packing.chunk, packing.compress)
    frame = Frame(
        *(family_of(packing.name), packing.version, packing.chunk),
        -(-plan.peak // ALIGNMENT) * ALIGNMENT,
        *(tuple(_side(graph, name) for name in names) for names in (graph.inputs, graph.outputs)),
    )
    return Packed(link(program, frame), program.plain)


def _side(graph: Graph, name: str) -> Side:
    tensor = graph.tensors[name]
    extent = extent_of(tensor)
    return Side(element_of(tensor), extent.channels, extent.rows, extent.width)


def _require(packing: Packing, graph: Graph) -> None:
    require_chunk(packing.chunk)
    if not 0 <= packing.version <= MOST_VERSION:
        raise TesseraError(
            f"version {packing.version}",
            where="--version",
            remedy=f"give a number from 0 to {MOST_VERSION:,}",
        )
    if not packing.name:
        raise TesseraError("a package without a name", where="--name", remedy="name it")
    for names, what in ((graph.inputs, "inputs"), (graph.outputs, "outputs")):
        if not 1 <= len(names) <= MOST_TENSORS:
            raise TesseraError(
                f"the network has {len(names)} {what}",
                where=graph.name,
                remedy=f"a package has 1 to {MOST_TENSORS}; leave some out",
            )
