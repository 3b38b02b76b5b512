"""Running a schedule in one bytearray, at planned offsets, with every byte watched.

Goal: show that a schedule computes what the untiled run computes, and catch one that does not:
every byte remembers which row of which tensor of which buffer was last written there; reading
anything else, or before and after a buffer's life, stops the run. Dead bytes hold a poison (NaN
for floats).
Non-goals: speed, and judging a plan without running it (the certificate does).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.graph import Array, Tensor
from tessera.plan.tiles.rows import ROW_AXIS
from tessera.plan.tiles.slices import compute
from tessera.plan.tiles.steps import ALIGNMENT, Buffer, Kind, Region, Schedule, Step, whole

POISON = 0xFF
"""Four of it are a NaN of float32."""


def _fault(message: str, step: Step) -> TesseraError:
    return TesseraError(
        message,
        where=step.label,
        remedy="the plan is wrong; make it again and report this if it stays",
    )


class Arena:
    """Bytes, and for every byte the mark of what was last written there (0: nothing)."""

    def __init__(self, size: int) -> None:
        self.bytes = np.full(size, POISON, np.uint8)
        self.marks = np.zeros(size, np.int64)
        self._marks: dict[tuple[str, str], int] = {}

    def mark(self, region: Region, rows: int) -> int:
        """The mark of row 0 of a tensor in a buffer; its other rows follow."""
        key = (region.buffer, region.tensor)
        if key not in self._marks:
            self._marks[key] = (len(self._marks) + 1) << 24
            assert rows < 1 << 24
        return self._marks[key]

    def clear(self, offset: int, size: int) -> None:
        """Makes bytes belong to nobody."""
        self.bytes[offset : offset + size] = POISON
        self.marks[offset : offset + size] = 0


class _View:
    """A buffer's bytes and marks as an array of a tensor's elements, addressed by boxes."""

    def __init__(self, arena: Arena, buffer: Buffer, offset: int, tensor: Tensor) -> None:
        shape = buffer.shape if buffer.tensor == tensor.name else self._shape(buffer, tensor)
        count = int(np.prod(shape, dtype=np.int64)) * tensor.dtype.bytes
        self.values = arena.bytes[offset : offset + count].view(tensor.dtype.numpy).reshape(shape)
        marks = arena.marks[offset : offset + count]
        self.marks = marks.reshape(*shape, tensor.dtype.bytes)
        self._buffer, self._aliased = buffer, buffer.tensor != tensor.name

    @staticmethod
    def _shape(buffer: Buffer, tensor: Tensor) -> tuple[int, ...]:
        """A tensor that took over the bytes of another has its own shape there."""
        if buffer.ring is None:
            return tensor.shape
        return (*tensor.shape[:ROW_AXIS], buffer.ring, *tensor.shape[ROW_AXIS + 1 :])

    def index(self, region: Region) -> tuple[Array, ...]:
        """Where the elements of a box stand in `values`."""
        axes = []
        for axis, one in enumerate(region.box):
            places = np.arange(one.start, one.stop)
            if axis == ROW_AXIS and self._buffer.ring is not None:
                places = places % self._buffer.ring
            elif not self._aliased:
                places = places - self._buffer.origin[axis].start
            axes.append(places)
        return np.ix_(*axes) if axes else ()


def _row_marks(region: Region, first: int) -> Any:
    """The mark of every element of a box, in a shape that broadcasts to it and its bytes."""
    if len(region.box) <= ROW_AXIS:
        return first
    rows = region.box[ROW_AXIS]
    shape = [1] * (len(region.box) + 1)
    shape[ROW_AXIS] = rows.size
    return (first + np.arange(rows.start, rows.stop)).reshape(shape)


class TiledRun:
    """One run of a schedule in an arena. `offsets` gives each buffer's first byte."""

    def __init__(self, schedule: Schedule, offsets: Mapping[str, int], size: int) -> None:
        self._schedule, self._offsets = schedule, offsets
        self._arena = Arena(size)
        for name, one in schedule.buffers.items():
            start = offsets[name]
            if start < 0 or start % ALIGNMENT or start + one.size > size:
                raise TesseraError(
                    f"buffer '{name}' of {one.size} bytes at {start} is not inside {size} bytes, "
                    f"or not at a multiple of {ALIGNMENT}",
                    where=schedule.graph.name,
                    remedy="place the buffers again",
                )

    def _view(self, region: Region) -> _View:
        buffer = self._schedule.buffers[region.buffer]
        tensor = self._schedule.graph.tensors[region.tensor]
        return _View(self._arena, buffer, self._offsets[region.buffer], tensor)

    def _read(self, region: Region, step: Step) -> Array:
        view = self._view(region)
        tensor = self._schedule.graph.tensors[region.tensor]
        rows = tensor.shape[ROW_AXIS] if len(tensor.shape) > ROW_AXIS else 1
        index = view.index(region)
        marks = view.marks[index]
        expected = _row_marks(region, self._arena.mark(region, rows))
        wrong = marks != expected
        if wrong.any():
            what = "was overwritten" if marks[wrong].any() else "was never written"
            raise _fault(
                f"reads '{region.tensor}' [{', '.join(map(str, region.box))}] in buffer "
                f"'{region.buffer}', of which {int(wrong.sum())} bytes hold something else: "
                f"it {what} or its life had ended",
                step,
            )
        return np.array(view.values[index])

    def _write(self, region: Region, values: Array, step: Step, index: int) -> None:
        buffer = self._schedule.buffers[region.buffer]
        if not buffer.lower <= index < buffer.upper:
            raise _fault(f"writes to '{region.buffer}', which is not alive", step)
        rows = region.box[ROW_AXIS].size if len(region.box) > ROW_AXIS else 0
        if buffer.ring is not None and rows > buffer.ring:
            raise _fault(f"writes {rows} rows to '{region.buffer}' of {buffer.ring}", step)
        view = self._view(region)
        place = view.index(region)
        tensor = self._schedule.graph.tensors[region.tensor]
        total = tensor.shape[ROW_AXIS] if len(tensor.shape) > ROW_AXIS else 1
        view.values[place] = values
        view.marks[place] = _row_marks(region, self._arena.mark(region, total))

    def _step(self, index: int, inputs: Mapping[str, Array]) -> None:
        step, tensors = self._schedule.steps[index], self._schedule.graph.tensors
        if step.kind is Kind.COMPUTE:
            assert step.node is not None
            values = [self._read(one, step) for one in step.reads]
            made = compute(step.node, tensors, step.rows, step.channels, values)
            self._write(step.writes[0], made, step, index)
            return
        for region in step.writes:
            data = tensors[region.tensor].data if step.kind is Kind.LOAD else None
            source = inputs[region.tensor] if data is None else data
            cut = tuple(slice(one.start, one.stop) for one in region.box)
            self._write(region, source[cut], step, index)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name. Raises `TesseraError` at the first read of what is not there."""
        buffers = self._schedule.buffers
        born: dict[int, list[str]] = {}
        dead: dict[int, list[str]] = {}
        for name, one in buffers.items():
            born.setdefault(one.lower, []).append(name)
            dead.setdefault(one.upper, []).append(name)
        for index in range(len(self._schedule.steps)):
            for name in (*dead.get(index, ()), *born.get(index, ())):
                self._arena.clear(self._offsets[name], buffers[name].size)
            self._step(index, inputs)
        written = {one.tensor: one for step in self._schedule.steps for one in step.writes}
        outputs = {}
        for name in self._schedule.graph.outputs:
            shape = self._schedule.graph.tensors[name].shape
            last = self._schedule.steps[-1]
            outputs[name] = self._read(Region(written[name].buffer, name, whole(shape)), last)
        return outputs
