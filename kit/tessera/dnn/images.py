"""Pictures as inputs of a network: read, resized, cropped, scaled to 0 .. 1.

Goal: one rule for every network: turned as the camera held it, converted to grey (1 channel) or
RGB (3), resized (bilinear) so that it just covers the input, the middle cut out, values / 255.
Non-goals: means and deviations that a trained network may want; other formats than Pillow reads.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tessera.dnn.format import Floats
from tessera.errors import TesseraError

MODES = {1: "L", 3: "RGB"}
MOST_PIXELS = 100_000_000
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")


def read_image(path: Path, channels: int, rows: int, columns: int) -> Floats:
    """The picture as (1, channels, rows, columns).

    Raises `TesseraError` for a file that is no picture, broken or of over 100 million pixels, and
    for a network that takes neither 1 nor 3 channels.
    """
    if channels not in MODES:
        raise TesseraError(
            f"the network takes {channels} channels, which no picture has",
            where=str(path),
            remedy="give raw values: --input FILE",
        )
    try:
        # Pillow warns of large pictures before it refuses them; we refuse them ourselves.
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(stream, formats=_FORMATS) as picture:
                return _values(picture, path, MODES[channels], (columns, rows))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = getattr(error, "strerror", None) or str(error) or "it is broken"
        raise TesseraError(
            f"cannot read the picture: {why}",
            where=str(path),
            remedy="give a whole PNG or JPEG file",
        ) from None


def _values(picture: Image.Image, path: Path, mode: str, size: tuple[int, int]) -> Floats:
    if picture.width * picture.height > MOST_PIXELS:
        raise TesseraError(
            f"the picture has {picture.width} x {picture.height} pixels",
            where=str(path),
            remedy=f"give one of at most {MOST_PIXELS:,} pixels",
        )
    upright = ImageOps.exif_transpose(picture).convert(mode)
    fitted = ImageOps.fit(upright, size, Image.Resampling.BILINEAR)
    values = np.asarray(fitted, dtype=np.float32) / np.float32(255)
    if mode == "L":
        return values[None, None]
    return np.ascontiguousarray(values.transpose(2, 0, 1))[None]
