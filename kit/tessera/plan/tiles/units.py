"""The order of a network as units that a schedule may cut between, and which tensors share bytes.

Goal: a list of items (an input to fetch, or a node), grouped into units: a node and what follows
on its output in place. Every cut between units has known live storages, so residual blocks need no
special case: what a later unit reads is alive, whole, at the cut.
Non-goals: another order of execution; in-place ops over inputs that others still read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.plan.graph import Graph, Node
from tessera.plan.store import Store
from tessera.plan.tiles.rows import SAME_ROWS
from tessera.plan.tiles.steps import aligned

VIEWS = ("Reshape", "Identity")


@dataclass(frozen=True, slots=True)
class Item:
    """Something that makes one tensor: a node, or the copy of a graph input (`node` None)."""

    tensor: str
    node: Node | None


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes that one tensor after another takes. Alive from item `first` to item `last`, both in.

    `last` is the number of items for what the network gives out.
    """

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """A graph cut into units; unit u is the items `bounds[u]` up to `bounds[u + 1]`."""

    graph: Graph
    store: Store
    items: tuple[Item, ...]
    bounds: tuple[int, ...]
    storage_of: Mapping[str, str]
    storages: Mapping[str, Storage]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def name(self, unit: int) -> str:
        """What a unit is called: its first node, or the input that it fetches."""
        item = self.items[self.bounds[unit]]
        return item.node.name if item.node else item.tensor

    def constants(self, item: Item) -> tuple[str, ...]:
        """The constants that an item reads, each once."""
        if item.node is None:
            return ()
        tensors = self.graph.tensors
        return tuple(n for n in dict.fromkeys(item.node.inputs) if tensors[n].data is not None)

    def actives(self, item: Item) -> tuple[str, ...]:
        """The tensors that an item reads and that are no constants, each once."""
        if item.node is None:
            return ()
        tensors = self.graph.tensors
        return tuple(n for n in dict.fromkeys(item.node.inputs) if tensors[n].data is None)


def _in_place(graph: Graph, node: Node, readers: Mapping[str, int]) -> str | None:
    """The input whose bytes the output may take: read by nobody else, of the same size."""
    made = graph.tensors[node.outputs[0]]
    if node.op not in SAME_ROWS and node.op not in VIEWS:
        return None
    if node.op == "LRN":  # reads other channels of the row that it would overwrite
        return None
    for name in node.inputs:
        one = graph.tensors[name]
        same = one.dtype == made.dtype and (one.shape == made.shape or node.op in VIEWS)
        if one.data is None and same and readers[name] == 1 and name not in graph.outputs:
            return name
    return None


def _items(graph: Graph) -> tuple[Item, ...]:
    """Inputs stand right before the first node that reads them."""
    items: list[Item] = []
    waiting = list(graph.inputs)
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            if name in waiting:
                waiting.remove(name)
                items.append(Item(name, None))
        items.append(Item(node.outputs[0], node))
    items.extend(Item(name, None) for name in waiting)
    return tuple(items)


def _refuse_odd(graph: Graph) -> None:
    for name in graph.outputs:
        if graph.tensors[name].data is not None:
            raise TesseraError(
                f"the output '{name}' is a constant",
                where=graph.name,
                remedy="leave it out of the network's outputs; there is nothing to compute",
            )
    for node in graph.nodes:
        if len(node.outputs) != 1:
            raise TesseraError(
                f"node '{node.name}' makes {len(node.outputs)} tensors",
                where=str(node.source),
                remedy="tiles are planned for nodes with one output",
            )


def units_of(graph: Graph, packed: bool = False) -> Units:
    """Items, units and storages of a graph, in its own order; constants are stored plain or packed.

    Raises `TesseraError` for outputs that are constants.
    """
    _refuse_odd(graph)
    items = _items(graph)
    readers = {name: len(nodes) for name, nodes in graph.consumers().items()}
    storage_of: dict[str, str] = {}
    bounds = [0]
    for index, item in enumerate(items):
        shared = _in_place(graph, item.node, readers) if item.node else None
        storage_of[item.tensor] = item.tensor if shared is None else storage_of[shared]
        follows = index > 0 and shared == items[index - 1].tensor
        if index > 0 and not follows:
            bounds.append(index)
    bounds.append(len(items))
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    size: dict[str, int] = {}
    for index, item in enumerate(items):
        touched = [item.tensor]
        if item.node:
            touched += [n for n in item.node.inputs if graph.tensors[n].data is None]
        for name in touched:
            storage = storage_of[name]
            first.setdefault(storage, index)
            last[storage] = index
        size[storage_of[item.tensor]] = aligned(graph.tensors[item.tensor].bytes)
    for name in graph.outputs:
        last[storage_of[name]] = len(items)
    storages = {name: Storage(name, size[name], first[name], last[name]) for name in first}
    return Units(graph, Store(graph, packed), items, tuple(bounds), storage_of, storages)
