"""Tiny layers against definitions in float64: any part, any view, and only what is there."""

from __future__ import annotations

import ctypes
import math
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from layer_cases import Case, cases, held_input, held_output, made, run
from tiny_layers import (
    Array,
    Filter,
    Held,
    Part,
    View,
    hold,
    library,
    numbers,
    pack,
    pointer,
)

from tessera.plan.execute_windows import convolve, window_sums, windows
from tessera.plan.graph_ops import ConvAttrs, PoolAttrs

EPSILON = 2.0**-24


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return library(tmp_path_factory.mktemp("tl"))


def check_convolution(layers: Any, case: Case, name: str) -> Array:
    """The part that a layer makes, which has to lie within the bound of its sums."""
    into, out = case.per_group
    channels = case.groups * out
    x = numbers((case.groups * into, case.rows, case.columns), case.seed)
    w = numbers((channels, into, *case.attrs.kernel), case.seed + 1)
    bias = numbers((channels,), case.seed + 2)
    attrs = ConvAttrs(
        case.attrs.kernel, case.attrs.strides, case.attrs.pads, case.attrs.dilations, case.groups
    )
    wide = [np.asarray(v, np.float64) for v in (x[None], w)]
    right = convolve(wide[0], wide[1], attrs, case.out)[0] + bias[:, None, None]
    size = convolve(abs(wide[0]), abs(wide[1]), attrs, case.out)[0] + abs(bias)[:, None, None]

    first, end = case.part[:2]
    plain = np.append(w[first:end].reshape(-1), np.float32(np.nan)).astype("<f4")
    packed = plain if name == "tl_depthwise" else pack(w, range(first, end), out)
    mine = np.ascontiguousarray(bias[first:end])
    filter_ = Filter(case.window(), into, out, packed.ctypes.data, mine.ctypes.data)
    source, target = held_input(case, x), held_output(case)
    run(layers[name], filter_, source.view, target.view, Part(*case.part))
    got = target.rows(Part(*case.part))
    terms = into * case.attrs.kernel[0] * case.attrs.kernel[1] + 1
    assert np.all(abs(got - made(case, right)) <= 2 * terms * EPSILON * made(case, size))
    return got


@settings(max_examples=150, deadline=None, derandomize=True)
@given(case=cases())
def test_convolution(layers: Any, case: Case) -> None:
    check_convolution(layers, case, "tl_conv")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(case=cases(depthwise=True))
def test_depthwise_convolution(layers: Any, case: Case) -> None:
    check_convolution(layers, case, "tl_depthwise")
    check_convolution(layers, case, "tl_conv")


@pytest.fixture(scope="module")
def widths(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """The layers for vectors of 4, 8 and 16 numbers; the compiler makes of them what there is."""
    flags = {width: (f"-DTL_WIDTH={width}",) for width in (4, 8, 16)}
    return {
        width: library(tmp_path_factory.mktemp(f"tl{width}"), flags=words)
        for width, words in flags.items()
    }


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=cases(), single=cases(depthwise=True))
def test_the_width_of_vectors_does_not_change_a_bit(
    widths: dict[int, Any], case: Case, single: Case
) -> None:
    for one, name in ((case, "tl_conv"), (single, "tl_depthwise")):
        made_by = {
            width: check_convolution(layers, one, name).tobytes()
            for width, layers in widths.items()
        }
        assert len(set(made_by.values())) == 1, name


@pytest.mark.parametrize("name", ["tl_conv", "tl_depthwise"])
@pytest.mark.parametrize("columns", [1, 3, 4, 5, 7, 13, 14, 15, 31, 112])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_rows_of_every_width(widths: dict[int, Any], name: str, columns: int, kernel: int) -> None:
    pad, stride = kernel // 2, 2 if kernel == 7 else 1
    attrs = PoolAttrs((kernel,) * 2, (stride,) * 2, (pad,) * 4, (1, 1))
    groups, per_group = (3, (1, 1)) if name == "tl_depthwise" else (1, (5, 43))
    rows = (8 + stride - 1) // stride
    channels = groups * per_group[1]
    case = Case(attrs, groups, per_group, 8, columns, (0, channels, 0, rows), False, columns)
    made_by = {check_convolution(one, case, name).tobytes() for one in widths.values()}
    assert len(made_by) == 1


def test_elements_of_every_width(widths: dict[int, Any]) -> None:
    x = numbers((2, 3, 29), 5)
    part = Part(0, 2, 0, 3)
    seen = set()
    for layers in widths.values():
        a, b = hold(x, range(2), range(3)), hold(x * np.float32(0.3), range(2), range(3))
        run(layers.tl_add, a.view, b.view, b.view, part)
        run(layers.tl_apply, 3, ctypes.c_float(-0.5), ctypes.c_float(0.25), b.view, a.view, part)
        assert np.array_equal(a.memory, np.clip(x + x * np.float32(0.3), -0.5, 0.25))
        seen.add(a.memory.tobytes())
    assert len(seen) == 1


def fused() -> tuple[str, ...]:
    """Flags that fuse products and sums; skips where this processor cannot run such code."""
    if platform.machine() == "aarch64":
        return ("-ffp-contract=fast",)
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        words = []
    if not {"fma", "avx2"} <= set(words):
        pytest.skip("this processor has no fused products")
    return ("-mavx2", "-mfma", "-ffp-contract=fast")


def test_fused_products_keep_the_bound(layers: Any, tmp_path: Path) -> None:
    fast = library(tmp_path, flags=fused())
    differ = 0
    for case, name in ((PLAIN, "tl_conv"), (STEPPED, "tl_conv"), (SINGLE, "tl_depthwise")):
        exact = check_convolution(layers, case, name)
        differ += exact.tobytes() != check_convolution(fast, case, name).tobytes()
    # If nothing differed, nothing would have been fused
    assert differ


@settings(max_examples=100, deadline=None, derandomize=True)
@given(case=cases(pools=True))
def test_pools(layers: Any, case: Case) -> None:
    x = numbers((case.groups, case.rows, case.columns), case.seed)
    source, target = held_input(case, x), held_output(case)
    part = Part(*case.part)
    run(layers.tl_max_pool, case.window(), source.view, target.view, part)
    right = windows(x[None], case.attrs, case.out, -np.inf).max(axis=(-2, -1))[0]
    assert np.array_equal(target.rows(part), made(case, right))

    ends = (ctypes.c_uint32 * 2)(*case.attrs.pads[2:])
    include = ctypes.c_bool(case.attrs.count_include_pad)
    run(layers.tl_average_pool, case.window(), include, ends, source.view, target.view, part)
    total, count = window_sums(x[None].astype(np.float64), case.attrs, case.out)
    got, mean = target.rows(part), made(case, (total / count)[0])
    assert np.all(abs(got - mean) <= 32 * EPSILON)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (7, 8), (13, 9), (64, 16), (1024, 3)])
def test_dense(layers: Any, inputs: int, outputs: int) -> None:
    w, x = numbers((outputs, inputs, 1, 1), 1), numbers((inputs,), 2)
    bias, y = numbers((outputs,), 3), np.full(outputs, np.nan, "<f4")
    packed = pack(w, range(outputs), outputs)
    words = (ctypes.c_uint32(inputs), pointer(y), ctypes.c_uint32(outputs))
    run(layers.tl_dense, pointer(packed), pointer(bias), pointer(x), *words)
    wide = w[:, :, 0, 0].astype(np.float64)
    size = abs(wide) @ abs(x) + abs(bias)
    assert np.all(abs(y - (wide @ x + bias)) <= 2 * (inputs + 1) * EPSILON * size)


PART = (2, 5, 1, 4)
SHAPE = (6, 7, 11)


def three(x: Array) -> tuple[Held, Held, Part]:
    """An input in a ring, an output, and the part that both hold."""
    source = hold(x, range(1, 6), range(1, 4), ring=4)
    target = hold(np.zeros(SHAPE, "<f4"), range(2, 5), range(1, 4), fill=False)
    return source, target, Part(*PART)


CURVES: list[tuple[float, float, Callable[[Any], Any]]] = [
    (0, 0, lambda x: x),
    (0, 0, lambda x: np.maximum(x, 0)),
    (0.125, 0, lambda x: np.where(x < 0, x * 0.125, x)),
    (-0.5, 1.5, lambda x: np.clip(x, -0.5, 1.5)),
    (0, 0, lambda x: 1 / (1 + np.exp(-x))),
    (0, 0, np.tanh),
    (0, 0, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    (0.25, 0.5, lambda x: np.clip(x * 0.25 + 0.5, 0, 1)),
    (0, 0, np.vectorize(math.erf)),
    (0, 0, np.exp),
]


@pytest.mark.parametrize("curve", range(len(CURVES)))
@pytest.mark.parametrize("in_place", [False, True])
def test_curves(layers: Any, curve: int, in_place: bool) -> None:
    low, high, right = CURVES[curve]
    x = numbers(SHAPE, curve) * np.float32(4)
    source, target, part = three(x)
    target = source if in_place else target
    words = (ctypes.c_int(curve), ctypes.c_float(low), ctypes.c_float(high))
    run(layers.tl_apply, *words, source.view, target.view, part)
    want = right(x[2:5, 1:4].astype(np.float64))
    assert np.all(abs(target.rows(part) - want) <= 4 * EPSILON * np.maximum(1, abs(want)))


def test_what_only_moves_or_adds(layers: Any) -> None:
    x, other = numbers(SHAPE, 1), numbers(SHAPE, 2)
    source, target, part = three(x)
    second = hold(other, range(2, 5), range(0, 6))
    run(layers.tl_add, source.view, second.view, target.view, part)
    assert np.array_equal(target.rows(part), (x + other)[2:5, 1:4])

    run(layers.tl_move, source.view, ctypes.c_uint32(1), target.view, part)
    assert np.array_equal(target.rows(part), x[1:4, 1:4])

    a, b = numbers((3,), 3), numbers((3,), 4)
    run(layers.tl_scale, pointer(a), pointer(b), source.view, target.view, part)
    want = x[2:5, 1:4] * a[:, None, None] + b[:, None, None]
    assert np.allclose(target.rows(part), want, rtol=0, atol=4 * EPSILON)

    large = hold(np.zeros((6, 14, 22), "<f4"), range(2, 5), range(3, 8), fill=False)
    wide = Part(2, 5, 3, 8)
    run(layers.tl_upsample, ctypes.c_uint32(2), source.view, large.view, wide)
    assert np.array_equal(large.rows(wide), x.repeat(2, 1).repeat(2, 2)[2:5, 3:8])

    one = hold(np.zeros((6, 1, 1), "<f4"), range(2, 5), range(1), fill=False)
    whole = hold(x, range(2, 5), range(7))
    first = Part(2, 5, 0, 1)
    run(layers.tl_global_average, ctypes.c_uint32(7), whole.view, one.view, first)
    mean = x.astype(np.float64).mean(axis=(1, 2), keepdims=True)[2:5]
    assert np.all(abs(one.rows(first) - mean) <= 8 * EPSILON)


def test_softmax(layers: Any) -> None:
    x = numbers((1000,), 1) * np.float32(30)
    want = np.exp(x.astype(np.float64) - x.max())
    want /= want.sum()
    run(layers.tl_softmax, pointer(x), pointer(x), ctypes.c_size_t(1000))
    # The largest difference, 60, is rounded before its exponential is taken
    assert np.all(abs(x - want) <= 64 * EPSILON * want)


# --- mistakes that must be seen -------------------------------------------------------------------

PLAIN = Case(PoolAttrs((3, 3), (1, 1), (1,) * 4, (1, 1)), 1, (3, 11), 9, 25, (1, 11, 2, 6), True, 5)
STEPPED = Case(
    PoolAttrs((3, 2), (2, 2), (1,) * 4, (2, 1)), 2, (2, 9), 12, 40, (0, 18, 1, 4), False, 4
)
SINGLE = Case(PoolAttrs((3, 3), (1, 1), (1,) * 4, (1, 1)), 5, (1, 1), 8, 30, (1, 4, 0, 8), True, 3)
POINTS = Case(PoolAttrs((1, 1), (1, 1), (0,) * 4, (1, 1)), 1, (5, 16), 9, 7, (0, 16, 2, 7), True, 4)

# Blocks meet padding where vectors are long: see EDGES
LONG = ("-DTL_WIDTH=8",)

MISTAKES = {
    "groups all alike": ("tl_conv.c", "group * filter->in_channels", "0", STEPPED),
    "padding on the wrong side": (
        "tl_conv.c",
        "tl_columns_inside(window, job->in_width,",
        "tl_columns_inside(window, 9999,",
        PLAIN,
    ),
    "rows not dilated": ("tl_conv.c", "job->filter->window.dilation_rows", "!!job", STEPPED),
    "a stride of one": ("tl_conv.c", "count, 2, across, edge", "count, 1, across, edge", STEPPED),
    "taps of an edge": ("tl_conv.c", "j < ends[p].first", "j + 1 < ends[p].first", PLAIN),
    "taps of the other edge": ("tl_conv.c", "j >= ends[EDGE", "j > ends[EDGE", PLAIN),
    "zeros that are not": (
        "tl_depthwise.c",
        "memset(job->held, 0,",
        "memset(job->held, 127,",
        SINGLE,
    ),
    "a row held for too long": (
        "tl_depthwise.c",
        "job->row_in[slot] != row",
        "job->row_in[slot] < 0",
        SINGLE,
    ),
    "rows in one piece that are not": (
        "tl_conv.c",
        "tl_is_flat(window, job->x, y, part)",
        "window->kernel_rows == 1",
        POINTS,
    ),
    "lanes of the last few": (
        "tl_conv.c",
        "job.weights += taps * job.channels",
        "job.weights += taps * TL_LANES",
        STEPPED,
    ),
    "turned the wrong way": (
        "tl_vector.h",
        "0, 4, 1, 5);\n\ttl_half cd",
        "0, 1, 4, 5);\n\ttl_half cd",
        PLAIN,
    ),
    "the first tap": (
        "tl_taps.h",
        "(uint32_t)((dilation - 1 - taps.start) / dilation)",
        "(uint32_t)((dilation - 1 - taps.start) / dilation) + 1",
        SINGLE,
    ),
    "the last column, an edge": (
        "tl_conv.c",
        "column + count > to)",
        "column + count > to + 1)",
        PLAIN,
    ),
    "a row below": (
        "tl_taps.h",
        "int64_t room = (int64_t)size - taps.start;",
        "int64_t room = (int64_t)size - taps.start + 1;",
        SINGLE,
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_seen(what: str, tmp_path: Path) -> None:
    file, old, new, case = MISTAKES[what]
    broken = library(tmp_path, (file, old, new), LONG if "edge" in what else ())
    with pytest.raises(AssertionError):
        check_convolution(broken, case, "tl_depthwise" if case is SINGLE else "tl_conv")


def test_the_good_cases_of_the_mistakes_pass(layers: Any) -> None:
    for case in (PLAIN, STEPPED, POINTS):
        check_convolution(layers, case, "tl_conv")
    check_convolution(layers, SINGLE, "tl_depthwise")


def test_a_view_as_large_as_it_says() -> None:
    assert ctypes.sizeof(View) == 32
