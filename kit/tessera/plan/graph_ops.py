"""The ops of a graph: their typed attributes and how many inputs they take.

Goal: a small canonical set; readers lower everything else to it (a split is slices, a squeeze is a
reshape), so that each later step has few cases. Names are ONNX's where ONNX has one.
Non-goals: shapes (`graph_shapes`) and numbers (`execute`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.plan.graph import Attrs, DType, Shape


@dataclass(frozen=True, slots=True)
class ConvAttrs(Attrs):
    """Per spatial axis: window, step, dilation; `pads` are all beginnings, then all ends."""

    kernel: Shape
    strides: Shape
    pads: Shape
    dilations: Shape
    group: int = 1


@dataclass(frozen=True, slots=True)
class PoolAttrs(Attrs):
    """As `ConvAttrs`; `ceil_mode` keeps a last window that begins inside and ends outside.

    `count_include_pad` (averages): padding counts as zeros.
    """

    kernel: Shape
    strides: Shape
    pads: Shape
    dilations: Shape
    ceil_mode: bool = False
    count_include_pad: bool = False


@dataclass(frozen=True, slots=True)
class GemmAttrs(Attrs):
    """alpha * A' B' + beta * C, A and B transposed where said."""

    alpha: float = 1.0
    beta: float = 1.0
    transpose_a: bool = False
    transpose_b: bool = False


@dataclass(frozen=True, slots=True)
class AxisAttrs(Attrs):
    """The axis that is worked along, from 0."""

    axis: int


@dataclass(frozen=True, slots=True)
class ReduceAttrs(Attrs):
    """The axes that are reduced, ascending from 0; kept with size 1 or left out."""

    axes: Shape
    keepdims: bool


@dataclass(frozen=True, slots=True)
class ArgAttrs(Attrs):
    """The axis searched; of equal values the first counts, or the last."""

    axis: int
    keepdims: bool
    select_last: bool


@dataclass(frozen=True, slots=True)
class AlphaAttrs(Attrs):
    """The slope below zero (LeakyRelu), the scale (Elu), or the factor inside (Swish)."""

    alpha: float


@dataclass(frozen=True, slots=True)
class HardSigmoidAttrs(Attrs):
    """max(0, min(1, alpha * x + beta))."""

    alpha: float
    beta: float


@dataclass(frozen=True, slots=True)
class ClipAttrs(Attrs):
    """Bounds, inclusive; None is no bound. The lower is applied first, as ONNX says."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class GeluAttrs(Attrs):
    """With the exact error function, or by the tanh approximation."""

    tanh: bool


@dataclass(frozen=True, slots=True)
class CastAttrs(Attrs):
    """The type to convert to."""

    to: DType


@dataclass(frozen=True, slots=True)
class ShapeAttrs(Attrs):
    """The shape of the output (Reshape), or what to broadcast with (Expand)."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class TransposeAttrs(Attrs):
    """Axis of the input for each axis of the output."""

    order: Shape


@dataclass(frozen=True, slots=True)
class SliceAttrs(Attrs):
    """Per axis of the input: first index, number of elements, step (may be negative)."""

    starts: Shape
    sizes: Shape
    steps: Shape


@dataclass(frozen=True, slots=True)
class TileAttrs(Attrs):
    """How often the input is repeated along each axis."""

    repeats: Shape


@dataclass(frozen=True, slots=True)
class PadAttrs(Attrs):
    """Elements added (or cut, negative) per axis: all beginnings, then all ends.

    `mode` is constant (with `value`), reflect, edge or wrap.
    """

    pads: Shape
    mode: str
    value: float


@dataclass(frozen=True, slots=True)
class ResizeAttrs(Attrs):
    """Per axis of the input: factor and size of the output.

    `mode` is nearest or linear. `coordinates` is half_pixel, half_pixel_symmetric,
    pytorch_half_pixel, asymmetric or align_corners; `nearest` is floor, ceil, round_prefer_floor or
    round_prefer_ceil.
    """

    mode: str
    coordinates: str
    nearest: str
    scales: tuple[float, ...]
    sizes: Shape


@dataclass(frozen=True, slots=True)
class EpsilonAttrs(Attrs):
    """What is added to the variance before its root is taken."""

    epsilon: float


@dataclass(frozen=True, slots=True)
class NormAttrs(Attrs):
    """Normalised over `axis` and all axes after it."""

    axis: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class LrnAttrs(Attrs):
    """x / (bias + alpha / size * sum of squares over `size` channels around) ** beta."""

    size: int
    alpha: float
    beta: float
    bias: float


@dataclass(frozen=True, slots=True)
class TriluAttrs(Attrs):
    """Keeps what is on or above (`upper`), or below, the diagonal `offset` places to the right."""

    upper: bool
    offset: int


@dataclass(frozen=True, slots=True)
class OpSpec:
    """What an op's node looks like: class of the attributes, fewest and most inputs."""

    attrs: type[Attrs]
    fewest: int
    most: int


BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu")
COMPARE = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
LOGIC = ("And", "Or")
UNARY = (
    *("Relu", "Sigmoid", "Tanh", "HardSwish", "Mish", "Softplus", "Erf", "Sqrt", "Exp", "Log"),
    *("Neg", "Abs", "Reciprocal", "Sin", "Cos", "Floor", "Ceil", "Identity"),
)
REDUCE = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")
MANY = 1 << 16
"""No op takes more inputs than this."""

OPS: dict[str, OpSpec] = {
    **{op: OpSpec(Attrs, 2, 2) for op in (*BINARY, *COMPARE, *LOGIC, "MatMul")},
    **{op: OpSpec(Attrs, 1, 1) for op in (*UNARY, "Not")},
    **{op: OpSpec(Attrs, 1, 1) for op in ("GlobalAveragePool", "GlobalMaxPool")},
    **{op: OpSpec(ReduceAttrs, 1, 1) for op in REDUCE},
    **{op: OpSpec(PoolAttrs, 1, 1) for op in ("MaxPool", "AveragePool")},
    **{op: OpSpec(AlphaAttrs, 1, 1) for op in ("LeakyRelu", "Elu", "Swish")},
    **{op: OpSpec(AxisAttrs, 1, 1) for op in ("Softmax", "LogSoftmax")},
    **{op: OpSpec(ShapeAttrs, 1, 1) for op in ("Reshape", "Expand")},
    **{op: OpSpec(CastAttrs, 1, 1) for op in ("Cast", "QuantizeLinear")},
    "DequantizeLinear": OpSpec(Attrs, 1, 1),
    "Conv": OpSpec(ConvAttrs, 2, 3),
    "Gemm": OpSpec(GemmAttrs, 2, 3),
    "QLinearConv": OpSpec(ConvAttrs, 2, 3),
    "QLinearMatMul": OpSpec(Attrs, 2, 3),
    "QLinearAdd": OpSpec(Attrs, 2, 2),
    "QLinearAveragePool": OpSpec(PoolAttrs, 1, 1),
    "QLinearGlobalAveragePool": OpSpec(Attrs, 1, 1),
    "QLinearTable": OpSpec(Attrs, 2, 2),
    "Where": OpSpec(Attrs, 3, 3),
    "ArgMax": OpSpec(ArgAttrs, 1, 1),
    "HardSigmoid": OpSpec(HardSigmoidAttrs, 1, 1),
    "Clip": OpSpec(ClipAttrs, 1, 1),
    "Gelu": OpSpec(GeluAttrs, 1, 1),
    "Transpose": OpSpec(TransposeAttrs, 1, 1),
    "Concat": OpSpec(AxisAttrs, 1, MANY),
    "Slice": OpSpec(SliceAttrs, 1, 1),
    "Gather": OpSpec(AxisAttrs, 2, 2),
    "Tile": OpSpec(TileAttrs, 1, 1),
    "Pad": OpSpec(PadAttrs, 1, 1),
    "Resize": OpSpec(ResizeAttrs, 1, 1),
    "BatchNormalization": OpSpec(EpsilonAttrs, 5, 5),
    "LayerNormalization": OpSpec(NormAttrs, 2, 3),
    "RMSNormalization": OpSpec(NormAttrs, 2, 2),
    "LRN": OpSpec(LrnAttrs, 1, 1),
    "Trilu": OpSpec(TriluAttrs, 1, 1),
}
