"""From groups and how each is run to the schedule: every step, every buffer, every lifetime.

Goal: one place that emits steps; lifetimes are from the first to the last step that touches a
buffer, so they cannot be at odds with the steps.
Non-goals: judging (`assess`) and choosing (`choose`) groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tessera.plan.tiles.bands import Piece, ring_rows, sweep
from tessera.plan.tiles.boxes import blocking_of, input_boxes, output_box
from tessera.plan.tiles.rows import ROW_AXIS, Rows
from tessera.plan.tiles.steps import (
    Box,
    Buffer,
    Choice,
    Group,
    Kind,
    Region,
    Schedule,
    Step,
    Weights,
    aligned,
    volume,
    whole,
)
from tessera.plan.tiles.units import Item, Units


@dataclass(slots=True)
class _Draft:
    """Steps and buffers while they are made; lifetimes come at the end."""

    units: Units
    steps: list[Step] = field(default_factory=list)
    buffers: dict[str, Buffer] = field(default_factory=dict)
    resident: dict[str, Region] = field(default_factory=dict)

    def buffer(self, name: str, tensor: str, origin: Box, ring: int | None = None) -> None:
        if name in self.buffers:
            return
        one = Buffer(name, tensor, origin, ring, 0, 0, 0)
        elements = 1
        for size in one.shape:
            elements *= size
        size = aligned(elements * self.units.graph.tensors[tensor].dtype.bytes)
        self.buffers[name] = replace(one, size=size)

    def constant(self, name: str, tensor: str, box: Box) -> Region:
        self.buffer(name, tensor, box)
        return Region(name, tensor, box)


def group_items(units: Units, start: int, stop: int) -> tuple[Item, ...]:
    """The items of the units `start` up to and without `stop`."""
    return units.items[units.bounds[start] : units.bounds[stop]]


def group_pieces(units: Units, start: int, stop: int, choice: Choice) -> list[Piece]:
    """The pieces of a group, in order."""
    end = units.bounds[stop]
    items = group_items(units, start, stop)
    escaping = {
        one.tensor for one in items if units.storages[units.storage_of[one.tensor]].last >= end
    }
    return sweep(items, units.graph.tensors, escaping, choice.band, choice.rolling)


def rings(units: Units, start: int, stop: int, pieces: Sequence[Piece]) -> dict[str, int]:
    """Rows of every line buffer of a banded group: of the storages that live inside it."""
    if pieces[0].rows is None:
        return {}
    begin, end = units.bounds[start], units.bounds[stop]
    found: dict[str, int] = {}
    for one in group_items(units, start, stop):
        storage = units.storages[units.storage_of[one.tensor]]
        if storage.first >= begin and storage.last < end and storage.name not in found:
            found[storage.name] = ring_rows(pieces, units, storage.name)
    return found


def blocks_of(units: Units, piece: Piece, blocks: int) -> tuple[Rows | None, ...]:
    """The ranges of output channels in which a piece is made."""
    node = piece.item.node
    blocking = blocking_of(node, units.graph.tensors) if node and blocks > 1 else None
    return blocking.cut(blocks) if blocking else (None,)


def compute_step(
    units: Units, group: int, piece: Piece, channels: Rows | None, prefix: str
) -> Step:
    """The step that makes a piece; buffers of its constants are named with `prefix`."""
    node = piece.item.node
    tensors = units.graph.tensors
    made = piece.item.tensor
    target = units.storage_of[made]
    if node is None:
        box = list(whole(tensors[made].shape))
        if piece.rows is not None:
            box[ROW_AXIS] = piece.rows
        write = Region(target, made, tuple(box))
        return Step(Kind.FETCH, group, None, piece.rows, None, (), (write,))
    reads = []
    boxes = input_boxes(node, tensors, piece.rows, channels)
    for name, read in zip(node.inputs, boxes, strict=True):
        constant = tensors[name].data is not None
        buffer = f"{prefix}{name}" if constant else units.storage_of[name]
        reads.append(Region(buffer, name, read))
    write = Region(target, made, output_box(node, tensors, piece.rows, channels))
    return Step(Kind.COMPUTE, group, node, piece.rows, channels, tuple(reads), (write,))


def _load(draft: _Draft, group: int, step: Step, stays: bool) -> Step | None:
    """The step that loads the constants of a compute step, or None when it reads none.

    What stays longer than the step is loaded whole, whatever part the step reads.
    """
    tensors = draft.units.graph.tensors
    wanted: dict[str, Region] = {}
    for one in step.reads:
        if tensors[one.tensor].data is not None:
            box = whole(tensors[one.tensor].shape) if stays else one.box
            wanted[one.buffer] = draft.constant(one.buffer, one.tensor, box)
    if not wanted:
        return None
    return Step(Kind.LOAD, group, None, None, None, (), tuple(wanted.values()))


def _ahead(steps: list[Step]) -> list[Step]:
    """Every load but the first moved before the compute step that the load before it serves."""
    moved: list[Step] = []
    place: int | None = None
    for step in steps:
        if step.kind is Kind.LOAD and place is not None:
            moved.insert(place, replace(step, overlaps=True))
            place = len(moved)
        elif step.kind is Kind.LOAD:
            moved.append(step)
            place = len(moved)
        else:
            moved.append(step)
    return moved


def _group_steps(draft: _Draft, number: int, group: Group) -> list[Step]:
    units, choice = draft.units, group.choice
    tensors = units.graph.tensors
    pieces = group_pieces(units, group.start, group.stop, choice)
    for name, rows in rings(units, group.start, group.stop, pieces).items():
        full = tensors[name].shape[ROW_AXIS]
        if rows:
            draft.buffer(name, name, whole(tensors[name].shape), rows if rows < full else None)
    steps: list[Step] = []
    loads: dict[str, Region] = {}
    for place, piece in enumerate(pieces):
        target = units.storage_of[piece.item.tensor]
        draft.buffer(target, target, whole(tensors[target].shape))
        if choice.weights is not Weights.STEP:
            prefix = "" if choice.weights is Weights.RESIDENT else f"{number}/"
            step = compute_step(units, number, piece, None, prefix)
            load = _load(draft, number, step, True)
            for region in load.writes if load else ():
                (draft.resident if prefix == "" else loads)[region.buffer] = region
            steps.append(step)
            continue
        for block, channels in enumerate(blocks_of(units, piece, choice.blocks)):
            prefix = f"{number}.{place}.{block}/"
            step = compute_step(units, number, piece, channels, prefix)
            load = _load(draft, number, step, False)
            steps += [load, step] if load else [step]
    if loads:
        steps.insert(0, Step(Kind.LOAD, number, None, None, None, (), tuple(loads.values())))
    return _ahead(steps) if choice.ahead and choice.weights is Weights.STEP else steps


def schedule(units: Units, groups: Sequence[Group]) -> Schedule:
    """The steps and buffers of a network whose units are run as `groups` say.

    Resident constants are loaded by a first step of group -1 and stay. Raises nothing; groups must
    cover the units in order.
    """
    assert [one.start for one in groups] == [0, *(one.stop for one in groups[:-1])]
    assert groups[-1].stop == len(units)
    draft = _Draft(units)
    for number, group in enumerate(groups):
        draft.steps += _group_steps(draft, number, group)
    if draft.resident:
        regions = tuple(draft.resident.values())
        draft.steps.insert(0, Step(Kind.LOAD, -1, None, None, None, (), regions))
    return _with_lifetimes(draft, tuple(groups))


def _with_lifetimes(draft: _Draft, groups: tuple[Group, ...]) -> Schedule:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, step in enumerate(draft.steps):
        for one in (*step.reads, *step.writes):
            first.setdefault(one.buffer, index)
            last[one.buffer] = index
    stays = {draft.units.storage_of[name] for name in draft.units.graph.outputs}
    stays |= set(draft.resident)
    end = len(draft.steps)
    buffers = {
        name: replace(one, lower=first[name], upper=end if name in stays else last[name] + 1)
        for name, one in draft.buffers.items()
    }
    assert all(volume(one.origin) for one in buffers.values())
    return Schedule(draft.units.graph, draft.units.store, groups, tuple(draft.steps), buffers)
