"""Shared pieces of the model tests: shipped specs, changed copies of them, tiny worlds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tessera import resources
from tessera.lang.load import load
from tessera.lang.typed import Spec
from tessera.model.script import Value, World

Change = tuple[str, str]


@pytest.fixture(scope="session")
def priority() -> Spec:
    return load(resources.find_spec("priority"))


@pytest.fixture(scope="session")
def vanilla() -> Spec:
    return load(resources.find_spec("vanilla"))


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a shipped policy with texts replaced in whichever file it uses, once each."""

    def make(policy: str, *changes: Change, append: str = "") -> Path:
        # `use` looks beside the using file first, so these copies hide the kit's own files.
        for file in sorted(resources.path("specs/policies").glob("*.tess")):
            shutil.copy(file, tmp_path)
        shutil.copytree(resources.path("models/optee"), tmp_path / "optee")
        target = next(f for f in sorted(tmp_path.rglob("*.tess")) if f.stem == policy)
        files = sorted(Path(name) for name in load(target).lines)
        for old, new in changes:
            holders = [f for f in files if old in f.read_text(encoding="utf-8")]
            assert len(holders) == 1, f"{old!r} is in {len(holders)} files"
            text = holders[0].read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
            assert holders[0].resolve().is_relative_to(tmp_path.resolve()), (
                f"{holders[0]} is no copy"
            )
            holders[0].write_text(text.replace(old, new), encoding="utf-8")
        with target.open("a", encoding="utf-8") as file:
            file.write(append)
        return target

    return make


@pytest.fixture
def world() -> Callable[..., World]:
    """A world with one ordinary TA, `ta1`, and one of inference, `ta2`."""

    def make(pool: int, reserve: int, blocks: int = 3) -> World:
        classes: dict[tuple[Value, ...], Value] = {
            ("core",): "ordinary",
            ("nobody",): "ordinary",
            ("ta1",): "ordinary",
            ("ta2",): "inference",
        }
        return World(
            {"pool_pages": pool, "reserve": reserve},
            {
                "block": tuple(f"b{i + 1}" for i in range(blocks)),
                "owner": ("core", "nobody", "ta1", "ta2"),
            },
            {"class_of": classes},
        )

    return make
