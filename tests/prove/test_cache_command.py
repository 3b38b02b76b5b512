"""`tessera check` with a cache, and `tessera cache`, as one types them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tessera import cli
from tessera.cli import app

COUNTER = """
spec counter "a counter that stops at its limit"
const limit: u8 in 1 .. 200
var level: u8
init { level := 0 }
action up() { require level < limit  level := level + 1 }
invariant in_range "never above the limit": level <= limit
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "counter.tess"
    path.write_text(COUNTER)
    return str(path)


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def cached(result: Result) -> set[bool]:
    return {o["cached"] for o in json.loads(result.stdout)["obligations"] if o["resource"]}


def test_a_second_check_is_read_from_the_folder(spec: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "answers")
    words = ("check", spec, "--json", "--jobs", "1", "--cache", folder)
    assert cached(call(*words)) == {False}
    assert cached(call(*words)) == {True}
    assert cached(call(*words, "--no-cache")) == {False}
    entries = json.loads(call("cache", "--cache", folder, "--json").stdout)
    assert entries["entries"] > 0 and entries["bytes"] > 0
    cleared = call("cache", "clear", "--cache", folder)
    assert cleared.exit_code == 0 and f"{entries['entries']} entries removed" in cleared.stdout
    assert "0 entries" in call("cache", "--cache", folder).stdout
    assert cached(call(*words)) == {False}


def test_a_damaged_entry_is_told_on_stderr(spec: str, tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    words = ("check", spec, "--jobs", "1", "--cache", str(folder))
    call(*words)
    next(folder.glob("??/*.json")).write_text("nothing")
    again = call(*words)
    assert again.exit_code == 0
    assert again.stderr.count("damaged cache entry") == 1
    assert "damaged" not in again.stdout
    assert call(*words).stderr == ""


def test_a_command_loads_only_its_own_group() -> None:
    assert cli._groups(["/usr/bin/tessera", "check", "x"]) == ("check",)
    for words in (["tessera"], ["tessera", "--help"], ["tessera", "schema"], ["pytest", "check"]):
        assert "guest" in cli._groups(words)


def test_the_environment_chooses_and_turns_off(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_RESULTS", str(tmp_path / "mine"))
    call("check", spec, "--jobs", "1")
    assert str(tmp_path / "mine") in call("cache").stdout
    assert list((tmp_path / "mine").iterdir())
    monkeypatch.setenv("TESSERA_RESULTS", "off")
    assert cached(call("check", spec, "--json", "--jobs", "1")) == {False}
    off = call("cache")
    assert off.exit_code != 0 and "turned off" in str(off.exception)


def test_single_properties_several_specs_and_their_order(spec: str, tmp_path: Path) -> None:
    other = tmp_path / "other.tess"
    other.write_text(COUNTER.replace("spec counter", "spec other").replace("in 1 ..", "in 2 .."))
    shown = json.loads(call("check", str(other), spec, "--json", "--property", "in_range").stdout)
    assert [document["spec"] for document in shown] == ["other", "counter"]
    assert {o["property"] for document in shown for o in document["obligations"]} == {"in_range"}
    wrong = call("check", spec, "--property", "in_rage")
    assert wrong.exit_code != 0 and "no property 'in_rage'" in str(wrong.exception)


def test_the_python_of_the_manual_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    assert {o.property for o in names["found"]} == {"disjoint"}
    assert all(o.met for o in names["found"])
