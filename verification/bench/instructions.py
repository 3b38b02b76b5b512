"""Instructions of an emulated Arm processor for one inference of a package, by operation, as JSON.

Goal: where the instructions of the runtime go, exactly, on any machine: a package of the zoo runs
in the clear on a board without an operating system (models/dnn/bare) under `-icount shift=0`.
Non-goals: time, decryption, the cost of worlds; right answers (`packages.py` compares them).

Needs qemu-system-aarch64 and gcc for aarch64.

Example: `python verification/bench/instructions.py mobilenet_v1 --int8 --budget 4194304`
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tessera import resources
from tessera.package.code import KINDS
from tessera.package.contents import Contents
from tessera.package.pack import Packing, pack
from tessera.plan import zoo
from tessera.plan.graph import Array
from tessera.plan.network import plan_network
from tessera.plan.prepare import Calibration, prepared
from tessera.report.files import write_json

BUDGET = 8 << 20
SEED = 11
BOARD = ("-M", "virt", "-cpu", "cortex-a57", "-m", "512", "-nographic", "-nic", "none")
COUNTED = ("-semihosting", "-icount", "shift=0")
LIMIT = 1800
"""Seconds after which the emulator is ended."""


def build(folder: Path) -> Path:
    """The driver of the board."""
    source = resources.path("models/dnn/bare")
    words = ["make", "-s", "-C", str(source), f"O={folder.resolve()}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return folder.resolve() / "tessera_bare.elf"


def execute(board: Path, contents: Contents, inputs: Sequence[Array]) -> dict[str, Any]:
    """What one inference takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "package").write_bytes(contents.dump_plain())
        for index, one in enumerate(inputs):
            (folder / f"in{index}").write_bytes(np.ascontiguousarray(one).tobytes())
        words = ["qemu-system-aarch64", *BOARD, *COUNTED, "-kernel", str(board)]
        done = subprocess.run(words, cwd=folder, capture_output=True, timeout=LIMIT, check=False)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr.decode()}")
        counters = struct.unpack("<10Q", (folder / "counters").read_bytes())
        raw = np.frombuffer((folder / "operations").read_bytes(), "<u8").reshape(-1, 2)
    by_operation = {
        KINDS[number].__name__: {"times": int(times), "instructions": int(taken)}
        for number, (times, taken) in enumerate(raw)
        if times
    }
    return {"once": counters[4], "inference": counters[9], "operations": by_operation}


def measure(board: Path, name: str, int8: bool, budget: int) -> dict[str, Any]:
    """One network at one budget."""
    words = "digits" if name == "lenet_digits" else None
    graph = prepared(zoo.build(name), Calibration(words, 2, SEED) if int8 else None)
    contents = pack(graph, plan_network(graph, budget), Packing(name)).contents
    sample = zoo.sample(graph, SEED)
    taken = execute(board, contents, [sample[one] for one in graph.inputs])
    kind = "int8" if int8 else "float32"
    return {"name": name, "kind": kind, "budget": budget, "unit": "instructions", **taken}


def show(row: dict[str, Any]) -> None:
    """A row as a table."""
    print(
        f"{row['name']} {row['kind']}, {row['budget']:,} bytes: {row['inference']:,} instructions"
    )
    for name, one in sorted(row["operations"].items(), key=lambda item: -item[1]["instructions"]):
        print(f"  {name:<16}{one['times']:>7,}{one['instructions']:>16,}", flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", default=list(zoo.NAMES), help="of the zoo")
    parser.add_argument("--int8", action="store_true", help="quantise first")
    parser.add_argument("--budget", type=int, default=BUDGET, help="bytes of the arena")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/instructions.json"))
    given = parser.parse_args(words)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        board = build(Path(folder))
        for name in given.names:
            rows.append(measure(board, name, given.int8, given.budget))
            show(rows[-1])
            write_json(given.output, {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
