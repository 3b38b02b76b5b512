"""From plans to programs: every step has its instructions, every view lies in its buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import numpy as np
import pytest
from package_cases import Layers, contents, network, planned

from tessera.errors import TesseraError
from tessera.package import code
from tessera.package.code import Element, Instruction, Load, Part, View
from tessera.package.contents import blocks_of, opened
from tessera.package.lower import lower
from tessera.package.pack import Packing, pack
from tessera.plan.graph import Attrs, DType, Graph, Quantisation, Tensor
from tessera.plan.graph_ops import (
    AlphaAttrs,
    AxisAttrs,
    CastAttrs,
    ClipAttrs,
    ConvAttrs,
    GemmAttrs,
    HardSigmoidAttrs,
    PoolAttrs,
    ReduceAttrs,
    ResizeAttrs,
    ShapeAttrs,
    SliceAttrs,
    TransposeAttrs,
)
from tessera.plan.network import plan_network
from tessera.plan.plan import BufferRow, Plan, StepRow

CASES = [
    ("lenet_digits", False, 20_000),
    ("lenet_digits", True, None),
    ("mixed", False, None),
    ("mixed", False, 200_000),
    ("mixed", True, 30_000),
]
SILENT = ("Reshape", "Identity")
"""In place they take no instruction."""


def _program(graph: Graph) -> tuple[Instruction, ...]:
    plan = plan_network(graph, 1 << 20)
    return lower(plan, graph, 65_536).each


def _first(graph: Graph, kind: type[Instruction]) -> Instruction:
    """The first instruction of a kind; there may be one per band."""
    return next(one for one in _program(graph) if type(one) is kind)


def _steps(
    plan: Plan, made: tuple[Instruction, ...]
) -> Iterator[tuple[StepRow, list[Instruction]]]:
    """Every step with the instructions that came of it, told by what they write and where."""
    rest = list(made)
    offsets = {one.id: one.offset for one in plan.buffers}
    for step in (*(s for s in plan.steps if s.group < 0), *(s for s in plan.steps if s.group >= 0)):
        mine: list[Instruction] = []
        if step.kind == "load":
            mine = [rest.pop(0) for _ in step.writes]
        else:
            count = next(
                k for k, one in enumerate(rest) if k >= 0 and not _of(one, step, offsets, plan)
            )
            mine, rest = rest[:count], rest[count:]
        yield step, mine
    assert [type(one) for one in rest] == [code.Emit] * len(plan.model.outputs) + [code.End]


def _of(one: Instruction, step: StepRow, offsets: dict[str, int], plan: Plan) -> bool:
    """Whether an instruction makes a part of what the step makes, and is of its kind."""
    if isinstance(one, code.Fetch) != (step.kind == "fetch") or not hasattr(one, "y"):
        return False
    (write,) = step.writes
    nodes = {node.name: node for node in plan.nodes}
    if one.y.offset != offsets[write.buffer]:
        return False
    if step.kind == "compute" and nodes[step.node].op in SILENT:
        return isinstance(one, code.Reshape | code.Move)
    rows = write.box[2] if len(write.box) > 2 else (0, 1)
    part = getattr(one, "part", None)
    return part is None or (
        (part.row, part.row_end) == rows
        and write.box[1][0] <= part.channel < part.channel_end <= write.box[1][1]
        and (one.y.element is Element.FLOAT32) == (_type(plan, write.tensor) == "float32")
        and _kind_fits(one, nodes[step.node].op if step.node else "")
    )


def _type(plan: Plan, name: str) -> str:
    return next(one.dtype for one in plan.tensors if one.name == name)


NAMES = {
    "Conv": ("Conv", "Depthwise"),
    "QLinearConv": ("QConv", "QDepthwise"),
    "Gemm": ("Dense",),
    "QLinearMatMul": ("QDense",),
    "Relu": ("Apply",),
    "Sigmoid": ("Apply",),
    "LeakyRelu": ("Apply",),
    "Add": ("Add",),
    "QLinearAdd": ("QAdd",),
    "MaxPool": ("MaxPool",),
    "GlobalAveragePool": ("GlobalAverage",),
    "QLinearGlobalAveragePool": ("QGlobalAverage",),
    "Concat": ("Move",),
    "QLinearTable": ("QTable",),
    "QuantizeLinear": ("Quantize",),
    "DequantizeLinear": ("Dequantize",),
    "Softmax": ("Softmax",),
    "": ("Fetch",),
}


def _kind_fits(one: Instruction, op: str) -> bool:
    return type(one).__name__ in NAMES.get(op, ())


def _covered(step: StepRow, mine: list[Instruction]) -> bool:
    """Whether the parts are, one after the other, the channels that the step makes."""
    (write,) = step.writes
    at = write.box[1][0]
    for one in mine:
        part: Part = one.part
        if part.channel != at:
            return False
        at = part.channel_end
    return at == write.box[1][1]


@pytest.mark.parametrize(("name", "int8", "budget"), CASES)
def test_every_step_becomes_what_it_says(name: str, int8: bool, budget: int | None) -> None:
    plan, graph = planned(name, int8, budget), network(name, int8)
    program = lower(plan, graph, 65_536)
    assert [type(one) for one in program.once[:-1]] == [Load] * (len(program.once) - 1)
    made = (*program.once[:-1], *program.each)
    buffers = {one.id: one for one in plan.buffers}
    ops = {one.name: one.op for one in plan.nodes}
    seen = 0
    for step, mine in _steps(plan, made):
        seen += len(mine)
        if step.kind == "load":
            for one, write in zip(mine, step.writes, strict=True):
                assert (one.offset, one.bytes) == _region(buffers[write.buffer], plan)
        elif step.kind == "fetch" or ops[step.node] not in (*SILENT, "Softmax"):
            assert mine and _covered(step, mine), step
    assert seen == len(made) - 1 - len(plan.model.outputs)


def _region(buffer: BufferRow, plan: Plan) -> tuple[int, int]:
    count = int(np.prod([stop - start for start, stop in buffer.origin]))
    size = count * np.dtype(_type(plan, buffer.tensor)).itemsize
    return buffer.offset, size + -size % 4


def _views(one: Instruction) -> Iterator[View]:
    for field in fields(one):
        if isinstance(getattr(one, field.name), View):
            yield getattr(one, field.name)


@pytest.mark.parametrize(("name", "int8", "budget"), CASES)
def test_views_lie_inside_a_buffer_and_hold_their_parts(
    name: str, int8: bool, budget: int | None
) -> None:
    plan = planned(name, int8, budget)
    sizes: dict[int, int] = {}
    for one in plan.buffers:
        sizes[one.offset] = max(one.size, sizes.get(one.offset, 0))
    for one in lower(plan, network(name, int8), 65_536).each:
        for view in _views(one):
            assert view.bytes <= sizes[view.offset] and view.offset % 16 == 0
        if hasattr(one, "part") and hasattr(one, "y"):
            part, view = one.part, one.y
            assert view.channel <= part.channel < part.channel_end <= view.channel + view.channels
            assert part.row_end - part.row <= view.slots
            assert view.ring or view.row <= part.row < part.row_end <= view.row + view.slots


@pytest.mark.parametrize(("name", "int8", "budget"), CASES)
def test_blocks_are_at_one_with_the_code(name: str, int8: bool, budget: int | None) -> None:
    made = contents(name, int8, budget)
    again, instructions = opened(made.blocks, "x")
    assert again == made
    loads = [one for one in instructions if isinstance(one, Load)]
    chunk, codes = made.manifest.chunk, len(made.manifest.code)
    taken = [index for one in loads for index in blocks_of(one, chunk)]
    assert sorted(set(taken)) == list(range(codes + 1, len(made.blocks)))
    assert [one for one in (*made.once, *made.each) if one > codes] == taken
    assert max(map(len, made.blocks)) <= chunk


def test_rings_are_told() -> None:
    plan = planned("mixed", False, None)
    rings = [one for one in plan.buffers if one.ring is not None]
    assert rings
    each = lower(plan, network("mixed"), 65_536).each
    found = {(v.offset, v.slots) for one in each for v in _views(one) if v.ring}
    assert found == {(one.offset, one.ring) for one in rings}
    assert all(v.row == 0 for one in each for v in _views(one) if v.ring)


def test_what_is_loaded_often_is_stored_once() -> None:
    made = contents("mixed", False, None)
    loads = [one for one in opened(made.blocks, "x")[1] if isinstance(one, Load)]
    assert len({one.first for one in loads}) < len(loads)
    weights = network("mixed").weight_bytes
    assert sum(map(len, made.blocks[1 + len(made.manifest.code) :])) <= weights + 64


@pytest.mark.parametrize("chunk", [512, 1024, 2048])
def test_multipliers_are_cut_to_fit_small_blocks(chunk: int) -> None:
    small = opened(contents("lenet_digits", True, 100_000, chunk).blocks, "x")[1]
    large = opened(contents("lenet_digits", True, 100_000).blocks, "x")[1]
    kinds = (code.QConv, code.QDense)

    def told(given: tuple[Instruction, ...]) -> list[tuple[int, int, float]]:
        """Where each channel's weights and bias lie, and its multiplier."""
        out = []
        for one in given:
            if isinstance(one, kinds):
                per = one.inputs if isinstance(one, code.QDense) else one.in_channels * 9
                for k, multiplier in enumerate(one.multipliers):
                    out.append((one.weights + k * per, one.bias + 4 * k, multiplier))
        return out

    assert told(small) == told(large)
    cut = [one for one in small if isinstance(one, kinds)]
    starts = [one.part.channel for one in cut]
    assert (len(cut) > sum(isinstance(one, kinds) for one in large)) == (chunk < 2048)
    assert all(start % 8 == 0 or start in _starts(large) for start in starts)


def _starts(given: tuple[Instruction, ...]) -> set[int]:
    return {one.part.channel for one in given if isinstance(one, code.QConv | code.QDense)}


def test_multipliers_are_those_of_the_executor() -> None:
    graph = network("lenet_digits", True)
    node = next(one for one in graph.nodes if one.op == "QLinearConv")
    x, w, y = (graph.tensors[n] for n in (node.inputs[0], node.inputs[1], node.outputs[0]))
    made = next(one for one in _program(graph) if isinstance(one, code.QConv))
    scale = np.float32(x.quantisation.scale[0]) * np.asarray(w.quantisation.scale, np.float32)
    expected = scale / np.float32(y.quantisation.scale[0])
    assert made.multipliers == tuple(map(float, expected))
    assert (made.x_zero, made.y_zero) == (
        x.quantisation.zero_point[0],
        y.quantisation.zero_point[0],
    )


def test_slices_and_upsampling() -> None:
    net = Layers(1, 6, 4, 5)
    cut = net.node("Slice", [net.x], SliceAttrs((0, 2, 0, 0), (1, 3, 4, 5), (1, 1, 1, 1)))
    attrs = ResizeAttrs("nearest", "asymmetric", "floor", (1.0, 1.0, 3.0, 3.0), (1, 3, 12, 15))
    graph = net.done(net.node("Resize", [cut], attrs))
    move, up = _first(graph, code.Move), _first(graph, code.Upsample)
    assert (move.from_channel, move.part.channel_end, up.factor) == (2, 3, 3)


def test_a_pool_of_the_whole() -> None:
    net = Layers(1, 3, 6, 9)
    one = _first(net.done(net.node("GlobalMaxPool", [net.x])), code.MaxPool)
    assert (one.window.kernel_rows, one.window.kernel_columns) == (6, 9)


def test_averages_say_what_is_counted() -> None:
    net = Layers(1, 3, 9, 9)
    one = _first(net.done(net.pool(net.x, "AveragePool", whole=True)), code.AveragePool)
    assert (one.whole, one.pad_rows, one.pad_columns, one.window.pad_rows) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("op", "attrs", "curve", "low", "high"),
    [
        ("Relu", None, code.Curve.RELU, 0, 0),
        ("LeakyRelu", AlphaAttrs(0.25), code.Curve.LEAKY, 0.25, 0),
        ("Clip", ClipAttrs(0.0, 6.0), code.Curve.CLIP, 0, 6),
        ("Clip", ClipAttrs(None, 1.0), code.Curve.CLIP, -np.inf, 1),
        ("HardSigmoid", HardSigmoidAttrs(0.5, 0.25), code.Curve.HARD_SIGMOID, 0.5, 0.25),
        ("HardSwish", None, code.Curve.HARD_SWISH, 0, 0),
        ("Tanh", None, code.Curve.TANH, 0, 0),
        ("Erf", None, code.Curve.ERF, 0, 0),
        ("Exp", None, code.Curve.EXP, 0, 0),
    ],
)
def test_curves(op: str, attrs: Attrs | None, curve: int, low: float, high: float) -> None:
    net = Layers(1, 3, 4, 4)
    one = _first(net.done(net.node(op, [net.x], attrs)), code.Apply)
    assert (one.curve, one.low, one.high) == (curve, low, high)
    assert one.x == one.y


def _conv1d(net: Layers) -> Tensor:
    w = net.weights(2, 3, 3)
    return net.node("Conv", [net.x, w], ConvAttrs((3,), (1,), (1, 1), (1,)))


def _gemm(net: Layers, attrs: GemmAttrs, *shape: int) -> Tensor:
    return net.node("Gemm", [net.x, net.weights(*shape)], attrs)


def _two_forms(net: Layers) -> Tensor:
    w = net.weights(8, 8)
    a = net.node("Gemm", [net.x, w], GemmAttrs(transpose_b=True))
    return net.node("Gemm", [a, w], GemmAttrs())


def _uneven(net: Layers) -> Tensor:
    attrs = ResizeAttrs("nearest", "asymmetric", "floor", (1.0, 1.0, 2.0, 1.0), (1, 3, 8, 4))
    return net.node("Resize", [net.x], attrs)


def _half(net: Layers) -> Tensor:
    attrs = ResizeAttrs("nearest", "half_pixel", "ceil", (1.0, 1.0, 2.0, 2.0), (1, 3, 8, 8))
    return net.node("Resize", [net.x], attrs)


UNSUPPORTED: list[tuple[tuple[int, ...], Callable[[Layers], Tensor], str]] = [
    ((1, 3, 4, 4), lambda n: n.node("Transpose", [n.x], TransposeAttrs((0, 1, 3, 2))), "this op"),
    ((2, 3, 4, 4), lambda n: n.node("Relu", [n.x]), "shape"),
    ((3,), lambda n: n.node("Relu", [n.x]), "shape"),
    ((1, 3, 4), _conv1d, "windows over 1 axes"),
    ((1, 8), lambda n: _gemm(n, GemmAttrs(alpha=2.0), 8, 4), "alpha 2.0"),
    ((1, 1), lambda n: _gemm(n, GemmAttrs(transpose_a=True), 1, 4), "transpose_a True"),
    ((1, 8), _two_forms, "in two forms at once"),
    ((1, 3, 4, 4), lambda n: n.node("Concat", [n.x, n.x], AxisAttrs(2)), "axis 2"),
    ((1, 3, 4, 4), lambda n: n.node("Softmax", [n.x], AxisAttrs(1)), "axis 1"),
    ((1, 3, 4, 4), lambda n: n.node("Add", [n.x, n.weights(1, 3, 1, 1)]), "broadcasting"),
    ((1, 3, 4, 4), lambda n: n.node("Add", [n.x, n.weights(1, 3, 4, 4)]), "a constant as input 1"),
    ((1, 3, 4, 4), lambda n: n.node("Add", [n.x, n.node("GlobalMaxPool", [n.x])]), "broadcasting"),
    (
        (1, 3, 4, 4),
        lambda n: n.node("ReduceMean", [n.x], ReduceAttrs((1, 2), True)),
        r"axes \(1, 2\)",
    ),
    ((1, 3, 4, 4), _uneven, "mode nearest"),
    ((1, 3, 4, 4), _half, "mode nearest"),
    (
        (1, 3, 4, 4),
        lambda n: n.node("Slice", [n.x], SliceAttrs((0, 0, 1, 0), (1, 3, 3, 4), (1,) * 4)),
        "axis 2 from 1",
    ),
    ((1, 3, 4, 4), lambda n: n.node("Cast", [n.x], CastAttrs(DType.INT32)), "this op|of int32"),
    (
        (1, 8),
        lambda n: n.node("MatMul", [n.node("Reshape", [n.x], ShapeAttrs((1, 2, 4))), "w"]),
        "a product of shapes",
    ),
]


@pytest.mark.parametrize(("shape", "build", "says"), UNSUPPORTED)
def test_what_the_runtime_does_not_have(
    shape: tuple[int, ...], build: Callable[[Layers], Tensor], says: str
) -> None:
    net = Layers(*shape)
    if says == "a product of shapes":
        net.builder.constant("w", np.ones((4, 3), np.float32), net.x.source)
    graph = net.done(build(net))
    with pytest.raises(TesseraError, match=says) as caught:
        _program(graph)
    assert caught.value.where and caught.value.remedy


def test_integers_around_something_else_than_zero() -> None:
    graph = network("lenet_digits", True)
    plan = plan_network(graph, 1 << 20)
    name = next(n.inputs[1] for n in graph.nodes if n.op == "QLinearConv")
    how = graph.tensors[name].quantisation
    moved = Quantisation(how.scale, (1,) * len(how.zero_point), how.axis)
    tensors = {**graph.tensors, name: replace(graph.tensors[name], quantisation=moved)}
    changed = replace(graph, tensors=tensors)
    again = plan_network(changed, 1 << 20)
    with pytest.raises(TesseraError, match="zero point"):
        lower(again, changed, 65_536)
    with pytest.raises(TesseraError, match="other layers or weights"):
        lower(plan, changed, 65_536)


def test_a_plan_that_does_not_hold_is_not_packed() -> None:
    plan = planned("lenet_digits", False, 20_000)
    moved = tuple(replace(one, offset=0) for one in plan.buffers)
    for wrong in (replace(plan, buffers=moved), replace(plan, peak=plan.peak - 16)):
        with pytest.raises(TesseraError, match="the plan does not hold"):
            pack(network("lenet_digits"), wrong, Packing("x"))


@pytest.mark.parametrize(
    ("packing", "says"),
    [
        (Packing("x", -1), "version -1"),
        (Packing("x", 1 << 32), "version 4294967296"),
        (Packing("x", 1, 100), "blocks of 100 bytes"),
        (Packing("x", 1, 65_540), "blocks of 65540 bytes"),
        (Packing("x", 1, 1001), "blocks of 1001 bytes"),
        (Packing(""), "without a name"),
    ],
)
def test_sizes_and_versions_that_the_format_has_no_room_for(packing: Packing, says: str) -> None:
    with pytest.raises(TesseraError, match=says):
        pack(network("lenet_digits"), planned("lenet_digits", False, 20_000), packing)


def test_more_outputs_than_a_package_has() -> None:
    net = Layers(1, 3, 4, 4)
    graph = net.done(*(net.node(op, [net.x]) for op in ("Relu", "Tanh", "Exp", "Erf", "Sigmoid")))
    with pytest.raises(TesseraError, match="5 outputs"):
        pack(graph, plan_network(graph, 1 << 20), Packing("x"))


def test_a_pool_keeps_what_it_is_given() -> None:
    net = Layers(1, 3, 8, 8)
    attrs = PoolAttrs((2, 3), (2, 1), (0, 1, 1, 2), (1, 1))
    window = _first(net.done(net.node("MaxPool", [net.x], attrs)), code.MaxPool).window
    assert window == code.Window(2, 3, 2, 1, 0, 1, 1, 1, 8)
