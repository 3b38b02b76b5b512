"""The host driver of packages, compiled once, and the bench that runs it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tessera import resources

SANITIZE = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    """verification/bench/packages.py."""
    path = Path(resources.path("verification/bench/packages.py"))
    found = importlib.util.spec_from_file_location("bench_packages", path)
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    sys.modules["bench_packages"] = made
    found.loader.exec_module(made)
    return made


@pytest.fixture(scope="session")
def program(bench: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver under sanitizers; without a compiler, the test skips, or fails where all must
    run."""
    if shutil.which("cc") is None or shutil.which("make") is None:
        why = "no C compiler or make; mend: apt-get install gcc libc6-dev make"
        if os.environ.get("TESSERA_REQUIRE_GUEST") == "1":
            pytest.fail(why)
        pytest.skip(why)
    made = bench.build(tmp_path_factory.mktemp("host"), SANITIZE)
    assert isinstance(made, Path)
    return made
