"""Making a graph node by node: names, shapes and types are checked as it grows.

Goal: readers, passes and tests write graphs the same way, and a wrong one is refused at the node
that makes it wrong.
Non-goals: knowing any file format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.graph import (
    Array,
    Attrs,
    DType,
    Graph,
    Node,
    Quantisation,
    Shape,
    Source,
    Tensor,
    validate,
)
from tessera.plan.graph_shapes import Misfit, output_of

MAX_BYTES = (1 << 31) - 1
"""No tensor is larger: offsets in the secure world are 32 bits."""

_DTYPES = {one.numpy: one for one in DType}


def dtype_of(array: Array) -> DType | None:
    """The element type of an array, or None when a plan does not know it."""
    return _DTYPES.get(array.dtype)


class GraphBuilder:
    """A graph that grows. Every method raises `TesseraError` when something does not fit.

    `empty` allows tensors without elements, which computations with shapes may have in between.
    """

    def __init__(self, name: str, *, empty: bool = False) -> None:
        self.name = name
        self._empty = empty
        self.tensors: dict[str, Tensor] = {}
        self._inputs: list[str] = []
        self._nodes: list[Node] = []

    def _add(self, tensor: Tensor) -> Tensor:
        if tensor.name in self.tensors:
            raise TesseraError(
                f"the name '{tensor.name}' is given to two tensors",
                where=str(tensor.source),
                remedy="names of tensors are unique in a graph; rename one",
            )
        if any(size < 1 for size in tensor.shape) and not self._empty:
            raise TesseraError(
                f"tensor '{tensor.name}' has the shape {tensor.shape}, which holds nothing",
                where=str(tensor.source),
                remedy="a plan has no tensors without elements; export the model with real sizes",
            )
        if tensor.bytes > MAX_BYTES:
            raise TesseraError(
                f"tensor '{tensor.name}' of shape {tensor.shape} takes {tensor.bytes:,} bytes",
                where=str(tensor.source),
                remedy=f"a tensor has at most {MAX_BYTES:,} bytes; check the sizes in the model",
            )
        self.tensors[tensor.name] = tensor
        return tensor

    def fresh(self, stem: str) -> str:
        """A name that no tensor has yet, beginning with `stem`."""
        name, count = stem, 0
        while name in self.tensors:
            count += 1
            name = f"{stem}.{count}"
        return name

    def input(self, name: str, shape: Shape, dtype: DType, source: Source) -> Tensor:
        """A tensor that the caller of the network gives."""
        self._inputs.append(name)
        return self._add(Tensor(name, shape, dtype, source))

    def constant(
        self, name: str, data: Array, source: Source, quantisation: Quantisation | None = None
    ) -> Tensor:
        """A constant; the array is kept as it is and made read-only."""
        dtype = dtype_of(data)
        if dtype is None:
            raise TesseraError(
                f"constant '{name}' has elements of type {data.dtype}",
                where=str(source),
                remedy=f"export the model with {', '.join(DType)}",
            )
        if dtype is DType.FLOAT32 and np.isnan(data).any():
            raise TesseraError(
                f"constant '{name}' holds values that are not numbers (NaN)",
                where=str(source),
                remedy="the weights are broken; export or train the model again",
            )
        data.flags.writeable = False
        return self._add(Tensor(name, data.shape, dtype, source, quantisation, data))

    def annotate(self, name: str, quantisation: Quantisation) -> Tensor:
        """Says how the integers of a tensor stand for real numbers."""
        self.tensors[name] = replace(self.tensors[name], quantisation=quantisation)
        return self.tensors[name]

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        attrs: Attrs,
        source: Source,
        *,
        name: str = "",
        output: str = "",
        dtype: DType | None = None,
        quantisation: Quantisation | None = None,
    ) -> Tensor:
        """Adds a node and returns its output; `dtype` replaces the type that its rule says."""
        made = output or self.fresh(f"{name or op}.out")
        try:
            typed = output_of(op, [self.tensors[one] for one in inputs], attrs)
        except Misfit as misfit:
            raise TesseraError(
                f"{op}: {misfit}",
                where=str(source),
                remedy="the shapes of the model do not fit together; check this node's inputs",
            ) from None
        tensor = self._add(Tensor(made, typed.shape, dtype or typed.dtype, source, quantisation))
        self._nodes.append(Node(name or made, op, tuple(inputs), (made,), attrs, source))
        return tensor

    def finish(self, outputs: Sequence[str]) -> Graph:
        """The graph, validated unless it may have empty tensors."""
        graph = Graph(
            self.name, tuple(self._inputs), tuple(outputs), tuple(self._nodes), self.tensors
        )
        if not self._empty:
            validate(graph)
        return graph
