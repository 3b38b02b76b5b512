"""Options of every test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes what the code says now into the .expect files, to be reviewed."""
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the .expect files of golden tests"
    )
