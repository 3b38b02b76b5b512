"""`make` and `.ci/run` on machines that lack things: played by small scripts put first on PATH."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
VENV_IS_MISSING = 'case "$*" in *"-m venv"*) exit 1;; esac\n'


class Machine:
    """A folder of fake programs in front of the real ones, and a place for `.venv`."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.venv = folder / "venv"
        self.log = folder / "log"

    def program(self, name: str, body: str) -> None:
        """Put a shell script on the PATH; it can write to `$LOG`."""
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        file.chmod(0o755)

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.bin}:{os.environ['PATH']}"
        kept = {
            k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
        }
        return subprocess.run(
            words,
            cwd=REPO,
            env={**kept, "PATH": path, "VENV": str(self.venv), "LOG": str(self.log), **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def bootstrap(self) -> subprocess.CompletedProcess[str]:
        return self.run("sh", "kit/bootstrap.sh", PYTHON=str(self.bin / "python"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# A python that makes an environment whose own python only notes that pip was called.
GOOD_PYTHON = """
case "$*" in
*"-m venv"*)
  [ -z "$NEEDS" ] || [ -e "$LOG" ] || exit 1
  mkdir -p "$VENV/bin"
  printf '#!/bin/sh\\ncase "$*" in *install*) echo "pip $*" >> "$LOG.pip";; esac\\n' \
    > "$VENV/bin/python"
  chmod +x "$VENV/bin/python";;
esac
"""


def test_help_lists_every_target(machine: Machine) -> None:
    listed = machine.run("make", "help").stdout
    for target in ("test", "lint", "bench", "wheel", "doctor", "clean", "distclean", "help"):
        assert f"make {target} " in listed
    assert "out/report.html" in listed


def test_bootstrap_installs_into_a_new_environment(machine: Machine) -> None:
    machine.program("python", GOOD_PYTHON)
    done = machine.bootstrap()
    assert done.returncode == 0, done.stderr
    assert "--editable .[dev]" in Path(f"{machine.log}.pip").read_text(encoding="utf-8")


def test_bootstrap_gets_the_missing_venv_module_as_root(machine: Machine) -> None:
    machine.program("python", f"NEEDS=apt\n{GOOD_PYTHON}")
    machine.program("id", "echo 0")
    machine.program("apt-get", 'case "$*" in *python3-venv*) echo "$*" >> "$LOG";; esac')
    done = machine.bootstrap()
    assert done.returncode == 0, done.stderr
    assert "python3-venv" in machine.log.read_text(encoding="utf-8")


def test_bootstrap_says_what_to_do_where_it_may_not_install(machine: Machine) -> None:
    machine.program("python", VENV_IS_MISSING)
    machine.program("id", "echo 1000")
    machine.program("sudo", "exit 1")
    done = machine.bootstrap()
    assert done.returncode == 2
    assert "cannot create a virtual environment" in done.stderr
    assert "apt-get install python3-venv" in done.stderr
    assert not machine.venv.exists(), "a half-made environment would look like a whole one"


def test_bootstrap_refuses_an_old_python(machine: Machine) -> None:
    machine.program("python", 'case "$*" in *version_info*) exit 1;; esac; echo Python 3.9.2')
    done = machine.bootstrap()
    assert done.returncode == 2
    assert "3.9.2 is too old" in done.stderr


def test_bootstrap_without_any_python(machine: Machine) -> None:
    done = machine.run("sh", "kit/bootstrap.sh", PYTHON="no-such-python")
    assert done.returncode == 2
    assert "there is no no-such-python" in done.stderr


def test_bootstrap_says_when_pip_fails(machine: Machine) -> None:
    machine.program("python", GOOD_PYTHON.replace('echo "pip $*" >> "$LOG.pip"', "exit 1"))
    done = machine.bootstrap()
    assert done.returncode == 2
    assert "pip could not install" in done.stderr


@pytest.mark.parametrize("status", [0, 2])
def test_ci_requires_the_guest_and_ends_with_the_closing_line(
    machine: Machine, status: int, tmp_path: Path
) -> None:
    closing = "=== 3 passed, 1 warning in 4.56s (0:00:04) ==="
    machine.program(
        "make",
        f'echo "$* $TESSERA_REQUIRE_GUEST" > "$LOG"; echo "{closing}"\n'
        f"[ {status} = 0 ] || echo 'make: *** [Makefile:1: test] Error 1' >&2; exit {status}",
    )
    done = machine.run(".ci/run", CI_LOG=str(tmp_path / "ci.log"))
    assert done.returncode == status
    assert machine.log.read_text(encoding="utf-8").split() == ["--no-print-directory", "test", "1"]
    assert done.stdout.splitlines()[-1] == closing
