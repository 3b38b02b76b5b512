"""The table of controls in docs/conform.md is the one that the recorded runs give."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tessera.conform.control_catalogue import CONTROLS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def page() -> ModuleType:
    found = importlib.util.spec_from_file_location("docs_controls", DOCS / "controls.py")
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def ran(name: str, verdict: str, check: str = "", tier: str = "smt") -> dict[str, Any]:
    said = {"verdict": verdict, "check": check, "detail": "", "seconds": 9.0, "processor": 1.25}
    return {"name": name, "kind": "class", "caught": True, "tiers": {tier: said}}


def test_the_page_has_the_table_of_the_record(page: ModuleType) -> None:
    assert page.main(["--check"]) == 0
    rows = json.loads(page.RECORD.read_text(encoding="utf-8"))
    assert [row["name"] for row in rows] == [control.name for control in CONTROLS]


def test_a_changed_record_makes_the_page_old(
    page: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps([ran("uuid-digit", "ENDLESS", "smt/class")]))
    assert page.main([str(file), "--check"]) == 1
    monkeypatch.setattr(page, "RECORD", tmp_path / "controls.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.PAGE.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    assert page.main([str(file), "--write"]) == 0 and page.main([]) == 0
    text = page.PAGE.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| `uuid-digit` | class | ENDLESS class, 1.2 | to be run |" in text


def test_runs_are_put_together_tier_by_tier(page: ModuleType) -> None:
    first = [ran("uuid-digit", "DIFFERS", "smt/uuids"), ran("no-spill", "AGREES")]
    second = [ran("no-spill", "DIFFERS", "host/loop/wide", "host"), ran("gone", "DIFFERS")]
    third = [ran("uuid-digit", "NOT TRIED"), ran("max-for-min", "NOT TRIED", tier="guest")]
    rows = {row["name"]: row for row in page.together([first, second, third])}
    assert rows["uuid-digit"]["tiers"]["smt"]["verdict"] == "DIFFERS"  # not lost
    assert rows["no-spill"]["caught"] and {*rows["no-spill"]["tiers"]} == {"smt", "host"}
    assert "gone" not in rows and not rows["max-for-min"]["caught"]
    table = page.table(list(rows.values()))
    assert "| `no-spill` | spill | **missed**, 1.2 | loop/wide, 1.2 |" in table
    assert "| `max-for-min` | window | to be run | to be run | to be run | not tried |" in table
    assert "| 1 of 2, 2 s | 1 of 1, 1 s | none tried | none tried |" in table
