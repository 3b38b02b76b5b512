"""ONNX to graph: inputs with sizes, nodes in order, shapes known, small constants computed.

Goal: `read(path)` gives a complete graph or one clear error. The batch (a first axis without a
size) is 1; every other axis without a size has to be given (`dims`).
Non-goals: rewriting for speed or memory (`passes`); training; control flow.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import onnx
from onnx import inliner

from tessera.errors import TesseraError
from tessera.plan import (
    onnx_integers,
    onnx_maths,
    onnx_moves,
    onnx_resize,
    onnx_windows,
)
from tessera.plan.execute import run
from tessera.plan.graph import Graph, Shape, Source
from tessera.plan.graph_build import GraphBuilder
from tessera.plan.onnx_file import array_of, dtype_of, load_model
from tessera.plan.onnx_node import Converter, Import, NodeView

CONVERTERS: dict[str, Converter] = {
    **onnx_windows.CONVERTERS,
    **onnx_maths.CONVERTERS,
    **onnx_moves.CONVERTERS,
    **onnx_resize.CONVERTERS,
    **onnx_integers.CONVERTERS,
}
"""What each op of ONNX becomes: the ops that we claim."""

FOLD_VALUES = 1 << 12
"""Constants of at most this many elements are computed with while reading: shapes, axes, masks."""


def _sources(model: onnx.ModelProto, file: str) -> list[Source]:
    return [Source(file, node.name, index) for index, node in enumerate(model.graph.node)]


def _ordered(model: onnx.ModelProto, sources: list[Source]) -> list[int]:
    """Indices of the nodes, each after those that make its inputs.

    The file's own order, when it is one: it decides how long tensors live.
    """
    nodes = model.graph.node
    makers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in makers:
                raise TesseraError(
                    f"'{name}' is made twice, also by {sources[makers[name]]}",
                    where=str(sources[index]),
                    remedy="names of values are unique; export the model again",
                )
            makers[name] = index
    before = {
        index: sorted({makers[name] for name in node.input if name in makers})
        for index, node in enumerate(nodes)
    }
    sorter = TopologicalSorter(before)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = error.args[1]
        said = " -> ".join(nodes[i].name or f"{nodes[i].op_type} {i}" for i in circle)
        raise TesseraError(
            f"nodes wait for each other: {said}",
            where=str(sources[circle[0]]),
            remedy="a network has no cycles; export the model again",
        ) from None
    order: list[int] = []
    ready = list(sorter.get_ready())
    heapq.heapify(ready)
    while ready:
        order.append(heapq.heappop(ready))
        sorter.done(order[-1])
        for index in sorter.get_ready():
            heapq.heappush(ready, index)
    return order


class _Sizes:
    """The sizes of inputs' axes, and which of the given ones were used."""

    def __init__(self, given: Mapping[str, int], file: str) -> None:
        self._given = given
        self._used: set[str] = set()
        self._file = file

    def of(self, value: onnx.ValueInfoProto) -> Shape:
        """The shape of an input; raises `TesseraError` for an axis without a size."""
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            raise TesseraError(
                f"input '{value.name}' has no shape",
                where=self._file,
                remedy="export the model with the shapes of its inputs",
            )
        return tuple(self._size(value.name, i, dim) for i, dim in enumerate(kind.shape.dim))

    def _size(self, name: str, axis: int, dim: onnx.TensorShapeProto.Dimension) -> int:
        labels = (f"{name}:{axis}", dim.dim_param)
        for label in labels:
            if label in self._given and not dim.HasField("dim_value"):
                self._used.add(label)
                return self._given[label]
        if dim.HasField("dim_value"):
            return dim.dim_value
        if axis == 0:
            return 1
        label = dim.dim_param or labels[0]
        raise TesseraError(
            f"axis {axis} of input '{name}' has no size (it is called '{label}')",
            where=self._file,
            remedy=f"say its size: --dim {label}=SIZE",
        )

    def finish(self) -> None:
        """Refuses sizes that were given for nothing."""
        for label in self._given:
            if label not in self._used:
                raise TesseraError(
                    f"no axis without a size is called '{label}'",
                    where=self._file,
                    remedy="leave it out; `tessera model show` prints the shapes",
                )


def _constants(model: onnx.ModelProto, state: Import, file: str) -> None:
    if model.graph.sparse_initializer:
        raise TesseraError(
            "the model has sparse weights",
            where=file,
            remedy="export it with dense initialisers",
        )
    for tensor in model.graph.initializer:
        state.constants[tensor.name] = array_of(tensor, state.folder, file)


def _inputs(model: onnx.ModelProto, state: Import, dims: Mapping[str, int], file: str) -> None:
    sizes = _Sizes(dims, file)
    for value in model.graph.input:
        if value.name in state.constants:
            continue
        if value.type.WhichOneof("value") != "tensor_type":
            raise TesseraError(
                f"input '{value.name}' is no tensor",
                where=file,
                remedy="supported are tensors; sequences, maps and optional values are not",
            )
        dtype = dtype_of(value.type.tensor_type.elem_type, f"input '{value.name}'", file)
        state.builder.input(value.name, sizes.of(value), dtype, Source(file, value.name))
    sizes.finish()


def _known(node: onnx.NodeProto, state: Import) -> bool:
    names = [name for name in node.input if name]
    return bool(names) and all(
        name in state.constants and state.constants[name].size <= FOLD_VALUES for name in names
    )


def _check_arity(node: onnx.NodeProto, source: Source, opset: int) -> None:
    """Refuses a node with fewer or more inputs or outputs than ONNX says the op has."""
    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        raise TesseraError(
            f"op {node.op_type} is not in operator set {opset}",
            where=str(source),
            remedy="export the model with the operator set that it was written for",
        ) from None
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    required = [one.option == single for one in schema.inputs]
    missing = any(need and not name for need, name in zip(required, node.input, strict=False))
    fits = schema.min_input <= len(node.input) <= schema.max_input
    made = schema.min_output <= len(node.output) <= schema.max_output
    if missing or not fits or not made or not node.output[0]:
        raise TesseraError(
            f"{node.op_type}: {len(node.input)} inputs and {len(node.output)} outputs",
            where=str(source),
            remedy=f"it has {schema.min_input} to {schema.max_input} inputs, none left out, and "
            f"{schema.min_output} to {schema.max_output} outputs",
        )


def _convert(node: onnx.NodeProto, source: Source, state: Import) -> None:
    converter = CONVERTERS.get(node.op_type)
    if node.domain not in ("", "ai.onnx") or converter is None:
        domain = f" of domain '{node.domain}'" if node.domain else ""
        raise TesseraError(
            f"op {node.op_type}{domain} is not supported",
            where=str(source),
            remedy=f"supported are {', '.join(sorted(CONVERTERS))}",
        )
    for name in filter(None, node.input):
        if name not in state.builder.tensors and name not in state.constants:
            raise TesseraError(
                f"{node.op_type}: nothing makes the input '{name}'",
                where=str(source),
                remedy="the model is damaged; export it again",
            )
    _check_arity(node, source, state.opset)
    view = NodeView(node, source, state)
    converter(view)
    view.finish()


def _fold(node: onnx.NodeProto, source: Source, state: Import) -> None:
    """Computes a node whose inputs are all known and small; its outputs are known then."""
    scratch = Import(
        GraphBuilder("folding", empty=True), state.opset, state.folder, dict(state.constants)
    )
    _convert(node, source, scratch)
    made = [name for name in node.output if name in scratch.builder.tensors]
    results = run(scratch.builder.finish(made), {}) if made else {}
    for name in filter(None, node.output):
        state.constants[name] = results[name] if name in results else scratch.constants[name]


def _is_quantised(node: onnx.NodeProto) -> bool:
    """Whether folding would lose that a constant stands for quantised weights."""
    return node.op_type in ("QuantizeLinear", "DequantizeLinear")


def _outputs(model: onnx.ModelProto, state: Import, file: str) -> list[str]:
    names = []
    for value in model.graph.output:
        if value.name not in state.builder.tensors and value.name in state.constants:
            state.builder.constant(value.name, state.constants[value.name], Source(file))
        names.append(value.name)
    return names


def convert(
    model: onnx.ModelProto,
    opset: int,
    *,
    name: str = "model",
    folder: Path | None = None,
    dims: Mapping[str, int] | None = None,
) -> Graph:
    """The graph of a model in memory. `folder` is where external data lies.

    Raises `TesseraError` naming node, op and attribute for what is not supported.
    """
    if model.functions:
        model = inliner.inline_local_functions(model)
    state = Import(GraphBuilder(name), opset, folder)
    sources = _sources(model, name)
    order = _ordered(model, sources)
    _constants(model, state, name)
    _inputs(model, state, dims or {}, name)
    for index in order:
        node = model.graph.node[index]
        if _known(node, state) and not _is_quantised(node):
            _fold(node, sources[index], state)
        else:
            _convert(node, sources[index], state)
    return state.builder.finish(_outputs(model, state, name))


def read(path: Path, dims: Mapping[str, int] | None = None) -> Graph:
    """The graph of an ONNX file. `dims` gives sizes by the name of an axis or `input:axis`.

    Raises `TesseraError` for a file that is damaged or holds what we do not support.
    """
    model, opset = load_model(path)
    return convert(model, opset, name=path.name, folder=path.parent, dims=dims)
