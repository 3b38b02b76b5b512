"""Packed weights: round trips, lengths that are best, damage that is one error, the C decoder."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tile_graphs import inputs_of, mobile

from tessera.errors import TesseraError
from tessera.plan import zoo
from tessera.plan.compress import archive, huffman
from tessera.plan.compress.sizes import entropy_bytes, size_of, sizes
from tessera.plan.compress.stream import MAGIC, pack, parse, unpack
from tessera.plan.graph import Array
from tessera.plan.passes.integers import fuse_integers
from tessera.plan.quantise.qdq import quantise

HERE = Path(__file__).resolve().parent
RUNTIME = HERE.parents[1] / "models" / "dnn" / "runtime"
FLAGS = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Wcast-align", "-Werror"]
FLAGS += ["-Wmissing-prototypes", "-Wstrict-prototypes", "-Wpointer-arith"]
FLAGS += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
_SCRATCH = TemporaryDirectory(prefix="tessera-unpack-")


def weights(kind: str, count: int, seed: int = 3) -> Array:
    """Values of one kind: int8 and float32 like weights, all equal, noise, wide integers."""
    random = np.random.default_rng(seed)
    match kind:
        case "int8":
            return np.clip(np.rint(random.standard_normal(count) * 30), -127, 127).astype(np.int8)
        case "float32":
            return (random.standard_normal(count) * 0.05).astype(np.float32)
        case "equal":
            return np.full(count, 7, np.int8)
        case "noise":
            return random.integers(0, 256, count).astype(np.uint8)
        case "int32":
            return random.integers(-900, 900, count, np.int32)
        case _:
            return random.integers(-9, 9, count, np.int64)


KINDS = ("int8", "float32", "equal", "noise", "int32", "int64")


@cache
def decoder(edit: tuple[str, str] = ("", "")) -> Path:
    """The C decoder with its driver, under sanitizers; `edit` breaks it on purpose."""
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        if os.environ.get("TESSERA_REQUIRE_GUEST") == "1":
            pytest.fail("no C compiler; mend: apt-get install gcc libc6-dev")
        pytest.skip("no C compiler; mend: apt-get install gcc libc6-dev")
    folder = Path(_SCRATCH.name)
    text = (RUNTIME / "unpack.c").read_text()
    assert edit[0] in text
    source = folder / f"unpack{abs(hash(edit))}.c"
    source.write_text(text.replace(*edit, 1) if edit[0] else text)
    program = source.with_suffix(".out")
    words = [gcc, *FLAGS, f"-I{RUNTIME}", source, HERE / "unpack_driver.c", "-o", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def by_c(streams: list[bytes], program: Path | None = None) -> list[tuple[int, bytes]]:
    """Status and bytes of every stream, as the C decoder sees them."""
    fed = b"".join(struct.pack("<I", len(one)) + one for one in streams)
    words = [program or decoder()]
    done = subprocess.run(words, input=fed, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found, at = [], 0
    for _ in streams:
        status, size = struct.unpack_from("<II", done.stdout, at)
        found.append((status, done.stdout[at + 8 : at + 8 + size]))
        at += 8 + size
    assert at == len(done.stdout)
    return found


def by_python(stream: bytes) -> bytes | None:
    """What Python unpacks, None when it refuses; any other exception is a failure."""
    try:
        return unpack(stream)
    except TesseraError as error:
        assert error.remedy
        return None


arrays = st.builds(
    weights, st.sampled_from(KINDS), st.integers(1, 900), st.integers(0, 50)
) | st.binary(min_size=1, max_size=700).map(lambda one: np.frombuffer(one, np.int8))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(data=arrays, block=st.sampled_from([4, 16, 256, 4096]))
def test_what_is_packed_comes_out_the_same(data: Array, block: int) -> None:
    stream = pack(data, block)
    assert unpack(stream) == data.tobytes()
    packed = parse(stream)
    width = data.dtype.itemsize if data.dtype.itemsize in (1, 4) else 1
    raw = data.tobytes()
    # Every block alone, in any order, at most a block's bytes.
    for index in reversed(range(len(packed.ends))):
        assert packed.read(index) == raw[index * block : (index + 1) * block]
    assert packed.elements == len(raw) // width


@settings(max_examples=25, deadline=None, derandomize=True)
@given(counts=st.lists(st.integers(0, 100_000), min_size=256, max_size=256))
def test_lengths_are_a_complete_code_near_the_entropy(counts: list[int]) -> None:
    lengths = huffman.code_lengths(counts)
    words = huffman.codes(lengths)
    used = [(length, word) for length, word in zip(lengths, words, strict=True) if length]
    assert len(set(used)) == len(used) >= 2
    total = sum(counts)
    if total and sum(one > 0 for one in counts) > 1:
        shares = np.array([one / total for one in counts if one])
        entropy = -(shares * np.log2(shares)).sum()
        mean = sum(a * b for a, b in zip(counts, lengths, strict=True)) / total
        # Huffman's bound, and a little for the limit of 12 bits.
        assert entropy - 1e-9 <= mean <= entropy + 1.02


def test_no_code_word_is_longer_than_the_limit() -> None:
    """Counts of Fibonacci numbers make plain Huffman's words as long as they can be."""
    counts = [0] * 256
    a, b = 1, 1
    for symbol in range(40):
        counts[symbol] = a
        a, b = b, a + b
    lengths = huffman.code_lengths(counts)
    assert max(lengths) == huffman.LIMIT
    data = np.repeat(np.arange(40, dtype=np.uint8), 3)
    made, used = huffman.decode(
        huffman.encode(data, lengths), 0, len(data), huffman.windows(lengths)
    )
    assert made == data.tobytes()
    assert used == huffman.coded_bytes([3] * 40 + [0] * 216, lengths)


def test_lengths_are_the_best_there_are() -> None:
    """Five symbols, all complete codes tried."""
    counts = [0] * 256
    counts[:5] = [40, 3, 2, 22, 1]
    best = None
    for code in np.ndindex(4, 4, 4, 4, 4):
        lengths = [one + 1 for one in code]
        if sum(2.0**-one for one in lengths) == 1:
            cost = sum(a * b for a, b in zip(counts, lengths, strict=False))
            best = cost if best is None else min(best, cost)
    lengths = huffman.code_lengths(counts)
    assert sum(a * b for a, b in zip(counts, lengths, strict=True)) == best


@pytest.mark.parametrize("change", [(1, 0, 5), (0, 13, 0), (0, 0, -1)])
def test_lengths_that_are_no_code(change: tuple[int, int, int]) -> None:
    lengths = [8] * 256
    lengths[:3] = [a + b for a, b in zip(lengths[:3], change, strict=True)]
    with pytest.raises(huffman.BadCode):
        huffman.codes(lengths)


def damaged(stream: bytes, random: np.random.Generator, many: int) -> list[bytes]:
    """The stream cut off, with bytes changed, swapped, put in and left out."""
    made = [stream[: random.integers(0, len(stream))] for _ in range(many // 4)]
    made.append(stream + b"\0")
    while len(made) < many:
        broken = bytearray(stream)
        at = int(random.integers(0, len(broken)))
        # Half of the changes hit the header, which is small.
        at = at % 60 if random.integers(0, 2) else at
        match random.integers(0, 3):
            case 0:
                broken[at] ^= 1 << random.integers(0, 8)
            case 1:
                del broken[at]
            case _:
                broken[at : at + 4] = random.bytes(4)
        if bytes(broken) != stream:
            made.append(bytes(broken))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_one_clear_error_in_both_decoders(kind: str) -> None:
    data = weights(kind, 1500)
    stream, random = pack(data, 512), np.random.default_rng(8)
    assert by_c([stream]) == [(0, data.tobytes())]
    broken = damaged(stream, random, 220)
    for one, (status, got) in zip(broken, by_c(broken), strict=True):
        assert by_python(one) is None
        assert status
        assert got == b""


@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    streams=st.lists(
        st.builds(pack, arrays, st.sampled_from([4, 64, 4096])), min_size=8, max_size=16
    )
)
def test_the_c_decoder_unpacks_what_is_packed(streams: list[bytes]) -> None:
    assert by_c(streams) == [(0, unpack(one)) for one in streams]


@settings(max_examples=8, deadline=None, derandomize=True)
@given(parts=st.lists(st.binary(max_size=300), min_size=30, max_size=60))
def test_both_decoders_agree_on_noise(parts: list[bytes]) -> None:
    streams = [*parts, *(MAGIC + bytes([1, 0, 0, 0]) + one for one in parts)]
    for one, (status, got) in zip(streams, by_c(streams), strict=True):
        python = by_python(one)
        assert (status == 0) == (python is not None)
        assert got == (python or b"")


@pytest.mark.parametrize(
    "edit",
    [
        ("return last == total - packed->header ?", "return last ?"),
        ("    get32(bits.p + bits.size))", "    get32(bits.p + bits.size) && 0)"),
        ("if (used != 1u << TS_UNPACK_BITS)", "if (used > 1u << TS_UNPACK_BITS)"),
        ("first = (first + code->count[length]) << 1;", "first = first << 1;"),
    ],
)
def test_a_broken_c_decoder_is_noticed(edit: tuple[str, str]) -> None:
    """What the comparisons above are worth: each of these mistakes makes one of them fail."""
    program = decoder(edit)
    data = weights("int8", 1500)
    stream = pack(data, 512)
    short = bytearray(stream)
    short[17] = 0  # the symbols 0 and 1 without a code
    streams = [stream, stream[:-1], bytes(stream[:-1]) + bytes([stream[-1] ^ 1]), bytes(short)]
    wanted = [(status, got) for status, got in by_c(streams)]
    try:
        assert by_c(streams, program) != wanted
    except AssertionError as error:
        assert "Sanitizer" in str(error)


def test_a_claim_of_many_blocks_allocates_nothing() -> None:
    stream = bytearray(pack(weights("int8", 400), 64))
    stream[8:12] = b"\xff" * 4
    assert by_python(bytes(stream)) is None
    assert by_c([bytes(stream)])[0][0] == 1


@pytest.mark.parametrize("block", [0, 2, 5, 1 << 17])
def test_blocks_of_impossible_sizes(block: int) -> None:
    with pytest.raises(TesseraError, match=f"blocks of {block} bytes"):
        pack(weights("int8", 10), block)


def test_sizes_are_those_of_the_streams() -> None:
    graph = mobile()
    fused = fuse_integers(quantise(graph, [inputs_of(graph)]).graph)
    about = sizes(fused)
    plain = sum(one.bytes for one in fused.constants())
    assert about.total("plain") == plain == fused.weight_bytes
    for row, one in zip(about.tensors, fused.constants(), strict=True):
        assert one.data is not None
        assert row.packed == len(pack(one.data))
        assert row.stored <= row.plain
    assert about.document()["stored"] == about.total("stored") <= plain


def test_weights_get_smaller_and_noise_does_not() -> None:
    trained = zoo.build("lenet_digits")
    rows = {one.name: one for one in sizes(trained).tensors}
    dense = rows["6.dense.weights"]
    assert 0.80 < dense.packed / dense.plain < 0.85
    assert dense.entropy < dense.packed < 1.02 * dense.entropy
    int8 = size_of("int8", weights("int8", 60_000))
    assert int8.entropy < int8.packed < 1.02 * int8.entropy
    noise = size_of("noise", weights("noise", 4096))
    assert noise.plain < noise.packed < noise.plain + 40
    assert noise.stored == noise.plain
    assert entropy_bytes(weights("equal", 1000)) == 0


def test_an_archive_is_read_back() -> None:
    graph = zoo.build("lenet_digits")
    data = archive.write(graph)
    back = archive.read(data)
    assert len(data) < 0.85 * graph.weight_bytes
    assert list(back) == [one.name for one in graph.constants()]
    for one in graph.constants():
        assert one.data is not None
        np.testing.assert_array_equal(back[one.name], one.data)
        assert back[one.name].dtype == one.data.dtype
    assert archive.write(graph) == data


def test_a_damaged_archive_is_refused() -> None:
    data = archive.write(mobile())
    for broken in damaged(data, np.random.default_rng(2), 60):
        with pytest.raises(TesseraError, match="weights archive"):
            archive.read(broken)
        # Even when the checksum is right nothing but an error or arrays may come out.
        resealed = broken[:-4] + struct.pack("<I", zlib.crc32(broken[:-4]))
        try:
            assert all(one.size for one in archive.read(resealed).values())
        except TesseraError as error:
            assert error.remedy
