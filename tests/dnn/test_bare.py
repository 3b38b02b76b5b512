"""The runtime compiled for Arm, on an emulated board: each operation, to the bit as on the host."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_runtime import DNN, compiler, run_program
from operations import OPERATIONS, everything

from tessera.package import code

QEMU, CROSS = "qemu-system-aarch64", "aarch64-linux-gnu-"
BOARD = (*("-M", "virt", "-cpu", "cortex-a57", "-m", "256", "-nographic", "-nic", "none"),)
COUNTED = ("-semihosting", "-icount", "shift=0")


def need(tool: str) -> str:
    """Where a tool is; without it the test skips, or fails where all tests must run."""
    found = shutil.which(tool)
    if found is None:
        why = f"no {tool}; mend: apt-get install qemu-system-arm gcc-aarch64-linux-gnu"
        if os.environ.get("TESSERA_REQUIRE_GUEST") == "1":
            pytest.fail(why)
        pytest.skip(why)
    return found


def make(folder: str, output: Path, *words: str) -> None:
    """`make` in a folder of models/dnn."""
    command = ["make", "-s", "-C", str(DNN / folder), f"O={output}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def on_the_board(folder: Path, package: bytes, data: bytes) -> tuple[bytes, tuple[int, ...]]:
    """Its output and its counters: see models/dnn/bare/main.c."""
    qemu = need(QEMU)
    need(f"{CROSS}gcc")
    make("bare", folder, f"CROSS_COMPILE={CROSS}")
    (folder / "package").write_bytes(package)
    (folder / "in0").write_bytes(data)
    words = [qemu, *BOARD, *COUNTED, "-kernel", folder / "tessera_bare.elf"]
    done = subprocess.run(words, cwd=folder, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "out0").read_bytes(), struct.unpack("<10Q", (folder / "counters").read_bytes())


def test_every_operation_as_on_the_host(tmp_path: Path) -> None:
    draft, made = everything()
    got, counters = on_the_board(tmp_path, draft.dump(), bytes(1))
    for one, operation in zip(made, OPERATIONS, strict=True):
        try:
            one.check(got)
        except AssertionError as error:
            raise AssertionError(operation.__name__) from error

    compiler()
    make("host", tmp_path)
    words = [tmp_path / "package", "--in", tmp_path / "in0", "--out", tmp_path / "host"]
    done = run_program(tmp_path / "tessera_plain", *words)
    assert done.returncode == 0, done.stderr
    host = (tmp_path / "host").read_bytes()
    differ = np.flatnonzero(np.frombuffer(host, "u1") != np.frombuffer(got, "u1"))
    assert len(host) == draft.arena and not differ.size, differ[:8]

    # Both parts: status, blocks, bytes, instructions of the package and of the processor
    once, each = counters[:5], counters[5:]
    assert once[0] == each[0] == 0
    assert once[3] == sum(map(len, draft.once)) + 1
    assert each[3] == sum(map(len, draft.each)) + 1
    assert each[4] > 100 * len(OPERATIONS)
    counts = np.frombuffer((tmp_path / "operations").read_bytes(), "<u8").reshape(-1, 2)
    emit = code.Emit.NUMBER
    assert counts[emit, 0] == 1 and counts[:, 0].sum() == sum(map(len, draft.each))
    assert counts[:, 1].sum() <= each[4]
