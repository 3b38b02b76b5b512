"""The pool operations of a run of OP-TEE, as they were seen: data, and a file of lines.

Goal: one format for what the recorder sees and the replay takes; a trace without its end is told
from a whole one.
Non-goals: recording (see `tessera.guest.recorder`) and judging (see `tessera.conform.guest`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tessera.errors import TesseraError

CORE = ""  # the owner of what no TA's context is active for
KINDS = ("alloc", "alloc_at", "free")

_AGAIN = "record it again; a run that did not end says nothing"


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool, by the address of its record; `base` and `size` in bytes, granules of 2^`shift`."""

    address: int
    base: int
    size: int
    shift: int

    @property
    def granules(self) -> int:
        """Its length."""
        return self.size >> self.shift


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the allocator that has come back.

    `asked` is in bytes and 0 for a `free`; `at` is the physical address that an `alloc_at` gives.
    `offset` and `size` are those of the entry, in granules; -1 and 0 where a request was refused.
    """

    kind: str
    pool: int  # address of its record
    entry: int  # address of the list's entry; 0 where refused
    offset: int
    size: int
    asked: int = 0
    at: int = 0
    owner: str = CORE  # UUID of the TA whose context was active


@dataclass(frozen=True, slots=True)
class PoolTrace:
    """All operations from the making of the pools on; `left` is what the pools' own lists held
    at the end, by pool: (offset, size) in granules, in order of address."""

    version: str  # of OP-TEE
    pools: tuple[Pool, ...]
    operations: tuple[Operation, ...]
    left: dict[int, tuple[tuple[int, int], ...]]


def to_text(trace: PoolTrace) -> str:
    """The trace as JSON lines: a head, the operations, and an end that counts them."""
    head = {"version": trace.version, "pools": [asdict(p) for p in trace.pools]}
    left = {str(pool): blocks for pool, blocks in trace.left.items()}
    end = {"end": len(trace.operations), "left": left}
    rows = [head, *(asdict(op) for op in trace.operations), end]
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(path: Path) -> PoolTrace:
    """A trace from a file. Raises `TesseraError` when it is none, or is cut short."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TesseraError(
            f"cannot read the trace: {reason}", where=str(path), remedy=_AGAIN
        ) from error
    rows = [_row(path, number, line) for number, line in enumerate(lines, start=1)]
    if not rows or "end" not in rows[-1] or rows[-1]["end"] != len(rows) - 2:
        raise TesseraError(
            f"the trace is cut short: {max(len(rows) - 1, 0)} lines after its head and no end "
            "that counts them",
            where=str(path),
            remedy=_AGAIN,
        )
    try:
        left = rows[-1]["left"]
        return PoolTrace(
            version=rows[0]["version"],
            pools=tuple(Pool(**p) for p in rows[0]["pools"]),
            operations=tuple(Operation(**row) for row in rows[1:-1]),
            left={int(p): tuple((o, n) for o, n in blocks) for p, blocks in left.items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TesseraError(
            f"this is no trace of pool operations: {error}", where=str(path), remedy=_AGAIN
        ) from error


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        what = "the trace is cut short, or broken"
        raise TesseraError(f"{what}: {error}", where=f"{path}:{number}", remedy=_AGAIN) from error
    if not isinstance(row, dict):
        raise TesseraError(
            "this is no trace of pool operations", where=f"{path}:{number}", remedy=_AGAIN
        )
    return row
