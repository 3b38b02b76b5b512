"""Every operation of the runtime once, in a program by hand, and what it must make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from assemble import Draft, whole
from tiny_layers import pack

from tessera.package import code
from tessera.package.code import NONE, Curve, Part, Signed, View, Window
from tessera.plan.execute_call import Call
from tessera.plan.execute_integers import OPERATORS
from tessera.plan.execute_windows import convolve, window_sums, windows
from tessera.plan.graph import Attrs, DType, Node, Quantisation, Source, Tensor
from tessera.plan.graph_ops import ConvAttrs, PoolAttrs

Array = np.ndarray[Any, Any]
HERE = Source("test")
IN = (4, 6, 7)
"""Channels, rows, columns of the usual input."""

CONV = ConvAttrs((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
POOL = PoolAttrs((3, 3), (2, 2), (0, 0, 1, 1), (1, 1), False, True)
SAME = Window(3, 3, 1, 1, 1, 1, 1, 1, 6)
HALF = Window(3, 3, 2, 2, 0, 0, 1, 1, 6)
OUT = (3, 3)
"""Rows and columns of a pooled output."""


@dataclass(frozen=True, slots=True)
class Made:
    """What an operation must leave at `view`, to `tolerance` (0: to the bit)."""

    view: View
    right: Array
    tolerance: float = 0.0

    def check(self, arena: bytes) -> None:
        """Against an image of the arena."""
        kind = self.right.dtype
        got = np.frombuffer(arena, kind, self.right.size, self.view.offset)
        got = got.reshape(self.right.shape)
        if self.tolerance:
            assert np.allclose(got, self.right, rtol=0, atol=self.tolerance)
        else:
            assert np.array_equal(got, self.right)


def floats(seed: int, shape: tuple[int, ...] = IN) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("<f4")


def integers(seed: int, kind: str, shape: tuple[int, ...] = IN) -> Array:
    info = np.iinfo(kind)
    return np.random.default_rng(seed).integers(info.min, info.max + 1, shape).astype(kind)


def tensor(shape: tuple[int, ...], kind: str, scale: Any = (1.0,), zero: int = 0) -> Tensor:
    axis = 0 if len(scale) > 1 else None
    zeros = (zero,) * len(scale)
    return Tensor("t", shape, DType(kind), HERE, Quantisation(tuple(scale), zeros, axis))


def reference(op: str, values: list[Array], given: list[Tensor], out: Tensor, attrs: Any) -> Array:
    node = Node("n", op, ("x",) * len(values), ("y",), attrs or Attrs(), HERE)
    return OPERATORS[op](Call(node, tuple(values), tuple(given), out))


def wide(x: Array) -> Array:
    return x[None].astype(np.float64)


# --- float32 --------------------------------------------------------------------------------------


def conv(d: Draft) -> Made:
    x, w, b = floats(1), floats(2, (9, 4, 3, 3)), floats(3, (9,))
    right = convolve(wide(x), w.astype(np.float64), CONV, (6, 7))[0] + b[:, None, None]
    y = d.view((9, 6, 7), "float32")
    regions = d.region(pack(w, range(9), 9)[: w.size]), d.region(b)
    d.do(code.Conv(d.tensor(x), y, whole(y), SAME, 4, 9, *regions))
    return Made(y, right.astype("<f4"), 1e-5)


def depthwise(d: Draft) -> Made:
    x, w = floats(4), floats(5, (4, 1, 3, 3))
    attrs = ConvAttrs(CONV.kernel, CONV.strides, CONV.pads, CONV.dilations, 4)
    right = convolve(wide(x), w.astype(np.float64), attrs, (6, 7))[0]
    y = d.view(IN, "float32")
    d.do(code.Depthwise(d.tensor(x), y, whole(y), SAME, 1, 1, d.region(w), NONE))
    return Made(y, right.astype("<f4"), 1e-5)


def dense(d: Draft) -> Made:
    x, w, b = floats(6, (13, 1, 1)), floats(7, (9, 13, 1, 1)), floats(8, (9,))
    y = d.view((9, 1, 1), "float32")
    regions = d.region(pack(w, range(9), 9)[: w.size]), d.region(b)
    d.do(code.Dense(d.tensor(x), y, whole(y), 13, *regions))
    right = w[:, :, 0, 0].astype(np.float64) @ x[:, 0, 0] + b
    return Made(y, right.astype("<f4")[:, None, None], 1e-5)


def max_pool(d: Draft) -> Made:
    x, y = floats(9), d.view((4, *OUT), "float32")
    d.do(code.MaxPool(d.tensor(x), y, whole(y), HALF))
    return Made(y, windows(x[None], POOL, OUT, -np.inf).max(axis=(-2, -1))[0])


def average_pool(d: Draft) -> Made:
    x, y = floats(10), d.view((4, *OUT), "float32")
    d.do(code.AveragePool(d.tensor(x), y, whole(y), HALF, 1, 1, 1))
    total, count = window_sums(wide(x), POOL, OUT)
    return Made(y, (total / count)[0].astype("<f4"), 1e-6)


def global_average(d: Draft) -> Made:
    x, y = floats(11), d.view((4, 1, 1), "float32")
    d.do(code.GlobalAverage(d.tensor(x), y, whole(y), 6))
    return Made(y, wide(x)[0].mean(axis=(1, 2), keepdims=True).astype("<f4"), 1e-6)


def add(d: Draft) -> Made:
    a, b, y = floats(12), floats(13), d.view(IN, "float32")
    d.do(code.Add(d.tensor(a), d.tensor(b), y, whole(y)))
    return Made(y, a + b)


def apply(d: Draft) -> Made:
    x, y = floats(14), d.view(IN, "float32")
    d.do(code.Apply(d.tensor(x), y, whole(y), Curve.CLIP, -0.5, 0.25))
    return Made(y, np.clip(x, np.float32(-0.5), np.float32(0.25)))


def move(d: Draft) -> Made:
    x, y = floats(15), d.view((2, 6, 7), "float32")
    d.do(code.Move(d.tensor(x), y, whole(y), 1))
    return Made(y, x[1:3])


def upsample(d: Draft) -> Made:
    x, y = floats(16), d.view((4, 12, 14), "float32")
    d.do(code.Upsample(d.tensor(x), y, whole(y), 2))
    return Made(y, x.repeat(2, 1).repeat(2, 2))


def scale(d: Draft) -> Made:
    x, a, b, y = floats(17), floats(18, (4,)), floats(19, (4,)), d.view(IN, "float32")
    d.do(code.Scale(d.tensor(x), y, whole(y), d.region(a), d.region(b)))
    return Made(y, x * a[:, None, None] + b[:, None, None], 1e-6)


def softmax(d: Draft) -> Made:
    x, y = floats(20, (10, 1, 1)), d.view((10, 1, 1), "float32")
    d.do(code.Softmax(d.tensor(x), y, 10))
    right = np.exp(wide(x)[0]) / np.exp(wide(x)).sum()
    return Made(y, right.astype("<f4"), 1e-6)


def reshape(d: Draft) -> Made:
    x, y = integers(21, "int8"), d.view((168, 1, 1), "int8")
    d.do(code.Reshape(d.tensor(x), y, 168))
    return Made(y, x.reshape(168, 1, 1))


# --- integers -------------------------------------------------------------------------------------

SCALES = tuple(float(np.float32(0.01 * (k + 1))) for k in range(9))


def _multipliers(x_scale: float, y_scale: float, count: int) -> tuple[float, ...]:
    made = np.float32(x_scale) * np.asarray(SCALES[:count], "<f4") / np.float32(y_scale)
    return tuple(float(one) for one in made)


def q_conv(d: Draft) -> Made:
    x, w = integers(30, "uint8"), integers(31, "int8", (9, 4, 3, 3))
    b = np.arange(-4000, 5000, 1000, "<i4")
    y = d.view((9, 6, 7), "int8")
    given = [tensor((1, *IN), "uint8", (0.5,), 100), tensor(w.shape, "int8", SCALES)]
    right = reference(
        "QLinearConv", [x[None], w, b], given, tensor((1, 9, 6, 7), "int8", (20.0,), 5), CONV
    )
    regions = d.region(pack(w, range(9), 9)[: w.size]), d.region(b)
    zeros = Signed(100), Signed(5), _multipliers(0.5, 20.0, 9)
    d.do(code.QConv(d.tensor(x), y, whole(y), SAME, 4, 9, *regions, *zeros))
    return Made(y, right[0])


def q_depthwise(d: Draft) -> Made:
    x, w = integers(32, "int8"), integers(33, "int8", (4, 1, 3, 3))
    attrs = ConvAttrs(CONV.kernel, CONV.strides, CONV.pads, CONV.dilations, 4)
    y = d.view(IN, "uint8")
    given = [tensor((1, *IN), "int8", (0.5,), -3), tensor(w.shape, "int8", SCALES[:4])]
    right = reference(
        "QLinearConv", [x[None], w], given, tensor((1, *IN), "uint8", (8.0,), 99), attrs
    )
    zeros = Signed(-3), Signed(99), _multipliers(0.5, 8.0, 4)
    d.do(code.QDepthwise(d.tensor(x), y, whole(y), SAME, 1, 1, d.region(w), NONE, *zeros))
    return Made(y, right[0])


def q_dense(d: Draft) -> Made:
    x, w = integers(34, "uint8", (13, 1, 1)), integers(35, "int8", (9, 13, 1, 1))
    b = np.arange(-400, 500, 100, "<i4")
    y = d.view((9, 1, 1), "uint8")
    matrix = Tensor("w", (13, 9), DType.INT8, HERE, Quantisation(SCALES, (0,) * 9, 1))
    given = [tensor((1, 13), "uint8", (0.5,), 128), matrix]
    values = [x.reshape(1, 13), w[:, :, 0, 0].T, b]
    right = reference("QLinearMatMul", values, given, tensor((1, 9), "uint8", (9.0,), 120), None)
    regions = d.region(pack(w, range(9), 9)[: w.size]), d.region(b)
    zeros = Signed(128), Signed(120), _multipliers(0.5, 9.0, 9)
    d.do(code.QDense(d.tensor(x), y, whole(y), 13, *regions, *zeros))
    return Made(y, right.reshape(9, 1, 1))


def q_average_pool(d: Draft) -> Made:
    x, y = integers(36, "int8"), d.view((4, *OUT), "uint8")
    given, out = [tensor((1, *IN), "int8", (0.5,), 7)], tensor((1, 4, *OUT), "uint8", (0.3,), 130)
    right = reference("QLinearAveragePool", [x[None]], given, out, POOL)
    ratio = float(np.float32(0.5) / np.float32(0.3))
    zeros = ratio, Signed(7), Signed(130)
    d.do(code.QAveragePool(d.tensor(x), y, whole(y), HALF, 1, 1, 1, *zeros))
    return Made(y, right[0])


def q_global_average(d: Draft) -> Made:
    x, y = integers(37, "uint8"), d.view((4, 1, 1), "int8")
    given, out = [tensor((1, *IN), "uint8", (0.5,), 7)], tensor((1, 4, 1, 1), "int8", (0.3,), -100)
    right = reference("QLinearGlobalAveragePool", [x[None]], given, out, None)
    ratio = float(np.float32(0.5) / np.float32(0.3) / np.float32(42))
    d.do(code.QGlobalAverage(d.tensor(x), y, whole(y), 6, ratio, Signed(7), Signed(-100)))
    return Made(y, right[0])


def q_add(d: Draft) -> Made:
    a, b, y = integers(38, "int8"), integers(39, "uint8"), d.view(IN, "uint8")
    given = [tensor(IN, "int8", (0.5,), 3), tensor(IN, "uint8", (0.25,), 200)]
    right = reference("QLinearAdd", [a, b], given, tensor(IN, "uint8", (0.75,), 90), None)
    numbers = 0.5, Signed(3), 0.25, Signed(200), 0.75, Signed(90)
    d.do(code.QAdd(d.tensor(a), d.tensor(b), y, whole(y), *numbers))
    return Made(y, right)


def q_table(d: Draft) -> Made:
    x, table, y = integers(40, "int8"), integers(41, "uint8", (256,)), d.view(IN, "uint8")
    d.do(code.QTable(d.tensor(x), y, whole(y), d.region(table)))
    return Made(y, table[x.astype(int) + 128])


def quantize(d: Draft) -> Made:
    x, y = floats(42) * np.float32(100), d.view(IN, "int8")
    given, out = [tensor(IN, "float32")], tensor(IN, "int8", (0.5,), 11)
    d.do(code.Quantize(d.tensor(x), y, whole(y), 0.5, Signed(11)))
    return Made(y, reference("QuantizeLinear", [x], given, out, None))


def dequantize(d: Draft) -> Made:
    x, y = integers(43, "int8"), d.view(IN, "float32")
    given, out = [tensor(IN, "int8", (0.3,), 11)], tensor(IN, "float32")
    one = float(np.float32(0.3))
    d.do(code.Dequantize(d.tensor(x), y, whole(y), one, Signed(11)))
    return Made(y, reference("DequantizeLinear", [x], given, out, None))


def max_pool_of_bytes(d: Draft) -> Made:
    x, y = integers(44, "int8"), d.view((4, *OUT), "int8")
    d.do(code.MaxPool(d.tensor(x), y, whole(y), HALF))
    return Made(y, windows(x[None], POOL, OUT, -128).max(axis=(-2, -1))[0])


def move_of_bytes(d: Draft) -> Made:
    x, y = integers(45, "uint8"), d.view((2, 6, 7), "uint8")
    d.do(code.Move(d.tensor(x), y, Part(0, 2, 2, 6), 1))
    d.do(code.Move(d.tensor(x), y, Part(0, 2, 0, 2), 1))
    return Made(y, x[1:3])


def upsample_of_bytes(d: Draft) -> Made:
    x, y = integers(46, "uint8"), d.view((4, 12, 14), "uint8")
    d.do(code.Upsample(d.tensor(x), y, whole(y), 2))
    return Made(y, x.repeat(2, 1).repeat(2, 2))


OPERATIONS: tuple[Callable[[Draft], Made], ...] = (
    *(conv, depthwise, dense, max_pool, average_pool, global_average, add, apply, move),
    *(upsample, scale, softmax, reshape, q_conv, q_depthwise, q_dense, q_average_pool),
    *(q_global_average, q_add, q_table, quantize, dequantize),
    *(max_pool_of_bytes, move_of_bytes, upsample_of_bytes),
)


def everything() -> tuple[Draft, list[Made]]:
    """One program with all of them, which puts out an image of its arena."""
    draft = Draft(arena=32_768, chunk=512)
    made = [one(draft) for one in OPERATIONS]
    draft.show_arena()
    return draft, made
