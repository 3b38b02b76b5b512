"""What a schedule is made of: boxes of tensors, buffers that hold them, steps that touch both.

Goal: data that says of every step which part of which tensor is read and written, and where it
lies, so that lifetimes, load, cost and execution all follow from it.
Non-goals: choosing (`choose`) and making (`schedule`) one.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

from tessera.plan.graph import Graph, Node, Shape
from tessera.plan.store import Store
from tessera.plan.tiles.rows import ROW_AXIS, Rows

ALIGNMENT = 16
"""Sizes of buffers are rounded up to this many bytes, so that offsets can be aligned to it."""

Box = tuple[Rows, ...]


def whole(shape: Shape) -> Box:
    """The box of all elements."""
    return tuple(Rows(0, size) for size in shape)


def volume(box: Box) -> int:
    """Elements of a box."""
    return math.prod(one.size for one in box)


def aligned(size: int) -> int:
    """Bytes rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Kind(enum.StrEnum):
    """What a step does: decrypts constants, copies rows of an input in, or computes."""

    LOAD = "load"
    FETCH = "fetch"
    COMPUTE = "compute"


class Weights(enum.StrEnum):
    """How long the constants of a group stay: for good, for the group, for one step."""

    RESIDENT = "resident"
    GROUP = "group"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Choice:
    """How a group of units is run.

    `band` is the number of rows of the group's last tensor that are made at a time (None: all);
    `rolling`: of every tensor of the group, each on demand.
    With `Weights.STEP` the constants come in `blocks` blocks of output channels where the op allows
    it; `ahead` loads each block while the one before is computed with, so two are alive.
    """

    band: int | None = None
    weights: Weights = Weights.GROUP
    blocks: int = 1
    ahead: bool = False
    rolling: bool = False

    def __str__(self) -> str:
        rolling = "rolling " if self.rolling else ""
        band = "whole" if self.band is None else f"{rolling}bands of {self.band}"
        blocks = f" in {self.blocks} blocks" if self.blocks > 1 else ""
        ahead = ", loaded ahead" if self.ahead else ""
        return f"{band}, weights per {self.weights}{blocks}{ahead}".replace(
            "per resident", "resident"
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Units `start` up to and without `stop`, run in one way."""

    start: int
    stop: int
    choice: Choice


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes of the arena for a part of a tensor (or for tensors that follow each other in place).

    `origin` is the box that it can hold; `ring`: only this many rows of it, row r in slot
    r modulo `ring`. Alive at the steps from `lower` up to and without `upper`.
    """

    name: str
    tensor: str
    origin: Box
    ring: int | None
    size: int
    lower: int
    upper: int

    @property
    def shape(self) -> Shape:
        """The shape in which elements are stored."""
        sizes = [one.size for one in self.origin]
        if self.ring is not None:
            sizes[ROW_AXIS] = self.ring
        return tuple(sizes)


@dataclass(frozen=True, slots=True)
class Region:
    """A box of a tensor, in a buffer."""

    buffer: str
    tensor: str
    box: Box


@dataclass(frozen=True, slots=True)
class Step:
    """One tile. `node` is None when constants are loaded or an input is fetched.

    `rows` and `channels` say which part of the node's output is made (None: all). `overlaps`: a
    load that runs while the next step computes. `group` is -1 for what happens once, before the
    first inference.
    """

    kind: Kind
    group: int
    node: Node | None
    rows: Rows | None
    channels: Rows | None
    reads: tuple[Region, ...]
    writes: tuple[Region, ...]
    overlaps: bool = False

    @property
    def label(self) -> str:
        """The step in words."""
        what = self.node.name if self.node else ", ".join(one.tensor for one in self.writes[:2])
        rows = f" rows {self.rows}" if self.rows else ""
        channels = f" channels {self.channels}" if self.channels else ""
        return f"{self.kind} {what}{rows}{channels}"


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Steps in order, and every buffer that they touch, by name; constants are from `store`."""

    graph: Graph
    store: Store
    groups: tuple[Group, ...]
    steps: tuple[Step, ...]
    buffers: Mapping[str, Buffer]

    def loads(self) -> list[int]:
        """Bytes alive at every step."""
        change = [0] * (len(self.steps) + 1)
        for one in self.buffers.values():
            change[one.lower] += one.size
            change[one.upper] -= one.size
        alive, loads = 0, []
        for delta in change[:-1]:
            alive += delta
            loads.append(alive)
        return loads

    @property
    def peak(self) -> int:
        """The largest load: no placement needs less."""
        return max(self.loads(), default=0)
