"""What the outputs of a sealed package say: classes in order, and how they compare.

Goal: raw bytes to tensors, the best classes, and the numpy reference beside them.
Non-goals: running anything in the guest (see `tessera.guest.sealed`), printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.errors import TesseraError
from tessera.package.code import Element
from tessera.package.manifest import Side
from tessera.plan import execute
from tessera.plan.graph import DType, Graph

TOP = 5
TOLERANCE = 1e-4
"""Of float32 outputs: the largest difference, over the largest magnitude of the reference."""
_CHANGES = ("QuantizeLinear", "DequantizeLinear")
_TYPES = {Element.FLOAT32: "<f4", Element.INT8: "i1", Element.UINT8: "u1"}
Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Class:
    """A class with its score."""

    number: int
    score: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Outputs of all inferences beside the reference's.

    `largest`: the largest difference, over the largest magnitude of the reference's output.
    """

    exact: bool  # what was demanded: every bit, or the tolerance
    equal: bool  # every bit
    largest: float
    same_top: bool

    @property
    def holds(self) -> bool:
        """Whether they are as near as was demanded, and the best classes are the same."""
        near = self.equal if self.exact else self.largest <= TOLERANCE
        return near and self.same_top


def total(sides: Sequence[Side]) -> int:
    """Bytes of tensors, each from a multiple of 4 on."""
    return sum(-(-side.bytes // 4) * 4 for side in sides)


def split(data: bytes, sides: Sequence[Side]) -> list[list[Values]]:
    """Per inference the tensors, (channels, rows, columns).

    Raises `TesseraError` for a size that is no whole number of inferences.
    """
    one = total(sides)
    if not data or len(data) % one:
        raise TesseraError(
            f"{len(data)} bytes are not a whole number of {one}",
            where="outputs",
            remedy="report this: the client wrote something else than the package says",
        )
    made = []
    for start in range(0, len(data), one):
        tensors, at = [], start
        for side in sides:
            flat = np.frombuffer(data[at : at + side.bytes], _TYPES[side.element])
            tensors.append(flat.reshape(side.channels, side.rows, side.columns))
            at += -(-side.bytes // 4) * 4
        made.append(tensors)
    return made


def is_classes(sides: Sequence[Side]) -> bool:
    """Whether the outputs are one vector: a score for each class."""
    return len(sides) == 1 and sides[0].rows == sides[0].columns == 1


def best(scores: Values, count: int = TOP) -> tuple[Class, ...]:
    """The best classes, best first; among equals the lower number."""
    flat = scores.reshape(-1)
    order = np.argsort(-flat.astype(np.float64), kind="stable")[:count]
    return tuple(Class(int(number), float(flat[number])) for number in order)


def in_integers(graph: Graph) -> bool:
    """Whether nothing is computed in floats, so that there is one right answer to the bit.

    A float softmax behind a network in integers is no such network.
    """
    return all(
        node.op in _CHANGES or graph.tensors[name].dtype != DType.FLOAT32
        for node in graph.nodes
        for name in node.outputs
    )


def compare(
    graph: Graph, inputs: Sequence[Values], outputs: Sequence[Sequence[Values]]
) -> Agreement:
    """Run the reference on `inputs`, one array each of the graph's only input, and compare."""
    exact, found = in_integers(graph), []
    for given, got in zip(inputs, outputs, strict=True):
        made = execute.run(graph, {graph.inputs[0]: given})
        found.append(beside([made[name] for name in graph.outputs], [got], exact=exact))
    return Agreement(
        exact,
        all(one.equal for one in found),
        max((one.largest for one in found), default=0.0),
        all(one.same_top for one in found),
    )


def beside(
    wanted: Sequence[Values], outputs: Sequence[Sequence[Values]], *, exact: bool
) -> Agreement:
    """Several answers to one question, each beside the reference's."""
    equal, same, largest = True, True, 0.0
    for got in outputs:
        for one, values in zip(wanted, got, strict=True):
            right, found = one.reshape(-1), values.reshape(-1)
            equal = equal and right.tobytes() == found.tobytes()
            scale = float(np.abs(right.astype(np.float64)).max(initial=0)) or 1.0
            off = np.abs(right.astype(np.float64) - found.astype(np.float64)) / scale
            # NaN is no agreement
            largest = max(largest, float(np.nan_to_num(off, nan=np.inf).max(initial=0)))
            first, second = ([c.number for c in best(each)] for each in (right, found))
            same = same and first == second
    return Agreement(exact, equal, largest, same)
