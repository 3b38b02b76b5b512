"""The lockstep program of the real tree, compiled once per session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conform_worlds import GUESTS, HUGE, SMALL

from tessera import resources
from tessera.conform.hostbuild import build
from tessera.conform.hostlink import Program
from tessera.conform.prepared import prepared
from tessera.conform.worlds import Setting, setting_of, setting_text
from tessera.emit import make_patch
from tessera.lang import load


@pytest.fixture(scope="session")
def setting() -> Setting:
    return setting_of(load(resources.find_spec("priority")))


@pytest.fixture(scope="session")
def program_of(
    optee_tree: Path, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Program]:
    """The program of the tree with the emitted patch, in which `old` is replaced by `new`."""
    built: dict[tuple[str, str, bool, bool], Program] = {}
    text = make_patch(setting.spec, optee_tree).text

    def made(
        old: str = "", new: str = "", *, sanitized: bool = False, guests: bool = False
    ) -> Program:
        key = old, new, sanitized, guests
        if key not in built:
            folder = tmp_path_factory.mktemp("lockstep")
            file = folder / "setting"
            file.write_text(setting_text(setting, [GUESTS] if guests else [*SMALL, HUGE]))
            patch = folder / "changed.patch"
            assert old in text
            patch.write_text(text.replace(old, new) if old else text)
            with prepared(setting.spec, optee_tree, patch) as ready:
                path = build(ready.root, folder, sanitized=sanitized, guests=guests)
            built[key] = Program(path, file)
        return built[key]

    return made


@pytest.fixture(scope="session")
def program(program_of: Callable[..., Program]) -> Program:
    """The program of the tree with the emitted patch, with sanitizers."""
    return program_of(sanitized=True)


@pytest.fixture(scope="session")
def plain(program_of: Callable[..., Program]) -> Program:
    """The same without sanitizers."""
    return program_of()
