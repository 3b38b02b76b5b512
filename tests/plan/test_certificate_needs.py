"""What the checker says a box depends on: enough by running the op, and no more where plans cut."""

from __future__ import annotations

import random
from dataclasses import asdict

import numpy as np
import pytest

from tessera.plan import graph_ops as ops
from tessera.plan.certificate.contents import uncovered
from tessera.plan.certificate.needs import needs, whole
from tessera.plan.execute import run_node
from tessera.plan.graph import Attrs, DType, Node, Source, Tensor
from tessera.plan.plan import Box, NodeRow, TensorRow

IMAGE = (1, 4, 9, 7)
HALF = (1.0, 1.0, 2.0, 0.5)


def resize(mode: str, coordinates: str, nearest: str) -> Attrs:
    return ops.ResizeAttrs(mode, coordinates, nearest, HALF, (1, 4, 18, 3))


CASES: list[tuple[str, Attrs, tuple[tuple[int, ...], ...], tuple[int, ...]]] = [
    ("Relu", Attrs(), (IMAGE,), IMAGE),
    ("Add", Attrs(), (IMAGE, (4, 1, 1)), IMAGE),
    ("Mul", Attrs(), (IMAGE, (1, 4, 9, 1)), IMAGE),
    ("BatchNormalization", ops.EpsilonAttrs(1e-3), (IMAGE, *((4,),) * 4), IMAGE),
    (
        "Conv",
        ops.ConvAttrs((3, 3), (2, 1), (1, 1, 1, 1), (1, 1)),
        (IMAGE, (6, 4, 3, 3), (6,)),
        (1, 6, 5, 7),
    ),
    (
        "Conv",
        ops.ConvAttrs((3, 1), (1, 1), (2, 0, 0, 0), (2, 1), 2),
        (IMAGE, (6, 2, 3, 1)),
        (1, 6, 7, 7),
    ),
    ("MaxPool", ops.PoolAttrs((2, 2), (2, 2), (0,) * 4, (1, 1), True), (IMAGE,), (1, 4, 5, 4)),
    ("AveragePool", ops.PoolAttrs((3, 3), (1, 2), (1,) * 4, (1, 1)), (IMAGE,), (1, 4, 9, 4)),
    ("GlobalAveragePool", Attrs(), (IMAGE,), (1, 4, 1, 1)),
    ("Softmax", ops.AxisAttrs(1), (IMAGE,), IMAGE),
    ("Softmax", ops.AxisAttrs(3), (IMAGE,), IMAGE),
    ("LRN", ops.LrnAttrs(3, 1e-2, 0.75, 1.0), (IMAGE,), IMAGE),
    ("Concat", ops.AxisAttrs(1), (IMAGE, (1, 2, 9, 7)), (1, 6, 9, 7)),
    ("Concat", ops.AxisAttrs(2), (IMAGE, (1, 4, 3, 7)), (1, 4, 12, 7)),
    ("Pad", ops.PadAttrs((0, 0, 2, -1, 0, 0, 1, 0), "constant", 0.5), (IMAGE,), (1, 4, 12, 6)),
    ("Pad", ops.PadAttrs((0, 0, 2, 1, 0, 0, 1, 0), "reflect", 0.0), (IMAGE,), (1, 4, 12, 8)),
    ("Gemm", ops.GemmAttrs(transpose_b=True), ((3, 5), (6, 5), (6,)), (3, 6)),
    ("Gemm", ops.GemmAttrs(transpose_a=True), ((5, 3), (5, 6)), (3, 6)),
    ("MatMul", Attrs(), ((2, 3, 5), (5, 4)), (2, 3, 4)),
    ("Transpose", ops.TransposeAttrs((0, 2, 3, 1)), (IMAGE,), (1, 9, 7, 4)),
    ("Slice", ops.SliceAttrs((0, 3, 1, 6), (1, 2, 4, 3), (1, -2, 2, -1)), (IMAGE,), (1, 2, 4, 3)),
    ("Reshape", ops.ShapeAttrs((4, 63)), (IMAGE,), (4, 63)),
    ("ReduceMean", ops.ReduceAttrs((1,), True), (IMAGE,), (1, 1, 9, 7)),
    ("Resize", resize("nearest", "asymmetric", "floor"), (IMAGE,), (1, 4, 18, 3)),
    ("Resize", resize("nearest", "half_pixel", "round_prefer_floor"), (IMAGE,), (1, 4, 18, 3)),
    ("Resize", resize("nearest", "align_corners", "ceil"), (IMAGE,), (1, 4, 18, 3)),
    ("Resize", resize("linear", "half_pixel", "floor"), (IMAGE,), (1, 4, 18, 3)),
    ("Resize", resize("linear", "half_pixel_symmetric", "floor"), (IMAGE,), (1, 4, 18, 3)),
    ("Resize", resize("linear", "pytorch_half_pixel", "floor"), (IMAGE,), (1, 4, 18, 3)),
]


def boxes(shape: tuple[int, ...], source: random.Random) -> Box:
    ranges = []
    for size in shape:
        low = source.randrange(size)
        ranges.append((low, source.randint(low + 1, size)))
    return tuple(ranges)


def cut(box: Box) -> tuple[slice, ...]:
    return tuple(slice(low, high) for low, high in box)


@pytest.mark.parametrize(
    ("op", "attrs", "shapes", "made"), CASES, ids=[f"{k}-{c[0]}" for k, c in enumerate(CASES)]
)
def test_nothing_outside_of_the_boxes_changes_what_is_made(
    op: str, attrs: Attrs, shapes: tuple[tuple[int, ...], ...], made: tuple[int, ...]
) -> None:
    names = tuple(f"i{k}" for k in range(len(shapes)))
    here = Source("hand")
    node = Node("n", op, names, ("o",), attrs, here)
    known = {
        name: Tensor(name, shape, DType.FLOAT32, here)
        for name, shape in zip((*names, "o"), (*shapes, made), strict=True)
    }
    rows = {
        name: TensorRow(name, one.shape, "float32", one.bytes, False) for name, one in known.items()
    }
    row = NodeRow("n", op, names, ("o",), asdict(attrs), "hand")
    random_values = np.random.default_rng(7)
    values = {
        name: random_values.uniform(0.5, 2, shape).astype(np.float32)
        for name, shape in zip(names, shapes, strict=True)
    }
    whole_run = run_node(node, known, values)
    assert whole_run.shape == made
    source = random.Random(op)
    for _ in range(12):
        box = boxes(made, source)
        wanted = needs(row, rows, box)
        changed = {}
        for name, part in zip(names, wanted, strict=True):
            changed[name] = np.full_like(values[name], 1e6)
            if part is not None:
                changed[name][cut(part)] = values[name][cut(part)]
        again = run_node(node, known, changed)
        np.testing.assert_allclose(again[cut(box)], whole_run[cut(box)], rtol=1e-5)


def test_a_band_of_a_convolution_needs_its_halo_and_no_more() -> None:
    attrs = asdict(ops.ConvAttrs((3, 3), (2, 2), (1, 1, 1, 1), (1, 1)))
    row = NodeRow("n", "Conv", ("x", "w"), ("y",), attrs, "hand")
    rows = {
        "x": TensorRow("x", (1, 3, 32, 32), "float32", 4 * 3 * 1024, False),
        "w": TensorRow("w", (8, 3, 3, 3), "float32", 4 * 216, True),
        "y": TensorRow("y", (1, 8, 16, 16), "float32", 4 * 2048, False),
    }
    image, weights = needs(row, rows, ((0, 1), (2, 4), (4, 8), (0, 16)))
    assert image == ((0, 1), (0, 3), (7, 16), (0, 32))
    assert weights == ((2, 4), (0, 3), (0, 3), (0, 3))


def test_an_op_that_is_not_listed_needs_everything() -> None:
    row = NodeRow("n", "NoSuchOp", ("x",), ("y",), {}, "hand")
    rows = {name: TensorRow(name, IMAGE, "float32", 1008, False) for name in "xy"}
    assert needs(row, rows, ((0, 1), (0, 1), (0, 1), (0, 1))) == [whole(IMAGE)]


def test_parts_of_a_box_that_others_leave_open() -> None:
    box = ((0, 4), (0, 4))
    held = [((0, 2), (0, 4)), ((2, 4), (0, 3))]
    assert list(uncovered(box, held)) == [((2, 4), (3, 4))]
    assert list(uncovered(box, [*held, ((1, 4), (3, 4))])) == []
