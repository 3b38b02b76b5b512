"""Shared by the tests of the language: specs as text, errors as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.lang import Spec, load

LoadText = Callable[..., Spec]
Mistakes = Callable[[str], str]


@pytest.fixture
def load_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadText:
    """Loads a spec given as text; other files can be given by name."""

    def run(text: str, overrides: dict[str, int] | None = None, **others: str) -> Spec:
        monkeypatch.chdir(tmp_path)
        for name, content in others.items():
            (tmp_path / f"{name}.tess").write_text(content, "utf-8")
        (tmp_path / "main.tess").write_text(text, "utf-8")
        return load("main.tess", overrides)

    return run


@pytest.fixture
def mistakes(load_text: LoadText) -> Mistakes:
    """The rendered error of a spec that must not load."""

    def run(text: str) -> str:
        with pytest.raises(TesseraError) as caught:
            load_text(text)
        assert caught.value.exit_code == 2
        return caught.value.render()

    return run
