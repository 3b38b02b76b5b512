"""The TA for sealed packages in a real OP-TEE: answers, refusals, and what it leaves behind."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import numpy as np
import pytest
import sealed_ta

from tessera.dnn import digits, reference
from tessera.errors import TesseraError
from tessera.guest import build, qemu, sealed
from tessera.guest.scenarios.residue import search, windows
from tessera.package.file import open_sealed, to_bytes
from tessera.package.seal import package_key

pytestmark = pytest.mark.guest
IMAGES = 3
SPARE = 4 << 20
RAM_BASE, RAM_SIZE, RAM_STEP = 0x40000000, qemu.MEMORY_MIB << 20, 64 << 20
KEY_WORDS = 8


@pytest.fixture(scope="module")
def contents() -> tuple[bytes, ...]:
    """The plaintexts of the package's blocks."""
    return open_sealed(sealed_ta.package(2), sealed_ta.MASTER, "test")[0].blocks


@pytest.fixture(scope="module")
def device(
    unpatched_build: build.Build,
    contents: tuple[bytes, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[sealed.Device]:
    """A guest without the policy: what the TA wipes does not depend on it."""
    package, old = sealed_ta.package(2), sealed_ta.package(1)
    swapped = sealed_ta.changed(package, len(package.blocks) - 1, package.blocks[-2])
    manifest = open_sealed(package, sealed_ta.MASTER, "test")[0].manifest
    # A heap that is larger than it must be: only a peak above that of the boot can be told.
    needs = sealed.Needs(manifest.arena + SPARE, manifest.chunk, len(contents[0]))
    images = digits.held_out()[0][:IMAGES].astype("<f4")
    more = {
        "/data/old.tsp": to_bytes(old),
        "/data/swapped.tsp": to_bytes(swapped),
        "/data/one.raw": images[:1].tobytes(),
    }
    with sealed.boot(
        *(unpatched_build, to_bytes(package), needs, sealed_ta.MASTER, images.tobytes()),
        more=more,
        log_folder=tmp_path_factory.mktemp("sealed"),
    ) as made:
        yield made


def memory(device: sealed.Device) -> tuple[bytes, list[bytes]]:
    """Secure RAM, and the normal world's in pieces."""
    secure = device.guest.secure_ram()
    normal = [
        device.guest._qemu.read_physical(at, RAM_STEP)
        for at in range(RAM_BASE, RAM_BASE + RAM_SIZE, RAM_STEP)
    ]
    device.guest.cont()
    return secure, normal


def test_nothing_is_left_and_nothing_leaks(
    device: sealed.Device, contents: tuple[bytes, ...]
) -> None:
    """Weights and keys: in secure RAM while the session is open, nowhere when it is closed.

    In the normal world's memory they are at no time. The package's key is the start of the AES key
    schedule, so finding it would be finding that.
    """
    package = sealed_ta.package(2)
    pieces = windows(b"".join(contents[index] for index in package.once if index > package.codes))
    assert len(pieces) > 20
    key = package_key(sealed_ta.MASTER, package.identity, package.version)
    words = b"".join(key[4 * n : 4 * n + 4][::-1] for n in range(KEY_WORDS))
    before = device.guest.secure_ram()
    device.guest.cont()
    hold = "tessera_sealed run /data/package.tsp /data/one.raw /tmp/o --hold-open 25"
    device.guest.run(f"(({hold}) >/tmp/hold 2>&1; echo $? >/tmp/held) </dev/null >/dev/null 2>&1 &")
    wait(device, "cat /tmp/hold", "holding")
    live, normal = memory(device)
    wait(device, "cat /tmp/held", r"^0$")
    after, later = memory(device)
    assert not search(before, pieces)
    assert sealed_ta.MASTER not in before  # the key has been installed, the session is closed
    assert len(search(live, pieces)) > len(pieces) // 2
    assert key in live or words in live
    assert not search(after, pieces)
    for secret in (key, words, sealed_ta.MASTER):
        assert secret not in after
    for part in (*normal, *later):
        assert not any(piece in part for piece in (*pieces[::16], key, words))


def wait(device: sealed.Device, command: str, pattern: str) -> None:
    """Repeat a guest command until its output matches."""
    deadline = time.monotonic() + 300
    while not re.search(pattern, device.guest.run(f"{command} 2>/dev/null").output, re.MULTILINE):
        assert time.monotonic() < deadline, device.guest.consoles()
        time.sleep(0.5)


def test_answers_and_figures(device: sealed.Device) -> None:
    figures, microseconds = sealed.parse_figures(device.infer("--window 8192"))
    got = np.frombuffer(device.outputs(), "<f4").reshape(IMAGES, -1)
    wanted = reference.run(digits.model(), digits.held_out()[0][:IMAGES])
    assert (got.argmax(axis=1) == wanted.argmax(axis=1)).all()
    assert np.abs(got - wanted).max() <= 1e-4
    assert len(microseconds) == IMAGES
    package = sealed_ta.package(2)
    assert figures["blocks"] == 1 + len(package.once) + IMAGES * len(package.each)
    assert figures["heap_peak"] <= figures["data_bytes"]
    pool = device.pool()
    assert pool is not None
    taken = device.taken(pool)
    assert taken is not None
    # Page tables are foreseen at their most, and come in parents of four pages
    assert 0 <= device.claim(figures) - taken <= 4 * sealed.PAGE
    assert figures["data_bytes"] < device.claim(figures) < figures["data_bytes"] + sealed.ELSE
    assert device.taken(device.before) is None


def test_the_heap_is_not_larger_than_it_must_be(device: sealed.Device) -> None:
    """What lies beside arena, chunks and manifest is for handles and the last page."""
    figures = sealed.parse_figures(device.infer())[0]
    unused = figures["data_bytes"] - SPARE - figures["heap_peak"]
    assert 0 <= unused < sealed.BESIDE + sealed.PAGE


def test_an_older_version_is_refused(device: sealed.Device) -> None:
    device.infer()
    with pytest.raises(TesseraError, match="0xffff000f") as refused:
        device.do("tessera_sealed run /data/old.tsp /data/one.raw /tmp/o")
    assert "higher --version" in refused.value.remedy


def test_a_block_in_the_place_of_another(device: sealed.Device) -> None:
    with pytest.raises(TesseraError, match=r"0xffff(3071|0005)"):
        device.do("tessera_sealed run /data/swapped.tsp /data/one.raw /tmp/o")


def test_abuse(device: sealed.Device) -> None:
    told = device.do("tessera_sealed abuse /data/package.tsp /data/one.raw --cases 12 --seed 5")
    assert told.splitlines()[-1] == "200 cases, 12 sequences of seed 5, 0 surprises"
