"""What a schedule costs: bytes decrypted and moved, multiply-adds, blocks loaded; one number.

Goal: counts per step that follow from the steps alone, and a linear model over them whose
coefficients stand in one place, to be fitted to what the guest measures.
Non-goals: a time. Until the coefficients are fitted a cost only says which of two plans of one
network is cheaper.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from tessera.plan.compress.measure import Stored
from tessera.plan.graph import Graph, Tensor
from tessera.plan.graph_ops import ConvAttrs, GemmAttrs, PoolAttrs
from tessera.plan.store import Store
from tessera.plan.tiles.steps import Kind, Region, Schedule, Step, volume


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Cost of one of each. The unit is moving one byte inside secure memory.

    The defaults are assumed ratios, not measurements: decryption costs several times a copy, a
    change of worlds as much as some ten thousand bytes copied. Only `word_decoded` is near to what
    was seen: the C decoder took some 65 multiply-adds of the C convolution for each code
    word, compiled alike. To be replaced by fitted values.
    """

    byte_loaded: float = 8.0
    byte_moved: float = 1.0
    multiply_add: float = 1.0
    world_switch: float = 20_000.0
    word_decoded: float = 64.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What steps do. `loaded`: bytes of constants decrypted; `moved`: bytes of activations read and
    written, inputs fetched among them; `switches`: blocks loaded, each one change of worlds;
    `decoded`: code words of packed constants."""

    loaded: int = 0
    moved: int = 0
    multiply_adds: int = 0
    switches: int = 0
    decoded: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.loaded + other.loaded,
            self.moved + other.moved,
            self.multiply_adds + other.multiply_adds,
            self.switches + other.switches,
            self.decoded + other.decoded,
        )

    def cost(self, rates: Coefficients) -> float:
        """The linear model, nothing overlapped."""
        return (
            rates.byte_loaded * self.loaded
            + rates.byte_moved * self.moved
            + rates.multiply_add * self.multiply_adds
            + rates.world_switch * self.switches
            + rates.word_decoded * self.decoded
        )


def _per_element(op: str, attrs: object, inputs: tuple[Tensor, ...]) -> int:
    """Multiply-adds for one element of the output; one for ops without a sum."""
    if op in ("Conv", "QLinearConv"):
        per = inputs[1].shape[1]
        for size in cast(ConvAttrs, attrs).kernel:
            per *= size
        return per
    if op in ("MaxPool", "AveragePool", "QLinearAveragePool"):
        per = 1
        for size in cast(PoolAttrs, attrs).kernel:
            per *= size
        return per
    if op == "Gemm":
        return inputs[0].shape[0 if cast(GemmAttrs, attrs).transpose_a else 1]
    if op in ("MatMul", "QLinearMatMul"):
        return inputs[0].shape[-1]
    return 1


def _region_bytes(graph: Graph, regions: Iterable[Region]) -> int:
    return sum(volume(one.box) * graph.tensors[one.tensor].dtype.bytes for one in regions)


def _loaded(store: Store, regions: Iterable[Region]) -> Counts:
    kept = sum((store.of(one.tensor, one.box) for one in regions), Stored(0))
    return Counts(loaded=kept.bytes, decoded=kept.words)


def counts_of(graph: Graph, step: Step, store: Store | None = None) -> Counts:
    """What one step does; constants come from the store (left out: plain)."""
    if step.kind is Kind.LOAD:
        return _loaded(store or Store(graph), step.writes) + Counts(switches=1)
    active = [one for one in step.reads if graph.tensors[one.tensor].data is None]
    moved = _region_bytes(graph, active) + _region_bytes(graph, step.writes)
    if step.node is None:
        return Counts(moved=moved)
    node = step.node
    inputs = tuple(graph.tensors[name] for name in node.inputs)
    whole = ("GlobalAveragePool", "GlobalMaxPool", "QLinearGlobalAveragePool")
    if node.op in whole or node.op.startswith("Reduce"):
        return Counts(moved=moved, multiply_adds=sum(volume(one.box) for one in active))
    made = volume(step.writes[0].box)
    return Counts(moved=moved, multiply_adds=made * _per_element(node.op, node.attrs, inputs))


def time_of(
    graph: Graph, steps: Iterable[Step], rates: Coefficients, store: Store | None = None
) -> float:
    """The cost of steps in order; a load that overlaps costs only what outlasts the next step.

    Loads of group -1 happen once, before the first inference, and cost nothing here.
    """
    total, pending = 0.0, 0.0
    for step in steps:
        if step.group < 0:
            continue
        cost = counts_of(graph, step, store).cost(rates)
        if step.overlaps:
            pending += cost
            continue
        total += max(cost, pending)
        pending = 0.0
    return total + pending


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a group's place, what was done there in sum, and its cost."""

    group: int
    counts: Counts
    cost: float


def table(schedule: Schedule, rates: Coefficients) -> tuple[Row, ...]:
    """Counts and cost of every group; group -1 is what is loaded once and for all."""
    rows = []
    present = sorted({one.group for one in schedule.steps})
    for number in present:
        steps = [one for one in schedule.steps if one.group == number]
        graph, store = schedule.graph, schedule.store
        counts = sum((counts_of(graph, one, store) for one in steps), Counts())
        rows.append(Row(number, counts, time_of(graph, steps, rates, store)))
    return tuple(rows)


def layers(schedule: Schedule) -> dict[str, Counts]:
    """Counts by the name of the node that computes, what is loaded for it included.

    Constants loaded for a whole group, or for good, stand under the first node that reads them.
    """
    found: dict[str, Counts] = {}
    reader: dict[str, str] = {}
    for step in schedule.steps:
        if step.node is not None:
            for one in step.reads:
                reader.setdefault(one.buffer, step.node.name)
    for step in schedule.steps:
        counts = counts_of(schedule.graph, step, schedule.store)
        if step.kind is not Kind.LOAD:
            name = step.node.name if step.node else step.writes[0].tensor
            found[name] = found.get(name, Counts()) + counts
            continue
        switch = Counts(switches=counts.switches)
        for one in step.writes:
            name = reader[one.buffer]
            loaded = _loaded(schedule.store, (one,))
            found[name] = found.get(name, Counts()) + loaded + switch
            switch = Counts()
    return found
