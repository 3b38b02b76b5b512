"""Where the instructions of a sealed inference go: per byte, per block, per call, and the program.

Goal: one network at several budgets, cut into blocks of several sizes, handed over through windows
of several sizes, all in one booted guest; what an inference takes beyond the same program in the
clear (models/dnn/bare) is fitted, by least squares, as a constant and so much per call, per block
and per byte. With --samples also in which functions of OP-TEE's core the processor is, at that many
moments of one run.
Non-goals: time; answers (`sealed.py` compares them).

Example: `python verification/bench/crossings.py lenet_digits -o out/crossings.json`
"""

from __future__ import annotations

import argparse
import bisect
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import instructions as board
import numpy as np
from sealed import MASTER, SEED, Package, network, samples, say, sent

from tessera.cli.sizes import size_of
from tessera.guest import sealed
from tessera.guest.machine import Guest
from tessera.guest.optee import CROSS
from tessera.package.file import to_bytes
from tessera.package.pack import Packing, pack
from tessera.package.seal import seal
from tessera.plan.graph import Array
from tessera.plan.network import plan_network
from tessera.report.files import write_json

NAMES = ("constant", "per_call", "per_block", "per_byte")
WINDOWS = (256 * 1024, 72 * 1024, 16 * 1024)
CHUNKS = (65536, 4096, 1024)
_PC = re.compile(r"\bPC=([0-9a-f]{16}).*?EL(\d)", re.DOTALL)


def fit(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Least squares of `beyond` over calls, blocks and bytes, and the furthest row's distance.

    Raises `ValueError` where the rows do not tell the four apart.
    """
    x = np.array([[1, row["calls"], row["blocks"], row["bytes"]] for row in rows], dtype=float)
    y = np.array([row["beyond"] for row in rows], dtype=float)
    scale = x.max(axis=0)
    found, _, rank, _ = np.linalg.lstsq(x / scale, y, rcond=1e-9)
    if rank < len(NAMES):
        raise ValueError("too few different packages and windows")
    found = found / scale
    off = float(np.abs(x @ found - y).max())
    return {**dict(zip(NAMES, map(float, found), strict=True)), "furthest": off}


def made(name: str, budgets: Sequence[int], chunks: Sequence[int]) -> dict[str, Package]:
    """Packages by file name."""
    graph, found = network(name, int8=False), {}
    for budget in budgets:
        plan = plan_network(graph, budget)
        for chunk in chunks:
            contents = pack(graph, plan, Packing(name, chunk=chunk)).contents
            found[f"{budget}-{chunk}.tsp"] = Package(graph, plan, contents)
    return found


def measured(
    device: sealed.Device, found: Mapping[str, Package], plain: Mapping[str, int], count: int
) -> list[dict[str, Any]]:
    """A row per package and window that holds its blocks."""
    rows = []
    for name, package in found.items():
        for window in WINDOWS:
            if window < package.contents.manifest.chunk + 16:
                continue
            say(f"{name} through {window:,} bytes")
            command = f"tessera_sealed run /data/{name} /data/inputs.raw /tmp/o --window {window}"
            figures, taken = sealed.parse_figures(device.do(command))
            least = 1000 * min(taken)
            row = {"package": name, "window": window, **sent(package, window)}
            assert figures["steps"] == row["once_calls"] + count * row["calls"], figures
            row |= {"instructions": least, "plain": plain[name], "beyond": least - plain[name]}
            rows.append(row)
    return rows


# --- where the processor is -----------------------------------------------------------------------


def symbols(elf: Path) -> tuple[list[int], list[str]]:
    """Addresses of functions, in order, and their names."""
    words = [f"{CROSS}nm", "--numeric-sort", str(elf)]
    rows = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [row.split() for row in rows]
    functions = [(int(one[0], 16), one[2]) for one in found if len(one) == 3 and one[1] in "tT"]
    return [at for at, _ in functions], [name for _, name in functions]


def place(registers: str, at: Sequence[int], names: Sequence[str], end: int) -> str:
    """What is run at a moment: a function of the core, `user` (TA or program), or `other`."""
    seen = _PC.search(registers)
    if seen is None:
        return "other"
    counter, level = int(seen[1], 16), int(seen[2])
    if level == 0:
        return "user"
    index = bisect.bisect_right(at, counter) - 1
    return names[index] if level == 1 and index >= 0 and counter < end else "other"


def profile(device: sealed.Device, elf: Path, name: str, count: int) -> dict[str, int]:
    """At `count` moments of runs of a package: how often the processor was where."""
    at, names = symbols(elf)
    command = f"tessera_sealed run /data/{name} /data/inputs.raw /tmp/o"
    counted: Counter[str] = Counter()
    over = threading.Event()

    def run() -> None:
        try:
            device.do(f"i=0; while [ $i -lt 12 ]; do {command}; i=$((i+1)); done")
        finally:
            over.set()

    thread = threading.Thread(target=run)
    thread.start()
    guest: Guest = device.guest
    while not over.is_set() and counted.total() < count:
        time.sleep(0.01)
        told = guest.registers()
        counted[place(told, at, names, at[-1] + 65536)] += 1
    thread.join()
    return dict(counted.most_common())


def in_the_clear(found: Mapping[str, Package], one: Array) -> dict[str, int]:
    """Instructions of an inference on the board, by file name."""
    with tempfile.TemporaryDirectory() as folder:
        program = board.build(Path(folder))
        return {
            name: board.execute(program, package.contents, [one])["inference"]
            for name, package in found.items()
        }


def largest(found: Mapping[str, Package]) -> sealed.Needs:
    """What all of them together ask of a heap."""
    parts = ("arena", "chunk", "manifest")
    needs = [one.needs for one in found.values()]
    return sealed.Needs(*(max(getattr(one, part) for one in needs) for part in parts))


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", nargs="?", default="lenet_digits", help="of the zoo")
    parser.add_argument("--budgets", nargs="+", default=["64KiB", "96KiB", "128KiB", "512KiB"])
    parser.add_argument("--inferences", type=int, default=3, help="the least of them is told")
    parser.add_argument("--samples", type=int, default=0, help="moments at which to look")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/crossings.json"))
    given = parser.parse_args(words)
    budgets = [size_of(one, "--budgets") for one in given.budgets]
    found = made(given.model, budgets, CHUNKS)
    first = next(iter(found.values()))
    inputs = samples(first.graph, given.inferences)
    say("all of them in the clear")
    plain, needs = in_the_clear(found, inputs[0]), largest(found)
    files = {f"/data/{name}": to_bytes(seal(one.contents, MASTER)) for name, one in found.items()}
    core = sealed.built(needs, patched=True, tree=None, progress=say)
    raw = b"".join(np.ascontiguousarray(one).tobytes() for one in inputs)
    document: dict[str, Any] = {"model": given.model, "seed": SEED, "unit": "instructions"}
    with sealed.boot(
        *(core, next(iter(files.values())), needs, MASTER, raw),
        counting=True,
        more=files,
        log_folder=given.output.parent / "guest",
    ) as device:
        document["rows"] = measured(device, found, plain, given.inferences)
        document["fit"] = fit(document["rows"])
        write_json(given.output, document)
        if given.samples:
            document["samples"] = profile(device, core.elf, next(iter(files))[6:], given.samples)
            write_json(given.output, document)
    for row in document["rows"]:
        print(*(f"{k}={v}" for k, v in row.items()), sep="  ")
    print(document["fit"], document.get("samples", ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
