"""The one graph of a network: typed tensors, nodes in an order of execution, spans to the source.

Goal: one form that every reader makes and every later step takes (passes, planner, cost, packer):
shapes are numbers, attributes are resolved and typed, constants are in memory.
Non-goals: the meaning of ops (`graph_ops`, `graph_shapes`, `execute`) and file formats.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.errors import TesseraError

Array = NDArray[Any]
Shape = tuple[int, ...]


class DType(enum.StrEnum):
    """Element types that a plan knows; the value is numpy's name."""

    FLOAT32 = "float32"
    INT8 = "int8"
    UINT8 = "uint8"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy type of one element."""
        return np.dtype(self.value)

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return int(self.numpy.itemsize)


@dataclass(frozen=True, slots=True)
class Source:
    """Where something comes from: a file, and in it a node by name and index, or a line."""

    file: str
    node: str = ""
    index: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.file}:{self.line}"
        number = "" if self.index is None else f" {self.index}"
        named = f" '{self.node}'" if self.node else ""
        return f"{self.file}: node{number}{named}" if number or named else self.file


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How integers stand for real numbers: real = scale * (integer - zero_point).

    One scale and zero point for the whole tensor (`axis` None), or one per index of `axis`.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value of the graph. `data` is there for constants and is never written to."""

    name: str
    shape: Shape
    dtype: DType
    source: Source
    quantisation: Quantisation | None = None
    data: Array | None = None

    @property
    def values(self) -> int:
        """How many elements it has; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes that its elements take."""
        return self.values * self.dtype.bytes


@dataclass(frozen=True, slots=True)
class Attrs:
    """The attributes of an op that has none, and the base of those that have some."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. `inputs` and `outputs` are names of tensors of the graph."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Attrs
    source: Source


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network. `nodes` stand in an order of execution: each after the makers of its inputs."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]

    def producers(self) -> dict[str, Node]:
        """The node that makes each tensor; inputs and constants have none."""
        return {name: node for node in self.nodes for name in node.outputs}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor, in order of execution; a node once per tensor."""
        readers: dict[str, list[Node]] = {name: [] for name in self.tensors}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return readers

    def constants(self) -> tuple[Tensor, ...]:
        """The constants, in the order of the tensors."""
        return tuple(one for one in self.tensors.values() if one.data is not None)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(one.bytes for one in self.constants())


def _refuse(message: str, where: Source | str) -> TesseraError:
    return TesseraError(
        message, where=str(where), remedy="the graph is not well formed; mend what wrote it"
    )


def _check_tensor(key: str, tensor: Tensor) -> None:
    if key != tensor.name:
        raise _refuse(f"tensor '{tensor.name}' stands under the name '{key}'", tensor.source)
    if any(size < 1 for size in tensor.shape):
        raise TesseraError(
            f"tensor '{key}' has the shape {tensor.shape}, which holds nothing",
            where=str(tensor.source),
            remedy="a plan has no tensors without elements; export the model with real sizes",
        )
    data = tensor.data
    if data is not None and (data.shape != tensor.shape or data.dtype != tensor.dtype.numpy):
        raise _refuse(f"the data of constant '{key}' is not of its shape and type", tensor.source)


def validate(graph: Graph) -> None:
    """Raises `TesseraError` unless every name is defined, once, and before it is used."""
    for key, tensor in graph.tensors.items():
        _check_tensor(key, tensor)
    known = {one.name for one in graph.constants()}
    for name in graph.inputs:
        if name not in graph.tensors or name in known:
            raise _refuse(f"input '{name}' is not a tensor of its own", graph.name)
        known.add(name)
    for node in graph.nodes:
        for name in node.inputs:
            if name not in known:
                raise _refuse(f"input '{name}' is read before anything makes it", node.source)
        for name in node.outputs:
            if name in known or name not in graph.tensors:
                raise _refuse(f"output '{name}' is made twice or has no tensor", node.source)
            known.add(name)
    for name in graph.outputs:
        if name not in known:
            raise _refuse(f"nothing makes the output '{name}'", graph.name)
    stray = set(graph.tensors) - known
    if stray:
        raise _refuse(f"nothing makes the tensor '{min(stray)}'", graph.name)
