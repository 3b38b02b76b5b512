"""The C runtime and the TA compiled for the host under sanitizers, and a way to talk to them."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.dnn.format import Floats, Shape

HERE = Path(__file__).resolve().parent
DNN = HERE.parents[1] / "models" / "dnn"
RUNTIME = (DNN / "runtime/model.c", DNN / "runtime/ops.c", DNN / "runtime/run.c")
HARNESS = (*RUNTIME, HERE / "harness.c")
CLIENT = tuple(DNN / "client" / f"{name}.c" for name in ("main", "abuse", "blob", "dnn"))
TA = (*RUNTIME, DNN / "ta/tessera_dnn_ta.c", *CLIENT, HERE / "fake_tee/fake_tee.c")
PLAIN = (
    *(
        one
        for kind in ("tl", "tq", "tm", "tx")
        for one in sorted((DNN / "runtime").glob(f"{kind}_*.c"))
    ),
    *(DNN / "runtime/unpack.c", DNN / "host/plain.c"),
)
HOST = (*PLAIN, DNN / "host/main.c")
MUTATIONS = (*PLAIN, HERE / "executor_mutations.c")
INCLUDES = (*(DNN / name for name in ("runtime", "ta", "client", "host")), HERE / "fake_tee")
STRICT = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Wcast-align", "-Wfloat-equal"]
STRICT += ["-Wmissing-prototypes", "-Wstrict-prototypes", "-Wswitch-default", "-Wpointer-arith"]
STRICT += ["-ffp-contract=off"]
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

Edit = tuple[str, str, str]  # file name, text to replace, replacement
_numbers = itertools.count()
_SCRATCH = tempfile.TemporaryDirectory(prefix="tessera-c-")


def compiler() -> str:
    """The host's C compiler; without one, the test skips, or fails where all tests must run."""
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None:
        why = "no C compiler; mend: apt-get install gcc libc6-dev"
        if os.environ.get("TESSERA_REQUIRE_GUEST") == "1":
            pytest.fail(why)
        pytest.skip(why)
    return found


def _run(*words: str | Path) -> None:
    done = subprocess.run(list(words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _to_object(source: Path, target: Path, includes: Sequence[Path], *more: str) -> Path:
    folders = [f"-I{path}" for path in includes]
    _run(compiler(), *STRICT, *SANITIZE, *more, *folders, "-c", source, "-o", target)
    return target


@functools.cache
def _object(source: Path, includes: tuple[Path, ...], flags: tuple[str, ...]) -> Path:
    """The source as committed, compiled once per run."""
    target = Path(_SCRATCH.name) / f"{next(_numbers)}.o"
    return _to_object(source, target, includes, "-Werror", *flags)


def compile_c(
    folder: Path,
    sources: Sequence[Path],
    edits: Sequence[Edit] = (),
    *,
    includes: tuple[Path, ...] = INCLUDES,
    flags: tuple[str, ...] = (),
    libraries: Sequence[str] = (),
) -> Path:
    """A program from the sources. Each edit must match exactly once: it breaks the code on purpose.

    Broken code is compiled without warnings as errors (a dropped check may leave a name unused).
    """
    assert {edit[0] for edit in edits} <= {source.name for source in sources}
    objects = []
    for source in sources:
        text = source.read_text(encoding="utf-8")
        mine = [edit for edit in edits if edit[0] == source.name]
        for _, old, new in mine:
            assert text.count(old) == 1, f"{source.name}: {old!r} found {text.count(old)} times"
            text = text.replace(old, new)
        if mine:
            copy = folder / f"{next(_numbers)}.c"
            copy.write_text(text, encoding="utf-8")
            objects.append(_to_object(copy, copy.with_suffix(".o"), includes, *flags))
        else:
            objects.append(_object(source, includes, flags))
    program = folder / f"{next(_numbers)}.out"
    _run(compiler(), *SANITIZE, *objects, "-o", program, *libraries)
    return program


def run_program(
    program: Path, *words: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The program's end, with its output as text."""
    return subprocess.run(
        [program, *words],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Broken(Exception):
    """The harness ended, for example because a sanitizer stopped it."""


class Harness:
    """A running harness; see `harness.c` for the protocol."""

    OPERATIONS = ("conv2d", "maxpool", "dense", "relu", "softmax", "exp", "parse", "run")

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def close(self) -> None:
        """Ends the program."""
        self._process.communicate(timeout=30)

    def call(
        self,
        operation: str,
        x: NDArray[Any] | bytes,
        y_count: int,
        *,
        weights: NDArray[Any] | bytes = b"",
        bias: NDArray[Any] | bytes = b"",
        shapes: tuple[Shape, Shape] = (Shape(1, 1, 1), Shape(1, 1, 1)),
        window: tuple[int, int, int] = (0, 0, 0),
    ) -> tuple[int, Floats]:
        """Status and output values. Raises `Broken` when the program ended."""
        parts = [
            p if isinstance(p, bytes) else p.astype("<f4").tobytes() for p in (x, weights, bias)
        ]
        numbers = [self.OPERATIONS.index(operation), *shapes[0], *shapes[1], *window]
        sizes = [*(len(part) for part in parts), 4 * y_count]
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        try:
            pipe_in.write(struct.pack("<14I", *numbers, *sizes) + b"".join(parts))
            pipe_in.flush()
        except BrokenPipeError:
            raise Broken from None
        answer = pipe_out.read(4 + 4 * y_count)
        if len(answer) != 4 + 4 * y_count:
            raise Broken
        return struct.unpack_from("<I", answer)[0], np.frombuffer(answer, "<f4", offset=4)
