"""Darknet `.weights` files: a header and float32 values in the order of the layers.

Header: three little-endian 32-bit integers (major, minor, revision), then how many images were
seen, 64 bits from version 0.2 on, else 32.
Goal: the values that a layer asks for, or an error that says how many are missing.
Non-goals: which values a layer has (`darknet_reader`).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Protocol

import numpy as np

from tessera.errors import TesseraError
from tessera.plan.graph import Array, Shape

HEADER = struct.pack("<iiiQ", 0, 2, 5, 0)
"""The header that we write: version 0.2.5, no image seen."""


class WeightSource(Protocol):
    """Where a network's weights come from."""

    def take(self, shape: Shape, role: str, where: str) -> Array:
        """The next values, float32. `role` is bias, scale, mean, variance or weights."""


class WeightFile:
    """The weights in a file, taken one after the other."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise TesseraError(
                f"cannot read the weights: {error.strerror}",
                where=str(path),
                remedy="give the .weights file that belongs to the .cfg",
            ) from None
        if len(data) < 16:
            raise self._short(f"the file has {len(data)} bytes, less than its header")
        major, minor = struct.unpack_from("<ii", data)
        start = 20 if 0 <= major * 10 + minor < 10000 and major * 10 + minor >= 2 else 16
        if major < 0 or minor < 0 or major >= 1000 or minor >= 1000:
            raise TesseraError(
                f"version {major}.{minor} is not supported",
                where=self._name,
                remedy="save the weights with a current Darknet (version 0.1 or 0.2)",
            )
        whole = (len(data) - start) // 4
        self._values = np.frombuffer(data, "<f4", count=max(0, whole), offset=start)
        self._odd = (len(data) - start) % 4
        self._at = 0

    def _short(self, what: str) -> TesseraError:
        return TesseraError(
            what, where=self._name, remedy="the file is cut off or belongs to another .cfg"
        )

    def take(self, shape: Shape, role: str, where: str) -> Array:
        """The next values. Raises `TesseraError` when the file has fewer."""
        count, left = 1, len(self._values) - self._at
        for size in shape:
            count *= size
        if count > left:
            raise self._short(f"{where} needs {count:,} values ({role}), but {left:,} are left")
        taken = self._values[self._at : self._at + count]
        self._at += count
        return taken.astype(np.float32).reshape(shape)

    def finish(self) -> None:
        """Raises `TesseraError` when values are left over: the file is of another network."""
        left = len(self._values) - self._at
        if left or self._odd:
            raise self._short(f"{left:,} values are left over after the last layer")
