"""Fixtures: small specs written for a test, and a small tree with the shape that hooks look for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tessera import resources
from tessera.lang import load
from tessera.lang.typed import Spec

TOY_TREE = Path(__file__).parent / "tree"
DNN = "2c3d9a52-6f0e-4b8a-9d41-70c5e1a8b3f6"
HEAD = 'use "optee/pool.tess"\nuse "optee/platforms/qemu_armv8a.tess"\n'
CLASSES = f'class ordinary\nclass inference > ordinary {{ ta "{DNN}" "digits" }}\n'
PRIORITY = """
param reserve: u32 granules = 8 MiB
policy {
  function window(k: class): interval = if k == inference
    then [pool_pages - min(reserve, pool_pages), pool_pages)
    else [0, pool_pages - min(reserve, pool_pages))
  function spill(k: class): class = if k == inference then ordinary else k
  const scrub: scrub_mode = owned
}
"""

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
