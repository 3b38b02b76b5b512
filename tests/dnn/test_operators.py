"""Every C operator against the numpy reference, and broken operators that must be caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from c_runtime import HARNESS, Broken, Edit, Harness, compile_c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera.dnn import reference
from tessera.dnn.format import Floats, Shape

TOLERANCE = 1e-4  # absolute; inputs are within about 4 and sums have up to a few hundred terms
SHARED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Case = Callable[[Harness, np.random.Generator], float]
seeds = st.integers(0, 2**32 - 1)


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.standard_normal(shape).astype(np.float32)


def gap(got: Floats, wanted: Floats) -> float:
    """The largest difference; infinite when something is not a number."""
    difference = np.abs(got.reshape(-1).astype(np.float64) - wanted.reshape(-1))
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")


def conv2d(  # a case as large as its numbers say
    harness: Harness,
    rng: np.random.Generator,
    given_: Shape,
    out: int,
    kernel: int,
    stride: int,
    pad: int,
) -> float:
    x, bias = normal(rng, *given_), normal(rng, out)
    weights = normal(rng, out, given_.channels, kernel, kernel)
    wanted = reference.conv2d(
        x.astype(float), weights.astype(float), bias.astype(float), stride=stride, pad=pad
    )
    _, got = harness.call(
        "conv2d",
        x,
        wanted.size,
        weights=weights,
        bias=bias,
        shapes=(given_, Shape(*wanted.shape)),
        window=(kernel, stride, pad),
    )
    return gap(got, wanted)


def maxpool(
    harness: Harness, rng: np.random.Generator, given_: Shape, kernel: int, stride: int
) -> float:
    x = normal(rng, *given_)
    wanted = reference.maxpool(x.astype(float), kernel=kernel, stride=stride)
    shapes = (given_, Shape(*wanted.shape))
    _, got = harness.call("maxpool", x, wanted.size, shapes=shapes, window=(kernel, stride, 0))
    return gap(got, wanted)


def dense(harness: Harness, rng: np.random.Generator, inputs: int, outputs: int) -> float:
    x, weights, bias = normal(rng, inputs), normal(rng, outputs, inputs), normal(rng, outputs)
    wanted = reference.dense(x.astype(float), weights.astype(float), bias.astype(float))
    _, got = harness.call("dense", x, outputs, weights=weights, bias=bias)
    return gap(got, wanted)


def relu(harness: Harness, rng: np.random.Generator, count: int) -> float:
    x = normal(rng, count)
    _, got = harness.call("relu", x, count)
    return gap(got, reference.relu(x.astype(float)))


def softmax(harness: Harness, rng: np.random.Generator, count: int, scale: float) -> float:
    x = normal(rng, count) * np.float32(scale)
    _, got = harness.call("softmax", x, count)
    return gap(got, reference.softmax(x.astype(float)))


def exp(harness: Harness, rng: np.random.Generator) -> float:
    x = rng.uniform(-87, 88, 5000).astype(np.float32)
    _, got = harness.call("exp", x, x.size)
    wanted = np.exp(x.astype(float))
    return gap(got / wanted, np.ones(x.size, np.float32))


@SHARED
@given(
    seed=seeds,
    shape=st.tuples(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12)),
    out=st.integers(1, 6),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    pad=st.integers(0, 4),
)
def test_conv2d(
    harness: Harness, seed: int, shape: tuple[int, int, int], out: int, kernel: int, stride: int,
    pad: int,
) -> None:  # fmt: skip
    pad = min(pad, kernel - 1)
    kernel = min(kernel, shape[1] + 2 * pad, shape[2] + 2 * pad)
    pad = min(pad, kernel - 1)
    kernel = min(kernel, shape[1] + 2 * pad, shape[2] + 2 * pad)
    rng = np.random.default_rng(seed)
    assert (
        conv2d(harness, rng, Shape(*shape), out, kernel, stride, min(pad, kernel - 1)) < TOLERANCE
    )


@SHARED
@given(
    seed=seeds,
    shape=st.tuples(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12)),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 6),
)
def test_maxpool(
    harness: Harness, seed: int, shape: tuple[int, int, int], kernel: int, stride: int
) -> None:
    kernel = min(kernel, *shape[1:])
    assert maxpool(harness, np.random.default_rng(seed), Shape(*shape), kernel, stride) == 0


@SHARED
@given(seed=seeds, inputs=st.integers(1, 300), outputs=st.integers(1, 20))
def test_dense(harness: Harness, seed: int, inputs: int, outputs: int) -> None:
    assert dense(harness, np.random.default_rng(seed), inputs, outputs) < TOLERANCE


@SHARED
@given(seed=seeds, count=st.integers(1, 100))
def test_relu(harness: Harness, seed: int, count: int) -> None:
    assert relu(harness, np.random.default_rng(seed), count) == 0


@SHARED
@given(seed=seeds, count=st.integers(1, 100), scale=st.sampled_from([0.01, 1.0, 30.0, 1000.0]))
def test_softmax(harness: Harness, seed: int, count: int, scale: float) -> None:
    assert softmax(harness, np.random.default_rng(seed), count, scale) < 1e-6


def test_exp_is_within_its_stated_error(harness: Harness) -> None:
    assert exp(harness, np.random.default_rng(1)) < 3e-7


def test_exp_at_its_ends(harness: Harness) -> None:
    x = np.array([-np.inf, -1e30, -87.5, 0.0, 88.0, 89.0, np.inf, np.nan], np.float32)
    _, got = harness.call("exp", x, x.size)
    assert got[:4].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert got[4] == got[5] == got[6]
    assert np.isclose(got[4], np.exp(88.0), rtol=3e-7)
    assert np.isnan(got[7])


def test_softmax_of_what_is_not_a_number_stays_defined(harness: Harness) -> None:
    for values in ([np.nan, 1.0], [1.0, np.nan], [np.inf, 1.0], [-np.inf, -np.inf]):
        status, got = harness.call("softmax", np.array(values, np.float32), 2)
        assert status == 0
        assert got.size == 2


# --- Broken on purpose ---------------------------------------------------------------------------


def battery(harness: Harness) -> Iterator[tuple[str, float]]:
    """A difference for each of a few fixed cases that together exercise every number."""
    rng = np.random.default_rng(20261121)
    yield "conv2d", conv2d(harness, rng, Shape(3, 7, 9), 4, 3, 1, 1)
    yield "conv2d strided", conv2d(harness, rng, Shape(2, 9, 8), 3, 3, 2, 2)
    yield "maxpool", maxpool(harness, rng, Shape(3, 7, 8), 3, 2)
    yield "dense", dense(harness, rng, 40, 7)
    yield "relu", relu(harness, rng, 50)
    yield "softmax", softmax(harness, rng, 20, 3.0)
    yield "exp", exp(harness, rng)


def caught(harness: Harness) -> bool:
    """Whether the battery sees a difference, or a sanitizer stops the program."""
    try:
        return any(difference >= TOLERANCE for _, difference in battery(harness))
    except Broken:
        return True


MUTANTS: dict[str, Edit] = {
    "bias dropped": (
        "ops.c",
        "float sum = bias[o];\n\n\t\t\t\tclip",
        "float sum = 0;\n\n\t\t\t\tclip",
    ),
    "stride ignored": ("ops.c", "position * window->stride", "position"),
    "padding ignored": ("ops.c", "s->start < window->pad ? window->pad - s->start : 0", "0"),
    "rows read as columns": ("ops.c", "plane + row * width", "plane + row"),
    "filter of another channel": ("ops.c", "filter + c * taps", "filter"),
    "kernel end not clipped": ("ops.c", "s->end = size + window->pad - s->start", "s->end = 64"),
    "pooling stride wrong": ("ops.c", "row + (size_t)j * window->stride", "row + (size_t)j"),
    "smallest, not largest": (
        "ops.c",
        "if (x[(size_t)i * width + j] > most)",
        "if (x[(size_t)i * width + j] < most)",
    ),
    "dense bias dropped": ("ops.c", "float sum = bias[o];\n\n\t\tfor", "float sum = 0;\n\n\t\tfor"),
    "dense row off by one": ("ops.c", "weights[o * inputs + i]", "weights[o * inputs + i + 1]"),
    "relu turned round": ("ops.c", "if (x[i] < 0.0f)", "if (x[i] > 0.0f)"),
    "softmax not scaled": ("ops.c", "x[i] /= sum", "x[i] /= 1"),
    "exp short of a term": ("ops.c", "p * r + 1.0f / 24.0f", "p * r"),
}


def test_the_battery_passes_on_the_operators_as_they_are(harness: Harness) -> None:
    assert not caught(harness)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_operator_is_caught(name: str, tmp_path: Path) -> None:
    broken = Harness(compile_c(tmp_path, HARNESS, [MUTANTS[name]]))
    try:
        assert caught(broken)
    finally:
        broken.close()
