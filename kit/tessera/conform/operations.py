"""Operations of the lockstep: what both sides are asked to do, one after another.

Goal: an operation as plain data that means something, or nothing, in every state, so that any of a
run's operations can be left out; its line for the program, its words for people.
Non-goals: what it leads to (see `modelside` and `verification/host/`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from tessera.errors import TesseraError

GRANULE = 4096
SLOTS = 64
FAIL_VIRT = 255
"""As `Op.fail`: not the heap but the translation of an address fails."""
_RECORD = struct.Struct("<BBBBIQQ")


class Kind(IntEnum):
    """As `enum kind` of verification/host/lockstep.h, where each is described."""

    CORE = 0
    CORE_TA = 1
    FOBJ = 2
    IMAGE = 3
    IMAGE_BAD = 4
    AT = 5
    FREE = 6
    SHRINK = 7
    WRITE = 8
    DIE = 9
    FIND = 10
    RESET = 11
    RAW = 12


BY_TA = frozenset({Kind.FOBJ, Kind.IMAGE, Kind.IMAGE_BAD, Kind.RAW})
REQUESTS = BY_TA | {Kind.CORE, Kind.CORE_TA, Kind.AT}


class How(IntEnum):
    """What an injected failure made of a request; as `enum how` of lockstep.h."""

    USUAL = 0
    NEXT_POOL = 1
    TAKEN_BACK = 2


@dataclass(frozen=True, slots=True)
class Op:
    """One operation; `owner` 0 is the core, `slot` names the block."""

    kind: Kind
    owner: int = 0
    slot: int = 0
    a: int = 0
    b: int = 0
    fail: int = 0  # which call of the heap fails, 0 for none
    how: How = How.USUAL

    @property
    def line(self) -> str:
        """As the program reads it."""
        return f"{self.kind} {self.owner} {self.fail} {self.how} {self.slot} {self.a} {self.b}\n"

    @property
    def granules(self) -> int:
        """What a request asks for, in whole granules."""
        return self.a if self.kind == Kind.FOBJ else -(-self.a // GRANULE)


def read_log(data: bytes) -> tuple[int, list[Op]]:
    """The world and the operations of the episode that the fast loop was in."""
    if len(data) < 8:
        raise TesseraError("the lockstep program wrote no log", remedy="run it again")
    world, count = struct.unpack_from("<II", data)
    ops = []
    for i in range(count):
        kind, owner, fail, how, slot, a, b = _RECORD.unpack_from(data, 8 + i * _RECORD.size)
        ops.append(Op(Kind(kind), owner, slot, a, b, fail, How(how)))
    return world, ops


def words(op: Op, owners: tuple[str, ...]) -> str:
    """The operation in words; `owners` by number, the core first."""
    who, block = owners[op.owner], f"b{op.slot}"
    text = {
        Kind.CORE: f"the core takes {op.a} bytes as {block}",
        Kind.CORE_TA: f"the core takes {op.a} bytes as {block}, from TA memory",
        Kind.FOBJ: f"{who} is given {op.a} granules as {block}",
        Kind.IMAGE: f"the image of {who}, {op.a} bytes, is buffered as {block}",
        Kind.IMAGE_BAD: f"an image of {who}, {op.a} bytes, is buffered and found not genuine",
        Kind.AT: f"the boot takes {op.a} bytes at {op.b:#x} as {block}",
        Kind.FREE: f"{block} is given back",
        Kind.SHRINK: f"{block} is given back but for its granules [{op.a}, {op.b})",
        Kind.WRITE: f"the owner of {block} writes its granule {op.a}",
        Kind.DIE: f"{who} ends, with all it has",
        Kind.FIND: f"the block at {op.a:#x} is looked up",
        Kind.RESET: "the statistics begin anew",
        Kind.RAW: f"{op.a} bytes are taken as {block} for {who}",
    }[op.kind]
    if op.fail == FAIL_VIRT:
        return f"{text} (no address for it)"
    return f"{text} (call {op.fail} of the heap fails)" if op.fail else text
