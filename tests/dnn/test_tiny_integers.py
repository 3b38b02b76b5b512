"""Tiny layers on bytes against the reference executor, to the bit: any part, any view, any type."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import Case, cases, held_input, held_output, made, run
from numpy.typing import NDArray
from tiny_layers import (
    IntegerFilter,
    Mean,
    Number,
    Part,
    Real,
    hold,
    library,
    pack,
    pointer,
)

from tessera.plan.execute_call import Call
from tessera.plan.execute_integers import OPERATORS
from tessera.plan.execute_windows import windows
from tessera.plan.graph import Attrs, DType, Node, Quantisation, Source, Tensor
from tessera.plan.graph_ops import ConvAttrs, PoolAttrs

Bytes = NDArray[Any]
HERE = Source("test")


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return library(tmp_path_factory.mktemp("tq"))


def tensor(
    shape: tuple[int, ...],
    kind: str,
    scale: tuple[float, ...] = (1.0,),
    zero: int = 0,
    axis: int | None = None,
) -> Tensor:
    return Tensor("t", shape, DType(kind), HERE, Quantisation(scale, (zero,) * len(scale), axis))


def reference(
    op: str, values: list[Bytes], inputs: list[Tensor], out: Tensor, attrs: Attrs | None = None
) -> Bytes:
    """What the reference executor makes of one node."""
    node = Node("n", op, ("x",) * len(values), ("y",), attrs or Attrs(), HERE)
    return OPERATORS[op](Call(node, tuple(values), tuple(inputs), out))


def number(one: Tensor) -> Number:
    assert one.quantisation is not None
    return Number(one.quantisation.zero_point[0], one.dtype == DType.INT8)


def scale(one: Tensor) -> np.float32:
    assert one.quantisation is not None
    return np.float32(one.quantisation.scale[0])


class Draw:
    """Seeded tensors: every byte, zeros at the ends of their types, and scales that make ties."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def kind(self) -> str:
        return str(self.random.choice(["int8", "uint8"]))

    def zero(self, kind: str) -> int:
        low = -128 if kind == "int8" else 0
        return int(self.random.choice([low, low + 128, low + 255, low + 77]))

    def bytes(self, shape: tuple[int, ...], kind: str) -> Bytes:
        info = np.iinfo(kind)
        made = self.random.integers(info.min, info.max + 1, shape)
        made.flat[0] = info.min
        return np.ascontiguousarray(made.astype(kind))

    def tensor(self, shape: tuple[int, ...], *, of: float = 1.0) -> Tensor:
        kind = self.kind()
        value = float(np.float32(of * self.random.choice([0.5, 1.0, 1.1, 0.037])))
        return tensor(shape, kind, (value,), self.zero(kind))


def check_convolution(layers: Any, case: Case, name: str, extremes: bool = False) -> None:
    into, out = case.per_group
    channels = case.groups * out
    draw = Draw(case.seed)
    x_is = draw.tensor((1, case.groups * into, case.rows, case.columns))
    # As large as sums are: so that results lie on both sides of the limits
    terms = into * case.attrs.kernel[0] * case.attrs.kernel[1]
    y_is = draw.tensor((1, channels, *case.out), of=16.0 * terms**0.5)
    scales = tuple(float(np.float32(v)) for v in draw.random.uniform(0.01, 2, channels))
    w_is = tensor((channels, into, *case.attrs.kernel), "int8", scales, 0, 0)
    x, w = draw.bytes(x_is.shape, x_is.dtype), draw.bytes(w_is.shape, "int8")
    if extremes:
        w[...] = -128
    bias = draw.random.integers(-5000, 5000, channels).astype("<i4") if case.seed % 3 else None
    attrs = ConvAttrs(
        case.attrs.kernel, case.attrs.strides, case.attrs.pads, case.attrs.dilations, case.groups
    )
    values = [x, w] if bias is None else [x, w, bias]
    right = reference("QLinearConv", values, [x_is, w_is], y_is, attrs)[0]

    first, end = case.part[:2]
    packed = w[first:end].reshape(-1) if name == "tq_depthwise" else pack(w, range(first, end), out)
    multipliers = scale(x_is) * np.asarray(scales[first:end], "<f4") / scale(y_is)
    packed = np.ascontiguousarray(packed)
    mine = None if bias is None else np.ascontiguousarray(bias[first:end])
    filter_ = IntegerFilter(
        *(case.window(), into, out, packed.ctypes.data),
        *(None if mine is None else mine.ctypes.data, multipliers.ctypes.data),
        *(number(x_is), number(y_is)),
    )
    source, target = held_input(case, x[0]), held_output(case, y_is.dtype)
    run(layers[name], filter_, source.view, target.view, Part(*case.part))
    assert np.array_equal(target.rows(Part(*case.part)), made(case, right))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(case=cases())
def test_convolution(layers: Any, case: Case) -> None:
    check_convolution(layers, case, "tq_conv")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(case=cases(depthwise=True))
def test_depthwise_convolution(layers: Any, case: Case) -> None:
    check_convolution(layers, case, "tq_depthwise")
    check_convolution(layers, case, "tq_conv")


def test_the_largest_products(layers: Any) -> None:
    """-128 times 255 and -255 fit where products are kept."""
    for seed in range(12):
        attrs = PoolAttrs((3, 3), (1, 1), (1,) * 4, (1, 1))
        wide = Case(attrs, 1, (9, 16), 6, 20, (0, 16, 0, 6), False, seed)
        check_convolution(layers, wide, "tq_conv", True)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(case=cases(pools=True))
def test_pools(layers: Any, case: Case) -> None:
    draw = Draw(case.seed)
    x_is = draw.tensor((1, case.groups, case.rows, case.columns))
    y_is = draw.tensor((1, case.groups, *case.out), of=0.6)
    x = draw.bytes(x_is.shape, x_is.dtype)
    source, part = held_input(case, x[0]), Part(*case.part)
    target = held_output(case, x_is.dtype)
    signed = ctypes.c_bool(x_is.dtype == DType.INT8)
    run(layers.tq_max_pool, case.window(), signed, source.view, target.view, part)
    least = np.iinfo(x_is.dtype).min
    right = windows(x, case.attrs, case.out, least).max(axis=(-2, -1))[0]
    assert np.array_equal(target.rows(part), made(case, right))

    right = reference("QLinearAveragePool", [x], [x_is], y_is, case.attrs)[0]
    target = held_output(case, y_is.dtype)
    ends = (ctypes.c_uint32 * 2)(*case.attrs.pads[2:])
    include = ctypes.c_bool(case.attrs.count_include_pad)
    mean = Mean(scale(x_is) / scale(y_is), number(x_is), number(y_is))
    words = (case.window(), include, ends, mean, source.view, target.view, part)
    run(layers.tq_average_pool, *words)
    assert np.array_equal(target.rows(part), made(case, right))


@pytest.mark.parametrize(
    ("inputs", "outputs"), [(1, 1), (7, 8), (8, 9), (13, 19), (64, 16), (1025, 24)]
)
def test_dense(layers: Any, inputs: int, outputs: int) -> None:
    for seed in range(8):
        draw = Draw(seed)
        x_is, y_is = draw.tensor((1, inputs)), draw.tensor((1, outputs), of=40 * inputs**0.5)
        scales = tuple(float(np.float32(v)) for v in draw.random.uniform(0.01, 2, outputs))
        w_is = tensor((inputs, outputs), "int8", scales, 0, 1)
        x, w = draw.bytes(x_is.shape, x_is.dtype), draw.bytes(w_is.shape, "int8")
        bias = draw.random.integers(-5000, 5000, outputs).astype("<i4")
        values, given = ([x, w, bias], bias.ctypes.data) if seed % 2 else ([x, w], None)
        right = reference("QLinearMatMul", values, [x_is, w_is], y_is)[0]
        packed = pack(np.ascontiguousarray(w.T)[:, :, None, None], range(outputs), outputs)
        multipliers = scale(x_is) * np.asarray(scales, "<f4") / scale(y_is)
        filter_ = IntegerFilter(
            weights=packed.ctypes.data,
            bias=given,
            multipliers=multipliers.ctypes.data,
            x=number(x_is),
            y=number(y_is),
        )
        y = np.full(outputs + 8, 0x5B, y_is.dtype)
        words = (pointer(x), ctypes.c_uint32(inputs), pointer(y), ctypes.c_uint32(outputs))
        run(layers.tq_dense, filter_, *words)
        assert np.array_equal(y[:outputs], right)
        assert np.all(y[outputs:] == 0x5B)


PART = Part(2, 5, 1, 4)
SHAPE = (6, 7, 11)


def rows(whole: Bytes) -> Bytes:
    return whole[2:5, 1:4]


def empty(kind: str, shape: tuple[int, ...] = SHAPE, end: int = 4) -> Any:
    return hold(np.zeros(shape, kind), range(2, 5), range(1, end), fill=False)


@pytest.mark.parametrize("seed", range(12))
def test_element_by_element(layers: Any, seed: int) -> None:
    draw = Draw(seed)
    a_is, b_is, y_is = draw.tensor(SHAPE), draw.tensor(SHAPE), draw.tensor(SHAPE)
    a, b = draw.bytes(SHAPE, a_is.dtype), draw.bytes(SHAPE, b_is.dtype)
    left = hold(a, range(1, 6), range(1, 4), ring=4)
    other, target = hold(b, range(2, 5), range(0, 6)), empty(y_is.dtype)
    real = (Real * 3)(*(Real(scale(one), number(one)) for one in (a_is, b_is, y_is)))
    run(layers.tq_add, real, left.view, other.view, target.view, PART)
    right = reference("QLinearAdd", [a, b], [a_is, b_is], y_is)
    assert np.array_equal(target.rows(PART), rows(right))

    table = draw.bytes((256,), y_is.dtype)
    signed = ctypes.c_bool(a_is.dtype == DType.INT8)
    run(layers.tq_table, pointer(table), signed, left.view, target.view, PART)
    right = reference("QLinearTable", [a, table], [a_is, y_is], y_is)
    assert np.array_equal(target.rows(PART), rows(right))

    floats = empty("<f4")
    run(layers.tq_dequantize, real[0], left.view, floats.view, PART)
    right = reference("DequantizeLinear", [a], [a_is], tensor(SHAPE, "float32"))
    assert np.array_equal(floats.rows(PART), rows(right))

    # Half steps, so that there are ties, and what lies far outside
    x = (draw.random.integers(-600, 600, SHAPE) * np.float32(0.5) * scale(y_is)).astype("<f4")
    x[3, 2, :3] = (1e30, -1e30, np.inf)
    wide = hold(x, range(1, 6), range(1, 4), ring=3)
    run(layers.tq_quantize, real[2], wide.view, target.view, PART)
    right = reference("QuantizeLinear", [x], [tensor(SHAPE, "float32")], y_is)
    assert np.array_equal(target.rows(PART), rows(right))


@pytest.mark.parametrize("seed", range(6))
def test_means_and_moves(layers: Any, seed: int) -> None:
    draw = Draw(seed)
    x_is, y_is = draw.tensor((1, *SHAPE)), draw.tensor((1, 6, 1, 1), of=0.2)
    x = draw.bytes(SHAPE, x_is.dtype)
    whole = hold(x, range(1, 6), range(7))
    one = hold(np.zeros((6, 1, 1), y_is.dtype), range(2, 5), range(1), fill=False)
    first = Part(2, 5, 0, 1)
    ratio = scale(x_is) / scale(y_is) / np.float32(77)
    mean = Mean(ratio, number(x_is), number(y_is))
    run(layers.tq_global_average, ctypes.c_uint32(7), mean, whole.view, one.view, first)
    right = reference("QLinearGlobalAveragePool", [x[None]], [x_is], y_is)[0]
    assert np.array_equal(one.rows(first), right[2:5])

    source, target = hold(x, range(1, 6), range(1, 4), ring=4), empty(x_is.dtype)
    run(layers.tq_move, source.view, ctypes.c_uint32(1), target.view, PART)
    assert np.array_equal(target.rows(PART), x[1:4, 1:4])

    large, wide = empty(x_is.dtype, (6, 14, 22), 8), Part(2, 5, 3, 8)
    run(layers.tq_upsample, ctypes.c_uint32(2), source.view, large.view, wide)
    assert np.array_equal(large.rows(wide), x.repeat(2, 1).repeat(2, 2)[2:5, 3:8])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(bits=st.integers(0, 2**32 - 1), zero=st.integers(-128, 127))
def test_any_float_is_quantised(layers: Any, bits: int, zero: int) -> None:
    x = np.full((1, 1, 1), bits, "<u4").view("<f4")
    target = hold(np.zeros((1, 1, 1), "int8"), range(1), range(1), fill=False)
    real = Real(1.0, Number(zero, True))
    source = hold(x, range(1), range(1))
    run(layers.tq_quantize, real, source.view, target.view, Part(0, 1, 0, 1))
    if np.isnan(x[0, 0, 0]):
        assert target.memory[0, 0, 0] == -128
    else:
        want = np.clip(np.rint(x.astype(np.float64)) + zero, -128, 127)
        assert target.memory[0, 0, 0] == want[0, 0, 0]


# --- mistakes that must be seen -------------------------------------------------------------------

PLAIN = Case(PoolAttrs((3, 3), (1, 1), (1,) * 4, (1, 1)), 1, (3, 11), 9, 25, (1, 11, 2, 6), True, 5)
STEPPED = Case(
    PoolAttrs((3, 2), (2, 2), (1,) * 4, (2, 1)), 2, (2, 9), 12, 40, (0, 18, 1, 4), False, 4
)
SINGLE = Case(PoolAttrs((3, 3), (1, 1), (1,) * 4, (1, 1)), 5, (1, 1), 8, 30, (1, 4, 0, 8), True, 3)
POINTS = Case(PoolAttrs((1, 1), (1, 1), (0,) * 4, (1, 1)), 1, (5, 16), 9, 7, (0, 16, 2, 7), True, 4)
GOOD = ((PLAIN, "tq_conv"), (STEPPED, "tq_conv"), (POINTS, "tq_conv"), (SINGLE, "tq_depthwise"))

MISTAKES = {
    "groups all alike": ("tq_conv.c", "group * filter->in_channels", "0", 1),
    "a stride of one": (
        "tq_conv.c",
        "inner(job, column, 2, across, count, sums)",
        "inner(job, column, 1, across, count, sums)",
        1,
    ),
    "rows in one piece that are not": (
        "tq_conv.c",
        "bool flat = tl_is_flat(window, job->x, y, part)",
        "bool flat = window->kernel_rows == 1",
        2,
    ),
    "the last lanes": (
        "tq_conv.c",
        "job.weights += taps * job.lanes",
        "job.weights += taps * 8",
        1,
    ),
    "padding that is not the zero": (
        "tq_conv.c",
        "for (j = columns.first; j < columns.end; j++) {",
        "for (j = columns.first + 1; j < columns.end; j++) {",
        0,
    ),
    "no rounding": (
        "tq_vector.h",
        "value = (value + TQ_ROUND) - TQ_ROUND;\n\n\treturn __b",
        "return __b",
        0,
    ),
    "the sign of weights": ("tq_vector.h", "(tq_widen(bytes) ^ 128) - 128", "tq_widen(bytes)", 0),
    "a row below": (
        "tq_depthwise.c",
        "job->rows.first; i < job->rows.end; i++) {\n\t\tconst uint8_t *x = input_row(job, i) +",
        "0; i < job->rows.end; i++) {\n\t\tconst uint8_t *x = input_row(job, i) +",
        3,
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_seen(what: str, tmp_path: Path) -> None:
    file, old, new, which = MISTAKES[what]
    case, name = GOOD[which]
    broken = library(tmp_path, (file, old, new))
    with pytest.raises(AssertionError):
        check_convolution(broken, case, name)


def test_the_good_cases_of_the_mistakes_pass(layers: Any) -> None:
    for case, name in GOOD:
        check_convolution(layers, case, name)
