"""Files that are no specs: each ends in one clear error, quickly, whatever is in them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.lang import SpecError, load

SPEC = b"spec s\nvar x: u8\n"


def refused(path: Path | str) -> TesseraError:
    with pytest.raises(TesseraError) as caught:
        load(path)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return caught.value


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_missing() -> None:
    assert refused("nothing.tess").render() == (
        "nothing.tess: error: no such file: nothing.tess\n  help: give the path of a .tess file"
    )


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    assert refused("specs").message == "specs is a folder"


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n", b"\xef\xbb\xbf\n"])
def test_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "empty.tess").write_bytes(content)
    assert refused("empty.tess").message == "empty.tess is empty"


def test_device() -> None:
    assert refused("/dev/zero").message == "/dev/zero is a device, not a file"


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, since root may read everything."""
    (tmp_path / "secret.tess").write_bytes(SPEC)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    error = refused("secret.tess")
    assert "secret.tess" in error.message
    assert "Permission denied" in error.message


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "a/" * 3000])
def test_impossible_names(name: str) -> None:
    refused(name)


def test_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a.tess").symlink_to("b.tess")
    (tmp_path / "b.tess").symlink_to("a.tess")
    refused("a.tess")


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "latin.tess").write_bytes(
        "spec s\n# ä Größe\n".encode().replace(b"\xc3\xb6", b"\xf6")
    )
    assert refused("latin.tess").render() == (
        "latin.tess:2:7: error: not UTF-8: byte 0xf6 cannot be read\n"
        "  2 | # ä Gr\ufffdße\n"
        "    |       ^\n"
        "  help: save the file as UTF-8"
    )


def test_ten_mebibytes_of_noise(tmp_path: Path) -> None:
    noise = random.Random(10).randbytes(10 << 20)
    (tmp_path / "noise.tess").write_bytes(noise)
    assert refused("noise.tess").message == "noise.tess is larger than 256 KiB; no spec is"


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_allowed_size(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    text = "".join(chr(source.randrange(32, 127)) for _ in range(256 << 10))
    (tmp_path / "noise.tess").write_text(text)
    assert isinstance(refused("noise.tess"), SpecError)


def test_too_many_files(tmp_path: Path) -> None:
    for i in range(70):
        (tmp_path / f"f{i}.tess").write_text(f'use "f{i + 1}.tess"\n')
    assert refused("f0.tess").message == "more than 64 files are used"


def test_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "bom.tess").write_bytes(b"\xef\xbb\xbf" + SPEC)
    assert load("bom.tess").name == "s"


def test_lines_are_counted_as_the_editor_does(tmp_path: Path) -> None:
    """Carriage returns, and characters that only Python takes for ends of lines."""
    (tmp_path / "lines.tess").write_bytes(
        "spec s\r\n# form\x0cfeed \u2028 and \x85\r\nvar x: u9\r\n".encode()
    )
    error = refused("lines.tess")
    assert str(error.where) == "lines.tess:3:8"
    assert "  3 | var x: u9\n" in error.render()


def test_display_name_is_relative_or_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "bad.tess").write_text("spec s\nvar x: u9\n")
    assert str(refused(tmp_path / "bad.tess").where) == "bad.tess:2:8"
    assert str(refused("./inner/../bad.tess").where) == "bad.tess:2:8"
    monkeypatch.chdir(tmp_path / "inner")
    assert str(refused("../bad.tess").where) == f"{tmp_path}/bad.tess:2:8"
