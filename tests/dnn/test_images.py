"""Pictures as inputs: sizes, modes, orientation, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tessera.dnn.images import read_image
from tessera.errors import TesseraError


def written(path: Path, values: np.ndarray, **more: object) -> Path:
    Image.fromarray(values).save(path, **more)
    return path


def test_a_picture_of_the_right_size_is_taken_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    got = read_image(written(tmp_path / "a.png", values), 3, 6, 9)
    assert got.dtype == np.float32
    assert got.shape == (1, 3, 6, 9)
    assert np.array_equal(got[0], values.transpose(2, 0, 1).astype(np.float32) / np.float32(255))


def test_the_middle_is_cut_out(tmp_path: Path) -> None:
    values = np.zeros((8, 24), np.uint8)
    values[:, 8:16] = 255
    got = read_image(written(tmp_path / "a.png", values), 1, 8, 8)
    assert got.shape == (1, 1, 8, 8)
    assert (got == 1).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_any_mode_becomes_what_the_network_takes(tmp_path: Path, mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    path = tmp_path / f"a.{kind.lower()}"
    Image.new(mode, (20, 10)).save(path, kind)
    for channels in (1, 3):
        got = read_image(path, channels, 5, 7)
        assert got.shape == (1, channels, 5, 7)
        assert got.min() >= 0
        assert got.max() <= 1


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    values = np.zeros((8, 8), np.uint8)
    values[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    path = written(tmp_path / "a.png", values, exif=exif)
    got = read_image(path, 1, 8, 8)[0, 0]
    assert (got[:, 4:] == 1).all()
    assert (got[:, :4] == 0).all()


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", None])
def test_files_that_are_no_pictures(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TesseraError, match="cannot read the picture"):
        read_image(path, 3, 8, 8)


def test_a_picture_that_is_cut_off(tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = written(tmp_path / "a.png", values)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(TesseraError, match="cannot read the picture"):
        read_image(path, 3, 8, 8)


def test_a_picture_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (20_000, 5_001)).save(path)
    with pytest.raises(TesseraError, match="20000 x 5001 pixels"):
        read_image(path, 1, 8, 8)


def test_a_network_that_takes_no_picture(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="takes 4 channels"):
        read_image(tmp_path / "a.png", 4, 8, 8)
