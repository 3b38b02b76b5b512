"""Tiny math over every float32 argument, beside libm in double and, where that cannot tell, MPFR.

Goal: for every function of models/dnn/runtime/tm_math.h the largest error in units in the last
place, how many results are not the nearest float32, and one number against the other: time per
call, ours beside the host's libm in float32. `pow` has two arguments: a stated number of pairs.
Non-goals: other machines (the sums are the same wherever double is IEEE 754 and nothing is fused).

    python verification/bench/maths.py -o maths.json   # all of them
    python verification/bench/maths.py --functions exp,log --step 101 # every 101st argument
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import gmpy2

HERE = Path(__file__).resolve().parent
RUNTIME = HERE.parents[1] / "models" / "dnn" / "runtime"
FLAGS = ("-std=gnu11", "-O2", "-ffp-contract=off")
DIGITS = 300
SEED = 88172645463325252

Exact = Callable[..., Any]

FUNCTIONS: dict[str, Exact] = {
    "exp": gmpy2.exp,
    "expm1": gmpy2.expm1,
    "log": gmpy2.log,
    "log1p": gmpy2.log1p,
    "sqrt": gmpy2.sqrt,
    "rsqrt": lambda x: 1 / gmpy2.sqrt(x),
    "sin": gmpy2.sin,
    "cos": gmpy2.cos,
    "tanh": gmpy2.tanh,
    "sigmoid": lambda x: 1 / (1 + gmpy2.exp(-x)),
    "erf": gmpy2.erf,
    "pow": lambda x, y: x**y,
}


def to_float(bits: int) -> float:
    """The float32 with these bits."""
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def nearest(name: str, arguments: Sequence[float]) -> float:
    """The float32 nearest to the function's true value (ties to even), by MPFR."""
    with gmpy2.context(gmpy2.get_context(), precision=DIGITS):
        exact = FUNCTIONS[name](*(gmpy2.mpfr(x) for x in arguments))
    # A float32 is a number of 24 bits whose exponent, in MPFR's way, is -148 at least.
    narrow = gmpy2.context(precision=24, emin=-148, emax=128, subnormalize=True)
    with narrow:
        return float(gmpy2.mpfr(exact, 24) if exact else exact)


def build(folder: Path) -> Path:
    """The C side, compiled."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise SystemExit("maths.py: no C compiler; mend: apt-get install gcc libc6-dev")
    program = folder / "maths"
    sources = sorted(RUNTIME.glob("tm_*.c"))
    words = [compiler, *FLAGS, f"-I{RUNTIME}", HERE / "maths.c", *sources, "-lm", "-o", program]
    subprocess.run(words, check=True)
    return program


def settle(name: str, hard: Iterable[str]) -> int:
    """How many of the results that libm could not judge are wrong."""
    wrong = 0
    for line in hard:
        x, y, ours = (int(word, 16) for word in line.split()[1:])
        arguments = [to_float(x), to_float(y)] if name == "pow" else [to_float(x)]
        wrong += to_float(ours) != nearest(name, arguments)
    return wrong


def measure(program: Path, name: str, step: int, pairs: int) -> dict[str, Any]:
    """One function, whole."""
    words = [str(pairs), str(SEED)] if name == "pow" else [str(step)]
    began = time.perf_counter()
    done = subprocess.run([program, name, *words], capture_output=True, text=True, check=True)
    *hard, last = done.stdout.splitlines()
    said = last.split()
    counts = {said[i]: int(said[i + 1]) for i in range(0, 8, 2)}
    row: dict[str, Any] = {"function": name, "tried": counts["tried"]}
    row["not_nearest"] = counts["misrounded"] + settle(name, hard)
    row["wrong_special"] = counts["special"]
    row["settled_by_mpfr"] = counts["hard"]
    row["largest_error_ulp"] = float(said[9])
    row["worst_argument"] = said[10] if name != "pow" else f"{said[10]} {said[11]}"
    ours, theirs = speed(program, name)
    row["time_against_libm"] = round(ours / theirs, 2)
    row["seconds"] = round(time.perf_counter() - began, 1)
    return row


def speed(program: Path, name: str) -> tuple[float, float]:
    """Nanoseconds per call, ours and libm's float32, the best of three each, taken in turn."""
    best = [math.inf, math.inf]
    for _ in range(3):
        done = subprocess.run([program, "speed", name], capture_output=True, text=True, check=True)
        for i, word in enumerate(done.stdout.split()):
            best[i] = min(best[i], float(word))
    return best[0], best[1]


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--functions", default=",".join(FUNCTIONS), help="names with commas")
    parser.add_argument("--step", type=int, default=1, help="every STEP-th argument (1: all)")
    parser.add_argument("--pairs", type=int, default=1 << 28, help="pairs for pow")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    names = options.functions.split(",")
    unknown = [name for name in names if name not in FUNCTIONS]
    if unknown or options.step < 1:
        parser.error(f"no such function: {unknown[0]}" if unknown else "--step is 1 or more")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        for name in names:
            print(f"measuring {name} ...", file=sys.stderr)
            rows.append(measure(program, name, options.step, options.pairs))
            print("  ".join(f"{k}={v}" for k, v in rows[-1].items()), flush=True)
    if options.output:
        options.output.write_text(json.dumps({"seed": SEED, "functions": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
