"""The model file: round trip, damage of every kind, and the C parser's agreement with Python's."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from c_runtime import HARNESS, Broken, Harness, compile_c
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.dnn import format as tsm
from tessera.dnn.format import Kind, LayerSpec, Model, ModelFormatError, Shape, Status
from tessera.errors import TesseraError

UINT32 = 0xFFFFFFFF
BIG = [
    0,
    1,
    2,
    3,
    4,
    63,
    64,
    65,
    4096,
    4097,
    0x40000000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFC,
    UINT32,
]
SHARED = settings(max_examples=300, deadline=None, derandomize=True)


def small_model() -> Model:
    rng = np.random.default_rng(3)

    def floats(count: int) -> tsm.Floats:
        return rng.standard_normal(count).astype(np.float32)

    layers = (
        LayerSpec(Kind.CONV2D, 3, 2, 1, 1, floats(3 * 2 * 4), floats(3)),
        LayerSpec(Kind.RELU),
        LayerSpec(Kind.MAXPOOL, 0, 2, 2, 0),
        LayerSpec(Kind.DENSE, 4, 0, 0, 0, floats(4 * 3 * 3 * 2), floats(4)),
        LayerSpec(Kind.SOFTMAX),
    )
    return Model(Shape(2, 5, 4), layers)


DATA = tsm.encode(small_model())
HEADER_FIELDS = range(0, tsm.HEADER.size, 4)
TABLE_END = tsm.HEADER.size + 5 * tsm.LAYER.size
FIELDS = range(0, TABLE_END, 4)


def status_of(data: bytes) -> Status:
    """What Python's reader says."""
    try:
        tsm.decode(data)
    except ModelFormatError as error:
        assert error.remedy
        return error.status
    return Status.OK


def with_field(data: bytes, offset: int, value: int, *, sealed: bool = True) -> bytes:
    changed = data[:offset] + struct.pack("<I", value) + data[offset + 4 :]
    return tsm.seal(changed) if sealed else changed


def test_round_trip() -> None:
    model = small_model()
    again = tsm.decode(DATA)
    assert again.input == model.input
    assert again.outputs == 4
    assert again.shapes()[1:3] == (Shape(3, 6, 5), Shape(3, 6, 5))
    assert again.shapes()[3] == Shape(3, 3, 2)
    for one, other in zip(again.layers, model.layers, strict=True):
        assert (one.kind, one.out, one.kernel, one.stride, one.pad) == (
            other.kind, other.out, other.kernel, other.stride, other.pad,
        )  # fmt: skip
        assert np.array_equal(one.weights, other.weights)
        assert np.array_equal(one.bias, other.bias)
    assert tsm.encode(again) == DATA


def test_layout_is_the_one_that_the_docstring_tells() -> None:
    weights = 24 + 3 + 72 + 4
    assert len(DATA) == 64 + 5 * 48 + weights * 4
    words = struct.unpack_from("<4sHH10I", DATA)
    assert words[:4] == (b"TSM\0", 1, 64, len(DATA))
    assert words[5:] == (5, 64, 64 + 5 * 48, weights * 4, 2, 5, 4, 4)
    assert words[4] == zlib.crc32(DATA[:12] + bytes(4) + DATA[16:])
    assert struct.unpack_from("<12I", DATA, 64) == (1, 3, 2, 1, 1, 0, 24, 96, 3, 0, 0, 0)
    assert struct.unpack_from("<12I", DATA, 64 + 3 * 48) == (
        3, 4, 0, 0, 0, 108, 72, 396, 4, 0, 0, 0,
    )  # fmt: skip


def test_cut_short_at_every_boundary_and_length(harness: Harness) -> None:
    boundaries = {*FIELDS, *range(0, TABLE_END, 16), TABLE_END, len(DATA) - 4, len(DATA) - 1}
    for size in sorted(boundaries | {1, 2, 3, 63, 65}):
        assert status_of(DATA[:size]) is Status.TRUNCATED, size
        assert harness.call("parse", DATA[:size], 0)[0] == Status.TRUNCATED, size


def test_cut_short_with_its_size_set_right_is_still_refused(harness: Harness) -> None:
    """The checks behind the size and the checksum stand on their own."""
    for size in range(tsm.HEADER.size, len(DATA)):
        data = with_field(DATA[:size], 8, size)
        assert status_of(data) is Status.BAD_LAYOUT, size
        assert harness.call("parse", data, 0)[0] == Status.BAD_LAYOUT, size


def test_every_flipped_byte_is_found(harness: Harness) -> None:
    for at, bit in itertools.product(range(len(DATA)), (0x01, 0x80)):
        data = DATA[:at] + bytes([DATA[at] ^ bit]) + DATA[at + 1 :]
        status = status_of(data)
        assert status is not Status.OK, at
        assert harness.call("parse", data, 0)[0] == status, at


def test_bytes_beyond_the_end(harness: Harness) -> None:
    assert status_of(DATA + b"\0") is Status.BAD_SIZE
    assert harness.call("parse", DATA + b"\0", 0)[0] == Status.BAD_SIZE


@pytest.mark.parametrize(
    ("offset", "value", "status"),
    [
        (0, 0x004D5355, Status.BAD_MAGIC),
        (4, 0x00400002, Status.BAD_VERSION),
        (4, 0x00800001, Status.BAD_VERSION),
        (8, UINT32, Status.TRUNCATED),
        (16, 33, Status.BAD_LAYOUT),
        (16, 0x05555556, Status.BAD_LAYOUT),
        (24, 0xFFFFFFF0, Status.BAD_LAYOUT),
        (28, 0xFFFFFFFC, Status.BAD_LAYOUT),
        (32, 0, Status.BAD_SHAPE),
        (36, UINT32, Status.BAD_SHAPE),
        (40, 4097, Status.BAD_SHAPE),
        (44, 5, Status.BAD_SHAPE),
        (60, 1, Status.BAD_LAYOUT),
        (64, 6, Status.BAD_LAYER),
        (68, 0, Status.BAD_LAYER),
        (72, 65, Status.BAD_LAYER),
        (76, 0, Status.BAD_LAYER),
        (80, 2, Status.BAD_LAYER),
        (84, 4, Status.BAD_WEIGHTS),
        (88, 0x40000018, Status.BAD_WEIGHTS),
        (92, 0xFFFFFFFC, Status.BAD_WEIGHTS),
        (96, UINT32, Status.BAD_WEIGHTS),
        (100, 1, Status.BAD_LAYER),
        (64 + 48 + 8, 1, Status.BAD_LAYER),
        (64 + 2 * 48 + 8, 64, Status.BAD_SHAPE),
    ],
)
def test_a_field_that_lies_is_named(
    harness: Harness, offset: int, value: int, status: Status
) -> None:
    data = with_field(DATA, offset, value)
    assert status_of(data) is status
    assert harness.call("parse", data, 0)[0] == status


@SHARED
@given(
    st.lists(
        st.tuples(st.sampled_from(FIELDS), st.sampled_from(BIG) | st.integers(0, UINT32)),
        min_size=1,
        max_size=3,
    )
)
def test_both_readers_agree_on_lies(harness: Harness, changes: list[tuple[int, int]]) -> None:
    """Sealed anew after each change, so that the checksum does not hide what lies behind it."""
    data = DATA
    for offset, value in changes:
        data = with_field(data, offset, value)
    assert harness.call("parse", data, 0)[0] == status_of(data)


@SHARED
@given(st.binary(max_size=300), st.booleans())
def test_both_readers_agree_on_noise(harness: Harness, noise: bytes, headed: bool) -> None:
    data = DATA[:16] + noise if headed else noise
    if len(data) >= tsm.HEADER.size:
        data = with_field(data, 8, len(data))
    assert harness.call("parse", data, 0)[0] == status_of(data)


def test_weights_that_no_layer_uses(harness: Harness) -> None:
    data = bytearray(DATA + bytes(4))
    struct.pack_into("<I", data, 8, len(data))
    struct.pack_into("<I", data, 28, len(data) - TABLE_END)
    sealed = tsm.seal(bytes(data))
    assert status_of(sealed) is Status.BAD_WEIGHTS
    assert harness.call("parse", sealed, 0)[0] == Status.BAD_WEIGHTS


def wide_model(values: int) -> bytes:
    """A relu over an input of `values` x 4096 x 4096: well formed only for one channel."""
    head = tsm.HEADER.pack(
        b"TSM\0", 1, 64, 112, 0, 1, 64, 112, 0, values, 4096, 4096, values * 4096 * 4096, bytes(16)
    )
    return tsm.seal(head + tsm.LAYER.pack(4, *[0] * 11))


def test_a_tensor_too_large_is_refused(harness: Harness) -> None:
    assert status_of(wide_model(1)) is Status.OK
    assert harness.call("parse", wide_model(1), 0)[0] == Status.OK
    assert status_of(wide_model(2)) is Status.BAD_SHAPE
    assert harness.call("parse", wide_model(2), 0)[0] == Status.BAD_SHAPE


def raw(layers: int, weights_at: int, weights: int, tail: bytes) -> bytes:
    """A sealed file whose header is made of these numbers, whatever follows it."""
    size = tsm.HEADER.size + len(tail)
    head = tsm.HEADER.pack(
        b"TSM\0", 1, 64, size, 0, layers, 64, weights_at, weights, 1, 2, 2, 4, bytes(16)
    )
    return tsm.seal(head + tail)


def lies() -> Iterator[bytes]:
    """Files that are wrong in one way each; every check of the parser is the only one for some."""
    yield DATA[:-4]
    yield DATA[:-1] + b"\x80"
    yield wide_model(2)
    relu = tsm.LAYER.pack(4, *[0] * 11)
    yield raw(33, 64 + 33 * 48, 0, relu * 33)
    yield raw(32, 64 + 32 * 48, (128 - 64 - 32 * 48) & UINT32, bytes(64))  # the end wraps
    for offset, value in itertools.product(FIELDS, BIG):
        yield with_field(DATA, offset, value)


@pytest.mark.parametrize(
    "edit",
    [
        ("model.c", "get32(data + 8) > size", "0"),
        ("model.c", "get32(data + CRC_OFFSET) != file_crc(data, size)", "0"),
        ("model.c", "!layers || layers > TS_MAX_LAYERS", "!layers"),
        ("model.c", "row->weights != weights || ", ""),
        ("model.c", "row->pad >= pad_limit", "0"),
        ("model.c", "(uint64_t)s->channels * s->height * s->width <= TS_MAX_VALUES", "1"),
        ("model.c", "weights_at + weights != size", "(uint32_t)(weights_at + weights) != size"),
    ],
)
def test_a_parser_without_a_check_is_caught(edit: tuple[str, str, str], tmp_path: Path) -> None:
    """Every edit takes one check out of the C parser: its status must then differ somewhere."""
    broken = Harness(compile_c(tmp_path, HARNESS, [edit]))
    try:
        found = any(broken.call("parse", lie, 0)[0] != status_of(lie) for lie in lies())
    except Broken:  # a sanitizer stopped it
        found = True
    broken.close()
    assert found


def test_files_of_the_user_that_cannot_be_read(tmp_path: Path) -> None:
    for bad in (tmp_path / "none.tsm", tmp_path):
        with pytest.raises(TesseraError) as caught:
            tsm.load(bad)
        assert caught.value.where == str(bad)
        assert caught.value.remedy
    cut = tmp_path / "cut.tsm"
    cut.write_bytes(DATA[:100])
    with pytest.raises(ModelFormatError, match="cut short: 100 of") as caught_cut:
        tsm.load(cut)
    assert caught_cut.value.where == str(cut)


def test_saving_replaces_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "m.tsm"
    assert tsm.save(small_model(), target) == len(DATA)
    assert target.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(TesseraError, match="cannot write"):
        tsm.save(small_model(), tmp_path / "nowhere" / "m.tsm")


def test_a_model_that_is_not_well_formed_is_not_written() -> None:
    good = small_model()
    short = LayerSpec(Kind.DENSE, 4, weights=np.zeros(7, np.float32), bias=np.zeros(4, np.float32))
    with pytest.raises(ModelFormatError) as caught:
        tsm.encode(Model(good.input, (short,)))
    assert caught.value.status is Status.BAD_WEIGHTS
    with pytest.raises(ModelFormatError):
        tsm.encode(Model(good.input, ()))
    with pytest.raises(ModelFormatError):
        tsm.encode(Model(good.input, (LayerSpec(Kind.RELU),) * 33))
