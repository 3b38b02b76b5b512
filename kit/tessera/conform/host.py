"""The tier `host`: the tree's C runs on this machine beside the simulator.

Goal: `run`, the checks of this tier.
Non-goals: proofs about the C (see the tiers `smt` and `cbmc`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tessera.conform.hostpool import HostPool, build
from tessera.conform.pool_replay import PoolRun
from tessera.conform.prepared import Prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options
from tessera.lang.typed import Spec
from tessera.model.boundaries import boundaries
from tessera.model.script import Event, Script, Value
from tessera.model.simulator import Simulator
from tessera.model.values import elements
from tessera.model.world import draw_world, sizes_of

STEPS = 400
EPISODE = 60
_DRAWS = 40


def run(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
    """The checks of this tier."""
    with tempfile.TemporaryDirectory(prefix="tessera-host-") as scratch:
        pool = build(ready.root, Path(scratch))
        yield _replayed(spec, pool, options)


def _replayed(spec: Spec, pool: HostPool, options: Options) -> Check:
    """Random runs of the simulator, taken again by the C."""
    began = time.perf_counter()
    steps = asked = runs = 0
    rng = Random(options.seed)
    said = ""
    while steps < min(options.operations, STEPS) and not said:
        done = PoolRun(spec, _random_script(spec, rng), pool).take()
        steps, asked, runs = steps + done.steps, asked + done.asked, runs + 1
        said = done.differs
    counts = {"operations": steps, "requests": asked, "runs": runs}
    detail = said or f"{steps} steps of the simulator, {asked} requests: the same offsets"
    seconds = time.perf_counter() - began
    verdict = "DIFFERS" if said else "AGREES"
    return Check("host", "host/lockstep/one-pool", verdict, detail, counts, seconds)


def _random_script(spec: Spec, rng: Random) -> Script:
    """A run of the page pool with the configured parameters, in a pool of 4 to 3000 granules."""
    sizes = sizes_of(spec, {name: param.value for name, param in spec.params.items()})
    sizes.values["pool_pages"] = rng.choice((4, 17, 48, 2730, 3000))
    simulator = Simulator(spec, draw_world(spec, sizes, rng))
    events: list[Event] = []
    for _ in range(EPISODE):
        event = _draw(spec, simulator, rng)
        if event is not None:
            simulator.fire(event)
            events.append(event)
    return Script(simulator.world, tuple(events))


def _draw(spec: Spec, simulator: Simulator, rng: Random) -> Event | None:
    action = rng.choice([a for a in spec.actions if a.name != "write"])
    marks = boundaries(simulator)
    for _ in range(_DRAWS if action.params else 1):
        args: dict[str, Value] = {}
        for param in action.params:
            values = elements(param.type, spec, simulator.world)
            args[param.name] = rng.choice(values or [*marks, *range(1, 9)])
        choices = simulator.enabled(action.name, args, rng)
        if choices is not None:
            return Event(action.name, args, choices)
    return None
