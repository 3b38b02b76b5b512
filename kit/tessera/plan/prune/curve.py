"""Progressive pruning: smaller step by step, each step measured.

Goal: at every target the least important channels of what is left go, the smaller network is
compared with the masked one at full size, judged, fine-tuned if there is a hook, judged again.
Importance is worked out anew at each step.
Non-goals: reading and writing networks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph, Node
from tessera.plan.graph_count import multiply_adds
from tessera.plan.prune.choose import LEAST, choose
from tessera.plan.prune.dependencies import CHANNELS, Dependencies, dependencies
from tessera.plan.prune.importance import importance
from tessera.plan.prune.judge import Judge
from tessera.plan.prune.remove import kept, masked, remove
from tessera.plan.quantise.samples import Samples

Finetune = Callable[[Graph], Graph]
"""A pruned network in, the same network with better weights out."""

ROUNDING = 1e-4
"""Largest difference from the masked network, relative to a tensor's largest value: float32 sums of
fewer terms are added in another order."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step. `target`: parameters asked for, per cent of the whole network's; `channels`: those
    removed so far; `difference`: from the masked network, relative; `share` and `error` as judged,
    `tuned_share` and `tuned_error` after fine-tuning (None without)."""

    target: float
    parameters: int
    weight_bytes: int
    multiply_adds: int
    channels: int
    difference: float
    share: float
    error: float
    tuned_share: float | None = None
    tuned_error: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """The last network, and a point for the whole one and every step."""

    graph: Graph
    points: tuple[Point, ...]


def _point(graph: Graph, target: float, channels: int, difference: float, judge: Judge) -> Point:
    verdict = judge(graph)
    return Point(
        target,
        sum(one.values for one in graph.constants()),
        graph.weight_bytes,
        sum(multiply_adds(graph, node) for node in graph.nodes),
        channels,
        difference,
        verdict.share,
        verdict.error,
    )


def difference(
    small: Graph, full: Graph, found: Dependencies, removed: Collection[int], samples: Samples
) -> float:
    """Largest difference between what any node of the two makes, in the channels that stay.

    Relative to the largest value of the tensor. Not the outputs alone: a softmax that is sure of
    its class, or a ReLU that is shut, hides what is wrong before it.
    """
    worst = 0.0
    for one in samples:
        made: dict[str, Array] = {}

        def keep(node: Node, values: Array, made: dict[str, Array] = made) -> None:
            made[node.outputs[0]] = values

        def compare(node: Node, values: Array, made: dict[str, Array] = made) -> None:
            nonlocal worst
            name = node.outputs[0]
            if len(found.channels[name]):
                values = values.take(kept(found.channels[name], removed), CHANNELS)
            scale = max(float(np.abs(values).max()), 1e-30)
            worst = max(worst, float(np.abs(made[name] - values).max()) / scale)

        run(small, one, keep)
        run(full, one, compare)
    return worst


def _tuned(graph: Graph, finetune: Finetune) -> Graph:
    """The fine-tuned network, which may differ in the values of its constants only."""
    made = finetune(graph)

    def form(one: Graph) -> object:
        shapes = {name: (t.shape, t.dtype, t.data is None) for name, t in one.tensors.items()}
        return one.inputs, one.outputs, one.nodes, shapes

    if not isinstance(made, Graph) or form(made) != form(graph):
        raise TesseraError(
            "fine-tuning gave back another network",
            where=graph.name,
            remedy="change the values of constants only, and return the graph",
        )
    if any(one.data is not None and not np.isfinite(one.data).all() for one in made.constants()):
        raise TesseraError(
            "fine-tuning gave weights that are not finite",
            where=graph.name,
            remedy="lower its learning rate",
        )
    return made


def prune(
    graph: Graph,
    targets: Sequence[float],
    judge: Judge,
    samples: Samples,
    *,
    method: str = "activation",
    least: int = LEAST,
    finetune: Finetune | None = None,
    watch: Callable[[Point], None] | None = None,
) -> Pruned:
    """Prunes to each target in turn: per cent of the parameters, falling.

    Raises `TesseraError` for targets out of order, for one that cannot be reached, and when the
    smaller network does not compute what the masked one does.
    """
    if not targets or any(b >= a for a, b in zip((100.0, *targets), targets, strict=False)):
        raise TesseraError(
            f"{', '.join(f'{one:g}' for one in targets) or 'no'} per cent are no steps",
            where="pruning",
            remedy="give falling numbers below 100, such as 80,60,40",
        )
    if targets[-1] <= 0:
        raise TesseraError("nothing would be left", where="pruning", remedy="give more than 0 %")
    whole = sum(one.values for one in graph.constants())
    points, gone = [_point(graph, 100.0, 0, 0.0, judge)], 0
    for target in targets:
        found = dependencies(graph)
        scores = importance(graph, found, method, samples)
        removed = choose(graph, found, scores, int(whole * target / 100), least)
        small = remove(graph, found, removed)
        full = masked(graph, found, removed)
        gap = difference(small, full, found, removed, samples[:2])
        if not gap <= ROUNDING:
            raise TesseraError(
                f"the pruned network is not the masked one: values differ by {gap:.2g}",
                where=graph.name,
                remedy="channels that belong together were taken apart; report this network",
            )
        graph, gone = small, gone + len(removed)
        point = _point(graph, target, gone, gap, judge)
        if finetune is not None:
            graph = _tuned(graph, finetune)
            verdict = judge(graph)
            values = asdict(point) | {"tuned_share": verdict.share, "tuned_error": verdict.error}
            point = Point(**values)
        points.append(point)
        if watch is not None:
            watch(point)
    return Pruned(graph, tuple(points))


def to_csv(points: Sequence[Point]) -> str:
    """A line per point, after one of names; what was not measured is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [one.name for one in fields(Point)], lineterminator="\n")
    writer.writeheader()
    for point in points:
        row = asdict(point)
        writer.writerow({k: "" if v is None else _number(v) for k, v in row.items()})
    return text.getvalue()


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
