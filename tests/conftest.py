"""Fixtures that all tests share: the guest's parts and the builds of OP-TEE.

Builds lie in the user's cache, so that a session compiles each variant at most once, ever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera import resources
from tessera.emit import make_patch
from tessera.errors import TesseraError
from tessera.guest import build, machine, toolchain
from tessera.lang import load


def _say(message: str) -> None:
    print(message, file=sys.stderr)


@pytest.fixture(scope="session", autouse=True)
def no_result_cache() -> Iterator[None]:
    """Commands that tests run ask every question anew, and leave the user's answers alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_RESULTS", "off")
        yield


@pytest.fixture(scope="session")
def guest_tools() -> toolchain.Toolchain:
    """The guest's parts; skips without them, or fails when TESSERA_REQUIRE_GUEST=1."""
    try:
        return toolchain.require()
    except TesseraError as error:
        reason = f"{error.message}; to mend: {error.remedy}"
        if os.environ.get("TESSERA_REQUIRE_GUEST") == "1":
            pytest.fail(f"TESSERA_REQUIRE_GUEST=1, but {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def optee_tree(guest_tools: toolchain.Toolchain) -> Path:
    """The pristine OP-TEE source tree."""
    return guest_tools.optee_source


@pytest.fixture(scope="session")
def priority_patch(optee_tree: Path) -> str:
    """The text of the patch for `specs/policies/priority.tess`."""
    spec = load(resources.path("specs/policies/priority.tess"))
    return make_patch(spec, optee_tree).text


@pytest.fixture(scope="session")
def unpatched_build(guest_tools: toolchain.Toolchain) -> build.Build:
    """OP-TEE as it is."""
    return build.build(None, None, _say)


@pytest.fixture(scope="session")
def patched_build(guest_tools: toolchain.Toolchain, priority_patch: str) -> build.Build:
    """OP-TEE with the priority policy."""
    return build.build(priority_patch, None, _say)


@pytest.fixture(scope="session")
def plain_guest(
    unpatched_build: build.Build, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[machine.Guest]:
    """A booted unpatched guest for tests that change nothing in it."""
    logs = tmp_path_factory.mktemp("guest")
    with machine.boot(unpatched_build, name="plain", log_folder=logs) as guest:
        yield guest
