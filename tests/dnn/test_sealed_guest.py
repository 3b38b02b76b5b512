"""The TA for sealed packages in a real OP-TEE: answers, refusals, and what it leaves behind."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import sealed_ta

from tessera.dnn import digits, reference
from tessera.errors import TesseraError
from tessera.guest import build, qemu, sealed, toolchain
from tessera.guest.optee import Crypto
from tessera.guest.scenarios.residue import search, windows
from tessera.package import user_data
from tessera.package.file import open_sealed, to_bytes
from tessera.package.seal import package_key

pytestmark = pytest.mark.guest
IMAGES = 3
SPARE = 4 << 20
RAM_BASE, RAM_SIZE, RAM_STEP = 0x40000000, qemu.MEMORY_MIB << 20, 64 << 20
KEY_WORDS = 8
SIZES = (256, 40)
"""Bytes of an input and an output."""
IO = sum(SIZES)
USER = sealed.User(
    hashlib.sha256(b"a user of tests").digest(),
    user_data.binding_of(sealed_ta.MASTER, sealed_ta.package(2).identity, 2),
    SIZES[0],
)


@pytest.fixture(scope="module")
def contents() -> tuple[bytes, ...]:
    """The plaintexts of the package's blocks."""
    return open_sealed(sealed_ta.package(2), sealed_ta.MASTER, "test")[0].blocks


@pytest.fixture(scope="module")
def fast_build(guest_tools: toolchain.Toolchain) -> build.Build:
    """OP-TEE with the cryptography that `tessera run` takes, else as it is."""
    return build.build(crypto=Crypto.EXTENSIONS)


@pytest.fixture(scope="module")
def device(
    fast_build: build.Build,
    contents: tuple[bytes, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[sealed.Device]:
    """A guest without the policy: what the TA wipes does not depend on it."""
    package, old = sealed_ta.package(2), sealed_ta.package(1)
    swapped = sealed_ta.changed(package, len(package.blocks) - 1, package.blocks[-2])
    manifest = open_sealed(package, sealed_ta.MASTER, "test")[0].manifest
    # A heap that is larger than it must be: only a peak above that of the boot can be told.
    needs = sealed.Needs(manifest.arena + SPARE, manifest.chunk, len(contents[0]), IO)
    images = digits.held_out()[0][:IMAGES].astype("<f4")
    more = {
        "/data/old.tsp": to_bytes(old),
        "/data/swapped.tsp": to_bytes(swapped),
        "/data/one.raw": images[:1].tobytes(),
        "/data/noise.tsin": USER.seal(noise()),
    }
    with sealed.boot(
        *(fast_build, to_bytes(package), needs, sealed_ta.MASTER, images.tobytes()),
        more=more,
        user=USER.key,
        log_folder=tmp_path_factory.mktemp("sealed"),
    ) as made:
        yield replace(made, sealed=False)


def noise() -> bytes:
    """Inputs that nobody else has."""
    drawn = np.random.default_rng(7).random((IMAGES, SIZES[0] // 4))
    return drawn.astype("<f4").tobytes()


def test_the_core_has_what_was_asked_for(
    fast_build: build.Build, unpatched_build: build.Build
) -> None:
    """OP-TEE's own settings turn the single ciphers on."""
    for one, wanted in ((fast_build, True), (unpatched_build, False)):
        lines = (one.dir / "conf.mk").read_text().splitlines()
        for name in ("AES_ARM_CE", "SHA256_ARM_CE", "WITH_CE"):
            assert (f"CFG_CRYPTO_{name}=y" in lines) == wanted


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


def test_sealed_inputs_and_outputs_are_seen_by_nobody(device: sealed.Device) -> None:
    """While the session is open they are in secure RAM at most, and later nowhere; the user's key
    and the keys made of it as little."""
    given = noise()
    run = "tessera_sealed run-sealed /data/package.tsp /tmp/user.wrap /data/noise.tsin /tmp/noise"
    hold = f"{run} --hold-open 25"
    device.guest.run("rm -f /tmp/hold /tmp/held")
    device.guest.run(f"(({hold}) >/tmp/hold 2>&1; echo $? >/tmp/held) </dev/null >/dev/null 2>&1 &")
    wait(device, "cat /tmp/hold", "holding")
    live, normal = memory(device)
    wait(device, "cat /tmp/held", r"^0$")
    after, later = memory(device)
    sealed_inputs = USER.seal(given)
    out = device.guest.read_file("/tmp/noise")
    made = device.guest.read_file("/data/noise.tsin")
    opened = USER.open(out, made)
    got = np.frombuffer(opened, "<f4").reshape(IMAGES, -1)
    wanted = reference.run(digits.model(), np.frombuffer(given, "<f4").reshape(IMAGES, -1))
    assert np.abs(got - wanted).max() <= 1e-4
    batch = user_data.read_batch(made, "inputs")
    assert batch.batch != user_data.read_batch(sealed_inputs, "inputs").batch
    label = b"tessera-input-1" + batch.binding + batch.batch
    key = hmac.digest(USER.key, label, hashlib.sha256)
    words = b"".join(key[4 * n : 4 * n + 4][::-1] for n in range(KEY_WORDS))
    pieces = [given[at : at + 32] for at in range(0, len(given), 32)]
    pieces += [one.tobytes() for one in got]
    secrets = {"user's key": USER.key, "input key": key, "its words": words}
    secrets |= {f"piece {number}": one for number, one in enumerate(pieces)}
    places = {"secure": after}
    places |= {f"normal {k}": one for k, one in enumerate((*normal, *later))}
    # The search finds what is there: the last input in the TA, and what it is sealed as, outside
    assert given[-SIZES[0] : -SIZES[0] + 32] in live
    assert any(made[64:96] in part for part in normal)
    found = [(a, b) for a, one in secrets.items() for b, place in places.items() if one in place]
    assert found == []


def test_abuse_of_sealed_inputs(device: sealed.Device) -> None:
    words = "abuse-sealed /data/package.tsp /tmp/user.wrap /data/noise.tsin"
    told = device.do(f"tessera_sealed {words}")
    assert told.splitlines()[-1] == "80 cases, 0 surprises"


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
    assert device.claim() == taken  # to the page
    assert figures["data_bytes"] < device.claim() < figures["data_bytes"] + sealed.ELSE
    assert device.taken(device.before) is None


def test_the_heap_is_not_larger_than_it_must_be(device: sealed.Device) -> None:
    """What lies beside arena, chunks and manifest is for handles and the last page."""
    figures = sealed.parse_figures(device.infer())[0]
    unused = figures["data_bytes"] - SPARE - IO - figures["heap_peak"]
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
    assert told.splitlines()[-1] == "224 cases, 12 sequences of seed 5, 0 surprises"
