"""Inputs sealed by a user of a network, and outputs that only they can open.

Goal: the files and ciphers of docs/package.md ("Sealed inputs and outputs"): AES-256-GCM, bound to
the network, the batch, the direction and the number of the inference.
Non-goals: what values mean; giving the user's key to a device (`wrap`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tessera.errors import TesseraError
from tessera.package.seal import TAG_BYTES

BINDING_BYTES = 16
BATCH_BYTES = 16
SESSION_BYTES = 16
FORMAT = 1
_IN_MAGIC, _OUT_MAGIC = b"TSIN", b"TSOU"
_IN = struct.Struct(f"<4sIII{BINDING_BYTES}s{BATCH_BYTES}s")
_OUT = struct.Struct(f"<4sIII{BINDING_BYTES}s{BATCH_BYTES}s{SESSION_BYTES}s")


@dataclass(frozen=True, slots=True)
class Batch:
    """What sealed inputs belong to; `size`: bytes of one plaintext, `count`: how many there are."""

    binding: bytes
    batch: bytes
    size: int
    count: int


def binding_of(master: bytes, identity: bytes, version: int) -> bytes:
    """What the owner tells users of a package: nobody without the key makes another with it."""
    told = b"tessera-binding-1" + identity + struct.pack("<I", version)
    return hmac.digest(master, told, hashlib.sha256)[:BINDING_BYTES]


def _cipher(user: bytes, label: bytes) -> AESGCM:
    return AESGCM(hmac.digest(user, label, hashlib.sha256))


def _nonce(number: int) -> bytes:
    return struct.pack("<Q4x", number)


def _bound(head: bytes, number: int, size: int) -> bytes:
    return head + struct.pack("<QI", number, size)


def seal_inputs(
    inputs: Sequence[bytes], user: bytes, binding: bytes, batch: bytes | None = None
) -> bytes:
    """The file with the inputs of that many inferences, which all have one size.

    `batch` is drawn at random unless given, which only tests do: it must never be used twice with
    one key.
    """
    assert inputs and len({len(one) for one in inputs}) == 1 and len(binding) == BINDING_BYTES
    drawn = secrets.token_bytes(BATCH_BYTES) if batch is None else batch
    cipher = _cipher(user, b"tessera-input-1" + binding + drawn)
    head = b"TSI1" + binding + drawn
    size = len(inputs[0])
    made = [_IN.pack(_IN_MAGIC, FORMAT, size, len(inputs), binding, drawn)]
    for number, one in enumerate(inputs):
        made.append(cipher.encrypt(_nonce(number), one, _bound(head, number, size)))
    return b"".join(made)


def read_batch(data: bytes, where: str) -> Batch:
    """The public part of sealed inputs. Raises `TesseraError` for anything else."""
    if len(data) < _IN.size or data[:4] != _IN_MAGIC:
        raise _no_file("sealed inputs", where, "give what `tessera package seal-inputs` wrote")
    _, fmt, size, count, binding, batch = _IN.unpack_from(data)
    if fmt != FORMAT or not size or not count:
        raise _no_file("sealed inputs of this format", where, "seal them again")
    _require_whole(data, _IN.size, size, count, where)
    return Batch(binding, batch, size, count)


def open_outputs(data: bytes, batch: Batch, user: bytes, where: str) -> list[bytes]:
    """The outputs, in the order of the inputs of that batch.

    Raises `TesseraError` for another key, another batch, fewer or more outputs than inputs, and any
    change.
    """
    if len(data) < _OUT.size or data[:4] != _OUT_MAGIC:
        raise _no_file("sealed outputs", where, "give what the device wrote")
    _, fmt, size, count, binding, drawn, session = _OUT.unpack_from(data)
    if fmt != FORMAT:
        raise _no_file("sealed outputs of this format", where, "run the inputs again")
    _require_whole(data, _OUT.size, size, count, where)
    if (binding, drawn) != (batch.binding, batch.batch) or count != batch.count:
        raise TesseraError(
            "these outputs do not answer those inputs",
            where=where,
            remedy="give the inputs that were run",
        )
    cipher = _cipher(user, b"tessera-output-1" + binding + drawn + session)
    head = b"TSO1" + binding + drawn + session
    made = []
    for number in range(count):
        at = _OUT.size + number * (size + TAG_BYTES)
        one = data[at : at + size + TAG_BYTES]
        try:
            made.append(cipher.decrypt(_nonce(number), one, _bound(head, number, size)))
        except InvalidTag:
            raise TesseraError(
                f"output {number + 1} of {count} does not open: another key, or it was changed or "
                "moved",
                where=where,
                remedy="give the user's key that sealed the inputs, or run them again",
            ) from None
    return made


def _require_whole(data: bytes, head: int, size: int, count: int, where: str) -> None:
    wanted = head + count * (size + TAG_BYTES)
    if len(data) != wanted:
        raise TesseraError(
            f"the file has {len(data):,} bytes, not the {wanted:,} that it speaks of",
            where=where,
            remedy="get it again",
        )


def _no_file(what: str, where: str, remedy: str) -> TesseraError:
    return TesseraError(f"these are no {what}", where=where, remedy=remedy)
