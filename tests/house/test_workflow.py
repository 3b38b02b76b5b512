"""The workflow in docs/ci: valid by GitHub's schema, and its commands are ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import typer.main
from typer.core import TyperGroup

from tessera.cli import app

REPO = Path(__file__).resolve().parents[2]
WORKFLOW = REPO / "docs" / "ci" / "tessera.yml"


def valid(path: Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.github-workflows", str(path)]
    return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0


def test_the_workflow_is_valid(tmp_path: Path) -> None:
    assert valid(WORKFLOW)
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOW.read_text().replace("runs-on:", "runs-upon:"))
    assert not valid(broken)


def test_its_commands_and_options_exist() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    lines = re.findall(r"tessera (\w+) ([^\n>]*)", WORKFLOW.read_text())
    assert {name for name, _ in lines} >= {"check", "fmt", "export"}
    for name, rest in lines:
        known = {opt for p in root.commands[name].params for opt in p.opts}
        used = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest))
        assert used <= known, f"tessera {name}: {used - known}"
