"""A plan and its graph as a program: instructions in the order of the steps, and their constants.

Goal: each step becomes instructions by the rule of its op; loads become runs of blocks, the same
run for the same part in the same layout; outputs are emitted at the end. What is loaded for good
(group -1) is the once part.
Non-goals: judging the plan (`tessera.plan.certificate`), blocks of code (`link`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.package import elements, moves, pools, products
from tessera.package.blocks import Pool
from tessera.package.code import PACKED, Emit, End, Fetch, Instruction, Load
from tessera.package.layouts import Constant, Layout, Plain
from tessera.package.site import LayoutRule, Rule, Site
from tessera.package.views import Views, part_of, unsupported
from tessera.plan.digest import digest
from tessera.plan.graph import Graph, Node
from tessera.plan.plan import Access, Plan, StepRow

RULES: Mapping[str, Rule] = {**products.RULES, **pools.RULES, **elements.RULES, **moves.RULES}
LAYOUTS: Mapping[str, LayoutRule] = {**products.LAYOUTS, **elements.LAYOUTS}
RESIDENT = -1
"""The group of what is loaded once."""


@dataclass(frozen=True, slots=True)
class Program:
    """Instructions of both parts, each closed by `End`. `first` of a load counts from the first
    block of constants; `constants` are the plaintexts of those blocks, `plain` their bytes before
    they were packed."""

    once: tuple[Instruction, ...]
    each: tuple[Instruction, ...]
    constants: tuple[bytes, ...]
    plain: int


def lower(plan: Plan, graph: Graph, chunk: int, compress: bool = False) -> Program:
    """The program of a plan. `chunk`: bytes of the largest block.

    Raises `TesseraError` for a plan of another network and for what the runtime does not have.
    """
    _require_same(plan, graph)
    return _Lowering(plan, graph, chunk, compress).program()


def _require_same(plan: Plan, graph: Graph) -> None:
    if plan.model.digest != digest(graph):
        raise TesseraError(
            f"the plan is for '{plan.model.name}' with other layers or weights",
            where=graph.name,
            remedy="plan this network: tessera plan MODEL -o plan.json",
        )


class _Lowering:
    """One plan on its way to a program."""

    def __init__(self, plan: Plan, graph: Graph, chunk: int, compress: bool) -> None:
        self.plan, self.graph, self.chunk = plan, graph, chunk
        self.views = Views(plan, graph)
        self.pool = Pool(graph, chunk, compress)
        self.nodes = {one.name: one for one in graph.nodes}
        self.layouts = self._layouts()

    def _layouts(self) -> dict[str, Layout]:
        """How the constant in each buffer lies: as every step that reads it wants it."""
        found: dict[str, Layout] = {}
        for step in self.plan.steps:
            if step.kind != "compute":
                continue
            node = self._node(step)
            rule = LAYOUTS.get(node.op)
            for index, read in enumerate(step.reads):
                if self.graph.tensors[read.tensor].data is None:
                    continue
                wanted = rule(node, self.graph.tensors, index) if rule else Plain()
                if found.setdefault(read.buffer, wanted) != wanted:
                    raise unsupported(
                        node,
                        f"'{read.tensor}' in two forms at once",
                        "constants that all their readers take in one form; copy it in the model",
                    )
        return found

    def _node(self, step: StepRow) -> Node:
        if step.node not in self.nodes:
            raise TesseraError(
                f"the plan has a step of node '{step.node}', which is not in the network",
                where=self.graph.name,
                remedy="plan this network: tessera plan MODEL -o plan.json",
            )
        return self.nodes[step.node]

    def program(self) -> Program:
        """Both parts, in the order of the steps."""
        once: list[Instruction] = []
        each: list[Instruction] = []
        for step in self.plan.steps:
            (once if step.group == RESIDENT else each).extend(self._step(step))
        each += self._outputs()
        made = (*once, End()), (*each, End())
        return Program(*made, tuple(self.pool.blocks), self.pool.plain)

    def _step(self, step: StepRow) -> tuple[Instruction, ...]:
        if step.kind == "load":
            return tuple(map(self._load, step.writes))
        if step.kind == "fetch":
            return tuple(map(self._fetch, step.writes))
        node = self._node(step)
        if node.op not in RULES:
            raise unsupported(node, "this op", ", ".join(sorted(RULES)))
        return RULES[node.op](Site(node, step, self.views, self.chunk))

    def _load(self, write: Access) -> Load:
        buffer = self.views.buffers[write.buffer]
        layout = self.layouts.get(write.buffer, Plain())
        run = self.pool.run(Constant(write.tensor, write.box, layout))
        if write.box != buffer.origin or run.bytes > buffer.size:
            raise TesseraError(
                f"{run.bytes} bytes of '{write.tensor}' are loaded into a buffer of "
                f"{buffer.size} bytes for another part",
                where=self.graph.name,
                remedy="the plan is wrong; make it again",
            )
        flags = PACKED if run.streams else 0
        return Load(buffer.offset, run.bytes, run.first, flags, run.streams)

    def _fetch(self, write: Access) -> Fetch:
        number = self.graph.inputs.index(write.tensor)
        return Fetch(number, self.views.of(write), part_of(write.box))

    def _outputs(self) -> tuple[Emit, ...]:
        """All of every output, from the buffer in which it was made last."""
        written = {one.tensor: one for step in self.plan.steps for one in step.writes}
        made = []
        for number, name in enumerate(self.graph.outputs):
            box = tuple((0, size) for size in self.graph.tensors[name].shape)
            access = Access(written[name].buffer, name, box)
            made.append(Emit(number, self.views.of(access), part_of(box)))
        return tuple(made)
