"""Planned packages beside a naive runtime: instructions, seconds and bytes in one run, as JSON.

Goal: what the plan and its runtime give and cost. "Without" is models/dnn/baseline: im2col and
three loops, all layers and weights resident, at -O2 and at -O3. "With" is a package of the same
network at several budgets of memory, run by the executor in the clear. Each does the same input;
every output that is counted is compared with the numpy reference. Instructions: one inference on an
emulated Cortex-A57 (models/dnn/bare). Seconds: processor time of one thread of this machine, the
best of some rounds in which all take turns. There a package is run by three builds of the executor:
the portable one, one for this machine's vectors ("native", which has to give the same bits), and
that with fused products; onnxruntime and ncnn are beside them where they are installed.
Non-goals: decryption, worlds, int8.

The bytes of "with" are the arena and the two buffers of a block beside it; those of "without" the
weights, every layer's output and the unfolded input of the largest convolution.

Needs a C compiler and make; for instructions qemu-system-aarch64 and gcc for aarch64.

Example: `python verification/bench/with_without.py lenet_digits -o out/with_without.json`
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tessera import resources
from tessera.errors import TesseraError
from tessera.package.contents import Contents
from tessera.package.pack import Packing, pack
from tessera.plan import zoo
from tessera.plan.execute import run
from tessera.plan.graph import Array, Graph
from tessera.plan.network import plan_network
from tessera.plan.pictures.canvas import box, bytes_words, svg, text
from tessera.plan.prepare import prepared
from tessera.report.files import write_json, write_text

NAMES = ("lenet_digits", "squeezenet11", "mobilenet_v1", "resnet18")
BUDGETS = (12 << 20, 8 << 20, 4 << 20, 2 << 20)
SMALL = {"lenet_digits": (128 << 10, 64 << 10, 16 << 10)}
LEVELS = ("-O2", "-O3")
BUILDS = {"": ("-O2", False), ", native": ("-O2 -march=native", False)}
BUILDS[", native, fused"] = ("-O2 -march=native", True)
"""Builds of the executor: flags, and whether products and sums may be fused."""
SEED = 11
UNITS = 64.0
"""Most of what a float32 output may be away, in spacings at the largest output."""


def _module(path: str) -> ModuleType:
    """A Python file that no package holds."""
    name = Path(path).stem + "_of_with_without"
    found = importlib.util.spec_from_file_location(name, resources.path(path))
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    sys.modules[name] = made
    found.loader.exec_module(made)
    return made


instructions = _module("verification/bench/instructions.py")
packages = _module("verification/bench/packages.py")
export = _module("models/dnn/baseline/export.py")
peers = _module("verification/bench/peers.py")


@dataclass(frozen=True, slots=True)
class Case:
    """One network, its input, and what the reference makes of it."""

    name: str
    graph: Graph
    x: Array
    reference: Array

    def require(self, made: Array, who: str) -> float:
        """Units that an output is away. Raises `RuntimeError` if these are too many."""
        units = float(packages.units(made.reshape(self.reference.shape), self.reference))
        if not units <= UNITS:
            raise RuntimeError(f"{self.name}, {who}: {units:.1f} units from the reference")
        return units


@dataclass(slots=True)
class Row:
    """One way to run a network. `once` gives its output and processor seconds of an inference."""

    way: str
    bytes: dict[str, int]
    once: Callable[[], tuple[Array, float]]
    instructions: int | None = None
    seconds: float | None = None
    units: float | None = None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "way": self.way,
            "bytes": self.bytes,
            "all_bytes": sum(self.bytes.values()) if self.bytes else None,
            "instructions": self.instructions,
            "seconds": self.seconds,
            "units": self.units,
        }


def make(folder: Path, flags: str, *targets: str) -> Path:
    """The naive runtime built with these flags, in a folder of its own."""
    source = resources.path("models/dnn/baseline")
    output = folder.resolve() / flags.strip("-")
    words = ["make", "-s", "-C", str(source), f"O={output}", f"CFLAGS={flags}", *targets]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return output


def naive(case: Case, folder: Path, flags: str) -> Row:
    """The row of the naive runtime."""
    home = make(folder, flags)
    (home / "network").write_bytes(export.dump(case.graph))
    (home / "in0").write_bytes(case.x.tobytes())
    words = [home / "tessera_baseline", home / "network", "--in", home / "in0"]
    words += ["--out", home / "out"]

    def once() -> tuple[Array, float]:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        said.update(json.loads(done.stdout))
        return np.fromfile(home / "out", "<f4"), float(said["cpu_seconds"][0])

    said: dict[str, Any] = {}
    once()
    kinds = ("weight_bytes", "tensor_bytes", "column_bytes")
    return Row(f"without, {flags}", {one: said[one] for one in kinds}, once)


def naive_instructions(case: Case, folder: Path, flags: str) -> int:
    """Of one inference on the board."""
    home = make(folder, flags, "board")
    board = home / "tessera_baseline.elf"
    words = ["qemu-system-aarch64", *instructions.BOARD, *instructions.COUNTED]
    limit = instructions.LIMIT
    done = subprocess.run(
        [*words, "-kernel", board], cwd=home, capture_output=True, timeout=limit, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the board: exit code {done.returncode}: {done.stderr.decode()}")
    case.require(np.fromfile(home / "out0", "<f4"), f"the board, {flags}")
    return int(struct.unpack_from("<Q", (home / "counters").read_bytes())[0])


def planned(
    case: Case, programs: Mapping[str, Path], budget: int
) -> tuple[list[Row], Contents] | None:
    """The rows of a package, one for each build; None if nothing fits the budget."""
    try:
        plan = plan_network(case.graph, budget)
    except TesseraError as error:
        print(f"{case.name}, {budget:,} bytes: {error.message}", file=sys.stderr)
        return None
    contents = pack(case.graph, plan, Packing(case.name)).contents
    inputs = {case.graph.inputs[0]: case.x}
    exact: set[bytes] = set()

    def once(build: str) -> tuple[Array, float]:
        ran = packages.execute(programs[build], contents, case.graph, inputs, times=2)
        if not BUILDS[build][1]:
            exact.add(ran.outputs[0].tobytes())
        if len(exact) > 1:
            raise RuntimeError(f"{case.name}: the width of vectors changes bits")
        return ran.outputs[0], float(ran.each["cpu_seconds"])

    sizes = {"arena": contents.manifest.arena, "buffers": 2 * contents.manifest.chunk}
    words = f"with {bytes_words(budget)}"
    return [Row(words + one, sizes, partial(once, one)) for one in programs], contents


def others(case: Case) -> tuple[list[Row], dict[str, str]]:
    """Rows of other runtimes, and for those that are missing why; their memory is not looked at."""
    rows: list[Row] = []
    missing: dict[str, str] = {}
    for name, make_once in peers.ALL.items():
        try:
            words, once = make_once(case.graph, case.x)
        except (ImportError, ValueError) as error:
            missing[name] = str(error)
            print(f"{case.name}, {name}: {error}", file=sys.stderr)
        else:
            rows.append(Row(words, {}, once))
    return rows, missing


def take_turns(case: Case, rows: Sequence[Row], rounds: int) -> None:
    """Every row once per round, so that a busy machine is busy for all; the best counts."""
    for _ in range(rounds):
        for row in rows:
            made, seconds = row.once()
            row.units = case.require(made, row.way)
            row.seconds = seconds if row.seconds is None else min(row.seconds, seconds)


def measure(name: str, folder: Path, rounds: int, budgets: Sequence[int], count: bool) -> Any:
    """One network, all ways. `count`: on the board as well."""
    graph = prepared(zoo.build(name))
    sample = zoo.sample(graph, SEED)
    reference = run(graph, sample)[graph.outputs[0]]
    case = Case(name, graph, sample[graph.inputs[0]], reference)
    programs = {
        one: packages.build(folder / f"build{number}", flags, fused=fused)
        for number, (one, (flags, fused)) in enumerate(BUILDS.items())
    }
    rows = [naive(case, folder, flags) for flags in LEVELS]
    board = instructions.build(folder) if count else None
    for row, flags in zip(rows, LEVELS, strict=True) if count else ():
        row.instructions = naive_instructions(case, folder, flags)
    for budget in budgets or SMALL.get(name, BUDGETS):
        made = planned(case, programs, budget)
        if made is None:
            continue
        rows += made[0]
        if board is not None:
            taken = instructions.execute(board, made[1], [case.x])
            made[0][0].instructions = taken["inference"]
    found, missing = others(case)
    take_turns(case, [*rows, *found], rounds)
    return {
        "name": name,
        "rounds": rounds,
        "rows": [one.document() for one in (*rows, *found)],
        "missing": missing,
        "ratios": ratios([one for one in rows if one.way.startswith("with ")], found),
    }


def ratios(ours: Sequence[Row], found: Sequence[Row]) -> dict[str, dict[str, float]]:
    """By how many times the seconds of another runtime each of ours takes."""
    return {
        one.way: {
            other.way: one.seconds / other.seconds
            for other in found
            if one.seconds is not None and other.seconds
        }
        for one in ours
    }


def _cell(value: float | None, form: str) -> str:
    return format("" if value is None else format(value, form), ">16")


def table(document: Any) -> str:
    """One network as a table."""
    lines = [f"{document['name']:<30}{'bytes':>16}{'instructions':>16}{'seconds':>16}{'units':>16}"]
    for row in document["rows"]:
        cells = (row["all_bytes"], ","), (row["instructions"], ","), (row["seconds"], ".6f")
        words = "".join(_cell(*one) for one in cells)
        lines.append(f"  {row['way']:<28}{words}{_cell(row['units'], '.1f')}")
    for way, found in document["ratios"].items():
        words = ", ".join(f"{times:.2f} times {other}" for other, times in found.items())
        lines += [f"  {way}: {words}"] if words else []
    return "\n".join(lines)


PANELS = (("all_bytes", "memory"), ("instructions", "instructions"), ("seconds", "seconds"))


def _words(kind: str, value: float) -> str:
    if kind == "all_bytes":
        return bytes_words(value)
    return f"{value:.3g} s" if kind == "seconds" else f"{value / 1e6:,.1f} million"


def picture(documents: Sequence[Any]) -> str:
    """Bars from zero: a panel per network and quantity, a bar per way."""
    left, width, step = 190, 420, 22
    title = "With a plan and without"
    words = "shorter is better; every panel begins at zero and has a scale of its own"
    parts = [text(20, 26, title, "head"), text(20, 46, f"{words}.", "soft")]
    top = 76.0
    for document in documents:
        for kind, label in PANELS:
            rows = [one for one in document["rows"] if one[kind] is not None]
            if not rows:
                continue
            parts.append(text(20, top, f"{document['name']}: {label}"))
            most = max(one[kind] for one in rows)
            for number, one in enumerate(rows):
                y = top + 10 + number * step
                style = "bar" if one["way"].startswith("without") else "band"
                size = max(1.0, width * one[kind] / most)
                said = _words(kind, one[kind])
                parts.append(text(left - 8, y + 12, one["way"], "soft", "end"))
                parts.append(box(left, y, size, step - 6, style, f"{one['way']}: {said}"))
                parts.append(text(left + size + 8, y + 12, said, "soft"))
            top += 10 + len(rows) * step + 26
    return svg("with-without", title, words, (left + width + 130, int(top)), parts)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", default=list(NAMES), help="of the zoo, one output each")
    parser.add_argument("--budget", type=int, action="append", default=[], help="bytes, of a plan")
    parser.add_argument("--rounds", type=int, default=5, help="of which the best second counts")
    parser.add_argument("--no-board", action="store_true", help="seconds and bytes only")
    parser.add_argument("--svg", type=Path, help="a picture as well")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/with_without.json"))
    given = parser.parse_args(words)
    networks: list[Any] = []
    document = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "load_at_start": os.getloadavg()[0],
        "networks": networks,
    }
    for name in given.names:
        with tempfile.TemporaryDirectory() as folder:
            count = not given.no_board
            networks.append(measure(name, Path(folder), given.rounds, given.budget, count))
        print(table(networks[-1]), flush=True)
        # Written after each, so that a run that is ended leaves what it has.
        write_json(given.output, document)
        if given.svg is not None:
            write_text(given.svg, picture(networks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
