"""What a pruned network still knows: accuracy where there are labels, else agreement.

Goal: one figure with a name that says what was measured. Agreement is no accuracy: it is the share
of inputs for which the pruned network's first output is largest where the whole network's is; the
relative error of the outputs stands beside it.
Non-goals: choosing inputs (`quantise.samples`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tessera.dnn import digits
from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph
from tessera.plan.quantise.samples import Samples, digit_samples, takes_digits


@dataclass(frozen=True, slots=True)
class Verdict:
    """`share` of the inputs judged right, 0 to 1; `error`: norm of the outputs' difference from
    the whole network's, relative to the norm of these."""

    share: float
    error: float


@dataclass(frozen=True, slots=True)
class Judge:
    """`what` names the figure. Calling it judges a network with the same inputs and outputs."""

    what: str
    judge: Callable[[Graph], Verdict]

    def __call__(self, graph: Graph) -> Verdict:
        return self.judge(graph)


def _answers(graph: Graph, samples: Samples) -> Array:
    """All outputs of every sample as one row, (samples, values)."""
    rows = []
    for one in samples:
        made = run(graph, one)
        rows.append(np.concatenate([made[name].reshape(-1) for name in graph.outputs]))
    return np.array(rows, np.float64)


def judge_of(graph: Graph, samples: Samples) -> Judge:
    """Accuracy on the held-out digits for a network of digits, else agreement on the samples."""
    labels: Array | None = None
    if takes_digits(graph):
        images, labels = digits.held_out()
        samples = digit_samples(graph, images)
        what = f"accuracy on the {len(samples)} held-out digits"
    else:
        what = f"agreement with the unpruned network on {len(samples)} inputs"
    first = graph.tensors[graph.outputs[0]].values
    wanted = _answers(graph, samples)
    truth = wanted[:, :first].argmax(axis=1) if labels is None else labels

    def judge(pruned: Graph) -> Verdict:
        made = _answers(pruned, samples)
        share = (made[:, :first].argmax(axis=1) == truth).mean()
        error = np.linalg.norm(made - wanted) / (np.linalg.norm(wanted) or 1.0)
        return Verdict(float(share), float(error))

    return Judge(what, judge)
