"""The tiny layers compiled for the host, and views of numpy arrays that they work on."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from c_runtime import DNN, STRICT, compiler
from numpy.typing import NDArray

RUNTIME = DNN / "runtime"
SOURCES = [one for kind in ("tl", "tq", "tm") for one in sorted(RUNTIME.glob(f"{kind}_*.c"))]
SEEN_IN = {"tl_taps.h": "tl_depthwise.c", "tl_vector.h": "tl_conv.c", "tq_vector.h": "tq_conv.c"}
SEEN_IN["tl_wide.h"] = "tl_conv.c"
"""The layer that is compiled again when a header is broken."""
FLAGS = (*STRICT, "-O2", "-ffp-contract=off", "-Wno-psabi", "-Werror")
_SCRATCH = tempfile.TemporaryDirectory(prefix="tessera-tl-")
LANES = 8
POISON = np.float32(np.nan)
"""Lies wherever nothing was put: who reads it, or writes over it, is seen."""
POISON_BYTE = 0x5B

Array = NDArray[np.float32]


class View(ctypes.Structure):
    """`struct tl_view`."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("first_channel", ctypes.c_uint32),
        ("first_row", ctypes.c_uint32),
        ("slots", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("ring", ctypes.c_bool),
    )


class Part(ctypes.Structure):
    """`struct tl_part`."""

    _fields_ = tuple(
        (name, ctypes.c_uint32) for name in ("channel", "channel_end", "row", "row_end")
    )


class Window(ctypes.Structure):
    """`struct tl_window`."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in (
            *("kernel_rows", "kernel_columns", "stride_rows", "stride_columns"),
            *("pad_rows", "pad_columns", "dilation_rows", "dilation_columns", "in_rows"),
        )
    )


class Filter(ctypes.Structure):
    """`struct tl_filter`."""

    _fields_ = (
        ("window", Window),
        ("in_channels", ctypes.c_uint32),
        ("out_channels", ctypes.c_uint32),
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
    )


class Number(ctypes.Structure):
    """`struct tq_number`."""

    _fields_ = (("zero", ctypes.c_int32), ("is_signed", ctypes.c_bool))


class IntegerFilter(ctypes.Structure):
    """`struct tq_filter`."""

    _fields_ = (
        ("window", Window),
        ("in_channels", ctypes.c_uint32),
        ("out_channels", ctypes.c_uint32),
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("multipliers", ctypes.c_void_p),
        ("x", Number),
        ("y", Number),
    )


class Mean(ctypes.Structure):
    """`struct tq_mean`."""

    _fields_ = (("ratio", ctypes.c_float), ("x", Number), ("y", Number))


class Real(ctypes.Structure):
    """`struct tq_real`."""

    _fields_ = (("scale", ctypes.c_float), ("number", Number))


@dataclass(slots=True)
class Held:
    """Rows and channels of a tensor in a buffer of their own, with its view."""

    memory: NDArray[Any]
    view: View

    def rows(self, part: Part) -> NDArray[Any]:
        """What lies there of a part: channels by rows by columns."""
        shape = (part.channel_end - part.channel, part.row_end - part.row, self.view.width)
        out = np.empty(shape, self.memory.dtype)
        for c in range(out.shape[0]):
            for r in range(out.shape[1]):
                out[c, r] = self.memory[self.at(part.channel + c, part.row + r)]
        return out

    def at(self, channel: int, row: int) -> tuple[int, int]:
        """Where a row lies in `memory`: our own statement of what tl_view.h says."""
        slot = row % self.view.slots if self.view.ring else row - self.view.first_row
        return channel - self.view.first_channel, slot


def hold(
    tensor: NDArray[Any],
    channels: range,
    rows: range,
    *,
    ring: int | None = None,
    fill: bool = True,
) -> Held:
    """A buffer with these channels and rows of `tensor` (none, without `fill`)."""
    slots = ring or len(rows)
    poison = POISON if tensor.dtype.kind == "f" else POISON_BYTE
    memory = np.full((len(channels), slots, tensor.shape[2]), poison, tensor.dtype)
    view = View(
        memory.ctypes.data, channels.start, rows.start, slots, tensor.shape[2], ring is not None
    )
    held = Held(memory, view)
    for c in channels if fill else ():
        for r in rows:
            memory[held.at(c, r)] = tensor[c, r]
    return held


def pack(weights: NDArray[Any], channels: range, per_group: int) -> NDArray[Any]:
    """Weights (out, in, rows, columns) of `channels`, as tl_conv() reads them; poison behind."""
    parts = []
    at = channels.start
    while at < channels.stop:
        end = min(at + LANES, channels.stop, (at // per_group + 1) * per_group)
        parts.append(np.moveaxis(weights[at:end], 0, -1).reshape(-1))
        at = end
    poison = POISON if weights.dtype.kind == "f" else POISON_BYTE
    return np.concatenate([*parts, np.full(LANES, poison)]).astype(weights.dtype)


def _to_object(source: Path, folder: Path, headers: Path, flags: Sequence[str]) -> Path:
    target = folder / f"{source.stem}.o"
    words = [compiler(), *flags, f"-I{headers}", "-fPIC", "-c", source, "-o", target]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@functools.cache
def _object(source: Path) -> Path:
    """The source as committed, compiled once per run."""
    return _to_object(source, Path(_SCRATCH.name), RUNTIME, FLAGS)


def library(
    folder: Path, edit: tuple[str, str, str] | None = None, flags: Sequence[str] = ()
) -> Any:
    """All tiny layers; `edit` (file, old, new) breaks a source or a header on purpose.

    `flags` are those of the float32 layers, `tl_*.c`, beside the usual.
    """
    objects = []
    if edit is not None:
        # A broken one may leave a name unused
        loose = [flag for flag in FLAGS if flag != "-Werror"]
        for one in RUNTIME.glob("t*.[ch]"):
            text = one.read_text(encoding="utf-8")
            if one.name == edit[0]:
                assert text.count(edit[1]) == 1, edit
                text = text.replace(edit[1], edit[2])
            (folder / one.name).write_text(text, encoding="utf-8")
    for source in SOURCES:
        if edit is not None and SEEN_IN.get(edit[0], edit[0]) == source.name:
            objects.append(_to_object(folder / source.name, folder, folder, (*loose, *flags)))
        elif flags and source.name.startswith("tl_"):
            objects.append(_to_object(source, folder, RUNTIME, (*FLAGS, *flags)))
        else:
            objects.append(_object(source))
    program = folder / "tl.so"
    subprocess.run([compiler(), "-shared", *objects, "-o", program], check=True)
    return ctypes.CDLL(str(program))


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """To its first element."""
    return ctypes.c_void_p(array.ctypes.data)


def numbers(draw: Sequence[int], seed: int) -> Array:
    """Seeded numbers from -1 to 1."""
    made = np.random.default_rng(seed).uniform(-1, 1, tuple(draw)).astype("<f4")
    return np.ascontiguousarray(made)
