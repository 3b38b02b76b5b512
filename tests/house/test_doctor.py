"""`tessera doctor` tells the truth about what is here and names the command for what is not."""

from __future__ import annotations

import importlib.metadata
import json

import pytest
from typer.testing import CliRunner

from tessera import doctor
from tessera.cli import app
from tessera.guest import hosttools


def test_every_part_has_a_version_or_a_mending_command() -> None:
    parts = doctor.examine()
    assert {part.group for part in parts} == {
        doctor.CORE, doctor.HOST, doctor.GUEST, doctor.DATA,
    }  # fmt: skip
    for part in parts:
        assert part.found != bool(part.mend), part


def test_json_shape_and_exit_code() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    names = {part["name"] for part in document["parts"]}
    assert {"z3-solver", "qemu-system-arm", "optee-os (source)", "cache"} <= names


def test_a_missing_tool_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = hosttools.Tool("qemu-system-arm", program="no-such-program-here")
    monkeypatch.setattr(hosttools, "TOOLS", (gone,))
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "160"})
    assert done.exit_code == 0, "a missing guest is not a broken core"
    assert "missing: tessera guest setup" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_missing_python_package_breaks_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda _name: ["no-such-package>=1"])
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "160"})
    assert done.exit_code == 1
    assert "pip install 'no-such-package>=1'" in done.stdout


def test_an_unusable_cache_folder_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("home") / "file"
    file.write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "160"})
    assert "XDG_CACHE_HOME" in done.output
