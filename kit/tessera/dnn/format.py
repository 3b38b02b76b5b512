"""The model file (`.tsm`): a network's shapes and weights in one little-endian file.

Goal: one file that the trusted application, the host runtime and the reference read alike, and that
a reader can check in full before it trusts a single byte of it.
Non-goals: secrecy and authenticity (the checksum finds accidents, not forgers), other precisions
than float32, graphs that are not chains.

A file is a header, the layer table and the weights, without gaps, in this order. Integers are
unsigned and little-endian; sizes and offsets are bytes; floats are IEEE 754 binary32.

Header, 64 bytes:

    offset size  field
         0    4  magic "TSM" and a zero byte
         4    2  version, 1
         6    2  header size, 64
         8    4  file size
        12    4  CRC-32 (as in zlib) of the whole file with this field taken as zero
        16    4  number of layers, 1 to 32
        20    4  offset of the layer table, 64
        24    4  offset of the weights, 64 + 48 * layers
        28    4  size of the weights; the file ends with them
        32   12  input channels, height, width
        44    4  number of outputs (logits)
        48   16  zero

Layer, 48 bytes: twelve 32-bit words.

    word  field                  conv2d     maxpool  dense    relu, softmax
       0  kind                   1          2        3        4, 5
       1  output channels        1 to 4096  0        1..4096  0
       2  kernel (square)        1 to 64    1 to 64  0        0
       3  stride                 1 to 64    1 to 64  0        0
       4  padding (each side)    < kernel   0        0        0
       5  offset of weights      into the weights; tensors follow each other without gaps
       6  number of weights      out*in*k*k 0        out*in   0
       7  offset of bias         right after this layer's weights; 0 where there are none
       8  number of biases       out        0        out      0
    9-11  zero

A tensor is channels x height x width, the last index fastest; conv2d weights are (out, in, k, k),
dense weights (out, in), with its input flattened. Convolution is cross-correlation, padded by zero.
No dimension is over 4096 and no tensor has more than 2**24 values. The last layer gives the logits.
"""

from __future__ import annotations

import enum
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessera.dnn.files import read_bytes, write_bytes
from tessera.errors import TesseraError

MAGIC = b"TSM\0"
VERSION = 1
HEADER = struct.Struct("<4sHH10I16s")
LAYER = struct.Struct("<12I")
MAX_LAYERS = 32
MAX_DIM = 4096
MAX_KERNEL = 64
MAX_VALUES = 1 << 24
CRC_OFFSET = 12

Floats = NDArray[np.float32]


class Kind(enum.IntEnum):
    """What a layer does; the numbers are those of the file."""

    CONV2D = 1
    MAXPOOL = 2
    DENSE = 3
    RELU = 4
    SOFTMAX = 5


class Status(enum.IntEnum):
    """What is wrong with a model file; the same numbers as `enum ts_status` of the C runtime."""

    OK = 0
    TRUNCATED = 1
    BAD_MAGIC = 2
    BAD_VERSION = 3
    BAD_SIZE = 4
    BAD_DIGEST = 5
    BAD_LAYOUT = 6
    BAD_LAYER = 7
    BAD_SHAPE = 8
    BAD_WEIGHTS = 9


class ModelFormatError(TesseraError):
    """A model file that cannot be used; `status` says in which way."""

    def __init__(self, status: Status, message: str, where: str) -> None:
        super().__init__(
            message,
            where=where,
            remedy="write the file anew (`tessera model train`) or copy it again from its source",
        )
        self.status = status


class Shape(NamedTuple):
    """Channels, height, width of a tensor."""

    channels: int
    height: int
    width: int

    @property
    def values(self) -> int:
        """Values in the tensor."""
        return self.channels * self.height * self.width


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One layer; `out` is the number of output channels, 0 where the kind does not have one."""

    kind: Kind
    out: int = 0
    kernel: int = 0
    stride: int = 0
    pad: int = 0
    weights: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    bias: Floats = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Model:
    """A chain of layers and the shape of its input."""

    input: Shape
    layers: tuple[LayerSpec, ...]

    def shapes(self) -> tuple[Shape, ...]:
        """The shape of the input, then of each layer's output.

        Raises `ModelFormatError` (BAD_LAYER, BAD_SHAPE) when a layer cannot follow the last.
        """
        shapes = [_limited(self.input, "the input")]
        for number, layer in enumerate(self.layers):
            name = f"layer {number} ({layer.kind.name.lower()})"
            shapes.append(_limited(_output(layer, shapes[-1], name), f"the output of {name}"))
        return tuple(shapes)

    @property
    def outputs(self) -> int:
        """The number of logits."""
        return self.shapes()[-1].values


def _fail(status: Status, message: str, where: str = "model") -> ModelFormatError:
    return ModelFormatError(status, message, where)


def _limited(shape: Shape, what: str) -> Shape:
    if not all(1 <= size <= MAX_DIM for size in shape) or shape.values > MAX_VALUES:
        raise _fail(
            Status.BAD_SHAPE,
            f"{what} is {'x'.join(map(str, shape))}: no dimension may be 0 or over {MAX_DIM}, "
            f"and no tensor may have over {MAX_VALUES} values",
        )
    return shape


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise _fail(Status.BAD_LAYER, message)


def _output(layer: LayerSpec, given: Shape, name: str) -> Shape:
    """The output shape of `layer` on `given`; the layer's own numbers are checked here."""
    windowed = layer.kind in (Kind.CONV2D, Kind.MAXPOOL)
    weighted = layer.kind in (Kind.CONV2D, Kind.DENSE)
    if windowed:
        _require(
            1 <= layer.kernel <= MAX_KERNEL and 1 <= layer.stride <= MAX_KERNEL,
            f"{name}: kernel {layer.kernel} and stride {layer.stride} must be 1 to {MAX_KERNEL}",
        )
        pad_limit = layer.kernel if layer.kind is Kind.CONV2D else 1
        _require(layer.pad < pad_limit, f"{name}: padding {layer.pad} must be below {pad_limit}")
    else:
        _require(
            (layer.kernel, layer.stride, layer.pad) == (0, 0, 0),
            f"{name}: kernel, stride and padding must be 0",
        )
    _require(
        1 <= layer.out <= MAX_DIM if weighted else layer.out == 0,
        f"{name}: {layer.out} output channels",
    )
    if layer.kind is Kind.DENSE:
        return Shape(layer.out, 1, 1)
    if not windowed:
        return given
    height, width = given.height + 2 * layer.pad, given.width + 2 * layer.pad
    if height < layer.kernel or width < layer.kernel:
        raise _fail(
            Status.BAD_SHAPE, f"{name}: a kernel of {layer.kernel} does not fit {width}x{height}"
        )
    return Shape(
        layer.out or given.channels,
        (height - layer.kernel) // layer.stride + 1,
        (width - layer.kernel) // layer.stride + 1,
    )


def weight_counts(layer: LayerSpec, given: Shape) -> tuple[int, int]:
    """How many weights and biases `layer` needs on an input of shape `given`."""
    if layer.kind is Kind.CONV2D:
        return layer.out * given.channels * layer.kernel**2, layer.out
    if layer.kind is Kind.DENSE:
        return layer.out * given.values, layer.out
    return 0, 0


def checksum(data: bytes) -> int:
    """The CRC-32 that the header of `data` must hold."""
    return zlib.crc32(data[CRC_OFFSET + 4 :], zlib.crc32(data[:CRC_OFFSET] + bytes(4)))


def encode(model: Model) -> bytes:
    """The model as file content. Raises `ModelFormatError` when the model is not well formed."""
    shapes = model.shapes()
    _require(1 <= len(model.layers) <= MAX_LAYERS, f"{len(model.layers)} layers")
    table, weights = bytearray(), bytearray()
    for layer, given in zip(model.layers, shapes, strict=False):
        need = weight_counts(layer, given)
        if (layer.weights.size, layer.bias.size) != need:
            raise _fail(Status.BAD_WEIGHTS, f"a {layer.kind.name.lower()} layer needs {need}")
        start = len(weights) if need[0] else 0
        weights += layer.weights.astype("<f4").tobytes()
        middle = len(weights) if need[1] else 0
        weights += layer.bias.astype("<f4").tobytes()
        numbers = (layer.kind, layer.out, layer.kernel, layer.stride, layer.pad)
        table += LAYER.pack(*numbers, start, need[0], middle, need[1], 0, 0, 0)
    tail = bytes(table + weights)
    start = HEADER.size + len(table)
    head = HEADER.pack(
        MAGIC, VERSION, HEADER.size, HEADER.size + len(tail), 0, len(model.layers), HEADER.size,
        start, len(weights), *model.input, shapes[-1].values, bytes(16),
    )  # fmt: skip
    return seal(head + tail)


def seal(data: bytes) -> bytes:
    """`data` with the checksum field of its header set right."""
    return data[:CRC_OFFSET] + struct.pack("<I", checksum(data)) + data[CRC_OFFSET + 4 :]


@dataclass(frozen=True, slots=True)
class _Header:
    layers: int
    weights_offset: int
    weights_size: int
    input: Shape
    outputs: int


def _read_header(data: bytes) -> _Header:
    if len(data) < HEADER.size:
        raise _fail(Status.TRUNCATED, f"{len(data)} bytes, but the header alone has {HEADER.size}")
    magic, version, header_size, size, crc, *rest, zeros = HEADER.unpack_from(data)
    layers, table, weights_offset, weights_size, channels, height, width, outputs = rest
    if magic != MAGIC:
        raise _fail(Status.BAD_MAGIC, "not a model file (its first bytes are not 'TSM')")
    if version != VERSION or header_size != HEADER.size:
        raise _fail(Status.BAD_VERSION, f"version {version} of the format; known is {VERSION}")
    if size > len(data):
        raise _fail(Status.TRUNCATED, f"cut short: {len(data)} of {size} bytes")
    if size < len(data):
        raise _fail(Status.BAD_SIZE, f"{len(data)} bytes where the header says {size}")
    if crc != checksum(data):
        raise _fail(Status.BAD_DIGEST, "damaged: the checksum does not match the content")
    if (
        not 1 <= layers <= MAX_LAYERS
        or table != HEADER.size
        or weights_offset != HEADER.size + layers * LAYER.size
        or weights_offset + weights_size != size
        or weights_size % 4
        or any(zeros)
    ):
        raise _fail(Status.BAD_LAYOUT, "the sections do not follow each other as the format says")
    shape = Shape(channels, height, width)
    return _Header(layers, weights_offset, weights_size, shape, outputs)


def decode(data: bytes) -> Model:
    """The model in `data`. Raises `ModelFormatError`; checks in the same order as the C parser."""
    head = _read_header(data)
    given = _limited(head.input, "the input")
    floats = np.frombuffer(data, "<f4", offset=head.weights_offset).astype(np.float32)
    floats.flags.writeable = False
    layers: list[LayerSpec] = []
    cursor = 0
    for number in range(head.layers):
        row = LAYER.unpack_from(data, HEADER.size + number * LAYER.size)
        layer, end = _read_layer(row, number, given, floats, cursor)
        name = f"layer {number} ({layer.kind.name.lower()})"
        given = _limited(_output(layer, given, name), f"the output of {name}")
        layers.append(layer)
        cursor = end
    if cursor * 4 != head.weights_size:
        raise _fail(Status.BAD_WEIGHTS, "there are weights that no layer uses")
    if given.values != head.outputs:
        raise _fail(
            Status.BAD_SHAPE, f"{given.values} outputs where the header says {head.outputs}"
        )
    return Model(head.input, tuple(layers))


def _read_layer(
    row: tuple[int, ...], number: int, given: Shape, floats: Floats, cursor: int
) -> tuple[LayerSpec, int]:
    """One row of the table with its weights, and how many floats are used up to its end."""
    kind, out, kernel, stride, pad, at, count, bias_at, bias_count, *zeros = row
    if kind not in list(Kind) or any(zeros):
        raise _fail(Status.BAD_LAYER, f"layer {number}: unknown kind {kind} or stray values")
    bare = LayerSpec(Kind(kind), out, kernel, stride, pad)
    _output(bare, given, f"layer {number}")
    need = weight_counts(bare, given)
    middle = cursor + need[0]
    places = (cursor * 4, middle * 4) if need[0] else (0, 0)
    if (count, bias_count) != need or (at, bias_at) != places:
        raise _fail(Status.BAD_WEIGHTS, f"layer {number}: weights are not where they should be")
    end = middle + need[1]
    if end > floats.size:
        raise _fail(Status.BAD_WEIGHTS, f"layer {number}: its weights end beyond the file")
    layer = LayerSpec(
        bare.kind, out, kernel, stride, pad, floats[cursor:middle], floats[middle:end]
    )
    return layer, end


def load(path: Path) -> Model:
    """The model in a file. Raises `TesseraError` when it cannot be read or used."""
    try:
        return decode(read_bytes(path, "model file"))
    except ModelFormatError as error:
        raise ModelFormatError(error.status, error.message, str(path)) from None


def save(model: Model, path: Path) -> int:
    """Writes the model file in one step and returns its size in bytes."""
    data = encode(model)
    write_bytes(path, data)
    return len(data)
