"""The digits network and its held-out images, as committed under `models/dnn/zoo/lenet_digits/`.

Goal: load them without scikit-learn, with every size checked.
Non-goals: making them (see `train.py` beside the files).

Images are raw little-endian float32, 64 values each, 0 to 1, row by row; labels are one byte each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessera import resources
from tessera.dnn.files import read_bytes
from tessera.dnn.format import Floats, Model, load
from tessera.errors import TesseraError

FOLDER = "models/dnn/zoo/lenet_digits"


def model_path() -> Path:
    """The trained network's model file."""
    return resources.path(FOLDER) / "lenet_digits.tsm"


def images_path() -> Path:
    """The held-out images."""
    return resources.path(FOLDER) / "held_out_images.f32"


def labels_path() -> Path:
    """What the held-out images show."""
    return resources.path(FOLDER) / "held_out_labels.u8"


def model() -> Model:
    """The trained network."""
    return load(model_path())


def read_images(path: Path, values: int) -> Floats:
    """The images of a raw file, (count, values). Raises `TesseraError` on a size that is not whole.

    A file must hold at least one image.
    """
    data = read_bytes(path, "image file")
    if not data or len(data) % (4 * values):
        raise TesseraError(
            f"{len(data)} bytes are not a whole number of images of {4 * values} bytes",
            where=str(path),
            remedy=f"give a file of raw float32 values, {values} per image",
        )
    return np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, values)


def read_labels(path: Path, count: int) -> NDArray[np.uint8]:
    """One label per image. Raises `TesseraError` when there are not `count`."""
    data = read_bytes(path, "label file")
    if len(data) != count:
        raise TesseraError(
            f"{len(data)} labels for {count} images",
            where=str(path),
            remedy="give a file with one byte per image",
        )
    return np.frombuffer(data, np.uint8)


def held_out() -> tuple[Floats, NDArray[np.uint8]]:
    """The held-out images, (count, 64), and their labels."""
    images = read_images(images_path(), 64)
    return images, read_labels(labels_path(), len(images))
