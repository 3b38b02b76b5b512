"""A tiny case, and the findings of all shipped ones, worked out once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_case import FILES, MakeCase

from tessera.cases.library import read_cases
from tessera.cases.verdicts import Finding, find


@pytest.fixture
def make_case(tmp_path: Path) -> MakeCase:
    """Writes the tiny case; keywords replace its files (dots as `__`), None leaves one out."""

    def make(name: str = "counter", **changed: str | None) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        texts: dict[str, str | None] = dict(FILES)
        texts |= {key.replace("__", "."): text for key, text in changed.items()}
        for file, text in texts.items():
            if text is not None:
                (folder / file).write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def shipped_findings() -> tuple[Finding, ...]:
    """Every case of the kit, checked."""
    return find(read_cases())
