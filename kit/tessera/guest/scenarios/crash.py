"""Scenario `crash`: the inference TA panics; its memory comes back, without its weights.

The TA is the inference TA to the letter with one more command, which says where it panics
(`verification/guest/crash`). It panics once its model is loaded, in mid-inference, and once the
result is out; after each the page pools must be as they were. Two controls: a session that does not
panic works, and while it is open the search finds its weights.
"""

from __future__ import annotations

import dataclasses
import re

from tessera import resources
from tessera.dnn import digits
from tessera.guest import layout, poolview, ta
from tessera.guest.machine import Guest
from tessera.guest.scenarios import residue
from tessera.guest.scenarios.bench import MODEL, ONE_IMAGE, Bench, InconclusiveError
from tessera.results import Outcome

NAME = "crash"
DOC = "When the inference TA panics all its memory comes back, with nothing of its weights in it."
DEAD = "0xffff3024"  # TEEC_ERROR_TARGET_DEAD
# What the client is to print: point -> the results of its commands.
POINTS = {
    1: ("arm 0x00000000", f"load {DEAD}"),
    2: ("arm 0x00000000", "load 0x00000000", f"infer {DEAD}"),
    3: ("arm 0x00000000", "load 0x00000000", f"infer {DEAD}"),
}
_NEVER = ("arm 0x00000000", "load 0x00000000", "infer 0x00000000")
_INFERENCE_TA = "2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6.ta"


def with_crash(bench: Bench) -> Bench:
    """The bench with the TA that panics in the inference TA's place, and its client."""
    folder = resources.path("verification/guest/crash")
    dnn = resources.path("models/dnn")
    made = ta.build_ta(bench.build, folder / "ta", [dnn / "ta", dnn / "runtime"])
    others = tuple(path for path in bench.tas if path.name != _INFERENCE_TA)
    shared = [folder / "ta", dnn / "client", dnn / "ta", dnn / "runtime"]
    client = ta.build_client(folder / "client", "tessera_crash", shared)
    files = {**bench.files, "/usr/bin/tessera_crash": client}
    return dataclasses.replace(bench, tas=(made, *others), files=files)


def trial(bench: Bench) -> Outcome:
    """Panic at every point; compare the pools and search the weights after each."""
    place = layout.layout_of(bench.build)
    pieces = residue.windows(digits.model_path().read_bytes())
    left: dict[int, int] = {}
    lost: dict[int, int] = {}
    with with_crash(bench).boot(NAME) as guest:
        if residue.search(residue.snapshot(guest), pieces):
            raise InconclusiveError("the weights were there before the TA was opened")
        pools = poolview.view(place, residue.snapshot(guest))
        for point, expected in POINTS.items():
            _crash(guest, point, expected)
            memory = residue.snapshot(guest)
            after = poolview.view(place, memory)
            left[point] = len(residue.search(memory, pieces))
            lost[point] = poolview.taken(after) - poolview.taken(pools)
            if after != pools and not lost[point]:
                lost[point] = 1  # as much is in use, but not the same
        _crash(guest, 0, _NEVER)
        residue.open_session(guest)
        live = len(residue.search(residue.snapshot(guest), pieces))
        residue.wait_closed(guest)
    if live < len(pieces) // 2:
        raise InconclusiveError(f"only {live} of {len(pieces)} windows are found while it is open")
    figures: dict[str, float] = {"points": len(POINTS), "windows": len(pieces), "found_open": live}
    figures |= {f"found_after_{point}": count for point, count in left.items()}
    figures |= {f"granules_lost_{point}": count for point, count in lost.items()}
    return Outcome(not any(left.values()) and not any(lost.values()), _told(left, lost), figures)


def _told(left: dict[int, int], lost: dict[int, int]) -> str:
    back = "all memory came back" if not any(lost.values()) else f"granules lost: {lost}"
    most = max(left.values())
    stays = f"up to {most} windows of the weights left" if most else "no part of the weights left"
    return f"{len(left)} panics: {back}, {stays}"


def _crash(guest: Guest, point: int, expected: tuple[str, ...]) -> None:
    result = guest.run(f"tessera_crash {point} {MODEL} {ONE_IMAGE}")
    told = tuple(re.findall(r"^(?:arm|load|infer) 0x[0-9a-f]{8}", result.output, re.MULTILINE))
    if result.status != 0 or told != expected:
        raise InconclusiveError(f"point {point} went otherwise: {result.output.strip()[-300:]}")
