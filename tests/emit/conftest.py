"""Fixtures: small specs written for a test, and a small tree with the shape that hooks look for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from emit_cases import CLASSES, HEAD, PRIORITY, TOY_TREE

from tessera import resources
from tessera.lang import load
from tessera.lang.typed import Spec

SpecMaker = Callable[..., Spec]


@pytest.fixture
def make_spec(tmp_path: Path) -> SpecMaker:
    """Load a spec from its classes and the rest of its text."""

    def make(rest: str = PRIORITY, classes: str = CLASSES, name: str = "case") -> Spec:
        path = tmp_path / f"{name}.tess"
        path.write_text(f'spec {name} "A case."\n{HEAD}{classes}{rest}', encoding="utf-8")
        return load(path)

    return make


@pytest.fixture
def priority() -> Spec:
    """The shipped priority policy."""
    return load(resources.path("specs/policies/priority.tess"))


@pytest.fixture
def toy_tree(tmp_path: Path) -> Path:
    """A copy of the small tree that a test may change."""
    tree = tmp_path / "toy"
    shutil.copytree(TOY_TREE, tree)
    return tree
