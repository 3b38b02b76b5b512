"""Sealing: every block encrypted and authenticated, bound to its place, package and version.

Goal: the cipher of docs/package.md: AES-256-GCM under a key of the package's own, so that the same
contents give the same bytes and no two packages share a key with a nonce.
Non-goals: the file around the blocks (`file`), where keys come from (`keys`).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tessera.errors import TesseraError
from tessera.package.contents import Contents

TAG_BYTES = 16
KEY_BYTES = 32
IDENTITY_BYTES = 16
_LABEL = b"tessera-package-1"
_IDENTITY_LABEL = b"tessera-identity-1"
_MAGIC = b"TSP1"
_REMEDY = "get the file again, or pack the network again"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A package as anybody may see it. `blocks` are ciphertexts with their tags; `once` and `each`
    say in which order the runtime takes them; `codes` is the number of code blocks."""

    version: int
    identity: bytes
    chunk: int
    codes: int
    blocks: tuple[bytes, ...]
    once: tuple[int, ...]
    each: tuple[int, ...]


def identity_of(contents: Contents, master: bytes) -> bytes:
    """16 bytes that are others for other contents, and say nothing about them without the key: a
    plain digest would let anybody confirm a guess of what is inside."""
    manifest = contents.manifest
    head = _IDENTITY_LABEL + struct.pack("<II", manifest.version, manifest.chunk)
    made = hmac.new(master, head, hashlib.sha256)
    for one in contents.blocks:
        made.update(struct.pack("<I", len(one)))
        made.update(one)
    return made.digest()[:IDENTITY_BYTES]


def package_key(master: bytes, identity: bytes, version: int) -> bytes:
    """The key of one package. `master` has 32 bytes."""
    assert len(master) == KEY_BYTES
    return hmac.digest(master, _LABEL + identity + struct.pack("<I", version), hashlib.sha256)


def _nonce(index: int) -> bytes:
    return struct.pack("<I8x", index)


def _bound(identity: bytes, version: int, index: int, size: int) -> bytes:
    """What a block is authenticated with besides its ciphertext."""
    return _MAGIC + identity + struct.pack("<III", version, index, size)


def seal(contents: Contents, master: bytes) -> Sealed:
    """All blocks encrypted: the same contents and key give the same bytes."""
    manifest, identity = contents.manifest, identity_of(contents, master)
    cipher = AESGCM(package_key(master, identity, manifest.version))
    blocks = tuple(
        cipher.encrypt(_nonce(k), one, _bound(identity, manifest.version, k, len(one)))
        for k, one in enumerate(contents.blocks)
    )
    return Sealed(
        *(manifest.version, identity, manifest.chunk, len(manifest.code), blocks),
        *(contents.once, contents.each),
    )


def unseal(sealed: Sealed, master: bytes, where: str) -> tuple[bytes, ...]:
    """The plaintexts. Raises `TesseraError` for another key, and naming the block, for one that
    was changed or moved."""
    cipher = AESGCM(package_key(master, sealed.identity, sealed.version))
    made: list[bytes] = []
    for index, one in enumerate(sealed.blocks):
        size = len(one) - TAG_BYTES
        bound = _bound(sealed.identity, sealed.version, index, size)
        try:
            made.append(cipher.decrypt(_nonce(index), one, bound))
        except InvalidTag:
            raise _refused(index, sealed, where) from None
    return tuple(made)


def _refused(index: int, sealed: Sealed, where: str) -> TesseraError:
    if index == 0:
        return TesseraError(
            "the key does not open this package, or its header or first block was changed",
            where=where,
            remedy=f"give the owner's key that sealed it; it says that it is version "
            f"{sealed.version}",
        )
    return TesseraError(
        f"block {index} of {len(sealed.blocks)} is damaged, or is not the one for this place",
        where=where,
        remedy=_REMEDY,
    )


def require_consistent(sealed: Sealed, found: Contents, master: bytes, where: str) -> None:
    """Raises `TesseraError` where the public part of a package is at odds with what is sealed."""
    checks: Sequence[tuple[str, object, object]] = (
        ("identity", sealed.identity, identity_of(found, master)),
        ("version", sealed.version, found.manifest.version),
        ("size of blocks", sealed.chunk, found.manifest.chunk),
        ("number of code blocks", sealed.codes, len(found.manifest.code)),
        ("feed of the first part", sealed.once, found.once),
        ("feed", sealed.each, found.each),
    )
    for what, said, meant in checks:
        if said != meant:
            raise TesseraError(
                f"the {what} in the header is not that of the contents", where=where, remedy=_REMEDY
            )
