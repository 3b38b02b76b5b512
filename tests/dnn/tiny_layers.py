"""The tiny layers compiled for the host, and views of numpy arrays that they work on."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from c_runtime import DNN, STRICT, compiler
from numpy.typing import NDArray

RUNTIME = DNN / "runtime"
SOURCES = [*sorted(RUNTIME.glob("tl_*.c")), *sorted(RUNTIME.glob("tm_*.c"))]
FLAGS = (*STRICT, "-O2", "-ffp-contract=off", "-Wno-psabi", "-Werror")
LANES = 8
POISON = np.float32(np.nan)
"""Lies wherever nothing was put: who reads it, or writes over it, is seen."""

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


@dataclass(slots=True)
class Held:
    """Rows and channels of a tensor in a buffer of their own, with its view."""

    memory: Array
    view: View

    def rows(self, part: Part) -> Array:
        """What lies there of a part: channels by rows by columns."""
        out = np.empty(
            (part.channel_end - part.channel, part.row_end - part.row, self.view.width), "<f4"
        )
        for c in range(out.shape[0]):
            for r in range(out.shape[1]):
                out[c, r] = self.memory[self.at(part.channel + c, part.row + r)]
        return out

    def at(self, channel: int, row: int) -> tuple[int, int]:
        """Where a row lies in `memory`: our own statement of what tl_view.h says."""
        slot = row % self.view.slots if self.view.ring else row - self.view.first_row
        return channel - self.view.first_channel, slot


def hold(
    tensor: Array, channels: range, rows: range, *, ring: int | None = None, fill: bool = True
) -> Held:
    """A buffer with these channels and rows of `tensor` (none, without `fill`)."""
    slots = ring or len(rows)
    memory = np.full((len(channels), slots, tensor.shape[2]), POISON, "<f4")
    view = View(
        memory.ctypes.data, channels.start, rows.start, slots, tensor.shape[2], ring is not None
    )
    held = Held(memory, view)
    for c in channels if fill else ():
        for r in rows:
            memory[held.at(c, r)] = tensor[c, r]
    return held


def pack(weights: Array, channels: range, per_group: int) -> Array:
    """Weights (out, in, rows, columns) of `channels`, as tl_conv() reads them; poison behind."""
    parts = []
    at = channels.start
    while at < channels.stop:
        end = min(at + LANES, channels.stop, (at // per_group + 1) * per_group)
        parts.append(np.moveaxis(weights[at:end], 0, -1).reshape(-1))
        at = end
    return np.concatenate([*parts, np.full(LANES, POISON)]).astype("<f4")


def library(folder: Path, edit: tuple[str, str, str] | None = None) -> Any:
    """All tiny layers; `edit` (file, old, new) breaks them on purpose."""
    sources = []
    for source in SOURCES:
        if edit is not None and source.name == edit[0]:
            text = source.read_text(encoding="utf-8")
            assert text.count(edit[1]) == 1, edit
            copy = folder / source.name
            copy.write_text(text.replace(edit[1], edit[2]), encoding="utf-8")
            sources.append(copy)
        else:
            sources.append(source)
    program = folder / "tl.so"
    words = [compiler(), *FLAGS, f"-I{RUNTIME}", "-shared", "-fPIC", *sources, "-o", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(program))


def pointer(array: Array) -> ctypes.c_void_p:
    """To its first element."""
    return ctypes.c_void_p(array.ctypes.data)


def numbers(draw: Sequence[int], seed: int) -> Array:
    """Seeded numbers from -1 to 1."""
    made = np.random.default_rng(seed).uniform(-1, 1, tuple(draw)).astype("<f4")
    return np.ascontiguousarray(made)
