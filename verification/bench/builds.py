"""The tier `builds` on many trees at once: the table of versions and configurations in the docs.

Goal: every version that apt offers and every tree that is given, in every configuration; a Markdown
table on the standard output, JSON with all counts and seconds in a file.
Non-goals: judging (no exit code depends on a time), except that a difference ends with exit code 1.

Example: `python verification/bench/builds.py --tree optee_os -o out/builds.json`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tessera import resources
from tessera.cli.builds_matrix import cells_of
from tessera.conform.builds import Version, survey, versions
from tessera.conform.result import Check
from tessera.guest import releases, toolchain
from tessera.lang import load
from tessera.report.files import write_json


def listed(trees: Sequence[Path]) -> list[Version]:
    """What apt offers, then the given trees; each once."""
    found = list(versions(toolchain.require().optee_source, releases.at_hand() or ()))
    for tree in trees:
        found += [one for one in versions(tree, (), alone=True) if one not in found]
    return found


def markdown(checks: Sequence[Check]) -> str:
    """The table: a row for each version, a column for each configuration."""
    cells = cells_of(checks)
    labels = list(dict.fromkeys(label for label, _ in cells))
    rows = list(dict.fromkeys(row for _, row in cells))
    lines = ["| | " + " | ".join(labels) + " |", "|---" * (len(labels) + 1) + "|"]
    for row in rows:
        verdicts = [cells.get((label, row), "") for label in labels]
        lines.append(f"| `{row}` | " + " | ".join(verdicts) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Look at every version; 0 when nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, action="append", default=[])
    parser.add_argument("--spec", default="priority")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/builds.json"))
    chosen = parser.parse_args()
    spec = load(resources.find_spec(chosen.spec))
    checks: list[Check] = []
    for version in listed(chosen.tree):
        for check in survey(spec, version):
            print(f"{check.name}: {check.verdict} {check.detail}", file=sys.stderr, flush=True)
            checks.append(check)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    write_json(chosen.output, {"spec": chosen.spec, "checks": [asdict(check) for check in checks]})
    print(markdown(checks), end="")
    return int(any(check.verdict == "DIFFERS" for check in checks))


if __name__ == "__main__":
    sys.exit(main())
