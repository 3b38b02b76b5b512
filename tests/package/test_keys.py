"""Keys: made once, read strictly, wrapped for one device."""

from __future__ import annotations

import hashlib
import hmac
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from package_cases import MASTER

from tessera.errors import TesseraError
from tessera.package.keys import new_key, read_key
from tessera.package.wrap import BLOB_BYTES, point_of, read_point, unwrap, wrap

DEVICE = ec.derive_private_key(0x1234567, ec.SECP256R1())
EPHEMERAL = ec.derive_private_key(0x7654321, ec.SECP256R1())


def test_a_new_key_is_private_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "owner.key"
    new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert len(text) == 65 and bytes.fromhex(text.strip()) == read_key(path)
    with pytest.raises(TesseraError, match="never overwritten"):
        new_key(path)
    assert path.read_text() == text
    new_key(tmp_path / "other.key")
    assert read_key(tmp_path / "other.key") != read_key(path)


def test_a_key_where_none_can_be(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="cannot write"):
        new_key(tmp_path / "none" / "owner.key")


@pytest.mark.parametrize(
    "text", ["", "00" * 31, "00" * 33, "AA" * 32, "g0" * 32, "00" * 32 + "\n\n", "\xff" * 64]
)
def test_files_that_are_no_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "owner.key"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(TesseraError, match="this is not a key"):
        read_key(path)


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="cannot read the key"):
        read_key(tmp_path / "owner.key")


def test_a_wrapped_key_step_by_step() -> None:
    """The text of docs/package.md, told again; the ephemeral key is fixed here only."""
    device, point = point_of(DEVICE), point_of(EPHEMERAL)
    blob = wrap(MASTER, device, ephemeral=EPHEMERAL)
    assert len(blob) == BLOB_BYTES == 129 and len(device) == 65 and device[0] == 4
    assert blob[:4] == b"TSKW" and blob[4:69] == point and blob[69:81] == bytes(12)
    shared = EPHEMERAL.exchange(ec.ECDH(), DEVICE.public_key())
    assert len(shared) == 32
    key = hmac.new(shared, b"tessera-wrap-1" + point + device, hashlib.sha256).digest()
    assert blob[81:] == AESGCM(key).encrypt(bytes(12), MASTER, b"TSKW" + device)
    assert unwrap(blob, DEVICE) == MASTER


def test_blobs_differ_and_both_open() -> None:
    device = point_of(DEVICE)
    first, second = wrap(MASTER, device), wrap(MASTER, device)
    assert first != second and unwrap(first, DEVICE) == unwrap(second, DEVICE) == MASTER


@pytest.mark.parametrize("at", [0, 4, 5, 40, 69, 80, 81, 100, 113, 128])
def test_a_changed_blob_does_not_open(at: int) -> None:
    blob = bytearray(wrap(MASTER, point_of(DEVICE), ephemeral=EPHEMERAL))
    blob[at] ^= 1
    with pytest.raises(TesseraError):
        unwrap(bytes(blob), DEVICE)


@pytest.mark.parametrize("size", [0, 128, 130])
def test_a_blob_of_another_size(size: int) -> None:
    blob = wrap(MASTER, point_of(DEVICE), ephemeral=EPHEMERAL)
    with pytest.raises(TesseraError, match="no wrapped key"):
        unwrap((blob + b"\0")[:size], DEVICE)


def test_a_blob_for_another_device() -> None:
    blob = wrap(MASTER, point_of(EPHEMERAL))
    with pytest.raises(TesseraError, match="another device"):
        unwrap(blob, DEVICE)


@pytest.mark.parametrize(
    "point",
    [b"", bytes(65), b"\4" + bytes(64), point_of(DEVICE)[:64], b"\2" + point_of(DEVICE)[1:33]],
)
def test_bytes_that_are_no_point(tmp_path: Path, point: bytes) -> None:
    path = tmp_path / "device.point"
    path.write_bytes(point)
    with pytest.raises(TesseraError, match="no point of P-256"):
        read_point(path)
    with pytest.raises(TesseraError, match="no point of P-256"):
        wrap(MASTER, point)
