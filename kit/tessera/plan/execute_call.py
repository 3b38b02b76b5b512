"""What an op's function is given: its node, the values of its inputs, and what its tensors are.

Goal: one signature for every op of the reference executor.
Non-goals: any op.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tessera.plan.graph import Array, Attrs, Node, Tensor

A = TypeVar("A", bound=Attrs)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One execution of one node."""

    node: Node
    values: tuple[Array, ...]
    inputs: tuple[Tensor, ...]
    output: Tensor

    def attrs(self, kind: type[A]) -> A:
        """The attributes, as the class that the op has."""
        assert isinstance(self.node.attrs, kind)
        return self.node.attrs

    def wide(self, index: int) -> Array:
        """An input in which sums are kept: float32 as float64, integers as int64."""
        value = self.values[index]
        return value.astype(np.float64 if value.dtype.kind == "f" else np.int64)

    def narrow(self, value: Any) -> Array:
        """A result in the type of the output: rounded once, integers wrap as in C."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(value).astype(self.output.dtype.numpy)


Operator = Callable[[Call], Array]
