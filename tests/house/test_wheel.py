"""The built wheel works in an environment of its own, outside the repository.

The environment holds the wheel and the wheel's declared requirements, linked from the development
environment, and nothing else: no pytest, no repository, no network.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


def run(*words: str | Path, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command without what would let the repository leak in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**kept, **extra},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def requirements(name: str, seen: dict[str, importlib.metadata.Distribution]) -> None:
    """Collect the distributions that `name` needs at run time, itself excluded."""
    for line in importlib.metadata.requires(name) or []:
        found = re.match(r"[A-Za-z0-9._-]+", line)
        if ";" in line or found is None or found.group() in seen:
            continue
        seen[found.group()] = importlib.metadata.distribution(found.group())
        requirements(found.group(), seen)


def link(distribution: importlib.metadata.Distribution, site: Path) -> None:
    """Make one installed distribution visible in another environment's site-packages."""
    for file in distribution.files or []:
        top = file.parts[0]
        target = site / top
        if top not in ("..", "__pycache__") and not target.exists():
            target.symlink_to(Path(str(distribution.locate_file(top))))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, REPO, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("tessera-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=False, system_site_packages=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    words = ("-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    done = run(sys.executable, *words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (site,) = (folder / "env" / "lib").glob("python3*/site-packages")
    needed: dict[str, importlib.metadata.Distribution] = {}
    requirements("tessera", needed)
    for distribution in needed.values():
        link(distribution, site)
    return python.parent


def test_wheel_carries_all_data_files(wheel: Path) -> None:
    """Every tracked file of the data folders is in the wheel, and no stray output is."""
    names = set(zipfile.ZipFile(wheel).namelist())
    folders = ("specs", "models", "optee_os_patch", "verification/guest")
    listed = run("git", "ls-files", "--", *folders, "kit/tessera", cwd=REPO)
    assert listed.returncode == 0, listed.stderr
    for file in listed.stdout.splitlines():
        if (REPO / file).is_file():
            data = not file.startswith("kit/")
            inside = f"tessera/share/{file}" if data else file.removeprefix("kit/")
            assert inside in names, f"{file} is not in the wheel"
    assert not [name for name in names if name.endswith((".o", ".ta", ".pyc", ".elf"))]


def test_installed_wheel_knows_its_version_and_schema(installed: Path, tmp_path: Path) -> None:
    version = run(installed / "tessera", "--version", cwd=tmp_path)
    assert version.stdout == f"tessera {importlib.metadata.version('tessera')}\n", version.stderr
    schema = run(installed / "tessera", "schema", cwd=tmp_path)
    assert "Results" in json.loads(schema.stdout)["$defs"], schema.stderr


def test_installed_wheel_uses_its_own_data(installed: Path, tmp_path: Path) -> None:
    script = "from tessera import resources; print(resources.find_spec('priority'))"
    done = run(installed / "python", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(REPO) not in done.stdout
    assert done.stdout.strip().endswith("tessera/share/specs/policies/priority.tess")


def test_installed_environment_is_not_the_development_one(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "python", "-c", "import pytest", cwd=tmp_path)
    assert "No module named 'pytest'" in done.stderr


def test_installed_wheel_checks_a_shipped_spec_by_its_short_name(
    installed: Path, tmp_path: Path
) -> None:
    done = run(installed / "tessera", "check", "priority", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    obligations = json.loads(done.stdout)["obligations"]
    assert obligations
    assert all(obligation["verdict"] == "PROVED" for obligation in obligations)
