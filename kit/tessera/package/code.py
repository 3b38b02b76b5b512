"""The instructions of a package: what docs/package.md says of each, as frozen records.

Goal: a field per operand, in the order of the document; the type of a field says how its words are
written. Offsets and sizes are bytes of the arena, indices of rows and channels those of the whole
tensor, ranges are [start, end).
Non-goals: words (`assemble`), meaning (the runtime), choosing (`lower`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar, NewType

Signed = NewType("Signed", int)
"""An int32; plain `int` operands are unsigned."""

NONE = 0xFFFFFFFF
"""The region of a bias that is not there."""

RING = 1 << 4
PACKED = 1
"""Flag of a load: see `Load.streams`."""


class Element(enum.IntEnum):
    """Element types of tensors at run time."""

    FLOAT32 = 0
    INT8 = 1
    UINT8 = 2

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return 4 if self is Element.FLOAT32 else 1


class Curve(enum.IntEnum):
    """`enum tl_curve` of models/dnn/runtime/tl_layers.h."""

    COPY = 0
    RELU = 1
    LEAKY = 2
    CLIP = 3
    SIGMOID = 4
    TANH = 5
    HARD_SWISH = 6
    HARD_SIGMOID = 7
    ERF = 8
    EXP = 9


@dataclass(frozen=True, slots=True)
class View:
    """Where channels and rows of a tensor lie. `slots`: rows that there is room for; `width`:
    elements of a row; `flags`: element type, and `RING` where row r lies in slot r modulo slots."""

    offset: int
    channel: int
    channels: int
    row: int
    slots: int
    width: int
    flags: int

    @property
    def element(self) -> Element:
        """The element type."""
        return Element(self.flags & 15)

    @property
    def ring(self) -> bool:
        """Whether row r lies in slot r modulo `slots`."""
        return bool(self.flags & RING)

    @property
    def bytes(self) -> int:
        """Bytes that it takes."""
        return self.channels * self.slots * self.width * self.element.bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Output channels and rows that an instruction makes."""

    channel: int
    channel_end: int
    row: int
    row_end: int


@dataclass(frozen=True, slots=True)
class Window:
    """`struct tl_window`: padding is what stands before the first row and column."""

    kernel_rows: int
    kernel_columns: int
    stride_rows: int
    stride_columns: int
    pad_rows: int
    pad_columns: int
    dilation_rows: int
    dilation_columns: int
    in_rows: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `NUMBER` is its operation."""

    NUMBER: ClassVar[int]


@dataclass(frozen=True, slots=True)
class End(Instruction):
    """The end of the once part or of an inference."""

    NUMBER: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Load(Instruction):
    """Constants from blocks `first`, `first` + 1, ... to `offset`. `streams`: with `PACKED`, per
    block the bytes of its stream, or the bytes of its piece where it is not packed."""

    NUMBER: ClassVar[int] = 2
    offset: int
    bytes: int
    first: int
    flags: int
    streams: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch(Instruction):
    """A part of input `number` to `y`."""

    NUMBER: ClassVar[int] = 3
    number: int
    y: View
    part: Part


@dataclass(frozen=True, slots=True)
class Emit(Instruction):
    """A part of output `number` from `x`."""

    NUMBER: ClassVar[int] = 4
    number: int
    x: View
    part: Part


@dataclass(frozen=True, slots=True)
class Conv(Instruction):
    """Channels are those of a group; `weights` and `bias` are regions of the part's channels."""

    NUMBER: ClassVar[int] = 5
    x: View
    y: View
    part: Part
    window: Window
    in_channels: int
    out_channels: int
    weights: int
    bias: int


@dataclass(frozen=True, slots=True)
class Depthwise(Conv):
    """As `Conv`, a channel per group."""

    NUMBER: ClassVar[int] = 6


@dataclass(frozen=True, slots=True)
class Dense(Instruction):
    """`inputs` numbers to the part's channels."""

    NUMBER: ClassVar[int] = 7
    x: View
    y: View
    part: Part
    inputs: int
    weights: int
    bias: int


@dataclass(frozen=True, slots=True)
class MaxPool(Instruction):
    """The largest of each window."""

    NUMBER: ClassVar[int] = 8
    x: View
    y: View
    part: Part
    window: Window


@dataclass(frozen=True, slots=True)
class AveragePool(Instruction):
    """Means of windows. `whole`: padding counts as zeros; `pad_*`: how much stands behind."""

    NUMBER: ClassVar[int] = 9
    x: View
    y: View
    part: Part
    window: Window
    whole: int
    pad_rows: int
    pad_columns: int


@dataclass(frozen=True, slots=True)
class GlobalAverage(Instruction):
    """Means of the part's channels of x, which has `rows`."""

    NUMBER: ClassVar[int] = 10
    x: View
    y: View
    part: Part
    rows: int


@dataclass(frozen=True, slots=True)
class Add(Instruction):
    """Either operand may be y."""

    NUMBER: ClassVar[int] = 11
    a: View
    b: View
    y: View
    part: Part


@dataclass(frozen=True, slots=True)
class Apply(Instruction):
    """A `Curve`, element by element; x may be y."""

    NUMBER: ClassVar[int] = 12
    x: View
    y: View
    part: Part
    curve: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Move(Instruction):
    """The part's channels are those of x from `from_channel` on."""

    NUMBER: ClassVar[int] = 13
    x: View
    y: View
    part: Part
    from_channel: int


@dataclass(frozen=True, slots=True)
class Upsample(Instruction):
    """Each element becomes `factor` by `factor`."""

    NUMBER: ClassVar[int] = 14
    x: View
    y: View
    part: Part
    factor: int


@dataclass(frozen=True, slots=True)
class Scale(Instruction):
    """A factor and a summand for each of the part's channels (regions)."""

    NUMBER: ClassVar[int] = 15
    x: View
    y: View
    part: Part
    factors: int
    summands: int


@dataclass(frozen=True, slots=True)
class Softmax(Instruction):
    """Over `count` elements without gaps; x may be y."""

    NUMBER: ClassVar[int] = 16
    x: View
    y: View
    count: int


@dataclass(frozen=True, slots=True)
class Reshape(Softmax):
    """The same elements in another shape."""

    NUMBER: ClassVar[int] = 17


@dataclass(frozen=True, slots=True)
class QConv(Conv):
    """`multipliers`: x scale * weight scale / y scale for each channel of the part."""

    NUMBER: ClassVar[int] = 32
    x_zero: Signed
    y_zero: Signed
    multipliers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class QDepthwise(QConv):
    """As `QConv`, a channel per group."""

    NUMBER: ClassVar[int] = 33


@dataclass(frozen=True, slots=True)
class QDense(Dense):
    """As `Dense` on integers, with a multiplier for each channel of the part."""

    NUMBER: ClassVar[int] = 34
    x_zero: Signed
    y_zero: Signed
    multipliers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class QAveragePool(AveragePool):
    """`ratio`: x scale / y scale."""

    NUMBER: ClassVar[int] = 35
    ratio: float
    x_zero: Signed
    y_zero: Signed


@dataclass(frozen=True, slots=True)
class QGlobalAverage(GlobalAverage):
    """`multiplier`: x scale / y scale / elements of a channel."""

    NUMBER: ClassVar[int] = 36
    multiplier: float
    x_zero: Signed
    y_zero: Signed


@dataclass(frozen=True, slots=True)
class QAdd(Add):
    """Both scaled, added, rounded once."""

    NUMBER: ClassVar[int] = 37
    a_scale: float
    a_zero: Signed
    b_scale: float
    b_zero: Signed
    y_scale: float
    y_zero: Signed


@dataclass(frozen=True, slots=True)
class QTable(Instruction):
    """A region of 256 bytes; its first is for the least value of the type."""

    NUMBER: ClassVar[int] = 38
    x: View
    y: View
    part: Part
    table: int


@dataclass(frozen=True, slots=True)
class Quantize(Instruction):
    """float32 to integers."""

    NUMBER: ClassVar[int] = 39
    x: View
    y: View
    part: Part
    scale: float
    zero: Signed


@dataclass(frozen=True, slots=True)
class Dequantize(Quantize):
    """Integers to float32."""

    NUMBER: ClassVar[int] = 40


KINDS: dict[int, type[Instruction]] = {
    kind.NUMBER: kind
    for kind in (
        *(End, Load, Fetch, Emit, Conv, Depthwise, Dense, MaxPool, AveragePool, GlobalAverage),
        *(Add, Apply, Move, Upsample, Scale, Softmax, Reshape, QConv, QDepthwise, QDense),
        *(QAveragePool, QGlobalAverage, QAdd, QTable, Quantize, Dequantize),
    )
}
"""Every instruction by its number."""
