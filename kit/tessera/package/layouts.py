"""How constants lie in a package: turned, cut and packed as the runtime reads them.

Goal: a layout is a value, equal for equal bytes, so that what is loaded often is stored once.
Non-goals: encryption and compression (`blocks`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tessera.plan.graph import Array
from tessera.plan.plan import Box

LANES = 8
"""Output channels whose weights lie side by side: TL_LANES of models/dnn/runtime/tl_layers.h."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Elements in their order."""

    def bytes_of(self, part: Array) -> bytes:
        """The bytes of a part of a constant."""
        return _little(part)


@dataclass(frozen=True, slots=True)
class Lanes:
    """Weights by lanes of output channels.

    Axis 0 of the part (axis 1 with `turned`, for weights that are multiplied from the right) is
    the output channel. Channels are taken `LANES` at a time, fewer at the end of the part or of a
    group of `per_group`; of these the numbers that meet one input number lie side by side. Parts
    begin at the beginning of a group.
    """

    per_group: int
    turned: bool = False

    def bytes_of(self, part: Array) -> bytes:
        """The bytes of a part of the weights."""
        rows = part.T if self.turned else part
        flat = rows.reshape(rows.shape[0], -1)
        made, at = [], 0
        while at < len(flat):
            end = min(at + LANES, len(flat), (at // self.per_group + 1) * self.per_group)
            made.append(flat[at:end].T.reshape(-1))
            at = end
        return _little(np.concatenate(made))


@dataclass(frozen=True, slots=True)
class Instead:
    """Other numbers in the place of a constant that is read whole, of the same size."""

    data: bytes

    def bytes_of(self, part: Array) -> bytes:
        """The numbers that were given."""
        assert len(self.data) == part.nbytes
        return self.data


Layout = Plain | Lanes | Instead


@dataclass(frozen=True, slots=True)
class Constant:
    """A part of a constant in a layout: what blocks are made for, once."""

    tensor: str
    box: Box
    layout: Layout


def cut(data: Array, box: Box) -> Array:
    """The elements of a box."""
    return data[tuple(slice(*one) for one in box)]


def _little(part: Array) -> bytes:
    return np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<")).tobytes()
