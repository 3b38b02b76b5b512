"""A key encrypted to one device, whose TA alone has the private key for it.

Goal: the blob of docs/package.md ("Keys and provisioning"): ECDH over P-256, HMAC-SHA256,
AES-256-GCM; for the owner's key, and for a user's, which cannot pass for one another. The ephemeral
key is random, so two blobs for one device differ.
Non-goals: knowing whose a device point is; the private key of a device, but for tests (`unwrap`).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tessera.dnn.files import read_bytes
from tessera.errors import TesseraError
from tessera.package.seal import KEY_BYTES, TAG_BYTES

POINT_BYTES = 65
NONCE = bytes(12)
MAGIC_BYTES = 4
BLOB_BYTES = MAGIC_BYTES + POINT_BYTES + len(NONCE) + KEY_BYTES + TAG_BYTES


@dataclass(frozen=True, slots=True)
class Kind:
    """Whose key: the blob's first bytes, and what its wrap key is derived with."""

    magic: bytes
    label: bytes


OWNER = Kind(b"TSKW", b"tessera-wrap-1")
USER = Kind(b"TSUW", b"tessera-user-1")


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as an uncompressed point."""
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def _public(point: bytes, where: str) -> ec.EllipticCurvePublicKey:
    try:
        if len(point) != POINT_BYTES or point[0] != 4:
            raise ValueError
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise TesseraError(
            f"this is no point of P-256: {len(point)} bytes",
            where=where,
            remedy=f"give the {POINT_BYTES} bytes that the device's TA gave out",
        ) from None


def _cipher(shared: bytes, ephemeral: bytes, device: bytes, kind: Kind) -> AESGCM:
    return AESGCM(hmac.digest(shared, kind.label + ephemeral + device, hashlib.sha256))


def wrap(
    master: bytes,
    device: bytes,
    where: str = "device point",
    ephemeral: ec.EllipticCurvePrivateKey | None = None,
    kind: Kind = OWNER,
) -> bytes:
    """The blob of 129 bytes for the device with this point; `master`: the key, of either kind.

    `ephemeral` is drawn at random unless given, which only tests do: it must never be used twice.
    Raises `TesseraError` for bytes that are no point of the curve.
    """
    assert len(master) == KEY_BYTES
    public = _public(device, where)
    key = ephemeral or ec.generate_private_key(ec.SECP256R1())
    point = point_of(key)
    cipher = _cipher(key.exchange(ec.ECDH(), public), point, device, kind)
    return kind.magic + point + NONCE + cipher.encrypt(NONCE, master, kind.magic + device)


def unwrap(
    blob: bytes, device: ec.EllipticCurvePrivateKey, where: str = "blob", kind: Kind = OWNER
) -> bytes:
    """The key, as the TA gets it. Raises `TesseraError` for any other blob."""
    at = MAGIC_BYTES + POINT_BYTES
    point, nonce, sealed = (
        blob[MAGIC_BYTES:at],
        blob[at : at + len(NONCE)],
        blob[at + len(NONCE) :],
    )
    if len(blob) != BLOB_BYTES or blob[:MAGIC_BYTES] != kind.magic or nonce != NONCE:
        raise TesseraError(
            "this is no wrapped key", where=where, remedy="give what `tessera key wrap` wrote"
        )
    shared = device.exchange(ec.ECDH(), _public(point, where))
    mine = point_of(device)
    try:
        return _cipher(shared, point, mine, kind).decrypt(NONCE, sealed, kind.magic + mine)
    except InvalidTag:
        raise TesseraError(
            "the key is wrapped for another device, or the blob is damaged",
            where=where,
            remedy="wrap it for this device's point: tessera key wrap",
        ) from None


def read_point(path: Path) -> bytes:
    """The point in a file, checked to be on the curve. Raises `TesseraError`."""
    point = read_bytes(path, "device point")
    _public(point, str(path))
    return point
