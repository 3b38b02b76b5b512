"""A network in the clear, on a bare emulated Arm board and on this machine: packages, and without.

Goal: what one inference gives and takes: instructions of an emulated Cortex-A57 (exact: they are
counted, and nothing else runs there), processor seconds of one thread here. By the executor of
packages, or by the naive runtime (models/dnn/baseline) at a given level of the compiler.
Non-goals: OP-TEE, encryption (see `tessera.guest.sealed`), judging what comes out.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera import resources
from tessera.errors import TesseraError
from tessera.guest import cache, optee, process
from tessera.package.contents import Contents

QEMU = "qemu-system-aarch64"
BOARD = ("-M", "virt", "-cpu", "cortex-a57", "-m", "512", "-nographic", "-nic", "none")
COUNTED = ("-semihosting", "-icount", "shift=0")
LIMIT = 1800
"""Seconds after which the emulator is ended."""
ROUNDS = 3
"""Inferences here; the quickest counts."""
_SHARED = ("runtime", "bare", "host", "baseline")
_PACKAGE_COUNTERS = struct.Struct("<10Q")  # see models/dnn/bare/main.c
_NAIVE_COUNTERS = struct.Struct("<4Q")  # see models/dnn/baseline/board.c


@dataclass(frozen=True, slots=True)
class Took:
    """One inference. `memory`: bytes of weights and tensors, or of the arena and the two buffers of
    a block; `outputs`: each tensor's bytes, from the board and from this machine."""

    memory: int
    instructions: int
    seconds: float
    outputs: tuple[tuple[bytes, ...], tuple[bytes, ...]]


def naive(network: bytes, given: bytes, outputs: int, level: str) -> Took:
    """By the naive runtime, compiled at `level`, e.g. "-O2", from `tessera.plan.naive_file.dump`.

    Raises `TesseraError` when it cannot be compiled or run.
    """
    here = _driver("baseline", "tessera_baseline", level)
    there = _driver("baseline", "tessera_baseline.elf", level)
    with cache.scratch("board") as folder:
        (folder / "network").write_bytes(network)
        (folder / "in0").write_bytes(given)
        names = [folder / f"host{index}" for index in range(outputs)]
        words: list[str | Path] = [
            here,
            folder / "network",
            "--in",
            folder / "in0",
            "--times",
            str(ROUNDS),
        ]
        told = _said([*words, *(word for one in names for word in ("--out", one))])
        emulated, counters = _emulate(there, folder, outputs, _NAIVE_COUNTERS)
        both = emulated, tuple(one.read_bytes() for one in names)
    kinds = ("weight_bytes", "tensor_bytes", "column_bytes")
    memory = sum(int(told[one]) for one in kinds)
    return Took(memory, counters[0], min(map(float, told["cpu_seconds"])), both)


def planned(contents: Contents, inputs: Sequence[bytes]) -> Took:
    """By the executor, from a package in the clear; what is done once per session is left out.

    Raises `TesseraError` when it cannot be compiled or run.
    """
    here, there = _driver("host", "tessera_plain", "-O2"), _driver("bare", "tessera_bare.elf", "")
    outputs = len(contents.manifest.outputs)
    with cache.scratch("board") as folder:
        (folder / "package").write_bytes(contents.dump_plain())
        words: list[str | Path] = [here, folder / "package", "--times", str(ROUNDS)]
        for index, one in enumerate(inputs):
            (folder / f"in{index}").write_bytes(one)
            words += ["--in", folder / f"in{index}"]
        names = [folder / f"host{index}" for index in range(outputs)]
        told = _said([*words, *(word for one in names for word in ("--out", one))])
        emulated, counters = _emulate(there, folder, outputs, _PACKAGE_COUNTERS)
        both = emulated, tuple(one.read_bytes() for one in names)
    seconds = min(float(one["cpu_seconds"]) for one in told["inferences"])
    memory = contents.manifest.arena + 2 * contents.manifest.chunk
    return Took(memory, counters[9], seconds, both)


def _driver(folder: str, program: str, level: str) -> Path:
    """A program of models/dnn, compiled once for these sources, compilers and level."""
    cross = program.endswith(".elf")
    compiler = f"{optee.CROSS}gcc" if cross else "gcc"
    version = process.run([compiler, "--version"]).splitlines()[0]
    sources = [cache.digest_tree(resources.path(f"models/dnn/{one}")) for one in _SHARED]
    key = cache.key(1, folder, program, level, version, sources)

    def make(made: Path) -> None:
        # Not to the end of the name: two programs of one folder are two targets
        words = [f"{made}/{program}", f"O={made}"]
        words += [f"CROSS_COMPILE={optee.CROSS}"] if cross else ["CC=gcc"]
        words += [f"CFLAGS={level}"] if level else []
        source = resources.path(f"models/dnn/{folder}")
        process.run(["make", "-s", "-C", source, *words], clean=True)

    return cache.entry(f"drivers/{key}", make) / program


def _said(words: Sequence[str | Path]) -> dict[str, Any]:
    """What a driver of this machine prints."""
    told: dict[str, Any] = json.loads(process.run(words))
    return told


def _emulate(
    kernel: Path, folder: Path, outputs: int, counters: struct.Struct
) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Outputs and counters that a board leaves in its folder."""
    if shutil.which(QEMU) is None:
        raise TesseraError(f"{QEMU} is missing", where="PATH", remedy="tessera guest setup")
    process.run([QEMU, *BOARD, *COUNTED, "-kernel", kernel], cwd=folder, timeout=LIMIT)
    made = tuple((folder / f"out{index}").read_bytes() for index in range(outputs))
    return made, counters.unpack_from((folder / "counters").read_bytes())
