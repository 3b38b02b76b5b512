"""The pages for people say what is so: modules, links, commands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from tessera.cli import app

REPO = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPO.glob("*.md"), *(REPO / "docs").glob("*.md")])


def check_modules(repo: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "docs/modules.py", "--check"],
        cwd=repo,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_architecture_lists_every_module() -> None:
    done = check_modules(REPO)
    assert done.returncode == 0, done.stderr


def test_a_module_that_is_not_listed_is_noticed(tmp_path: Path) -> None:
    for folder in ("docs", "kit"):
        shutil.copytree(REPO / folder, tmp_path / folder)
    shutil.copy(REPO / "ARCHITECTURE.md", tmp_path)
    (tmp_path / "kit/tessera/lang/novel.py").write_text('"""New."""\n', encoding="utf-8")
    assert "make docs" in check_modules(tmp_path).stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_pages_exist(page: Path) -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for command in re.findall(
        r"(?<!from )\btessera ([a-z]+)\b", code_of(page.read_text(encoding="utf-8"))
    ):
        assert command in known, f"{page.name} names `tessera {command}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_in_the_pages_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.M)
    for target in re.findall(r"\bmake ([a-z]+)\b", code_of(page.read_text(encoding="utf-8"))):
        assert target in targets, f"{page.name} names `make {target}`"


def code_of(text: str) -> str:
    """Only what stands in code spans and code blocks."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.S)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", text)])
