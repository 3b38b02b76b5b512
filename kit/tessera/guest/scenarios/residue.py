"""Scenario `residue`: after the inference TA closed, its weights are nowhere in secure RAM.

Three snapshots are taken from outside, with nothing changed in the OP-TEE under test: before the
TA is opened (no window of the weights may be there, or the search would be fooled), while its
session is open (they must be there, or the search would be blind), and after it closed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

from tessera.dnn import digits
from tessera.guest import qemu
from tessera.guest.machine import Guest
from tessera.guest.scenarios.bench import MODEL, ONE_IMAGE, Bench, InconclusiveError
from tessera.results import Outcome

NAME = "residue"
DOC = "After the inference TA closed, no part of its weights is left in secure RAM."
PAGE = 4096
WINDOW = 32  # bytes that must match
STRIDE = 256  # one window in so many bytes of weights
_DISTINCT = 16  # different byte values in a window, so that it cannot match by chance
_HOLD_SECONDS = 4
_LOG, _STATUS = "/tmp/hold.log", "/tmp/hold.status"


def windows(weights: bytes) -> list[bytes]:
    """Pieces of the weights that are unmistakable: spread evenly, with many byte values."""
    pieces = (weights[at : at + WINDOW] for at in range(0, len(weights) - WINDOW + 1, STRIDE))
    return [piece for piece in pieces if len(set(piece)) >= _DISTINCT]


def used_runs(snapshot: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of the runs of pages that are not all zero; nothing else can match."""
    blank = bytes(PAGE)
    start = None
    for at in range(0, len(snapshot) + PAGE, PAGE):
        used = at < len(snapshot) and snapshot[at : at + PAGE] != blank[: len(snapshot) - at]
        if used and start is None:
            start = at
        elif not used and start is not None:
            yield start, snapshot[start:at]
            start = None


def search(snapshot: bytes, pieces: Sequence[bytes]) -> list[int]:
    """The offset of the first match of each piece that is in the snapshot."""
    runs = list(used_runs(snapshot))
    found = []
    for piece in pieces:
        for start, content in runs:
            at = content.find(piece)
            if at >= 0:
                found.append(start + at)
                break
    return sorted(found)


def trial(bench: Bench) -> Outcome:
    """Infer, close, and search the three snapshots."""
    pieces = windows(digits.model_path().read_bytes())
    with bench.boot(NAME) as guest:
        before = snapshot(guest)
        open_session(guest)
        live = snapshot(guest)
        wait_closed(guest)
        after = snapshot(guest)
    counts = [len(search(snapshot, pieces)) for snapshot in (before, live)]
    if counts[0] != 0:
        raise InconclusiveError(f"{counts[0]} windows were there before the TA was opened")
    if counts[1] < len(pieces) // 2:
        raise InconclusiveError(
            f"only {counts[1]} of {len(pieces)} windows are there while the TA is open"
        )
    left = search(after, pieces)
    detail = f"{len(left)} of {len(pieces)} windows of the weights found after closing"
    if left:
        detail += f", the first at {qemu.SECURE_RAM_BASE + left[0]:#x}"
    return Outcome(
        passed=not left,
        detail=detail,
        figures={
            "windows": len(pieces),
            "found_before": counts[0],
            "found_open": counts[1],
            "found_after": len(left),
            "searched_bytes": len(after),
        },
    )


def snapshot(guest: Guest) -> bytes:
    """All of secure RAM; the guest goes on afterwards."""
    content = guest.secure_ram()
    guest.cont()
    return content


def open_session(guest: Guest) -> None:
    """Start a client that infers and then keeps its session open for some seconds."""
    infer = f"tessera_dnn infer {MODEL} {ONE_IMAGE} /tmp/o --hold-open {_HOLD_SECONDS}"
    guest.run(f"(({infer}) >{_LOG} 2>&1; echo $? >{_STATUS}) </dev/null >/dev/null 2>&1 &")
    _poll(guest, f"cat {_LOG} {_STATUS} 2>/dev/null", r"holding|^\d+$", "inferred")


def wait_closed(guest: Guest) -> None:
    """Wait until that client has closed its session; it must have succeeded."""
    status = _poll(guest, f"cat {_STATUS} 2>/dev/null", r"^\d+$", "closed its session")
    if status != "0":
        log = guest.run(f"cat {_LOG}").output.strip()
        raise InconclusiveError(f"tessera_dnn failed with exit code {status}: {log}")


def _poll(guest: Guest, command: str, pattern: str, what: str) -> str:
    """Repeat a guest command until its output matches; returns the match."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        match = re.search(pattern, guest.run(command).output, re.MULTILINE)
        if match is not None:
            return match.group(0)
        time.sleep(0.3)
    raise InconclusiveError(f"the client never {what}")
