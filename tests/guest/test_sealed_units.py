"""What `tessera run` does around the guest: sizes, the policy's patch, figures, answers."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tessera.errors import TesseraError
from tessera.guest import answers, claim, sealed, toolchain
from tessera.guest.sealed import Needs, Pool
from tessera.package import user_data
from tessera.package.code import Element
from tessera.package.manifest import Side
from tessera.plan import execute, zoo
from tessera.plan.prepare import Calibration, prepared

MIB = 1 << 20


def test_the_heap_holds_arena_chunks_and_manifest() -> None:
    needs = Needs(arena=320_992, chunk=65_536, manifest=96)
    assert needs.heap % 4096 == 0
    assert needs.heap >= 320_992 + 2 * 65_536 + 96 + sealed.BESIDE
    assert needs.heap < 320_992 + 2 * 65_536 + 96 + sealed.BESIDE + 4096


def test_sealed_inputs_and_outputs_take_heap() -> None:
    with_io, without = Needs(320_992, 65_536, 96, 1 << 20), Needs(320_992, 65_536, 96)
    assert with_io.heap - without.heap == 1 << 20


def test_a_user_seals_inputs_one_by_one() -> None:
    user = sealed.User(bytes(range(32)), b"b" * 16, 4)
    batch = user_data.read_batch(user.seal(b"onetwotree!!"), "test")
    assert (batch.binding, batch.size, batch.count) == (user.binding, 4, 3)


@pytest.mark.parametrize(("arena", "reserve"), [(1000, 8), (8_358_304, 9), (9_000_000, 10)])
def test_the_reserve_holds_the_whole_ta(arena: int, reserve: int) -> None:
    needs = Needs(arena, 65_536, 2000)
    assert needs.reserve == reserve * MIB
    assert needs.heap + sealed.ELSE <= needs.reserve


def elf(*rows: tuple[int, int, int, int]) -> bytes:
    """Behind a signature of some bytes: kind, flags, address, bytes of each program header."""
    head = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<Q", 64)
    head = head.ljust(56, b"\0") + struct.pack("<H", len(rows))
    table = b"".join(struct.pack("<IIQQQQQQ", k, f, 0, a, 0, 0, m, 0) for k, f, a, m in rows)
    return b"signature" * 7 + head.ljust(64, b"\0") + table


def test_what_a_ta_takes_is_said_from_its_file() -> None:
    """Pages of code, data, heap and stack, each segment's own, and 17 of the loader."""
    heap = 100 * 4096
    image = elf((1, 5, 0, 3 * 4096), (1, 6, 0x5000, heap + 1), (2, 6, 0, 999), (1, 4, 0, 1))
    assert claim.segments(image, "test") == claim.Segments(3 + 1, 101)
    assert claim.claim(image, 6 * 1024) == (4 + 101 + 2 + 17) * 4096
    # From the middle of a page on; and one byte more of stack than two pages
    assert claim.segments(elf((1, 6, 0x5800, 4096)), "test") == claim.Segments(0, 2)
    assert claim.claim(image, 6 * 1024 + 1) == (4 + 101 + 3 + 17) * 4096
    for wrong in (b"", b"signature", image[:120]):
        with pytest.raises(TesseraError, match="no signed TA"):
            claim.segments(wrong, "test")


@pytest.mark.parametrize("patched", [True, False])
def test_a_package_that_does_not_fit_is_told_by_how_much(patched: bool) -> None:
    most = sealed.most_heap(patched=patched)
    needs = Needs(13 * MIB, 65_536, 1000)
    with pytest.raises(TesseraError, match=r"[0-9,]+ more than there can be") as error:
        sealed.run(b"", needs, bytes(32), b"", patched=patched)
    budget = int(error.value.remedy.split()[5].replace(",", ""))
    assert Needs(budget, 65_536, 1000).heap <= most
    assert Needs(budget + 4096, 65_536, 1000).heap > most


def test_with_the_policy_all_of_the_ta_is_in_its_reserve() -> None:
    """The policy keeps no more than three quarters of the pool, whatever it is asked for."""
    most = sealed.most_heap(patched=True)
    assert most + sealed.ELSE <= sealed.MOST_RESERVE == 3 * 15 * MIB // 4
    assert most < sealed.most_heap(patched=False)
    largest = Needs(most - 2 * 65_536 - sealed.BESIDE - 4096, 65_536, 1000)
    assert most - 8192 <= largest.heap <= most
    assert largest.reserve == 12 * MIB


def test_figures_of_the_client() -> None:
    text = "once_microseconds 7\nmicroseconds 11\nmicroseconds 12\nblocks 3\n[ 1.2] BUG 4\n"
    figures, times = sealed.parse_figures(text)
    assert figures == {"once_microseconds": 7, "blocks": 3}
    assert times == (11, 12)


def test_the_peak_of_the_pool() -> None:
    text = (
        "Physical TA memory\nBytes allocated: 5\nMax bytes allocated:   2199552\nSize of pool: 9\n"
    )
    assert sealed.parse_pool(text) == Pool(5, 2_199_552, 9)
    assert sealed.parse_pool("Heap\nMax bytes allocated: 1\nSize of pool: 9") is None
    assert sealed.parse_pool(text.replace("Max", "Least")) is None


@pytest.mark.guest
def test_the_patch_knows_the_ta(guest_tools: toolchain.Toolchain) -> None:
    text = sealed.patch_for(9 * MIB)
    assert "0x5d0e7b31, 0xa94c, 0x4f26" in text
    assert "0x2c3d9a52, 0x6f0e, 0x4b8a" in text
    assert f"{9 * MIB // 4096}U" in text


# --- Answers -------------------------------------------------------------------------------------


def floats(channels: int, rows: int = 1, columns: int = 1) -> Side:
    return Side(Element.FLOAT32, channels, rows, columns)


def test_outputs_are_split_at_multiples_of_4() -> None:
    sides = (Side(Element.INT8, 5, 1, 1), floats(2, 1, 3))
    assert answers.total(sides) == 8 + 24
    data = bytes(range(5)) + b"\xff" * 3 + np.arange(6, dtype="<f4").tobytes()
    made = answers.split(data * 2, sides)
    assert len(made) == 2
    assert made[1][0].reshape(-1).tolist() == [0, 1, 2, 3, 4]
    assert made[1][1].shape == (2, 1, 3)
    assert made[1][1].reshape(-1).tolist() == [0, 1, 2, 3, 4, 5]
    for wrong in (b"", data[:-1]):
        with pytest.raises(TesseraError, match="are not a whole number"):
            answers.split(wrong, sides)


def test_the_best_classes() -> None:
    scores = np.array([0.5, 2, -1, 2, 7, 0, 1], "<f4")
    assert [one.number for one in answers.best(scores)] == [4, 1, 3, 6, 0]
    assert answers.best(scores, 1)[0].score == 7.0


def test_classes_are_one_vector() -> None:
    assert answers.is_classes((floats(10),))
    assert not answers.is_classes((floats(10, 2),))
    assert not answers.is_classes((floats(10), floats(10)))


def agreement(change: float, *, int8: bool = False, place: int = 0) -> answers.Agreement:
    graph = prepared(zoo.build("lenet_digits"), Calibration() if int8 else None)
    tensor = graph.tensors[graph.inputs[0]]
    given = np.linspace(0, 1, 64, dtype="<f4").reshape(tensor.shape)
    values = execute.run(graph, {graph.inputs[0]: given})[graph.outputs[0]].reshape(-1).copy()
    values[np.argsort(-values)[place]] += np.float32(change)
    return answers.compare(graph, [given], [[values]])


def test_a_float_softmax_behind_integers_is_not_demanded_to_the_bit() -> None:
    assert answers.in_integers(prepared(zoo.build("lenet_digits"), Calibration()))
    assert not answers.in_integers(prepared(zoo.build("lenet_digits")))
    assert not answers.in_integers(prepared(zoo.build("squeezenet11"), Calibration()))


def test_agreement_with_the_reference() -> None:
    assert agreement(0.0, int8=True).holds
    assert agreement(0.0).equal
    near = agreement(1e-4)
    assert near.holds
    assert not near.equal
    assert not agreement(1e-4, int8=True).holds
    assert not agreement(0.1).holds
    assert not agreement(float("nan")).holds
    swapped = agreement(100.0, place=3)
    assert not swapped.same_top
    assert not swapped.holds
