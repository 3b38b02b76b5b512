"""Small machines for the prover's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.lang import Spec, load
from tessera.prove import check
from tessera.results import Obligation


@pytest.fixture
def spec_of(tmp_path: Path) -> Callable[[str], Spec]:
    """Load a spec from text."""

    def build(text: str) -> Spec:
        path = tmp_path / "test.tess"
        path.write_text(text)
        return load(path)

    return build


@pytest.fixture
def verdicts(spec_of: Callable[[str], Spec]) -> Callable[..., dict[str, Obligation]]:
    """Check a spec given as text, in this process; obligations by id without the spec's name."""

    def run(text: str, **settings: int) -> dict[str, Obligation]:
        found = check(spec_of(text), jobs=1, **settings)  # type: ignore[arg-type]
        return {o.id.split("/", 1)[1]: o for o in found}

    return run
