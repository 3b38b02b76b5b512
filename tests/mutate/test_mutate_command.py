"""`tessera mutate` as one types it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.mutate.conftest import TANK
from typer.testing import CliRunner, Result

from tessera.cli import app
from tessera.errors import EXIT_OK, EXIT_UNMET


def _run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["mutate", *(str(a) for a in args), "--no-cache", "--jobs", "1"])


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


def test_sample_of_the_shipped_policy(tmp_path: Path) -> None:
    """Ten mutants of `priority`: none survives."""
    arguments = ["mutate", "priority", "--limit", "10", "--seed", "5", "--json", "--jobs", "2"]
    said = CliRunner().invoke(app, [*arguments, "--cache", str(tmp_path)])
    assert said.exit_code == EXIT_OK, said.output
    found = json.loads(said.stdout)["mutants"]
    assert len(found) == 10
    assert all(m["killed_by"] or m["how"].startswith(("proved", "refines")) for m in found)
