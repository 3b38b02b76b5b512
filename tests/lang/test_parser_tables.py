"""The parser's tables are kept between runs, and nothing depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera.lang import load, parse

TEXT = "spec small\nvar n: u8\ninit { n := 0 }\naction up() { require n < 9  n := n + 1 }\n"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    parse._parser.cache_clear()
    yield
    parse._parser.cache_clear()


def read(folder: Path) -> str:
    parse._parser.cache_clear()
    file = folder / "small.tess"
    file.write_text(TEXT, encoding="utf-8")
    return repr(load(file).actions)


def test_kept_read_again_and_made_anew_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = read(tmp_path)
    (kept,) = (tmp_path / "tessera" / "grammar").iterdir()
    whole = kept.read_bytes()
    assert read(tmp_path) == first
    assert kept.read_bytes() == whole
    for damaged in (whole[:3000], b"", b"no tables at all"):
        kept.write_bytes(damaged)
        assert read(tmp_path) == first
        assert kept.read_bytes().split(b"\n")[0] == whole.split(b"\n")[0] != damaged


def test_not_kept_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no-such-folder")
    assert "up" in read(tmp_path)
