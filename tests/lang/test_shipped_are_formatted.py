"""Every spec that comes with the kit looks as `tessera fmt` would write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera.lang.format import format_text
from tessera.lang.source import read

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("specs", "models")
    for path in (ROOT / folder).rglob("*.tess")
)


@pytest.mark.parametrize("name", SHIPPED)
def test_formatted(name: str) -> None:
    """Mended by `tessera fmt` on the file."""
    source = read(ROOT / name)
    assert format_text(source) == source.text


def test_what_is_looked_at() -> None:
    """The policies and the pool are among the files, and an unformatted copy would be noticed."""
    assert {"specs/policies/priority.tess", "models/optee/pool.tess"} <= set(SHIPPED)
    source = read(ROOT / "specs/policies/priority.tess")
    indented = source.text.replace("\n  function", "\n   function")
    assert indented != source.text
    spoilt = type(source)(source.path, source.name, indented)
    assert format_text(spoilt) == source.text
