"""Sealed inputs and outputs: the text of docs/package.md, told again, and what does not open."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from package_cases import MASTER
from typer.testing import CliRunner

from tessera.cli import key as key_command
from tessera.cli import package as package_command
from tessera.cli.pack import pack
from tessera.errors import TesseraError
from tessera.package.file import read
from tessera.package.keys import new_key, read_key
from tessera.package.user_data import binding_of, open_outputs, read_batch, seal_inputs
from tessera.package.wrap import OWNER, USER, point_of, unwrap, wrap

KEY, BATCH, SESSION = bytes(range(32)), b"b" * 16, b"s" * 16
BINDING = binding_of(MASTER, b"i" * 16, 3)
INPUTS = [b"first input!", b"second input"]
OUTPUTS = [b"one.", b"two."]


def derived(label: bytes) -> AESGCM:
    return AESGCM(hmac.new(KEY, label, hashlib.sha256).digest())


def made(number: int, label: bytes, head: bytes, data: bytes) -> bytes:
    """A ciphertext with its tag, as the page says."""
    bound = head + number.to_bytes(8, "little") + len(data).to_bytes(4, "little")
    return derived(label).encrypt(number.to_bytes(8, "little") + bytes(4), data, bound)


def outputs() -> bytes:
    """What a TA writes."""
    label = b"tessera-output-1" + BINDING + BATCH + SESSION
    head = b"TSO1" + BINDING + BATCH + SESSION
    parts = [made(number, label, head, one) for number, one in enumerate(OUTPUTS)]
    return b"TSOU" + struct.pack("<III", 1, 4, 2) + BINDING + BATCH + SESSION + b"".join(parts)


def test_the_binding() -> None:
    told = b"tessera-binding-1" + b"i" * 16 + b"\3\0\0\0"
    assert hmac.new(MASTER, told, hashlib.sha256).digest()[:16] == BINDING


def test_sealed_inputs_step_by_step() -> None:
    label, head = b"tessera-input-1" + BINDING + BATCH, b"TSI1" + BINDING + BATCH
    wanted = b"TSIN" + struct.pack("<III", 1, 12, 2) + BINDING + BATCH
    wanted += b"".join(made(number, label, head, one) for number, one in enumerate(INPUTS))
    assert seal_inputs(INPUTS, KEY, BINDING, BATCH) == wanted
    batch = read_batch(wanted, "in")
    assert (batch.binding, batch.batch, batch.size, batch.count) == (BINDING, BATCH, 12, 2)


def test_two_batches_are_two() -> None:
    first, second = (seal_inputs(INPUTS, KEY, BINDING) for _ in range(2))
    assert read_batch(first, "a").batch != read_batch(second, "b").batch
    assert first[48:60] != second[48:60]


def test_sealed_outputs_step_by_step() -> None:
    batch = read_batch(seal_inputs(INPUTS, KEY, BINDING, BATCH), "in")
    assert open_outputs(outputs(), batch, KEY, "out") == OUTPUTS


@pytest.mark.parametrize("at", [8, 16, 32, 48, 63, 64, 83, 84, 103])
def test_a_changed_output_does_not_open(at: int) -> None:
    batch = read_batch(seal_inputs(INPUTS, KEY, BINDING, BATCH), "in")
    wrong = bytearray(outputs())
    wrong[at] ^= 1
    with pytest.raises(TesseraError):
        open_outputs(bytes(wrong), batch, KEY, "out")


def test_files_that_are_something_else() -> None:
    good = seal_inputs(INPUTS, KEY, BINDING, BATCH)
    batch = read_batch(good, "in")
    for data in (b"", good[:47], good[:-1], good + b"\0", outputs(), good[:4] + b"\2" + good[5:]):
        with pytest.raises(TesseraError):
            read_batch(data, "in")
    for data in (b"", outputs()[:63], outputs()[:-1], outputs() + b"\0", good):
        with pytest.raises(TesseraError):
            open_outputs(data, batch, KEY, "out")


def test_wrapped_keys_of_two_kinds() -> None:
    device, ephemeral = (ec.derive_private_key(n, ec.SECP256R1()) for n in (77, 78))
    mine, owner = (
        wrap(KEY, point_of(device), ephemeral=ephemeral, kind=kind) for kind in (USER, OWNER)
    )
    assert mine[:4] == b"TSUW" and mine[4:81] == owner[4:81] and mine[81:113] != owner[81:113]
    assert unwrap(mine, device, kind=USER) == unwrap(owner, device) == KEY
    for blob, kind in ((mine, OWNER), (owner, USER), (b"TSKW" + mine[4:], OWNER)):
        with pytest.raises(TesseraError):
            unwrap(blob, device, kind=kind)


# --- Commands ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An owner's key, a user's, a package, a device's point, raw inputs."""
    folder = tmp_path_factory.mktemp("user")
    for name in ("owner.key", "user.key"):
        new_key(folder / name)
    pack("lenet_digits", folder / "owner.key", folder / "a.tsp", budget="512KiB")
    device = ec.derive_private_key(99, ec.SECP256R1())
    (folder / "device.point").write_bytes(point_of(device))
    (folder / "in.raw").write_bytes(bytes(512))
    return folder


def call(module: typer.Typer, *words: object) -> str:
    done = CliRunner().invoke(module, [str(one) for one in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_road_of_a_user(files: Path) -> None:
    user, master = read_key(files / "user.key"), read_key(files / "owner.key")
    told = json.loads(
        call(
            package_command.group,
            *("binding", files / "a.tsp", "--key", files / "owner.key", "--json"),
        )
    )
    sealed = read(files / "a.tsp")
    assert bytes.fromhex(told["binding"]) == binding_of(master, sealed.identity, sealed.version)
    assert (told["input_bytes"], told["output_bytes"]) == (256, 40)
    call(
        package_command.group,
        *("seal-inputs", files / "in.raw", "--size", 256, "--binding", told["binding"]),
        *("--user", files / "user.key", "-o", files / "in.tsin"),
    )
    batch = read_batch((files / "in.tsin").read_bytes(), "in")
    assert (batch.size, batch.count) == (256, 2)
    words = ("--user", "--device", files / "device.point", "-o", files / "u.wrap")
    call(key_command.group, "wrap", files / "user.key", *words)
    device = ec.derive_private_key(99, ec.SECP256R1())
    assert unwrap((files / "u.wrap").read_bytes(), device, kind=USER) == user
    # The device's part
    head = batch.binding + batch.batch + SESSION
    cipher = AESGCM(hmac.digest(user, b"tessera-output-1" + head, hashlib.sha256))
    parts = [
        cipher.encrypt(struct.pack("<Q4x", n), one, b"TSO1" + head + struct.pack("<QI", n, 4))
        for n, one in enumerate(OUTPUTS)
    ]
    out = b"TSOU" + struct.pack("<III", 1, 4, 2) + head + b"".join(parts)
    (files / "out.tsou").write_bytes(out)
    call(
        package_command.group,
        *("open-outputs", files / "out.tsou", "--inputs", files / "in.tsin"),
        *("--user", files / "user.key", "-o", files / "out.raw"),
    )
    assert (files / "out.raw").read_bytes() == b"".join(OUTPUTS)


@pytest.mark.parametrize(
    ("size", "binding", "words"),
    [(257, "0" * 32, "not a whole number"), (256, "0" * 31, "no binding"), (256, "G" * 32, "no b")],
)
def test_inputs_that_cannot_be_sealed(files: Path, size: int, binding: str, words: str) -> None:
    with pytest.raises(TesseraError, match=words):
        package_command.seal_inputs(
            files / "in.raw", binding, size, files / "user.key", files / "none"
        )
    assert not (files / "none").exists()


def test_the_binding_needs_the_owner_s_key(files: Path) -> None:
    with pytest.raises(TesseraError, match="does not open this package"):
        package_command.binding(files / "a.tsp", files / "user.key")
