"""The arena planner on instances in a folder: height, gap, time; quick rules and a peer beside it.

Goal: for every `NAME.CAPACITY.csv` the height reached, the bound, nodes, seconds on the clock and
of the processor, as JSON; every plan goes through the certificate. With `--minimalloc PROGRAM` the
same instances are given to that program in the same run; `ratio` is its time of the processor by
ours.
Non-goals: judging: no exit code depends on a time. The instances are not part of this repository.

Example: `python verification/bench/arena.py --instances FOLDER --seconds 60 -o out/arena.json`
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tessera.plan.arena import Budget, plan_arena
from tessera.plan.arena.csv_file import Table, read_csv
from tessera.plan.arena.document import plan_document
from tessera.plan.certificate.arena import Claim, Row, certify, read_plan
from tessera.report.files import write_json

_NAMED = re.compile(r"(?P<name>.+)\.(?P<capacity>[0-9]+)\.csv")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--instances", type=Path, required=True, help="of NAME.CAPACITY.csv")
    parser.add_argument("--nodes", type=int, default=1 << 40, help="per instance")
    parser.add_argument("--seconds", type=float, default=60.0, help="per instance, by the clock")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--below", action="store_true", help="go on below the capacity")
    parser.add_argument("--minimalloc", type=Path, help="its program, built by hand")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/arena.json"))
    chosen = parser.parse_args()
    load_at_start = os.getloadavg()[0]
    rows = []
    for file in sorted(chosen.instances.glob("*.csv")):
        named = _NAMED.fullmatch(file.name)
        if named is None:
            continue
        row = measured(file, int(named["capacity"]), chosen)
        rows.append(row)
        print(*(f"{k}={v}" for k, v in row.items() if k != "rules"), sep="  ", flush=True)
    document = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "load_at_start": load_at_start,
        "seed": chosen.seed,
        "instances": rows,
    }
    write_json(chosen.output, document)
    sys.exit(0 if rows and all(row["checked"] for row in rows) else 1)


def measured(file: Path, capacity: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """One instance: ours, and the peer where there is one."""
    table = read_csv(file)
    wall, processor = time.perf_counter(), time.process_time()
    plan = plan_arena(
        table.buffers,
        good_enough=0 if chosen.below else capacity,
        budget=Budget(chosen.nodes, chosen.seconds),
        seed=chosen.seed,
    )
    row: dict[str, Any] = {
        "name": file.name,
        "buffers": len(table.buffers),
        "capacity": capacity,
        "height": plan.height,
        "fits": plan.height <= capacity,
        "bound": plan.bound,
        "gap": round(plan.gap, 5),
        "seconds": round(time.perf_counter() - wall, 2),
        "processor_seconds": round(time.process_time() - processor, 2),
        "nodes": plan.nodes,
        "restarts": plan.restarts,
        "core": plan.core,
        "checked": certify(*read_plan(plan_document(plan))).holds,
        "rules": dict(plan.rules),
    }
    if chosen.minimalloc is not None:
        row["minimalloc"] = peer(chosen.minimalloc, file, table, capacity, chosen.seconds)
        theirs, ours = row["minimalloc"].get("processor_seconds"), row["processor_seconds"]
        row["ratio"] = round(theirs / ours, 1) if theirs and ours else None
    return row


def peer(program: Path, file: Path, table: Table, capacity: int, seconds: float) -> dict[str, Any]:
    """The peer on the same file; its answer goes through our certificate."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.csv"
        words = [str(program), f"--capacity={capacity}", f"--input={file}", f"--output={out}"]
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(words, capture_output=True, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            return {"solved": False, "seconds": seconds}
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        solved = done.returncode == 0 and out.exists() and out.stat().st_size > 0
        offsets = dict(read_csv(out).offsets) if solved else {}
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    known = solved and offsets.keys() == {b.name for b in table.buffers}
    height = max((offsets[b.name] + b.size for b in table.buffers), default=0) if known else None
    rows = [
        Row(b.name, b.lower, b.upper, b.size, b.alignment, offsets[b.name])
        for b in (table.buffers if known else ())
    ]
    return {
        "solved": height is not None and certify(rows, Claim(capacity, height)).holds,
        "height": height,
        "seconds": round(time.perf_counter() - wall, 2),
        "processor_seconds": round(spent, 2),
    }


if __name__ == "__main__":
    main()
