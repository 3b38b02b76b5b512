"""From a network as it was read to the graph that is planned.

Goal: the passes that every plan begins with, in one order: folding, int8 where it is asked for, and
what is quantised computed in integers.
Non-goals: reading (`graph_load`), planning (`network`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.plan.graph import Graph
from tessera.plan.passes.integers import fuse_integers
from tessera.plan.passes.simplify import simplify
from tessera.plan.quantise.qdq import quantise
from tessera.plan.quantise.samples import chosen

SAMPLES = 2
"""Inputs that ranges are measured on unless said otherwise: enough for a plan, which hardly depends
on ranges, and few for good answers."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Inputs that int8 ranges are measured on: a file, a word, or generated from `seed`."""

    inputs: str | None = None
    samples: int = SAMPLES
    seed: int = 0


def prepared(loaded: Graph, int8: Calibration | None = None) -> Graph:
    """The graph that is planned; with `int8`, quantised (ranges: all values seen) and fused.

    Raises `TesseraError` for int8 of a network that is quantised already, or where no node can run
    on integers.
    """
    graph = simplify(loaded)
    if int8 is not None:
        _require_float(graph)
        given = chosen(graph, int8.inputs, int8.samples, int8.seed)[0]
        graph = simplify(quantise(graph, given).graph)
    return simplify(fuse_integers(graph))


def _require_float(graph: Graph) -> None:
    for node in graph.nodes:
        if node.op in ("QuantizeLinear", "DequantizeLinear") or node.op.startswith("QLinear"):
            raise TesseraError(
                f"the network is quantised already: node '{node.name}' is a {node.op}",
                where=str(node.source),
                remedy="leave --int8 out",
            )
