"""How constants lie, and in which blocks."""

from __future__ import annotations

import numpy as np
import pytest
from package_cases import network

from tessera.package.blocks import Pool
from tessera.package.layouts import Constant, Lanes, Plain
from tessera.plan.compress.stream import unpack


def _lanes(weights: np.ndarray, per_group: int) -> list[float]:
    """Our own statement of tl_layers.h: lanes of at most 8 channels, none across groups."""
    made, channel = [], 0
    outputs = len(weights)
    flat = weights.reshape(outputs, -1)
    while channel < outputs:
        left = min(8, outputs - channel, per_group - channel % per_group)
        for place in range(flat.shape[1]):
            made += [flat[channel + lane, place] for lane in range(left)]
        channel += left
    return made


@pytest.mark.parametrize(
    ("outputs", "per_group"), [(8, 8), (3, 3), (21, 21), (20, 10), (12, 4), (24, 12), (1, 1)]
)
def test_lanes(outputs: int, per_group: int) -> None:
    weights = np.arange(outputs * 2 * 3 * 3, dtype=np.float32).reshape(outputs, 2, 3, 3)
    made = np.frombuffer(Lanes(per_group).bytes_of(weights), "<f4")
    assert made.tolist() == _lanes(weights, per_group)


def test_weights_that_are_turned() -> None:
    weights = np.arange(5 * 11, dtype=np.int8).reshape(5, 11)
    assert Lanes(11, turned=True).bytes_of(weights) == Lanes(11).bytes_of(weights.T.copy())


def test_bytes_are_little_endian_on_every_machine() -> None:
    assert Plain().bytes_of(np.array([1], ">i4")) == b"\1\0\0\0"


def _pool(chunk: int, compress: bool) -> tuple[Pool, str]:
    graph = network("lenet_digits")
    largest = max(graph.constants(), key=lambda one: one.bytes)
    return Pool(graph, chunk, compress), largest.name


def test_a_part_is_stored_once_and_another_layout_again() -> None:
    pool, name = _pool(1024, False)
    box = tuple((0, size) for size in network("lenet_digits").tensors[name].shape)
    first = pool.run(Constant(name, box, Lanes(box[0][1])))
    blocks = len(pool.blocks)
    assert pool.run(Constant(name, box, Lanes(box[0][1]))) == first
    assert len(pool.blocks) == blocks == -(-first.bytes // 1024)
    assert pool.run(Constant(name, box, Plain())).first == blocks
    assert pool.run(Constant(name, ((0, 3), box[1]), Plain())).first == 2 * blocks


def test_pieces_are_whole_chunks_and_then_the_rest() -> None:
    pool, name = _pool(1000, False)
    run = pool.run(Constant(name, ((0, 3), (0, 7)), Plain()))
    assert run.bytes == 84 and run.streams == () and len(pool.blocks[0]) == 84
    box = tuple((0, size) for size in network("lenet_digits").tensors[name].shape)
    run = pool.run(Constant(name, box, Plain()))
    sizes = [len(one) for one in pool.blocks[run.first :]]
    assert sizes[:-1] == [1000] * (len(sizes) - 1) and sum(sizes) == run.bytes


def test_bytes_of_int8_are_filled_up_to_words() -> None:
    graph = network("lenet_digits", True)
    one = next(t for t in graph.constants() if t.dtype.value == "int8" and len(t.shape) == 4)
    pool = Pool(graph, 4096, False)
    box = ((0, 1), *((0, size) for size in one.shape[1:]))
    run = pool.run(Constant(one.name, box, Plain()))
    assert run.bytes % 4 == 0 and pool.blocks[0].endswith(b"\0" * (-one.data[0].size % 4))


def test_packed_pieces_unpack_to_what_they_were() -> None:
    plain, name = _pool(8192, False)
    packed, _ = _pool(8192, True)
    box = tuple((0, size) for size in network("lenet_digits").tensors[name].shape)
    constant = Constant(name, box, Lanes(box[0][1]))
    before, after = plain.run(constant), packed.run(constant)
    assert len(after.streams) == len(packed.blocks) == len(plain.blocks)
    assert sum(map(len, packed.blocks)) < 0.95 * before.bytes
    for stream, block, piece in zip(after.streams, packed.blocks, plain.blocks, strict=True):
        assert len(block) == stream + -stream % 4
        assert block == piece if stream == len(piece) else unpack(block[:stream]) == piece


def test_what_does_not_get_smaller_stays_as_it_is() -> None:
    pool, name = _pool(8192, True)
    assert pool.run(Constant(name, ((0, 1), (0, 8)), Plain())).streams == ()
    assert len(pool.blocks[0]) == 32
