"""Networks made small: int8, packed, pruned. Loss, bytes and curves for the zoo, as JSON.

Goal: for every network the loss of each way to choose ranges, the bytes of its weights in float32
and int8 beside other codes, the curve of pruning, and all three one after the other; the rate of
the C decoder on this machine (`-O2`, whole streams, one core). One script, seeded.
Non-goals: judging: no exit code depends on a figure.

Example: `python verification/bench/nets.py lenet_digits squeezenet11 -o out/nets.json`
"""

from __future__ import annotations

import argparse
import ctypes
import lzma
import os
import platform
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tessera import resources
from tessera.plan import zoo
from tessera.plan.compress.sizes import sizes
from tessera.plan.compress.stream import pack, parse
from tessera.plan.graph import Graph
from tessera.plan.passes.integers import fuse_integers
from tessera.plan.passes.simplify import simplify
from tessera.plan.prune.curve import prune
from tessera.plan.prune.importance import METHODS as IMPORTANCE
from tessera.plan.prune.judge import judge_of
from tessera.plan.quantise.choose import METHODS, Choice
from tessera.plan.quantise.loss import measure
from tessera.plan.quantise.qdq import quantise
from tessera.plan.quantise.samples import chosen
from tessera.report.files import write_json

DRIVER = """
#include <stdlib.h>
#include "ts_unpack.h"
/* Decodes all blocks of a stream; the status of the first that fails. */
int unpack_all(const uint8_t *stream, size_t size, uint8_t *out);
int unpack_all(const uint8_t *stream, size_t size, uint8_t *out)
{
	struct ts_packed packed;
	int status = ts_unpack_open(stream, size, size, &packed);

	for (uint32_t i = 0; !status && i < packed.blocks; i++) {
		size_t at, bytes, room = ts_unpack_bytes(&packed, i);

		ts_unpack_place(&packed, i, &at, &bytes);
		status = ts_unpack_block(&packed, i, stream + packed.header + at,
						bytes, out, room);
		out += room;
	}
	return status;
}
"""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", default=list(zoo.NAMES), help="of the zoo")
    parser.add_argument("--samples", type=int, default=4, help="to calibrate and to test on")
    parser.add_argument("--targets", default="80,60,40,20", help="per cent of the parameters")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/nets.json"))
    given = parser.parse_args()
    load, rows = os.getloadavg()[0], []
    for name in given.names:
        rows.append(network(name, given.samples, [float(one) for one in given.targets.split(",")]))
    document = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "load_at_start": load,
        "samples": given.samples,
        "decoder": decoder(),
        "networks": rows,
    }
    write_json(given.output, document)


def network(name: str, samples: int, targets: list[float]) -> dict[str, Any]:
    """All figures of one network."""
    graph = simplify(zoo.build(name))
    words = "digits" if name == "lenet_digits" else None
    calibrated, tested = chosen(graph, words, samples if words is None else 64, 0)
    made: dict[str, Any] = {"name": name, "losses": {}, "sizes": {}, "pruned": {}}
    for method in METHODS:
        int8 = quantise(graph, calibrated, Choice(method))
        loss = measure(graph, int8, tested)
        least = min(one.sqnr for one in loss.layers if one.sqnr is not None)
        made["losses"][method] = {
            "output_sqnr": loss.output_sqnr,
            "least_sqnr": least,
            "agreement": loss.agreement,
        }
        print(name, method, made["losses"][method], flush=True)
    fused = fuse_integers(quantise(graph, calibrated).graph)
    for label, one in (("float32", graph), ("int8", fused)):
        made["sizes"][label] = _bytes(one)
        print(name, label, made["sizes"][label], flush=True)
    judge = judge_of(graph, tested)
    for method in IMPORTANCE:
        pruned = prune(graph, targets, judge, calibrated, method=method)
        made["pruned"][method] = [asdict(one) for one in pruned.points]
        for point in pruned.points:
            print(name, method, point, flush=True)
    half = prune(graph, (50.0,), judge, calibrated).graph
    made["half_int8_packed"] = _bytes(fuse_integers(quantise(half, calibrated).graph))
    print(name, "half, int8", made["half_int8_packed"], flush=True)
    made["judged_by"] = judge.what
    return made


def _bytes(graph: Graph) -> dict[str, int]:
    about = sizes(graph)
    made = {field: about.total(field) for field in ("plain", "stored", "zlib", "entropy")}
    bodies = (one.data.tobytes() for one in graph.constants() if one.data is not None)
    return made | {"lzma_whole_tensors": sum(len(lzma.compress(one)) for one in bodies)}


def decoder() -> dict[str, Any] | None:
    """Bytes per second that the C decoder makes, best of five; None without a compiler."""
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        return None
    runtime = resources.path("models/dnn/runtime")
    random = np.random.default_rng(0)
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        driver, library = Path(folder) / "driver.c", Path(folder) / "unpack.so"
        driver.write_text(DRIVER)
        words = [gcc, "-O2", "-shared", "-fPIC", f"-I{runtime}", runtime / "unpack.c", driver]
        subprocess.run([*words, "-o", library], check=True)
        unpack = ctypes.CDLL(str(library)).unpack_all
        unpack.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
        for label in ("int8", "float32"):
            wide = random.standard_normal(1 << 20) * 35
            data = np.clip(np.rint(wide), -127, 127).astype(np.int8)
            if label == "float32":
                data = (wide * 1e-3).astype(np.float32)
            stream, out = pack(data), ctypes.create_string_buffer(data.nbytes)
            times = []
            for _ in range(5):
                began = time.process_time()
                status = unpack(stream, len(stream), out)
                times.append(time.process_time() - began)
            assert status == 0 and out.raw[: data.nbytes] == data.tobytes()
            rates[label] = {
                "bytes_per_second": round(data.nbytes / min(times)),
                "bits_per_byte": 8 * len(stream) / data.nbytes,
                "header_bytes": parse(stream).header_bytes,
            }
    print("decoder", rates, flush=True)
    return rates


if __name__ == "__main__":
    main()
