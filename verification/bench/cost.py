"""What the policy costs: instructions and bytes, OP-TEE with it beside OP-TEE without it.

Goal: the rows of the scenario `cost` as JSON, with the versions that they were measured with.
Non-goals: time, and judging: no exit code depends on a figure, only on whether both were counted.

Example: `python verification/bench/cost.py --runs 5 -o out/cost.json`
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tessera import resources
from tessera.guest import validation
from tessera.guest.scenarios import cost
from tessera.lang import load
from tessera.report.files import write_json


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--spec", default="priority")
    parser.add_argument("--tree", type=Path, help="an OP-TEE tree; else the guest's")
    parser.add_argument("--runs", type=int, default=cost.RUNS)
    parser.add_argument("-o", "--output", type=Path, default=Path("out/cost.json"))
    chosen = parser.parse_args()
    began, load_at_start = time.perf_counter(), os.getloadavg()[0]
    shown = validation.validate(
        load(resources.find_spec(Path(chosen.spec))),
        tree=chosen.tree,
        names=(f"{cost.NAME}:{chosen.runs}",),
        progress=lambda message: print(message, file=sys.stderr, flush=True),
    )
    (scenario,) = shown.scenarios
    document = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "load_at_start": load_at_start,
        "seconds": round(time.perf_counter() - began, 1),
        "spec": chosen.spec,
        "versions": shown.versions,
        "scenario": asdict(scenario),
    }
    write_json(chosen.output, document)
    for row in scenario.costs:
        print(*(f"{k}={v}" for k, v in asdict(row).items()), sep="  ")
    sys.exit(0 if scenario.met else 1)


if __name__ == "__main__":
    main()
