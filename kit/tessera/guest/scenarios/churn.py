"""Scenario `churn`: open, infer, close, hundreds of times; pool use comes back to its start."""

from __future__ import annotations

import re

from tessera.guest import layout, poolview
from tessera.guest.machine import Guest
from tessera.guest.scenarios import residue
from tessera.guest.scenarios.bench import MODEL, ONE_IMAGE, Bench, InconclusiveError
from tessera.results import Outcome

NAME = "churn"
DOC = "After hundreds of sessions the page pools are as they were: same blocks, same free runs."
CYCLES = 300
_PARTS = 5  # the largest free run is read so often on the way
_SECONDS = 5.0  # for a cycle, on a loaded machine; it takes a tenth of one
_DONE = re.compile(r"^cycles (\d+)$", re.MULTILINE)


def trial(bench: Bench, cycles: int = CYCLES) -> Outcome:
    """Open, infer and close `cycles` times, and compare the pools' own lists."""
    place = layout.layout_of(bench.build)
    parts = [cycles * (n + 1) // _PARTS - cycles * n // _PARTS for n in range(_PARTS)]
    with bench.boot(NAME) as guest:
        _cycle(guest, 1)  # whatever is set up once and kept is set up now
        pools = [poolview.view(place, residue.snapshot(guest))]
        for part in filter(None, parts):
            _cycle(guest, part)
            pools.append(poolview.view(place, residue.snapshot(guest)))
    free = [poolview.largest_free_run(p) for p in pools]
    used = [poolview.taken(p) for p in pools]
    same = all(p == pools[0] for p in pools)
    told = "as at the start" if same else f"{used[0]} granules at the start, {used[-1]} at the end"
    figures: dict[str, float] = {
        "cycles": cycles,
        "granules_start": used[0],
        "granules_end": used[-1],
        "largest_free_run_start": free[0],
        "largest_free_run_least": min(free),
        "largest_free_run_end": free[-1],
    }
    return Outcome(
        same, f"{cycles} cycles: pool use {told}, {free[-1]} granules free at once", figures
    )


def _cycle(guest: Guest, count: int) -> None:
    result = guest.run(
        f"n=0; while [ $n -lt {count} ]; do tessera_dnn infer {MODEL} {ONE_IMAGE} /tmp/o "
        ">/tmp/l 2>&1 || break; n=$((n + 1)); done; cat /tmp/l; echo; echo cycles $n",
        timeout=30 + count * _SECONDS,
    )
    done = _DONE.search(result.output)
    if done is None or int(done.group(1)) != count:
        raise InconclusiveError(f"inference failed on the way: {result.output.strip()[-300:]}")
