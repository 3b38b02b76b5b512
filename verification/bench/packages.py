"""Packages of the zoo run by the C executor on this machine, beside the reference, as JSON.

Goal: for every network, float32 and int8, at two budgets: what a package holds, what one inference
takes (blocks, bytes, instructions, seconds of one core), and how far its outputs are from the
reference executor's. int8 networks also give out the integers before their last float32 ops, which
have to be equal to the bit; float32 outputs are compared in units, the spacing of float32 at the
largest output. The order in which blocks are taken has to be the package's feed.
Non-goals: sealing (the driver takes packages in the clear), the secure world.

Exit code 1 when integers differ, or floats by more than `--units`.

Example: `python verification/bench/packages.py mobilenet_v1 -o out/packages.json`
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tessera import resources
from tessera.package.contents import Contents
from tessera.package.pack import Packing, pack
from tessera.plan import zoo
from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph
from tessera.plan.network import plan_network
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.candidates import Space
from tessera.report.files import write_json

BUDGETS = {
    "float32": (8 << 20, 3 << 20),
    "int8": (4 << 20, 1 << 20),
}
SMALL = {"lenet_digits": (128 << 10, 16 << 10)}
UNITS = 64.0
SEED = 11


@dataclass(frozen=True, slots=True)
class Ran:
    """What the driver made: outputs, counters of both parts, the order of the blocks."""

    outputs: tuple[Array, ...]
    once: Mapping[str, Any]
    each: Mapping[str, Any]


def build(folder: Path, flags: str = "-O2", *, fused: bool = False) -> Path:
    """The driver, compiled from models/dnn/host; `fused` products in float32 give other bits."""
    source = resources.path("models/dnn/host")
    words = ["make", "-s", "-C", str(source), f"O={folder.resolve()}", f"CFLAGS={flags}"]
    words += ["FUSED=1"] if fused else []
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return folder / "tessera_plain"


def execute(
    program: Path, contents: Contents, graph: Graph, inputs: Mapping[str, Array], times: int = 1
) -> Ran:
    """The package run on inputs; the counters are those of the last inference."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "package").write_bytes(contents.dump_plain())
        words: list[str | Path] = [program, folder / "package", "--trace", "--times", str(times)]
        for index, one in enumerate(graph.inputs):
            (folder / f"in{index}").write_bytes(np.ascontiguousarray(inputs[one]).tobytes())
            words += ["--in", folder / f"in{index}"]
        for index in range(len(graph.outputs)):
            words += ["--out", folder / f"out{index}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{done.stderr}{done.stdout[-200:]}")
        said = json.loads(done.stdout)
        outputs = []
        for index, one in enumerate(graph.outputs):
            tensor = graph.tensors[one]
            data = (folder / f"out{index}").read_bytes()
            outputs.append(np.frombuffer(data, tensor.dtype.numpy).reshape(tensor.shape))
    return Ran(tuple(outputs), said["once"], said["inferences"][-1])


def units(made: Array, reference: Array) -> float:
    """The largest difference in spacings of float32 at the largest value of the reference."""
    largest = np.abs(reference).max()
    unit = float(np.spacing(np.float32(largest)))
    difference = np.abs(made.astype(np.float64) - reference.astype(np.float64)).max()
    return float(difference) / unit


def with_integers(graph: Graph) -> Graph:
    """The graph that also gives out the integers which its float32 outputs are made from."""
    makers, found = graph.producers(), list(graph.outputs)
    for name in graph.outputs:
        while graph.tensors[name].dtype.bytes != 1 and name in makers:
            name = makers[name].inputs[0]  # noqa: PLW2901 - the walk back
        if graph.tensors[name].dtype.bytes == 1 and name not in found:
            found.append(name)
    return replace(graph, outputs=tuple(found))


def measure(program: Path, name: str, kind: str, budget: int, compress: bool) -> dict[str, Any]:
    """One network at one budget."""
    words = "digits" if name == "lenet_digits" else None
    int8 = Calibration(words, 2, SEED) if kind == "int8" else None
    graph = prepared(zoo.build(name), int8)
    graph = graph if int8 is None else with_integers(graph)
    start = time.process_time()
    plan = plan_network(graph, budget, space=Space(packed=compress))
    planned = time.process_time()
    contents = pack(graph, plan, Packing(name, compress=compress)).contents
    packed = time.process_time()
    inputs = zoo.sample(graph, SEED)
    ran = execute(program, contents, graph, inputs)
    reference = run(graph, inputs)
    floats, equal = [], []
    for one, made in zip(graph.outputs, ran.outputs, strict=True):
        if made.dtype == np.float32:
            floats.append(units(made, reference[one]))
        else:
            equal.append(bool((made == reference[one]).all()))
    codes = len(contents.manifest.code)
    return {
        "name": name,
        "kind": kind,
        "compressed": compress,
        "budget": budget,
        "arena": contents.manifest.arena,
        "steps": len(plan.steps),
        "plan_seconds": round(planned - start, 2),
        "pack_seconds": round(packed - planned, 2),
        "blocks": len(contents.blocks),
        "code_bytes": sum(contents.manifest.code),
        "stored_bytes": sum(map(len, contents.blocks[1 + codes :])),
        "once_bytes": sum(len(contents.blocks[k]) for k in contents.once),
        "inference_blocks": len(contents.each),
        "inference_bytes": sum(len(contents.blocks[k]) for k in contents.each),
        "instructions": ran.each["instructions"],
        "seconds": ran.each["cpu_seconds"],
        "feed_kept": [*ran.once["order"], *ran.each["order"]] == [*contents.once, *contents.each],
        "units": max(floats, default=0.0),
        "integers_equal": all(equal) if equal else None,
    }


def holds(row: Mapping[str, Any], most: float) -> bool:
    """Whether a row is as it should be."""
    return bool(row["feed_kept"]) and row["integers_equal"] is not False and row["units"] <= most


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", default=list(zoo.NAMES), help="of the zoo")
    parser.add_argument("--kind", choices=tuple(BUDGETS), action="append")
    parser.add_argument("--compressed", action="store_true", help="weights packed as well")
    parser.add_argument("--units", type=float, default=UNITS, help="most of a float32 output")
    parser.add_argument("--flags", default="-O2", help="of the C compiler")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/packages.json"))
    given = parser.parse_args(words)
    rows: list[dict[str, Any]] = []
    document = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "load_at_start": os.getloadavg()[0],
        "flags": given.flags,
        "units_allowed": given.units,
        "rows": rows,
    }
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder), given.flags)
        for name in given.names:
            for kind in given.kind or BUDGETS:
                for budget in SMALL.get(name, BUDGETS[kind]):
                    rows.append(measure(program, name, kind, budget, given.compressed))
                    print(json.dumps(rows[-1]), flush=True)
                    # Written after each, so that a run that is ended leaves what it has.
                    write_json(given.output, document)
    return 0 if all(holds(one, given.units) for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
