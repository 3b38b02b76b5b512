"""The bench of proofs: what it edits must be there, else it would measure nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tessera import resources


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    path = Path(resources.path("verification/bench/proofs.py"))
    found = importlib.util.spec_from_file_location("bench_proofs", path)
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(path.parent))  # it imports what lies beside it
        found.loader.exec_module(made)
        yield made


def test_every_edit_finds_its_place(bench: ModuleType) -> None:
    for what, name, old, _ in bench.EDITS:
        text = (bench.POLICIES / name).read_text(encoding="utf-8")
        assert not old or text.count(old) >= 1, what
    assert any(old for _, _, old, _ in bench.EDITS)
