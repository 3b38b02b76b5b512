"""`tessera mutate` as one types it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.mutate.conftest import TANK
from typer.testing import CliRunner, Result

from tessera import resources
from tessera.cli import app
from tessera.errors import EXIT_OK, EXIT_UNMET


def _run(*args: str | Path) -> Result:
    words = ["mutate", *(str(a) for a in args), "--no-cache", "--jobs", "1"]
    return CliRunner().invoke(app, words, env={"COLUMNS": "400"})  # no path is broken


def _tank(folder: Path, text: str = TANK) -> Path:
    path = folder / "tank.tess"
    path.write_text(text)
    return path


def test_table_and_reasons(tmp_path: Path) -> None:
    """Who noticed how much, and what makes no difference, with its place and text."""
    said = _run(_tank(tmp_path), "--only", "guard", "--seed", "3")
    assert said.exit_code == EXIT_OK
    lines = [" ".join(line.split()) for line in said.stdout.splitlines()]
    assert lines[0].startswith("tank: ")
    assert lines[0].endswith(", seed 3")
    assert lines[1] == "noticed by guard all"
    assert any(line.startswith("inside ") for line in lines)
    assert "guard/spill/1/drop-part-1 proved equal under the invariants" in lines
    assert any(line.endswith("tank.tess:14:11") for line in lines)
    assert lines[-1].endswith("equivalent")
    assert "\x1b" not in said.stdout


def test_survivor_in_full(tmp_path: Path) -> None:
    """A survivor has its place, what was there and what is there now, and exit code 1."""
    weak = TANK.replace("invariant inside: level <= size\n", "").replace(
        "cover full: level == size\n", ""
    )
    said = _run(_tank(tmp_path, weak), "--only", "guard/fill/1/drop")
    assert said.exit_code == EXIT_UNMET
    for part in ("Survived", "tank.tess:9:3", "was  require n <= size - level", "now  (no guard)"):
        assert part in said.stdout


def test_json(tmp_path: Path) -> None:
    """The results document, with the original's obligations and the mutants."""
    said = _run(_tank(tmp_path), "--limit", "4", "--json")
    document = json.loads(said.stdout)
    assert len(document["mutants"]) == 4
    assert {m["kind"] for m in document["mutants"]} <= {"guard", "update", "bound"}
    assert {o["verdict"] for o in document["obligations"]} == {"PROVED"}
    again = json.loads(_run(_tank(tmp_path), "--limit", "4", "--json").stdout)
    for mutant in (*document["mutants"], *again["mutants"]):
        mutant["seconds"] = 0
    assert again["mutants"] == document["mutants"]


def test_list(tmp_path: Path) -> None:
    """The changes can be listed without trying them."""
    said = CliRunner().invoke(app, ["mutate", str(_tank(tmp_path)), "--list"])
    assert said.exit_code == EXIT_OK
    assert "guard/fill/1/drop: require n <= size - level => (no guard)" in said.stdout
    assert "changes: " in said.stdout.splitlines()[-1]
    rows = json.loads(
        CliRunner().invoke(app, ["mutate", str(_tank(tmp_path)), "--list", "--json"]).stdout
    )
    assert rows[0]["id"].startswith("update/init/")


def test_all_of_a_shipped_lesson() -> None:
    """Every mutant of the ring buffer is noticed or makes no difference."""
    said = _run("ring_buffer", "--json")
    assert said.exit_code == EXIT_OK, said.output
    found = json.loads(said.stdout)["mutants"]
    assert len(found) > 40
    assert all(m["killed_by"] or m["how"].startswith(("proved", "refines")) for m in found)
    assert {m["killed_by"] for m in found} >= {"numbered", "order", "bounded", "window", "inside"}


def test_a_demand_that_is_missing(tmp_path: Path) -> None:
    """Without two of its invariants nobody asks the ring buffer for the right element."""
    text = resources.find_spec("ring_buffer").read_text()
    for name in ("order", "tickets"):
        text = re.sub(rf"^invariant {name}\b.*?(?=^\S|\Z)", "", text, flags=re.M | re.S)
    said = _run(_tank(tmp_path, text), "--only", "update/put")
    assert said.exit_code == EXIT_UNMET
    assert "update/put/ticket/drop  only it takes the last step of a run" in said.stdout
    assert all(line == line.rstrip() for line in said.stdout.splitlines() if "tess:" in line)
