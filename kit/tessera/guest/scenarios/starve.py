"""Scenario `starve`: ordinary TAs take all they get; the inference TA must still open and work.

The hog's instances take blocks from 8 MiB down to one page until refused. Then the inference TA
is opened and classifies one digit. The same is done before, without the hog, as a control.
"""

from __future__ import annotations

import re

from tessera.dnn import digits
from tessera.guest.console import RunResult
from tessera.guest.machine import Guest
from tessera.guest.scenarios.bench import (
    MODEL,
    ONE_IMAGE,
    Bench,
    InconclusiveError,
    compare,
    parse_pool,
)
from tessera.results import Outcome

NAME = "starve"
DOC = "With ordinary TAs holding every page that they can get, the inference TA opens and works."
INSTANCES = 4
_OUT = "/tmp/one_logits.f32"
_INFER = f"tessera_dnn infer {MODEL} {ONE_IMAGE} {_OUT}"
_STATISTICS = "xtest --stats --alloc"
_STATUS = re.compile(r"^dnn status (\d+)$", re.MULTILINE)
_HOG = re.compile(r"^hog: instances (\d+) blocks (\d+) bytes (\d+) refusal (0x[0-9a-f]+)", re.M)
OUT_OF_MEMORY = 0xFFFF000C


def trial(bench: Bench) -> Outcome:
    """Fill the memory from ordinary TAs, then infer one digit."""
    with bench.boot(NAME) as guest:
        _control(guest)
        idle = parse_pool(guest.run(_STATISTICS).output)
        guest.run(f"rm -f {_OUT}")
        meanwhile = f"{_STATISTICS}; {_INFER}; echo dnn status $?"
        result = guest.run(f"tessera_hog {INSTANCES} sh -c '{meanwhile}'", timeout=180)
        figures = _hog_figures(result, idle)
        works, why = _judge(guest, result)
    if works:
        detail = f"opened and inferred while ordinary TAs held {_mib(figures['hog_bytes'])}"
    else:
        detail = f"{why} while ordinary TAs held {_mib(figures['hog_bytes'])}"
    return Outcome(works, detail, figures)


def _control(guest: Guest) -> None:
    """Without the hog the same inference must work, or the trial says nothing."""
    result = guest.run(_INFER)
    if result.status != 0:
        raise InconclusiveError(f"inference fails even without the hog: {result.output.strip()}")


def _hog_figures(result: RunResult, idle: tuple[int, int] | None) -> dict[str, float]:
    hog = _HOG.search(result.output)
    if hog is None:
        raise InconclusiveError(f"the hog did not work: {result.output.strip()[-300:]}")
    instances, blocks, taken = (int(hog.group(place)) for place in (1, 2, 3))
    if int(hog.group(4), 16) != OUT_OF_MEMORY or blocks == 0:
        raise InconclusiveError(f"the hog was not refused memory: {hog.group(0)}")
    figures: dict[str, float] = {
        "hog_instances": instances,
        "hog_blocks": blocks,
        "hog_bytes": taken,
    }
    starved = parse_pool(result.output)
    if idle is not None and starved is not None:
        figures["pool_bytes"] = starved[1]
        figures["pool_allocated_idle"] = idle[0]
        figures["pool_allocated_starved"] = starved[0]
    return figures


def _judge(guest: Guest, result: RunResult) -> tuple[bool, str]:
    """Whether the inference TA worked, and if not, why: only out-of-memory is the defect."""
    status = _STATUS.search(result.output)
    if status is None:
        raise InconclusiveError(f"no answer of tessera_dnn: {result.output.strip()[-300:]}")
    if int(status.group(1)) != 0:
        if f"{OUT_OF_MEMORY:#x}" in result.output.partition("hog:")[2].partition("\n")[2]:
            return False, "refused: out of memory"
        raise InconclusiveError(f"tessera_dnn failed otherwise: {result.output.strip()[-300:]}")
    images, _labels = digits.held_out()
    if not compare(guest.read_file(_OUT), images[:1]).holds:
        return False, "opened, but gave a wrong answer"
    return True, ""


def _mib(size: float) -> str:
    return f"{size / 1024 / 1024:.1f} MiB"
