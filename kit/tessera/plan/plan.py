"""A plan of a network as plain data: what `tessera plan` writes, checkers and pictures read.

Goal: frozen records that say all of a plan without its weights: the network's tensors and nodes,
every buffer with its life and place, every step with what it reads and writes, what was chosen for
each layer and what the alternatives would have cost. `to_json` and `from_json` are inverse.
Non-goals: making a plan (`make`), judging it (`tessera.plan.certificate`), drawing it.

Units: sizes, offsets and alignments are bytes; steps and rows count from 0; every range is
[start, stop). Boxes have one range per axis of the tensor. Rows are axis 2.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tessera.errors import TesseraError
from tessera.records import built

PLAN_VERSION = "1"
KIND = "tessera-plan"

Range = tuple[int, int]
Box = tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """The network that is planned, after the passes. `digest`: sha256 over nodes, attributes,
    shapes and constants, as hex."""

    name: str
    digest: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weight_bytes: int
    multiply_adds: int


@dataclass(frozen=True, slots=True)
class TensorRow:
    """A tensor of the network; `constant`: weights, which are loaded and never computed."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    constant: bool


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node in the order of execution; `attrs` as in `tessera.plan.graph_ops`, by field name."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: dict[str, Any]
    source: str


@dataclass(frozen=True, slots=True)
class BufferRow:
    """Bytes of the arena: [offset, offset + size), alive at the steps [lower, upper).

    It holds the box `origin` of `tensor`, element by element in row-major order of the box; with
    `ring`, only that many rows of it, row r in slot r modulo `ring`. Tensors that are computed in
    place take over the bytes of `tensor`: accesses of them name this buffer, each in its own shape
    (whole, or with `ring` rows).
    """

    id: str
    tensor: str
    origin: Box
    ring: int | None
    size: int
    lower: int
    upper: int
    offset: int


@dataclass(frozen=True, slots=True)
class Access:
    """A box of a tensor, read or written in a buffer; indices are the tensor's own."""

    buffer: str
    tensor: str
    box: Box


@dataclass(frozen=True, slots=True)
class StepRow:
    """One tile. `kind`: load (constants decrypted), fetch (rows of an input copied in), compute.

    `node` is empty unless it computes; `rows` and `channels` say which part of the node's output is
    made (none: all). `overlaps`: a load that runs beside the next compute step. `group` is the
    place in `Plan.groups`, -1 for what is loaded once and stays. `stored`: of a load, the bytes
    that its blocks have where they are kept.
    """

    kind: str
    group: int
    node: str
    rows: Range | None
    channels: Range | None
    overlaps: bool
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    stored: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """How a group of layers is run. `band`: rows of its last tensor made at a time (none: all);
    `rolling`: each tensor's rows on demand; `weights`: resident, group or step (how long constants
    stay); `blocks`: blocks of output channels per step; `ahead`: the next block is loaded while
    this one computes. `words` says the same to a reader."""

    band: int | None
    rolling: bool
    weights: str
    blocks: int
    ahead: bool
    words: str


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes of constants loaded, bytes of activations moved, multiply-adds, changes of world; and
    the one number that the cost model makes of them (what overlaps is counted once). `decoded`:
    code words of packed constants."""

    loaded: int
    moved: int
    multiply_adds: int
    switches: int
    cost: float
    decoded: int = 0


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way to run the same group; `transient` and `resident` as in `GroupRow`. `fits`: with
    the rest of the plan as it is, it would stay inside the budget."""

    way: Way
    transient: int
    resident: int
    costs: Costs
    fits: bool


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Consecutive layers that are run in one way.

    `transient`: the largest load while it runs, without what is resident; `resident`: bytes of its
    constants that stay; `worst`: the tensor made where it needs most; `recompute`: multiply-adds
    that bands would repeat if halo rows were not kept.
    """

    layers: tuple[str, ...]
    way: Way
    transient: int
    resident: int
    worst: str
    costs: Costs
    recompute: int
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A node (or an input that is fetched) with what its own steps cost, loads included.

    `load` is the largest number of bytes alive at one of its steps; `steps` how many it has.
    """

    name: str
    group: int
    load: int
    steps: int
    costs: Costs


@dataclass(frozen=True, slots=True)
class Offsets:
    """How the offsets were found. No placement of these buffers is below `bound`; `load` is the
    largest live load and `load_step` the first step that has it; `gap` = peak / bound - 1."""

    method: str
    bound: int
    load: int
    load_step: int
    gap: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The cost model: cost of one byte loaded, byte moved, multiply-add, change of worlds, and code
    word decoded."""

    byte_loaded: float
    byte_moved: float
    multiply_add: float
    world_switch: float
    word_decoded: float = 0.0


@dataclass(frozen=True, slots=True)
class Untiled:
    """Largest live loads of the network run node by node, without tiles, in bytes: `activations`
    alone, `streamed` with the constants of the node that runs, `resident` with all constants."""

    activations: int
    streamed: int
    resident: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that was decided. `peak` is what the arena takes: the end of the highest buffer.

    `budget` is what the user allowed, none where the least was asked for. Outputs and what is
    resident are alive to the last step. No two buffers that are alive in one step share a byte.
    `chunk`: constants are stored in pieces of at most so many plain bytes, each packed where that
    is smaller (none: plain).
    """

    model: Model
    budget: int | None
    alignment: int
    peak: int
    offsets: Offsets
    costs: Costs
    rates: Rates
    untiled: Untiled
    tensors: tuple[TensorRow, ...]
    nodes: tuple[NodeRow, ...]
    buffers: tuple[BufferRow, ...]
    steps: tuple[StepRow, ...]
    groups: tuple[GroupRow, ...]
    layers: tuple[LayerRow, ...]
    chunk: int | None = None
    kind: str = KIND
    plan_version: str = PLAN_VERSION

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON-ready data; key order is fixed, so equal plans give equal bytes."""
        return asdict(self)


def from_json(data: Any, where: str = "") -> Plan:
    """The plan in data read from JSON. Raises `TesseraError` for anything else."""
    remedy = "write it anew: tessera plan MODEL -o plan.json"
    place = where or None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise TesseraError("this is not a plan of a network", where=place, remedy=remedy)
    version = data.get("plan_version")
    if version != PLAN_VERSION:
        raise TesseraError(
            f"this plan has version {version}, not {PLAN_VERSION}", where=place, remedy=remedy
        )
    try:
        plan = built(Plan, data, "plan")
    except (TypeError, ValueError) as error:
        raise TesseraError(
            f"this is not a plan of a network: {error}", where=place, remedy=remedy
        ) from None
    assert isinstance(plan, Plan)
    return plan
