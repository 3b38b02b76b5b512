"""The certificate of a whole plan: every byte that a step reads is what the plan says it is.

Goal: `certify_plan` takes a plan as JSON has it, runs its steps over boxes instead of numbers, and
says for every `arena_*` rule whether it holds, naming the step, tensor and box where it does not.
What a step must read is worked out from the node (`needs`), so a halo row that is not read, not
there or overwritten is found. With the network at hand the plan's nodes are compared with its own.
It shares no code with the planner.
Non-goals: whether the plan is cheap, and numbers: who reads the right elements of the right
tensors computes the right ones (the tiled run shows that by running).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from tessera.plan.certificate.arena import Certificate, Claim, Row, Ruling, certify
from tessera.plan.certificate.contents import ROWS, Contents, uncovered
from tessera.plan.certificate.loads import wrong_loads
from tessera.plan.certificate.needs import POINTWISE, needs, whole
from tessera.plan.graph import Graph
from tessera.plan.plan import Access, Box, BufferRow, NodeRow, Plan, StepRow, TensorRow, from_json

PLACES = {
    "arena_disjoint": "buffers alive in one step share no byte",
    "arena_inside": "every buffer lies between 0 and the peak, and the peak within the budget",
    "arena_aligned": "every offset is a multiple of the plan's alignment",
    "arena_peak": "the claimed peak is the end of the highest buffer",
    "arena_bound": "the claimed largest live load is the largest sum of bytes alive in one step",
}
RULES = {
    "arena_model": "tensors and nodes of the plan are those of the network, in an order that works",
    "arena_sound": "every buffer lives in some step, has bytes for what it holds and its own name",
    **PLACES,
    "arena_access": "a step touches only buffers that are alive, and only what they can hold",
    "arena_kind": "weights are loaded, inputs are fetched, and a node's step makes its own output",
    "arena_halo": "a step reads all that the part of the output that it makes depends on",
    "arena_initialised": "what is read was written before and not overwritten since",
    "arena_in_place": "a step overwrites what it reads only where the op works element by element",
    "arena_ahead": "the step beside which a load runs touches nothing of that load",
    "arena_loaded": "the bytes loaded per run are those of the blocks that the steps load",
    "arena_complete": "every row of every output is made and still there at the end",
}

_VIEWS = ("Reshape", "Identity")
_ELEMENTWISE = POINTWISE | {"BatchNormalization"}


def certify_plan(document: Mapping[str, Any], graph: Graph | None = None) -> Certificate:
    """Judge a plan, as data read from JSON. Raises `TesseraError` for what is no plan at all."""
    plan = from_json(dict(document))
    broken = dict.fromkeys(RULES, "")
    broken["arena_model"] = next(_model(plan, graph), "")
    broken["arena_sound"] = "" if broken["arena_model"] else next(_sound(plan), "")
    first = next((rule for rule in ("arena_model", "arena_sound") if broken[rule]), "")
    if first:  # the rest is about sound plans; nothing else may be said to hold
        for rule in RULES:
            broken[rule] = broken[rule] or f"not looked at: {first} does not hold"
        return Certificate(_rulings(broken), len(plan.buffers), 0, 0)
    placed = _placed(plan)
    broken.update({one.rule: one.broken for one in placed.rulings if one.rule in PLACES})
    if plan.budget is not None and plan.peak > plan.budget and not broken["arena_inside"]:
        broken["arena_inside"] = f"the peak of {plan.peak} is above the budget of {plan.budget}"
    run = _Run(plan)
    for rule, words in run.findings():
        broken[rule] = broken[rule] or words
    known = not broken["arena_access"] and not broken["arena_kind"]
    loads = wrong_loads(plan, graph) if known else iter(("not looked at: a load is none",))
    broken["arena_loaded"] = next(loads, "")
    return Certificate(_rulings(broken), len(plan.buffers), len(plan.steps), placed.pairs)


def _rulings(broken: Mapping[str, str]) -> tuple[Ruling, ...]:
    return tuple(Ruling(rule, words, broken[rule]) for rule, words in RULES.items())


def _placed(plan: Plan) -> Certificate:
    rows = [
        Row(one.id, one.lower, one.upper, one.size, plan.alignment, one.offset)
        for one in plan.buffers
    ]
    return certify(rows, Claim(plan.peak, plan.peak, plan.offsets.load))


def _plain(value: Any) -> Any:
    """Lists for tuples, words for numbers that are not finite: as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _model(plan: Plan, graph: Graph | None) -> Iterator[str]:
    tensors = {one.name: one for one in plan.tensors}
    known = {one.name for one in plan.tensors if one.constant} | set(plan.model.inputs)
    if len(tensors) != len(plan.tensors) or len({n.name for n in plan.nodes}) != len(plan.nodes):
        yield "two tensors or two nodes have one name"
    for node in plan.nodes:
        if len(node.outputs) != 1:
            yield f"node {node.name} has {len(node.outputs)} outputs"
        unknown = next((name for name in node.inputs if name not in known), None)
        if unknown is not None:
            yield f"node {node.name} reads {unknown}, which nothing before it makes"
        known.update(node.outputs)
    for name in (*known, *plan.model.outputs):
        if name not in tensors or name not in known:
            yield f"nothing is said of the tensor {name}, or nothing makes it"
    for one in plan.tensors:
        if not one.shape or min(one.shape) > 0:
            continue
        yield f"tensor {one.name} has the shape {one.shape}"
    if graph is not None:
        yield from _other_network(plan, graph)


def _other_network(plan: Plan, graph: Graph) -> Iterator[str]:
    if (plan.model.inputs, plan.model.outputs) != (graph.inputs, graph.outputs):
        yield "inputs or outputs are not those of the network"
    ours = {one.name: one for one in plan.tensors}
    for name, tensor in graph.tensors.items():
        theirs = TensorRow(
            name, tensor.shape, tensor.dtype.value, tensor.bytes, tensor.data is not None
        )
        if ours.pop(name, None) != theirs:
            yield f"tensor {name} is not as the network has it"
    if ours:
        yield f"the network has no tensor {min(ours)}"
    if [one.name for one in plan.nodes] != [one.name for one in graph.nodes]:
        yield "the nodes are not those of the network, or in another order"
    for row, node in zip(plan.nodes, graph.nodes, strict=False):
        same = (row.op, row.inputs, row.outputs) == (node.op, node.inputs, node.outputs)
        if not same or _plain(row.attrs) != _plain(asdict(node.attrs)):
            yield f"node {row.name} is not as the network has it"


def _sound(plan: Plan) -> Iterator[str]:
    tensors = {one.name: one for one in plan.tensors}
    if plan.alignment < 1:
        yield f"an alignment of {plan.alignment}"
    if not plan.steps or not plan.buffers:
        yield "there are no steps or no buffers"
    if len({one.id for one in plan.buffers}) != len(plan.buffers):
        yield "two buffers have one name"
    for one in plan.buffers:
        if not 0 <= one.lower < one.upper <= len(plan.steps):
            yield f"{one.id} lives in the steps [{one.lower}, {one.upper})"
        tensor = tensors.get(one.tensor)
        if tensor is None or not _within(one.origin, whole(tensor.shape)):
            yield f"{one.id} is for a box {one.origin} that {one.tensor} does not have"
            continue
        if one.ring is not None and (one.ring < 1 or len(tensor.shape) <= ROWS):
            yield f"{one.id} is a ring of {one.ring} rows for {tensor.shape}"
        elif _bytes(tensor, one.origin, one.ring) > one.size:
            yield f"{one.id} has {one.size} bytes, fewer than what it is for"


def _within(box: Box, other: Box) -> bool:
    return len(box) == len(other) and all(
        b[0] <= a[0] < a[1] <= b[1] for a, b in zip(box, other, strict=True)
    )


def _bytes(tensor: TensorRow, box: Box, ring: int | None) -> int:
    total = tensor.bytes
    for size in tensor.shape:
        total //= size
    for axis, (low, high) in enumerate(box):
        total *= ring if axis == ROWS and ring is not None else high - low
    return total


class _Run:
    """The steps one after the other; each rule's first breach is what counts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.tensors = {one.name: one for one in plan.tensors}
        self.nodes = {one.name: one for one in plan.nodes}
        self.buffers = {one.id: one for one in plan.buffers}
        self.contents = Contents(self.buffers, self.tensors)

    def findings(self) -> Iterator[tuple[str, str]]:
        """(rule, what is wrong), in the order of the steps."""
        for number, step in enumerate(self.plan.steps):
            at = f"step {number} ({step.kind} {step.node or _named(step)})"
            for rule, words in self._step(number, step):
                yield rule, f"{at}: {words}"
                if rule == "arena_access":  # what it touches cannot be followed any further
                    return
        for name in self.plan.model.outputs:
            yield from (("arena_complete", words) for words in self._left(name))

    def _step(self, number: int, step: StepRow) -> Iterator[tuple[str, str]]:
        for one in (*step.reads, *step.writes):
            yield from (("arena_access", words) for words in self._access(one, number))
        yield from (("arena_kind", words) for words in self._kind(step))
        if step.kind == "compute" and step.node in self.nodes:
            node = self.nodes[step.node]
            yield from (("arena_halo", words) for words in self._halo(node, step))
            yield from (("arena_in_place", words) for words in self._in_place(node, step))
        if step.overlaps:
            yield from (("arena_ahead", words) for words in self._ahead(number, step))
        for one in step.reads:
            gap = self.contents.missing(one)
            if gap is not None:
                words = f"reads {one.tensor} {_text(one.box)} in {one.buffer}, which does not hold "
                yield "arena_initialised", f"{words}{_text(gap)} of it (any more)"
        for one in step.writes:
            self.contents.write(one)

    def _access(self, one: Access, number: int) -> Iterator[str]:
        buffer, tensor = self.buffers.get(one.buffer), self.tensors.get(one.tensor)
        if buffer is None or tensor is None:
            yield f"touches {one.tensor} in {one.buffer}, and one of them does not exist"
            return
        if not buffer.lower <= number < buffer.upper:
            yield f"touches {one.buffer}, alive in the steps [{buffer.lower}, {buffer.upper})"
        if not _within(one.box, whole(tensor.shape)):
            yield f"touches {_text(one.box)} of {one.tensor}, whose shape is {tensor.shape}"
            return
        yield from self._held(one, buffer, tensor)

    @staticmethod
    def _held(one: Access, buffer: BufferRow, tensor: TensorRow) -> Iterator[str]:
        """Whether the buffer can hold that box."""
        rows = one.box[ROWS][1] - one.box[ROWS][0] if len(one.box) > ROWS else 0
        if buffer.ring is not None and (len(one.box) <= ROWS or rows > buffer.ring):
            yield f"touches {rows} rows in {one.buffer}, a ring of {buffer.ring}"
        if buffer.tensor == one.tensor:
            if not _within(one.box, buffer.origin):
                yield f"touches {_text(one.box)}; {one.buffer} is for {_text(buffer.origin)}"
        elif _bytes(tensor, whole(tensor.shape), buffer.ring) > buffer.size:
            yield f"touches {one.tensor}, which does not fit into {one.buffer}"

    def _kind(self, step: StepRow) -> Iterator[str]:
        if step.kind in ("load", "fetch"):
            for one in step.writes:
                known = self.tensors[one.tensor].constant and step.kind == "load"
                if not known and not (
                    step.kind == "fetch" and one.tensor in self.plan.model.inputs
                ):
                    yield f"cannot {step.kind} {one.tensor}"
            if step.reads or not step.writes:
                yield "reads, or writes nothing"
            return
        node = self.nodes.get(step.node)
        if step.kind != "compute" or node is None:
            yield f"there is no such step: {step.kind} {step.node}"
        elif [one.tensor for one in step.writes] != [*node.outputs]:
            yield f"does not make {node.outputs[0]}, or more than that"

    def _halo(self, node: NodeRow, step: StepRow) -> Iterator[str]:
        for made in step.writes:
            if made.tensor not in node.outputs:
                return
            wanted = needs(node, self.tensors, made.box)
            for name, box in zip(node.inputs, wanted, strict=True):
                read = [one.box for one in step.reads if one.tensor == name]
                gap = None if box is None else next(uncovered(box, read), None)
                if gap is not None:
                    yield (
                        f"makes {_text(made.box)} of {made.tensor} without reading {_text(gap)} "
                        f"of {name}"
                    )

    def _in_place(self, node: NodeRow, step: StepRow) -> Iterator[str]:
        """Reads and writes of one buffer; different buffers share no byte while both are alive."""
        for made in step.writes:
            for one in step.reads:
                if one.buffer != made.buffer:
                    continue
                here, there = self.tensors[made.tensor], self.tensors[one.tensor]
                alike = (here.shape, here.dtype, made.box) == (there.shape, there.dtype, one.box)
                view = node.op in _VIEWS and here.dtype == there.dtype
                view = view and made.box == whole(here.shape) and one.box == whole(there.shape)
                if not view and not (alike and _by_element(node, one.tensor)):
                    yield f"{node.op} writes {made.tensor} over {one.tensor} in {made.buffer}"

    def _ahead(self, number: int, step: StepRow) -> Iterator[str]:
        beside = self.plan.steps[number + 1 : number + 2]
        if step.kind != "load" or not beside or beside[0].kind != "compute":
            yield "is no load before a step that computes"
            return
        touched = {one.buffer for one in (*beside[0].reads, *beside[0].writes)}
        for one in step.writes:
            if one.buffer in touched or self.buffers[one.buffer].upper < number + 2:
                yield f"loads {one.buffer} while the next step uses it or its place"

    def _left(self, name: str) -> Iterator[str]:
        box, end = whole(self.tensors[name].shape), len(self.plan.steps)
        homes = {
            one.buffer for step in self.plan.steps for one in step.writes if one.tensor == name
        }
        if not homes:
            yield f"nothing makes the output {name}"
        alive = {home for home in homes if self.buffers[home].upper == end}
        gaps = [self.contents.missing(Access(home, name, box)) for home in sorted(alive)]
        if homes and (not gaps or None not in gaps):
            gap = f"{_text(gaps[0])} of it is" if gaps and gaps[0] else "it is"
            yield f"at the end the output {name} is not whole: {gap} not there"


def _by_element(node: NodeRow, read: str) -> bool:
    """Whether element i of the output depends on no element of that input but element i."""
    if node.op == "QLinearTable":  # any element of the table may be asked for, at any time
        return read != node.inputs[1]
    return node.op in _ELEMENTWISE


def _named(step: StepRow) -> str:
    return ", ".join(one.tensor for one in step.writes[:2])


def _text(box: Box) -> str:
    return "[" + ", ".join(f"{low}:{high}" for low, high in box) + "]"
