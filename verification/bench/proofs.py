"""What proofs cost: time, solver units and memory, and how they grow.

Goal: the shipped policies and cases; growth with classes, pools, steps of a bounded search and
platforms; cold against cached, and after one-line edits; a two-action pool beside mypyvy (when a
checkout is given) and SMT-LIB by hand. Writes JSON; each figure stands beside what we aim for.
Non-goals: judging (no exit code depends on a time), and profiling.

Example: `python verification/bench/proofs.py --part peer --mypyvy ../mypyvy -o out/proofs.json`
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grown import grown

from tessera.report.files import write_json

REPO = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TESSERA = BIN / "tessera"
POLICIES = REPO / "specs" / "policies"
Row = dict[str, Any]


def run(*words: str | Path, cwd: Path = REPO) -> tuple[float, int, int, str]:
    """Seconds, MiB at the peak of the largest process, exit code and output of a command."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen([str(w) for w in words], cwd=cwd, stdout=out, stderr=sys.stderr)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    return time.perf_counter() - began, usage.ru_maxrss // 1024, child.returncode, text


def checked(*words: str | Path, cwd: Path = REPO) -> Row:
    """One `tessera check`, with the sum and the largest of its obligations' solver units."""
    seconds, mib, code, text = run(TESSERA, "check", *words, "--json", cwd=cwd)
    found = json.loads(text) if text else []
    documents = found if isinstance(found, list) else [found]
    obligations = [o for d in documents for o in d["obligations"]]
    worst = max(obligations, key=lambda o: o["resource"], default={"id": "", "resource": 0})
    return {
        "seconds": round(seconds, 2),
        "peak_mib": mib,
        "exit_code": code,
        "obligations": len(obligations),
        "cached": sum(o["cached"] for o in obligations),
        "resource": sum(o["resource"] for o in obligations),
        "worst": worst["id"],
        "worst_resource": worst["resource"],
        "unmet": [o["id"] for o in obligations if not o["met"]],
    }


# --- parts ----------------------------------------------------------------------------------------


def shipped() -> list[Row]:
    """Every policy, cold, in one run; aim 60 s and 2 GiB."""
    names = sorted(POLICIES.glob("*.tess"))
    specs = [path for path in names if path.read_text(encoding="utf-8").find("\nspec ") >= 0]
    row = {"aim_seconds": 60, "aim_peak_mib": 2048, "specs": [p.stem for p in specs]}
    return [row | checked(*specs, "--no-cache")]


def cases() -> list[Row]:
    """The whole case library, cold; aim 120 s."""
    seconds, mib, code, _ = run(TESSERA, "cases", "--no-cache", "--json")
    return [{"seconds": round(seconds, 2), "peak_mib": mib, "exit_code": code, "aim_seconds": 120}]


def _grown(name: str, values: range, build: Callable[[int], str]) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for value in values:
            file = Path(folder, f"grown_{value}.tess")
            file.write_text(build(value), encoding="utf-8")
            rows.append({name: value} | checked(file, "--no-cache"))
    return rows


def classes() -> list[Row]:
    """Growth with the number of classes."""
    return _grown("classes", range(2, 9), lambda n: grown(n, 1))


def pools() -> list[Row]:
    """Growth with the number of pools."""
    return _grown("pools", range(1, 5), lambda n: grown(2, n))


def bound() -> list[Row]:
    """Growth of a bounded search with its steps: a property that holds, asked as if it did not."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for steps in (5, 10, 20, 40):
            file = Path(folder, f"bound_{steps}.tess")
            text = grown(2, 1) + f"\nexpect window violated within {steps}\n"
            file.write_text(text, encoding="utf-8")
            words = ("--property", "window", "--no-cache", "--steps", str(min(steps, 40)))
            rows.append({"steps": steps} | checked(file, *words))
    return rows


def platforms() -> list[Row]:
    """The property that depends on the platform, on every shipped one."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted((REPO / "models" / "optee" / "platforms").glob("*.tess")):
            if "somewhere" in path.read_text(encoding="utf-8"):
                continue  # a layout that is not chosen yet
            file = Path(folder, f"on_{path.stem}.tess")
            use = f'use "policies/vanilla.tess"\nuse "optee/platforms/{path.name}"\n'
            file.write_text(f"spec on_{path.stem}\n{use}", encoding="utf-8")
            words = ("--property", "inside_secure", "--no-cache")
            rows.append({"platform": path.stem} | checked(file, *words))
    return rows


# What is edited, in which file, from what to what.
EDITS = (
    ("nothing", "priority.tess", "", ""),
    ("a comment", "priority.tess", "# The priority", "# A priority"),
    ("a text", "inference_demands.tess", '"a lower class never', '"no lower class ever'),
    (
        "one property",
        "inference_demands.tess",
        "kind(b) < inference: end(b) <= reserve_start()",
        "kind(b) < inference: not (end(b) > reserve_start())",
    ),
    ("the spill", "priority.tess", "then ordinary else k", "then k else k"),
    (
        "the reserve's bound",
        "reserve_demands.tess",
        "pool_pages - pool_pages / 4)\n",
        "pool_pages - pool_pages / 8)\n",
    ),
)


def cache() -> list[Row]:
    """Cold, then again, then after one-line edits, from the same cache; aim 2 s for small ones."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "specs", "policies")
        shutil.copytree(POLICIES, work)
        words = (work / "priority.tess", "--cache", Path(folder, "cache"))
        rows.append({"edit": "cold"} | checked(*words))
        for what, name, old, new in EDITS:
            path = next(p for p in (work / name, work / "private_inference.tess") if p.exists())
            text = path.read_text(encoding="utf-8")
            if old and old not in text:
                rows.append({"edit": what, "skipped": f"{name} has no such line any more"})
                continue
            path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
            rows.append({"edit": what} | checked(*words))
            path.write_text(text, encoding="utf-8")
    return rows


def peer(mypyvy: Path | None) -> list[Row]:
    """The same two-action pool in three tools; three runs each, the best one counts."""
    folder = REPO / "verification" / "bench" / "peer"
    tools: dict[str, tuple[str | Path, ...]] = {
        "tessera": (TESSERA, "check", folder / "pool.tess", "--jobs", "1", "--no-cache"),
        "smt-lib by hand": (BIN / "z3", folder / "pool.smt2"),
    }
    if mypyvy is not None:
        python = mypyvy / "venv" / "bin" / "python"
        chosen = python if python.exists() else Path(sys.executable)
        script = mypyvy / "src" / "mypyvy.py"
        tools["mypyvy"] = (chosen, script, "verify", folder / "pool.pyv")
    rows = []
    for name, words in tools.items():
        results = [run(*words) for _ in range(3)]
        seconds, mib, code, _ = min(results)
        rows.append(
            {"tool": name, "seconds": round(seconds, 2), "peak_mib": mib, "exit_code": code}
        )
    if mypyvy is None:
        rows.append({"tool": "mypyvy", "skipped": "give its checkout with --mypyvy FOLDER"})
    return rows


PARTS: dict[str, Callable[[], list[Row]]] = {
    part.__name__: part for part in (shipped, cases, classes, pools, bound, platforms, cache)
}


def main() -> None:
    """Measure the parts that were asked for (all, when none was)."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", action="append", choices=[*PARTS, "peer"], default=[])
    parser.add_argument("--mypyvy", type=Path, help="a checkout of mypyvy, to be timed as well")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/proofs.json"))
    chosen = parser.parse_args()
    names = chosen.part or [*PARTS, "peer"]
    document: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "load_at_start": os.getloadavg()[0],
    }
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr)
        document[name] = peer(chosen.mypyvy) if name == "peer" else PARTS[name]()
        write_json(chosen.output, document)  # what is known so far
    for name in names:
        for row in document[name]:
            print(name, *(f"{k}={v}" for k, v in row.items()), sep="  ")


if __name__ == "__main__":
    main()
