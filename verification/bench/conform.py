"""How fast the lockstep on the host is, and many millions of operations of it.

Goal: operations per second of the fast loop, with sanitizers and without, per group of pools, and
of the C beside the simulator; ten million operations of the fast loop; with `--blocks` the
seconds and memory of the model checker. Writes JSON; the figure that we aim for stands beside.
Non-goals: judging (no exit code depends on a time), except that a difference ends with exit code 1.

Example: `python verification/bench/conform.py --operations 10000000 -o out/conform.json`
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from tessera import resources
from tessera.conform import cbmc
from tessera.conform.draw import Drawer
from tessera.conform.hostbuild import build
from tessera.conform.hostlink import Program
from tessera.conform.lockstep import Lockstep
from tessera.conform.prepared import prepared
from tessera.conform.tiers import Options
from tessera.conform.worlds import GROUPS, Setting, setting_of, setting_text, worlds_of
from tessera.guest import toolchain
from tessera.lang import load
from tessera.report.files import write_json

AIM = 100_000  # operations per second of the fast loop, sanitizers off
Row = dict[str, Any]
_COUNTED = {"AGREES": "agree", "DIFFERS": "differ", "UNKNOWN": "unknown", "SKIPPED": "skipped"}


def raced(program: Program, many: int, seed: int) -> Row:
    """One run of the fast loop; seconds on the clock and of the processor."""
    began, used = time.perf_counter(), _processor()
    done = program.race(many, seed)
    clock, spent = time.perf_counter() - began, _processor() - used
    return {
        "operations": done.taken,
        "requests": done.requests,
        "refused": done.refused,
        "failures": done.injected,
        "differs": done.differs,
        "seconds": round(clock, 2),
        "processor_seconds": round(spent, 2),
        "per_second": round(done.taken / clock),
        "per_processor_second": round(done.taken / spent),
    }


def stepwise(program: Program, setting: Setting, group: str, many: int, seed: int) -> Row:
    """The C beside the simulator, in all worlds of a group."""
    rng, taken, said = Random(seed), 0, ""
    worlds = worlds_of(setting.spec, group)
    began = time.perf_counter()
    for number, world in enumerate(worlds):
        with Lockstep(program, setting, world, number) as both:
            for op in Drawer(both, rng).ops(many // len(worlds)):
                said = said or both.step(op)
            said = said or both.end()
            taken += both.taken
    clock = time.perf_counter() - began
    return {
        "operations": taken,
        "differs": said,
        "seconds": round(clock, 2),
        "per_second": round(taken / clock),
    }


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(spec: str, tree: Path, many: int, seed: int) -> list[Row]:
    """All rows: what ran, in which pools, and how fast."""
    setting = setting_of(load(resources.find_spec(spec)))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch, prepared(setting.spec, tree) as ready:
        paths = {}
        for guests, name in ((g, n) for g in (False, True) for n in ("sanitized", "fast")):
            began = time.perf_counter()
            sanitized = name == "sanitized"
            made = build(ready.root, Path(scratch), sanitized=sanitized, guests=guests)
            paths[guests, name] = made
            seconds = round(time.perf_counter() - began, 2)
            rows.append({"what": f"compile {name}", "guests": guests, "seconds": seconds})
        for number, group in enumerate(GROUPS):
            file = Path(scratch, f"{group}.setting")
            file.write_text(setting_text(setting, worlds_of(setting.spec, group)), encoding="utf-8")
            share = many // len(GROUPS) + (many % len(GROUPS) if number == 0 else 0)
            guests = group == "guests"
            fast = Program(paths[guests, "fast"], file)
            slow = Program(paths[guests, "sanitized"], file)
            head = {"pools": group}
            rows.append({"what": "loop", "aim": AIM} | head | raced(fast, share, seed))
            rows.append({"what": "loop with sanitizers"} | head | raced(slow, share // 10, seed))
            beside = stepwise(slow, setting, group, 400, seed)
            rows.append({"what": "beside the simulator"} | head | beside)
    return rows


def checked(spec: str, tree: Path, blocks: int) -> list[Row]:
    """Seconds and memory of the model checker, per operation; one row that says so without it.

    `agree`, `differ`, `unknown` and `skipped` count the checks; `differs` and `open` name those
    that do not agree.
    """
    loaded = load(resources.find_spec(spec))
    sums: dict[str, Row] = {}
    with prepared(loaded, tree) as ready:
        for check in cbmc.run(loaded, ready, Options(blocks=blocks)):
            name = check.name.split("/")[1] if "/" in check.name else check.verdict
            row = sums.setdefault(
                name,
                {"what": "cbmc", "operation": name, "blocks": blocks}
                | dict.fromkeys(("checks", "agree", "differ", "unknown", "skipped"), 0)
                | dict.fromkeys(("runs", "seconds", "mebibytes"), 0)
                | dict.fromkeys(("differs", "open"), ""),
            )
            row["checks"] += 1
            row[_COUNTED[check.verdict]] += 1
            if check.verdict == "DIFFERS":
                row["differs"] = f"{row['differs']} {check.name}".strip()
            elif check.verdict == "UNKNOWN":
                row["open"] = f"{row['open']} {check.name}: {check.detail}".strip()
            row["runs"] += check.counts.get("runs", 0)
            row["seconds"] = round(row["seconds"] + check.seconds, 1)
            row["mebibytes"] = max(row["mebibytes"], check.counts.get("mebibytes", 0))
    return list(sums.values())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--spec", default="priority")
    parser.add_argument("--tree", type=Path, help="an OP-TEE tree; else the guest's")
    parser.add_argument("--operations", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blocks", type=int, help="measure the tier cbmc too, with so many")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/conform.json"))
    chosen = parser.parse_args()
    tree = chosen.tree or toolchain.require().optee_source
    rows = measure(chosen.spec, tree, chosen.operations, chosen.seed)
    if chosen.blocks is not None:
        rows += checked(chosen.spec, tree, chosen.blocks)
    document = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "load_at_start": os.getloadavg()[0],
        "spec": chosen.spec,
        "seed": chosen.seed,
        "rows": rows,
    }
    write_json(chosen.output, document)
    for row in rows:
        print(*(f"{k}={v}" for k, v in row.items()), sep="  ")
    sys.exit(1 if any(row.get("differs") for row in rows) else 0)


if __name__ == "__main__":
    main()
