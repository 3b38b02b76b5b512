"""A cache of its own, and a stand-in for the gdb stub, for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_stub import FakeStub


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder that only this test uses."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/tessera"


@pytest.fixture
def fake() -> Iterator[FakeStub]:
    made = FakeStub()
    yield made
    made.close()
