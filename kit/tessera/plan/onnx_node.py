"""One ONNX node while it is read: its inputs, its constants, its attributes, and what it becomes.

Goal: a converter asks for what it understands; whatever it did not ask for is an error that names
node, op and attribute, so that nothing is silently ignored.
Non-goals: any op.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
from onnx import AttributeProto

from tessera.errors import TesseraError
from tessera.plan.graph import Array, Attrs, DType, Quantisation, Shape, Source, Tensor
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.onnx_file import array_of

_KINDS: dict[int, Callable[[AttributeProto], Any]] = {
    AttributeProto.INT: lambda one: one.i,
    AttributeProto.INTS: lambda one: tuple(one.ints),
    AttributeProto.FLOAT: lambda one: one.f,
    AttributeProto.FLOATS: lambda one: tuple(one.floats),
    AttributeProto.STRING: lambda one: one.s.decode("utf-8", "replace"),
    AttributeProto.TENSOR: lambda one: one.t,
}


@dataclass(slots=True)
class Import:
    """The state of one import: the graph so far, and what is constant."""

    builder: GraphBuilder
    opset: int
    folder: Path | None
    constants: dict[str, Array] = field(default_factory=dict)


class NodeView:
    """A node as its converter sees it."""

    def __init__(self, proto: onnx.NodeProto, source: Source, state: Import) -> None:
        self.op = proto.op_type
        self.opset = state.opset
        self.outputs: tuple[str, ...] = tuple(proto.output)
        self.source = source
        self._inputs = tuple(proto.input)
        self._name = proto.name
        self._state = state
        self._attributes = {one.name: one for one in proto.attribute}
        self._asked: set[str] = set()

    def refuse(self, what: str, supported: str) -> NoReturn:
        """Raises the error for something that this node has and we do not support."""
        raise TesseraError(f"{self.op}: {what}", where=str(self.source), remedy=supported)

    # Attributes -----------------------------------------------------------------------------

    def _value(self, name: str, kind: int, default: Any) -> Any:
        self._asked.add(name)
        found = self._attributes.get(name)
        if found is None:
            return default
        if found.type != kind:
            wanted = AttributeProto.AttributeType.Name(kind).lower()
            self.refuse(f"attribute '{name}' is not of type {wanted}", "export the model again")
        return _KINDS[kind](found)

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self._value(name, AttributeProto.INT, default))

    def integers(self, name: str) -> Shape | None:
        """A list of integers, or None when it is not given."""
        found: Shape | None = self._value(name, AttributeProto.INTS, None)
        return found

    def real(self, name: str, default: float) -> float:
        """A float attribute."""
        return float(self._value(name, AttributeProto.FLOAT, default))

    def reals(self, name: str) -> tuple[float, ...] | None:
        """A list of floats, or None when it is not given."""
        found: tuple[float, ...] | None = self._value(name, AttributeProto.FLOATS, None)
        return found

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        return str(self._value(name, AttributeProto.STRING, default))

    def array(self, name: str) -> Array | None:
        """A tensor attribute, or None when it is not given."""
        found = self._value(name, AttributeProto.TENSOR, None)
        return None if found is None else array_of(found, self._state.folder, str(self.source))

    def ignore(self, *names: str) -> None:
        """Attributes that say nothing about inference."""
        self._asked.update(names)

    def only(self, name: str, value: Any, default: Any) -> None:
        """Refuses an attribute (integer or string) that has another value than `value`."""
        is_text = isinstance(default, str)
        got = self.text(name, default) if is_text else self.integer(name, default)
        if got != value:
            self.refuse(f"attribute '{name}' is {got!r}", f"supported is {value!r}")

    def finish(self) -> None:
        """Refuses attributes that the converter did not ask for."""
        for name in self._attributes:
            if name not in self._asked:
                asked = ", ".join(sorted(self._asked)) or "none"
                self.refuse(
                    f"attribute '{name}' is not supported", f"supported attributes: {asked}"
                )

    # Inputs ---------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many inputs the node lists."""
        return len(self._inputs)

    def has(self, index: int) -> bool:
        """Whether the input is given."""
        return index < len(self._inputs) and self._inputs[index] != ""

    def tensor(self, index: int) -> Tensor:
        """An input as a tensor of the graph; a constant enters the graph here."""
        if not self.has(index):
            self.refuse(f"input {index} is missing", "the file is damaged; export it again")
        name = self._inputs[index]
        builder = self._state.builder
        if name in builder.tensors:
            return builder.tensors[name]
        return builder.constant(name, self._state.constants[name], self.source)

    def tensors(self) -> list[Tensor]:
        """All inputs that are given, as tensors."""
        return [self.tensor(index) for index in range(self.count) if self.has(index)]

    def is_constant(self, index: int) -> bool:
        """Whether an input is known while the model is read."""
        return self.has(index) and self._inputs[index] in self._state.constants

    def constant(self, index: int, role: str) -> Array | None:
        """The value of an input that has to be known now, or None when it is not given."""
        if not self.has(index):
            return None
        if not self.is_constant(index):
            self.refuse(
                f"input '{self._inputs[index]}' ({role}) is computed from the network's inputs",
                f"supported is a constant {role}; export with fixed shapes",
            )
        return self._state.constants[self._inputs[index]]

    def whole(self, index: int, role: str) -> Shape | None:
        """As `constant`, as a tuple of integers."""
        found = self.constant(index, role)
        return None if found is None else tuple(int(one) for one in found.reshape(-1))

    def number(self, index: int, role: str) -> float | None:
        """As `constant`, as one number."""
        found = self.constant(index, role)
        if found is None or not found.size:
            return None
        return float(found.reshape(-1)[0])

    def axis(self, value: int, rank: int, name: str = "axis") -> int:
        """An axis counted from 0. Refuses one outside of -rank to rank - 1."""
        if not -rank <= value < rank:
            self.refuse(f"'{name}' is {value} for {rank} axes", f"it is {-rank} to {rank - 1}")
        return value % rank

    def axes(self, given: Sequence[int], rank: int) -> Shape:
        """Axes counted from 0, ascending, each once."""
        return tuple(sorted({self.axis(one, rank, "axes") for one in given}))

    # What it becomes ------------------------------------------------------------------------

    def value(self, array: Array, index: int = 0) -> None:
        """The node's output is this constant."""
        self._state.constants[self.outputs[index]] = array

    def fixed(self, stem: str, array: Array) -> Tensor:
        """A constant that the lowering needs."""
        builder = self._state.builder
        return builder.constant(builder.fresh(f"{self.outputs[0]}.{stem}"), array, self.source)

    def step(self, op: str, inputs: Sequence[Tensor], attrs: Attrs | None = None) -> Tensor:
        """A node in between, when one ONNX node becomes several."""
        names = [one.name for one in inputs]
        return self._state.builder.node(
            op, names, attrs or Attrs(), self.source, name=f"{self.outputs[0]}.{op}"
        )

    def emit(
        self,
        op: str,
        inputs: Sequence[Tensor],
        attrs: Attrs | None = None,
        *,
        index: int = 0,
        dtype: DType | None = None,
        quantisation: Quantisation | None = None,
    ) -> None:
        """The node that makes output `index`."""
        names = [one.name for one in inputs]
        self._state.builder.node(
            op,
            names,
            attrs or Attrs(),
            self.source,
            name=self._name or self.outputs[index],
            output=self.outputs[index],
            dtype=dtype,
            quantisation=quantisation,
        )

    def quantised(self, index: int, quantisation: Quantisation) -> Tensor:
        """An input that stands for real numbers by `quantisation`.

        A tensor that already has another one is read through an Identity that has this one.
        """
        tensor, builder = self.tensor(index), self._state.builder
        if tensor.quantisation is None:
            return builder.annotate(tensor.name, quantisation)
        if tensor.quantisation == quantisation:
            return tensor
        return builder.node(
            "Identity",
            [tensor.name],
            Attrs(),
            self.source,
            name=f"{self.outputs[0]}.requantised",
            quantisation=quantisation,
        )

    def quantisation(self, scale: int, zero: int, axis: int, rank: int) -> Quantisation:
        """Scale and zero point from two inputs, per tensor or along `axis`."""
        scales = self.constant(scale, "scale")
        if scales is None:
            self.refuse(f"input {scale} (scale) is missing", "the file is damaged")
        zeros = self.constant(zero, "zero point")
        if scales.ndim > 1:
            self.refuse("the scale has several axes", "per tensor or per axis, not per block")
        if not np.all(np.isfinite(scales)) or np.any(scales <= 0):
            self.refuse("a scale is not a positive number", "quantise the model again")
        flat = tuple(float(one) for one in scales.reshape(-1))
        points = (0,) * len(flat)
        if zeros is not None:
            points = tuple(int(one) for one in zeros.reshape(-1))
        if len(points) != len(flat):
            self.refuse(f"{len(flat)} scales and {len(points)} zero points", "as many of each")
        along = None if len(flat) == 1 else self.axis(axis, rank)
        return Quantisation(flat, points, along)


Converter = Callable[[NodeView], None]
