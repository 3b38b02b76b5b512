"""What quantisation costs: signal to noise per layer, accuracy and agreement of the answers.

Goal: the integer run against the float run on the same inputs, tensor by tensor. SQNR is
10 log10(sum of squares of the float values / sum of squares of the differences), in dB, over all
samples; noise from earlier layers is in it.
Non-goals: choosing anything from it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph, Node
from tessera.plan.passes.integers import fuse_integers
from tessera.plan.quantise.qdq import Quantised
from tessera.plan.quantise.samples import Samples


@dataclass(frozen=True, slots=True)
class LayerLoss:
    """One quantised tensor: who makes it, what its integers mean, SQNR in dB (None: no noise)."""

    name: str
    op: str
    scale: float
    zero_point: int
    sqnr: float | None


@dataclass(frozen=True, slots=True)
class Loss:
    """The whole network. `agreement`: share of samples with the same largest output."""

    layers: tuple[LayerLoss, ...]
    output_sqnr: float | None
    agreement: float
    samples: int
    weight_bytes: tuple[int, int]

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def decibels(signal: float, noise: float) -> float | None:
    """10 log10 of a ratio; None without noise."""
    if noise == 0:
        return None
    return 10 * math.log10(signal / noise) if signal else -math.inf


class _Sums:
    """Squares of a tensor's values and of its errors, over samples."""

    def __init__(self) -> None:
        self.signal = self.noise = 0.0

    def add(self, wanted: Array, made: Array) -> None:
        wide = wanted.astype(np.float64)
        self.signal += float((wide**2).sum())
        self.noise += float(((made - wide) ** 2).sum())

    @property
    def sqnr(self) -> float | None:
        return decibels(self.signal, self.noise)


def top(answers: dict[str, Array], name: str) -> int:
    """Where the first output is largest."""
    return int(np.argmax(answers[name]))


def measure(graph: Graph, made: Quantised, samples: Samples) -> Loss:
    """Runs both networks on all samples; the quantised one fused, in integers."""
    fused = fuse_integers(made.graph)
    sums = {name: _Sums() for name in made.integers if made.integers[name] in fused.tensors}
    outputs, same = _Sums(), 0
    back = {integer: name for name, integer in made.integers.items()}
    for one in samples:
        seen: dict[str, Array] = {name: one[name] for name in graph.inputs}

        def keep(node: Node, values: Array, seen: dict[str, Array] = seen) -> None:
            if node.outputs[0] in sums:
                seen[node.outputs[0]] = values

        def compare(node: Node, values: Array, seen: dict[str, Array] = seen) -> None:
            name = back.get(node.outputs[0])
            if name is not None:
                how = fused.tensors[node.outputs[0]].quantisation
                assert how is not None
                real = (values.astype(np.float64) - how.zero_point[0]) * how.scale[0]
                sums[name].add(seen[name], real)

        wanted, given = run(graph, one, keep), run(fused, one, compare)
        for name in graph.outputs:
            outputs.add(wanted[name], given[name])
        same += top(wanted, graph.outputs[0]) == top(given, graph.outputs[0])
    return Loss(
        tuple(_layers(graph, made, sums)),
        outputs.sqnr,
        same / len(samples),
        len(samples),
        (graph.weight_bytes, fused.weight_bytes),
    )


def _layers(graph: Graph, made: Quantised, sums: dict[str, _Sums]) -> list[LayerLoss]:
    producers = graph.producers()
    rows = []
    for name, one in sums.items():
        how = made.graph.tensors[made.integers[name]].quantisation
        maker = producers.get(name)
        assert how is not None
        label, op = (maker.name, maker.op) if maker else (name, "input")
        rows.append(LayerLoss(label, op, how.scale[0], how.zero_point[0], one.sqnr))
    return rows


def accuracy(graph: Graph, samples: Samples, labels: Array) -> float:
    """Share of samples whose largest output is the label."""
    name = graph.outputs[0]
    pairs = zip(samples, labels.tolist(), strict=True)
    right = sum(1 for one, label in pairs if top(run(graph, one), name) == label)
    return right / len(samples)
