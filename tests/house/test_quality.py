"""The code keeps its own rules: types, lint, format, and no import that is not declared."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "kit" / "tessera"
MAX_LINES = 500


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_types() -> None:
    done = run("mypy")
    assert done.returncode == 0, done.stdout + done.stderr


def test_lint() -> None:
    done = run("ruff", "check", "kit", "tests", "verification", "docs")
    assert done.returncode == 0, done.stdout + done.stderr


def test_format() -> None:
    done = run("ruff", "format", "--check", "kit", "tests", "verification", "docs")
    assert done.returncode == 0, done.stdout + done.stderr


def imported(file: Path, *, late: bool = False) -> set[str]:
    """The names of all modules that a file imports; `late`: only those inside functions."""
    names: set[str] = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in (n for f in functions for n in ast.walk(f)) if late else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


def test_package_imports_only_what_it_declares() -> None:
    """A development tool that the package needs would be missing from an installed wheel."""
    declared, optional = {"tessera"}, set[str]()
    for line in importlib.metadata.requires("tessera") or []:
        found = re.match(r"[A-Za-z0-9._-]+", line)
        if found and "extra ==" not in line:
            declared.add(found.group().lower().replace("_", "-"))
        elif found and not re.search(r"extra == .dev.", line):
            optional.add(found.group().lower().replace("_", "-"))
    owners = importlib.metadata.packages_distributions()
    stray = {
        f"{file.relative_to(REPO)}: {name}"
        for file in PACKAGE.rglob("*.py")
        for name in imported(file)
        if (top := name.split(".")[0]) not in sys.stdlib_module_names
        # What an extra brings may be imported where it is needed, not when the module is.
        and not (top in optional and name in imported(file, late=True))
        and not declared & {o.lower().replace("_", "-") for o in owners.get(top, [top])}
    }
    assert stray == set()


def test_only_prove_knows_the_solver() -> None:
    users = {file for file in PACKAGE.rglob("*.py") if any(n == "z3" for n in imported(file))}
    assert {file.relative_to(PACKAGE).parts[0] for file in users} <= {"prove"}


def test_the_simulator_shares_nothing_with_the_proofs() -> None:
    for file in (PACKAGE / "model").rglob("*.py"):
        assert not [n for n in imported(file) if n.startswith(("tessera.prove", "z3"))], file


def test_a_folder_uses_only_what_stands_before_it() -> None:
    """The road runs one way; its order is the table in ARCHITECTURE.md."""
    text = (REPO / "ARCHITECTURE.md").read_text(encoding="utf-8")
    order = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    folders = {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")}
    assert folders <= set(order)
    backward = {
        f"{file.relative_to(PACKAGE)}: {name}"
        for file in PACKAGE.rglob("*.py")
        if (own := file.relative_to(PACKAGE).parts[0]) in folders
        for name in imported(file)
        if name.startswith("tessera.") and (used := name.split(".")[1]) in folders
        if order.index(used) > order.index(own)
    }
    assert backward == set()


def test_every_module_says_what_it_is_for_and_stays_short() -> None:
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), f"{file} has no docstring"
        assert len(text.splitlines()) <= MAX_LINES, f"{file} has more than one idea"


def test_test_modules_have_names_of_their_own() -> None:
    """Two modules of one name stop pytest before the first test."""
    names = [file.name for file in (REPO / "tests").rglob("*.py") if file.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
