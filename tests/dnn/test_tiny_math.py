"""Tiny math against MPFR: ordinary, special and hard arguments, and mistakes that must be seen."""

from __future__ import annotations

import ctypes
import importlib.util
import math
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import gmpy2
import pytest
from c_runtime import DNN, STRICT, compiler

RUNTIME = DNN / "runtime"
SOURCES = sorted(RUNTIME.glob("tm_*.c"))
FLAGS = (*STRICT, "-O2", "-ffp-contract=off", "-Werror")

BENCH = DNN.parents[1] / "verification" / "bench" / "maths.py"


def _bench() -> ModuleType:
    found = importlib.util.spec_from_file_location("bench_maths", BENCH)
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


bench_maths = _bench()
EXACT = [name for name in bench_maths.FUNCTIONS if name != "pow"]
INF, NAN = math.inf, math.nan

# name, arguments, result; C11, Annex F.10
SPECIAL = [
    *(("exp", (x,), y) for x, y in ((INF, INF), (-INF, 0.0), (0.0, 1.0), (-0.0, 1.0), (NAN, NAN))),
    *(("exp", (x,), y) for x, y in ((100.0, INF), (-200.0, 0.0), (-103.5, 2.0**-149))),
    *(("expm1", (x,), y) for x, y in ((INF, INF), (-INF, -1.0), (-0.0, -0.0), (NAN, NAN))),
    *(("log", (x,), y) for x, y in ((0.0, -INF), (-0.0, -INF), (-1.0, NAN), (INF, INF))),
    *(("log", (x,), y) for x, y in ((1.0, 0.0), (NAN, NAN), (-INF, NAN))),
    *(("log1p", (x,), y) for x, y in ((-1.0, -INF), (-2.0, NAN), (-0.0, -0.0), (INF, INF))),
    *(("sqrt", (x,), y) for x, y in ((-0.0, -0.0), (-1.0, NAN), (INF, INF), (NAN, NAN))),
    *(("rsqrt", (x,), y) for x, y in ((0.0, INF), (-0.0, -INF), (INF, 0.0), (-1.0, NAN))),
    *(("sin", (x,), y) for x, y in ((INF, NAN), (-INF, NAN), (-0.0, -0.0), (NAN, NAN))),
    *(("cos", (x,), y) for x, y in ((INF, NAN), (-INF, NAN), (0.0, 1.0), (NAN, NAN))),
    *(("tanh", (x,), y) for x, y in ((INF, 1.0), (-INF, -1.0), (-0.0, -0.0), (NAN, NAN))),
    *(("sigmoid", (x,), y) for x, y in ((INF, 1.0), (-INF, 0.0), (0.0, 0.5), (NAN, NAN))),
    *(("erf", (x,), y) for x, y in ((INF, 1.0), (-INF, -1.0), (-0.0, -0.0), (NAN, NAN))),
    *(("pow", a, 1.0) for a in ((1.0, NAN), (NAN, 0.0), (INF, -0.0), (-1.0, INF), (-1.0, -INF))),
    *(("pow", a, INF) for a in ((0.0, -2.0), (-0.0, -2.0), (0.0, -INF), (0.5, -INF), (2.0, INF))),
    *(("pow", a, INF) for a in ((INF, 0.5), (-INF, 2.0), (0.0, -3.0), (-INF, INF), (-2.0, 128.0))),
    *(("pow", a, -INF) for a in ((-0.0, -3.0), (-INF, 3.0), (-2.0, 129.0))),
    *(("pow", a, 0.0) for a in ((0.0, 3.5), (-0.0, 2.0), (INF, -1.0), (0.5, INF), (2.0, -INF))),
    *(("pow", a, 0.0) for a in ((-INF, -2.0), (0.0, INF), (2.0, -150.5), (-0.0, 0.5))),
    *(("pow", a, -0.0) for a in ((-0.0, 3.0), (-INF, -3.0))),
    *(("pow", a, NAN) for a in ((-2.0, 0.5), (NAN, 1.0), (2.0, NAN), (-1e30, 1e-30))),
    *(("pow", a, y) for a, y in (((-2.0, 3.0), -8.0), ((-2.0, -2.0), 0.25), ((2.0, 0.5), 2**0.5))),
]


def bits_of(x: float) -> bytes:
    """A float32's bytes; every not-a-number is alike."""
    return struct.pack("<f", NAN if math.isnan(x) else x)


class Library:
    """The functions, compiled for the host, by name."""

    def __init__(self, program: Path) -> None:
        self._library = ctypes.CDLL(str(program))

    def __call__(self, name: str, *arguments: float) -> float:
        function = self._library[f"tm_{name}"]
        function.restype = ctypes.c_float
        return float(function(*(ctypes.c_float(x) for x in arguments)))


def build(folder: Path, old: str = "", new: str = "") -> Library:
    """All sources; `old`, which stands in one of them once, replaced by `new`."""
    sources = []
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        if old and old in text:
            assert text.count(old) == 1
            copy = folder / source.name
            copy.write_text(text.replace(old, new), encoding="utf-8")
            sources.append(copy)
        else:
            sources.append(source)
    assert not old or any(source.parent == folder for source in sources)
    program = folder / "tm.so"
    words = [compiler(), *FLAGS, f"-I{RUNTIME}", "-shared", "-fPIC", *sources, "-o", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Library(program)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return build(tmp_path_factory.mktemp("tm"))


def nearest(name: str, *arguments: float) -> float:
    """The true value, rounded to float32."""
    return float(bench_maths.nearest(name, arguments))


def close_to_quarters() -> Iterator[float]:
    """Large float32 that lie closest to multiples of pi/2: the hard ones for sin and cos.

    They are m 2^e where m is the denominator of a convergent of 2^e 2/pi, or a multiple of it.
    """
    with gmpy2.context(gmpy2.get_context(), precision=400):
        for e in range(105):
            turns = gmpy2.mpfr(2) ** (e + 1) / gmpy2.const_pi()
            rest, before, m = turns - gmpy2.floor(turns), 0, 1
            while m < 1 << 24:
                yield float(m * ((1 << 24) // m)) * 2.0**e
                rest = 1 / rest
                whole = int(gmpy2.floor(rest))
                rest -= whole
                before, m = m, whole * m + before


@cache
def arguments() -> tuple[float, ...]:
    """Of every sign and exponent the ends, neighbours of both and some more."""
    draw = random.Random(20261121)
    out = []
    for top in range(0, 1 << 9):
        low = [0, 1, 2, 0x3FFFFF, 0x400000, 0x7FFFFE, 0x7FFFFF]
        low += [draw.randrange(1 << 23) for _ in range(5)]
        values = (struct.unpack("<f", struct.pack("<I", top << 23 | m))[0] for m in low)
        out += [x for x in values if math.isfinite(x) and x]
    out += [(draw.random() - 0.5) * 20 for _ in range(2000)]
    out += [k * math.pi / 2 for k in (*range(1, 40), 1000, 10**6, 10**7, 2**40)]
    out += [x for x in close_to_quarters() if x < 2.0**128]
    return tuple(struct.unpack("<f", struct.pack("<f", x))[0] for x in out)


def wrong(library: Library, name: str) -> Iterator[float]:
    """Arguments whose result is not the nearest float32."""
    for x in arguments():
        if (name in ("log", "sqrt", "rsqrt") and x <= 0) or (name == "log1p" and x <= -1):
            continue
        if bits_of(library(name, x)) != bits_of(nearest(name, x)):
            yield x


@pytest.mark.parametrize("name", EXACT)
def test_results_are_the_nearest_float32(library: Library, name: str) -> None:
    # Of arguments near 0 whose x / 4 is half a unit of 1 / 2, double cannot tell the side.
    off = list(wrong(library, name))
    assert name == "sigmoid" or not off
    for x in off:
        assert 2**-24 < abs(x) < 2**-20
        assert abs(library(name, x) - nearest(name, x)) <= 2**-24


@pytest.mark.parametrize(("name", "given", "result"), SPECIAL)
def test_special_values(
    library: Library, name: str, given: tuple[float, ...], result: float
) -> None:
    assert bits_of(library(name, *given)) == bits_of(result)


def test_pow_is_within_a_unit_and_nearly_always_the_nearest(library: Library) -> None:
    draw = random.Random(7)
    off = 0
    for _ in range(20_000):
        x, y = (
            struct.unpack("<f", struct.pack("<f", v))[0]
            for v in (draw.uniform(0, 1) ** 3 * 50 + 1e-6, draw.uniform(-20, 20))
        )
        right = nearest("pow", x, y)
        ours = library("pow", x, y)
        if bits_of(ours) != bits_of(right):
            off += 1
            assert abs(ours - right) <= math.ulp(right) * 2**29 * 1.01
    assert off <= 1


def test_pow_of_small_whole_numbers_is_exact(library: Library) -> None:
    for x in range(-9, 10):
        for y in range(8):
            if abs(x) ** y < 2**24:
                assert library("pow", float(x), float(y)) == float(x) ** y


MISTAKES = {
    "a factor of the exponential series": ("exp", "1.0 / 720,", "1.0 / 721,"),
    "the low part of ln 2": ("exp", "- k * TM_LN2_LOW;", ";"),
    "a factor of the logarithm": ("log", "2.0 / 9,", "2.0 / 10,"),
    "one Newton step": ("rsqrt", "i < 5", "i < 3"),
    "the side of the middle": (
        "sqrt",
        "(double)x > middle * middle",
        "(double)x < middle * middle",
    ),
    "a word of 2/pi": ("sin", "0xf534ddc0", "0xf534ddc1"),
    "the bits below": ("cos", "mantissa * high + (below >> 32)", "mantissa * high"),
    "the sign of large ones": ("sin", "*n = (4 - *n) & 3;", ""),
    "a term of the error function": ("erf", "#define TERMS\t\t17", "#define TERMS\t\t9"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_seen(what: str, tmp_path: Path) -> None:
    name, old, new = MISTAKES[what]
    assert next(wrong(build(tmp_path, old, new), name), None) is not None


def test_it_is_tiny_and_stands_alone(tmp_path: Path) -> None:
    files = [*SOURCES, *RUNTIME.glob("tm_*.h")]
    assert sum(len(p.read_text(encoding="utf-8").splitlines()) for p in files) <= 900
    build(tmp_path)
    if (nm := shutil.which("nm")) is not None:
        words = [nm, "-D", "--undefined-only", tmp_path / "tm.so"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert all(line.split()[0] in ("w", "v") for line in said.splitlines()), said


def test_the_bench_counts_what_is_not_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = bench_maths.build(tmp_path)
    row = bench_maths.measure(program, "sqrt", 1_000_003, 0)
    assert (row["tried"], row["not_nearest"], row["wrong_special"]) == (4295, 0, 0)
    assert row["largest_error_ulp"] <= 0.5
    power = bench_maths.measure(program, "pow", 1, 4000)
    assert power["tried"] == 4000
    assert power["settled_by_mpfr"] > 0

    broken = tmp_path / "runtime"
    shutil.copytree(RUNTIME, broken)
    text = (broken / "tm_root.c").read_text(encoding="utf-8")
    assert "i < 5" in text
    (broken / "tm_root.c").write_text(text.replace("i < 5", "i < 2"), encoding="utf-8")
    monkeypatch.setattr(bench_maths, "RUNTIME", broken)
    worse = bench_maths.measure(bench_maths.build(tmp_path), "rsqrt", 1_000_003, 0)
    assert worse["not_nearest"] > 0
    assert worse["largest_error_ulp"] > 0.5
