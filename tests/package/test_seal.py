"""Sealing: whatever is changed, moved or taken from elsewhere does not open."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from package_cases import MASTER, OTHER, contents, network, planned, sealed

from tessera.errors import TesseraError
from tessera.package.contents import opened
from tessera.package.file import open_sealed, parse, to_bytes
from tessera.package.pack import Packing, pack
from tessera.package.seal import Sealed, identity_of, seal, unseal


def _refused(changed: Sealed, says: str, key: bytes = MASTER) -> None:
    with pytest.raises(TesseraError, match=says) as caught:
        open_sealed(changed, key, "net.tsp")
    assert caught.value.exit_code == 2 and caught.value.remedy


def test_what_was_sealed_opens() -> None:
    found, code = open_sealed(sealed(), MASTER, "net.tsp")
    assert found == contents()
    assert code == opened(contents().blocks, "net.tsp")[1]


def test_the_cipher_is_the_one_of_the_document() -> None:
    """Every step of docs/package.md, told again."""
    made, plain = sealed(), contents()
    head = b"tessera-identity-1" + struct.pack("<II", made.version, made.chunk)
    hashed = hmac.new(MASTER, head, hashlib.sha256)
    for one in plain.blocks:
        hashed.update(struct.pack("<I", len(one)) + one)
    assert made.identity == hashed.digest()[:16]
    told = b"tessera-package-1" + made.identity + struct.pack("<I", 3)
    key = hmac.new(MASTER, told, "sha256").digest()
    for index in (0, 1, len(made.blocks) - 1):
        size = len(plain.blocks[index])
        bound = b"TSP1" + made.identity + struct.pack("<III", 3, index, size)
        nonce = struct.pack("<I", index) + bytes(8)
        assert made.blocks[index] == AESGCM(key).encrypt(nonce, plain.blocks[index], bound)


def test_equal_contents_give_equal_bytes() -> None:
    graph, plan = network("lenet_digits"), planned("lenet_digits", False, 20_000)
    again = seal(pack(graph, plan, Packing("lenet_digits", 3)).contents, MASTER)
    assert to_bytes(again) == to_bytes(sealed())


def test_other_contents_have_another_identity() -> None:
    graph, plan = network("lenet_digits"), planned("lenet_digits", False, 20_000)
    found = [contents(), contents(chunk=4096), contents(compress=True), contents(budget=40_000)]
    found += [
        pack(graph, plan, packing).contents
        for packing in (Packing("lenet_digits", 4), Packing("digits", 3))
    ]
    assert len({identity_of(one, MASTER) for one in found}) == len(found)


def test_the_identity_says_nothing_without_the_key() -> None:
    """Equal contents under another key: nobody else can confirm what is inside."""
    assert identity_of(contents(), OTHER) != identity_of(contents(), MASTER)
    other = seal(contents(), OTHER)
    assert not set(other.blocks) & set(sealed().blocks)


def test_another_key() -> None:
    _refused(sealed(), "the key does not open", OTHER)


def test_another_version() -> None:
    _refused(replace(sealed(), version=2), "the key does not open")


def test_another_identity() -> None:
    other = bytes([sealed().identity[0] ^ 1]) + sealed().identity[1:]
    _refused(replace(sealed(), identity=other), "the key does not open")


@pytest.mark.parametrize("place", [0, 5, -16, -1])
@pytest.mark.parametrize("index", [0, 1, 2, 30, -1])
def test_a_bit_of_a_block(index: int, place: int) -> None:
    blocks = list(sealed().blocks)
    broken = bytearray(blocks[index])
    broken[place] ^= 4
    blocks[index] = bytes(broken)
    where = range(len(blocks))[index]
    says = "the key does not open" if where == 0 else f"block {where} of 63 is damaged"
    _refused(replace(sealed(), blocks=tuple(blocks)), says)


def test_blocks_that_change_places() -> None:
    blocks = list(sealed().blocks)
    sizes = [len(one) for one in blocks]
    a = next(k for k in range(3, len(blocks)) if sizes.count(sizes[k]) > 1)
    b = sizes.index(sizes[a], a + 1)
    blocks[a], blocks[b] = blocks[b], blocks[a]
    _refused(replace(sealed(), blocks=tuple(blocks)), f"block {a} of 63")


def test_a_block_of_another_package_with_the_same_key() -> None:
    other = seal(contents(budget=40_000), MASTER)
    blocks = (other.blocks[0], *sealed().blocks[1:])
    _refused(replace(sealed(), blocks=blocks), "the key does not open")


def test_a_block_that_is_shorter() -> None:
    blocks = (*sealed().blocks[:-1], sealed().blocks[-1][4:])
    _refused(replace(sealed(), blocks=blocks), "block 62 of 63")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chunk": 65_536}, "size of blocks"),
        ({"codes": 3}, "number of code blocks"),
        ({"once": (1,)}, "feed of the first part"),
        ({"each": (2,)}, "the feed in the header"),
    ],
)
def test_a_header_that_is_at_odds(change: dict[str, object], says: str) -> None:
    _refused(replace(sealed(), **change), says)


def test_the_feed_in_another_order() -> None:
    made = sealed()
    turned = (made.each[0], made.each[2], made.each[1], *made.each[3:])
    _refused(replace(made, each=turned), "feed")


def test_the_key_is_not_the_master_key() -> None:
    """A package's key opens that package only: what one device leaks stays with one package."""
    with pytest.raises(TesseraError):
        unseal(replace(sealed(), version=4), MASTER, "net.tsp")


def test_plaintext_is_not_in_the_file() -> None:
    data = to_bytes(sealed())
    for one in contents().blocks:
        assert one[:16] not in data or len(set(one[:16])) == 1
    assert parse(data, "net.tsp") == sealed()
