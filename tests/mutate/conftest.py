"""Small machines whose mutants are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.lang import Spec, load
from tessera.mutate.changes import Change, changes
from tessera.mutate.survey import Survey, survey
from tessera.prove.engine import LocalEngine

TANK = """spec tank "A tank that is filled and emptied."

const size: u8 in 1 .. 100
var level: u8

init { level := 0 }

action fill(n: u8) {
  require n <= size - level
  level := level + n
}

action spill(n: u8) {
  require level <= size and n <= level
  level := level - n
}

invariant inside: level <= size
step slow "spilling never raises the level" except fill: level <= old(level)
cover full: level == size
simulate { size = 10 }
"""


@pytest.fixture
def spec_of(tmp_path: Path) -> Callable[[str], Spec]:
    """Load a spec from text."""

    def build(text: str) -> Spec:
        path = tmp_path / "test.tess"
        path.write_text(text)
        return load(path)

    return build


@pytest.fixture
def mutants(spec_of: Callable[[str], Spec]) -> Callable[[str], dict[str, Change]]:
    """The changes of a spec given as text, by id."""
    return lambda text: {c.id: c for c in changes(spec_of(text))}


@pytest.fixture
def surveyed(spec_of: Callable[[str], Spec]) -> Callable[..., Survey]:
    """Survey a spec given as text, in this process."""

    def run(text: str, *only: str, jobs: int = 1) -> Survey:
        return survey(spec_of(text), LocalEngine(jobs), only=only)

    return run
