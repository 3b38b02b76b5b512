"""One compute step of a plan as the rules of lowering see it.

Goal: the node, the part that is made, views of what is read and written, and quantisations, with
what the runtime does not have refused in one wording.
Non-goals: rules (`products`, `pools`, `elements`, `moves`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tessera.package.code import Element, Instruction, Part, Signed, View
from tessera.package.layouts import Layout
from tessera.package.views import Views, element_of, part_of, unsupported
from tessera.plan.graph import Array, Attrs, Node, Quantisation, Tensor
from tessera.plan.plan import StepRow

A = TypeVar("A", bound=Attrs)


@dataclass(frozen=True, slots=True)
class Site:
    """A step and where its tensors lie. `limit`: bytes of the longest instruction."""

    node: Node
    step: StepRow
    views: Views
    limit: int

    def attrs(self, kind: type[A]) -> A:
        """The node's attributes, which are of that kind."""
        assert isinstance(self.node.attrs, kind)
        return self.node.attrs

    def input(self, index: int = 0) -> Tensor:
        """An input of the node."""
        return self.views.graph.tensors[self.node.inputs[index]]

    @property
    def output(self) -> Tensor:
        """What the node makes."""
        return self.views.graph.tensors[self.node.outputs[0]]

    def x(self, index: int = 0) -> View:
        """Where an input lies. Raises `TesseraError` for a constant: it has no view."""
        if self.input(index).data is not None:
            raise unsupported(
                self.node,
                f"a constant as input {index} ('{self.node.inputs[index]}')",
                "constants as weights, biases and tables only",
            )
        return self.views.of(self.step.reads[index])

    @property
    def y(self) -> View:
        """Where the output lies."""
        return self.views.of(self.step.writes[0])

    @property
    def part(self) -> Part:
        """What is made of the output."""
        return part_of(self.step.writes[0].box)

    @property
    def in_place(self) -> bool:
        """Whether the output takes the bytes of the first input."""
        return self.step.reads[0].buffer == self.step.writes[0].buffer

    def region(self, index: int) -> int:
        """Where a constant input lies. Raises `TesseraError` for one that is computed, or of which
        the step reads less than was loaded."""
        read = self.step.reads[index]
        if self.input(index).data is None:
            raise unsupported(
                self.node,
                f"a computed input {index} ('{self.node.inputs[index]}')",
                "weights, biases and tables that are constants",
            )
        if read.box != self.views.buffers[read.buffer].origin:
            raise unsupported(
                self.node,
                f"a part of the loaded constant '{read.tensor}'",
                "constants that are read as they are loaded",
            )
        return self.views.offset(read)

    def require(self, *elements: Element) -> None:
        """Raises `TesseraError` unless what is computed with and made is of these types."""
        tensors = [self.views.graph.tensors[name] for name in self.node.inputs]
        for one in (*(t for t in tensors if t.data is None), self.output):
            if element_of(one) not in elements:
                names = " or ".join(element.name.lower() for element in elements)
                raise unsupported(self.node, f"this op on {one.dtype} ('{one.name}')", names)

    def steps_of(self, tensor: Tensor) -> tuple[float, Signed]:
        """Scale (a float32) and zero point of a tensor that has one of each."""
        how = quantisation_of(self.node, tensor)
        if how.axis is not None:
            raise unsupported(
                self.node, f"a scale per index of axis {how.axis} of '{tensor.name}'", "one scale"
            )
        return float(np.float32(how.scale[0])), Signed(how.zero_point[0])


def quantisation_of(node: Node, tensor: Tensor) -> Quantisation:
    """The quantisation of a tensor. Raises `TesseraError` where there is none."""
    if tensor.quantisation is None:
        raise unsupported(node, f"integers without a scale ('{tensor.name}')", "a scale for each")
    return tensor.quantisation


def float32(value: Array | np.float32) -> float:
    """One float32 as a Python number, exactly."""
    return float(np.float32(value))


Rule = Callable[[Site], tuple[Instruction, ...]]
LayoutRule = Callable[[Node, Mapping[str, Tensor], int], Layout]
INTEGERS = (Element.INT8, Element.UINT8)
EVERY = tuple(Element)
