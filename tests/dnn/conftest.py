"""Programs compiled once per run for the tests of the C side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from c_runtime import HARNESS, TA, Harness, compile_c


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """The operators as committed."""
    running = Harness(compile_c(tmp_path_factory.mktemp("harness"), HARNESS))
    yield running
    running.close()


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client joined to the TA through the stand-in for the TEE."""
    return compile_c(tmp_path_factory.mktemp("client"), TA)
