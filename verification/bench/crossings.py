"""Where the instructions of a sealed inference go: per byte, per block, per call, and the program.

Goal: one network at several budgets, cut into blocks of several sizes, handed over through windows
of several sizes, all in one booted guest; what an inference takes beyond the same program in the
clear (models/dnn/bare) is fitted, by least squares, as a constant and so much per call, per block
and per byte.
Non-goals: time; answers (`sealed.py` compares them).

Example: `python verification/bench/crossings.py lenet_digits -o out/crossings.json`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import instructions as board
import numpy as np
from sealed import MASTER, SEED, Package, network, samples, say, sent

from tessera.cli.sizes import size_of
from tessera.guest import sealed
from tessera.package.file import to_bytes
from tessera.package.pack import Packing, pack
from tessera.package.seal import seal
from tessera.plan.graph import Array
from tessera.plan.network import plan_network
from tessera.report.files import write_json

NAMES = ("constant", "per_call", "per_block", "per_byte")
WINDOWS = (256 * 1024, 72 * 1024, 16 * 1024)
CHUNKS = (65536, 4096, 1024)


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
    for row in document["rows"]:
        print(*(f"{k}={v}" for k, v in row.items()), sep="  ")
    print(document["fit"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
