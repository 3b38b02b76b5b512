"""How long the road takes: both policies checked, patch, guest, `make` twice, `make test`.

Goal: measure what users wait for, by the commands that they would type, and write JSON; parts can
be chosen, since a cold `make` and `make test` take long. Each figure stands beside the time that
we aim for.
Non-goals: judging (no exit code depends on a time), and profiling.

Example: `python verification/bench/first_light.py --part check --part patch -o out/bench.json`
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tessera.guest import build, machine, toolchain
from tessera.report.files import write_json

REPO = Path(__file__).resolve().parents[2]
TESSERA = Path(sys.executable).with_name("tessera")
POLICIES = ("priority", "vanilla")


@dataclass(frozen=True, slots=True)
class Measure:
    """Wall-clock seconds of every run of one thing, and what we aim for."""

    name: str
    command: str
    seconds: tuple[float, ...]
    aim: float
    status: int  # of the last run; 0 when all went well

    @property
    def best(self) -> float:
        """The shortest run."""
        return min(self.seconds)


def timed(
    name: str,
    aim: float,
    *words: str | Path,
    runs: int = 1,
    cwd: Path = REPO,
    env: dict[str, str] | None = None,
) -> Measure:
    """Run a command and take its time; its output goes to our stderr, so that one sees it move."""
    seconds = []
    status = 0
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=sys.stderr,
            check=False,
        )
        seconds.append(round(time.perf_counter() - start, 3))
        status = done.returncode
    shown = " ".join(Path(word).name if isinstance(word, Path) else word for word in words)
    return Measure(name, shown, tuple(seconds), aim, status)


def measure_check() -> list[Measure]:
    """Both policies, each in a process of its own, as a user calls them."""
    each = [timed(f"check {policy}", 30, TESSERA, "check", policy) for policy in POLICIES]
    both = sum(measure.seconds[0] for measure in each)
    worst = max(measure.status for measure in each)
    return [*each, Measure("check both", "the sum of the two", (round(both, 3),), 30, worst)]


def measure_patch() -> list[Measure]:
    """The patch for the tree that `tessera guest setup` fetched."""
    tree = toolchain.require().optee_source
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "priority.patch"
        words = ("patch", "priority", "--tree", tree, "-o", target)
        return [timed("patch", 5, TESSERA, *words, runs=3)]


def measure_guest() -> list[Measure]:
    """From the start of QEMU to a Linux that answers, on the unpatched build."""
    made = build.build(None, None)
    seconds = []
    for _ in range(3):
        with machine.boot(made, name="bench") as guest:
            seconds.append(round(guest.ready_seconds, 3))
    return [Measure("guest ready", "tessera guest run", tuple(seconds), 10, 0)]


@contextmanager
def clean_clone() -> Iterator[tuple[Path, dict[str, str]]]:
    """A clone of what is committed, and an environment in which no cache of ours is seen."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "tessera"
        subprocess.run(["git", "clone", "-q", REPO, clone], check=True)
        yield (
            clone,
            {
                "XDG_CACHE_HOME": f"{folder}/cache",
                "PIP_CACHE_DIR": f"{folder}/pip",
                "TESSERA_REQUIRE_GUEST": "1",
            },
        )


def measure_make() -> list[Measure]:
    """`make` twice in a clean clone without our caches (host packages stay installed)."""
    with clean_clone() as (clone, env):
        first = timed("first make", 15 * 60, "make", cwd=clone, env=env)
        return [first, timed("second make", 3 * 60, "make", cwd=clone, env=env)]


def measure_test() -> list[Measure]:
    """`make test` in a clean clone without our caches (host packages stay installed)."""
    with clean_clone() as (clone, env):
        return [timed("make test, cold", 20 * 60, "make", "test", cwd=clone, env=env)]


PARTS: dict[str, Callable[[], list[Measure]]] = {
    "check": measure_check,
    "patch": measure_patch,
    "guest": measure_guest,
    "make": measure_make,
    "test": measure_test,
}
QUICK = ("check", "patch", "guest")


def this_machine() -> dict[str, str | int]:
    """What the figures depend on."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "load": str(os.getloadavg()[0]),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Measure the chosen parts, print a table on stderr, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--part", action="append", choices=PARTS, help=f"default: {QUICK}")
    parser.add_argument("--all", action="store_true", help="also the cold make and make test")
    parser.add_argument("-o", "--output", type=Path, help="JSON file; stdout when not given")
    chosen = parser.parse_args()
    parts = list(PARTS) if chosen.all else chosen.part or list(QUICK)
    machine_facts = this_machine()
    measures = [measure for part in parts for measure in PARTS[part]()]
    document = {
        "machine": machine_facts,
        "measures": [{**asdict(m), "best": m.best} for m in measures],
    }
    for m in measures:
        note = "" if m.status == 0 else f"  exit {m.status}"
        print(f"{m.name:18} {m.best:9.2f} s   (aim {m.aim:g} s){note}", file=sys.stderr)
    if chosen.output:
        write_json(chosen.output, document)
    else:
        print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
