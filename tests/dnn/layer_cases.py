"""Windows, parts and views that tests of layers draw, and the calls that they make."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_layers import Held, Window, hold

from tessera.plan.graph_ops import PoolAttrs


@dataclass(frozen=True, slots=True)
class Case:
    """A window over an input, and the part of the output that is made."""

    attrs: PoolAttrs
    groups: int
    per_group: tuple[int, int]  # channels in, channels out
    rows: int
    columns: int
    part: tuple[int, int, int, int]
    ring: bool
    seed: int

    @property
    def out(self) -> tuple[int, int]:
        """Rows and columns of the whole output."""
        a, sizes = self.attrs, (self.rows, self.columns)
        return tuple(
            (sizes[i] + a.pads[i] + a.pads[i + 2] - a.dilations[i] * (a.kernel[i] - 1) - 1)
            // a.strides[i]
            + 1
            for i in range(2)
        )  # type: ignore[return-value]

    def window(self) -> Window:
        a = self.attrs
        return Window(*a.kernel, *a.strides, *a.pads[:2], *a.dilations, self.rows)

    def needed(self) -> range:
        """The rows of the input that the part's windows meet."""
        a, (_, _, first, end) = self.attrs, self.part
        low = first * a.strides[0] - a.pads[0]
        high = (end - 1) * a.strides[0] - a.pads[0] + a.dilations[0] * (a.kernel[0] - 1) + 1
        low = min(max(low, 0), self.rows - 1)
        return range(low, max(min(high, self.rows), low + 1))


@st.composite
def cases(draw: st.DrawFn, *, pools: bool = False, depthwise: bool = False) -> Case:
    """Windows of any size, step, padding and dilation, over any part of an output."""
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    strides = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    dilations = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    most = [k - 1 for k in kernel] if pools else reach
    pads = tuple(draw(st.integers(0, most[i % 2])) for i in range(4))
    if pools:
        dilations = (1, 1)
        reach = list(kernel)
    rows = draw(st.integers(max(1, reach[0] - pads[0] - pads[2]), 12))
    columns = draw(st.integers(max(1, reach[1] - pads[1] - pads[3]), 40))
    groups = draw(st.integers(1, 5 if pools or depthwise else 3))
    one = (1, 1) if pools or depthwise else (draw(st.integers(1, 5)), draw(st.integers(1, 19)))
    attrs = PoolAttrs(kernel, strides, pads, dilations, False, draw(st.booleans()))
    case = Case(attrs, groups, one, rows, columns, (0, 1, 0, 1), False, 0)
    channels = groups * one[1]
    first, top = draw(st.integers(0, channels - 1)), draw(st.integers(0, case.out[0] - 1))
    part = (
        *(first, draw(st.integers(first + 1, channels))),
        *(top, draw(st.integers(top + 1, case.out[0]))),
    )
    seed = draw(st.integers(0, 1000))
    return Case(attrs, groups, one, rows, columns, part, draw(st.booleans()), seed)


def held_input(case: Case, x: NDArray[Any]) -> Held:
    """Only the channels and rows that the part needs."""
    into, out = case.per_group
    channels = range(case.part[0] // out * into, ((case.part[1] - 1) // out + 1) * into)
    rows = case.needed()
    return hold(x, channels, rows, ring=len(rows) + case.seed % 2 if case.ring else None)


def held_output(case: Case, kind: str = "<f4") -> Held:
    """A buffer of the part's size, which holds nothing."""
    shape = (case.groups * case.per_group[1], *case.out)
    first, end, top, bottom = case.part
    return hold(np.zeros(shape, kind), range(first, end), range(top, bottom), fill=False)


def made(case: Case, whole: NDArray[Any]) -> NDArray[Any]:
    """The part of a whole output."""
    first, end, top, bottom = case.part
    return whole[first:end, top:bottom]


def run(function: Callable[..., Any], *arguments: Any) -> None:
    """Call it; structures go by reference."""
    function.restype = None
    function(*(ctypes.byref(a) if isinstance(a, ctypes.Structure) else a for a in arguments))
