"""The table of negative controls in docs/conform.md, written from what `--controls --json` printed.

Goal: `python docs/controls.py RUN.json... --write` puts the runs together in docs/controls.json and
the table on the page; without RUN it renews the table, and `--check` fails when that is old.
Non-goals: running anything, and the words around the table, which people write.

Example: `tessera conform priority --controls --json > run.json; python docs/controls.py run.json
--write`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tessera.conform.control_catalogue import CONTROLS
from tessera.conform.controls_chosen import is_tried

FOLDER = Path(__file__).resolve().parent
PAGE, RECORD = FOLDER / "conform.md", FOLDER / "controls.json"
BEGIN, END = "<!-- controls: begin -->", "<!-- controls: end -->"
TIERS = ("smt", "host", "cbmc", "guest")
CAUGHT = ("DIFFERS", "REFUSED", "ENDLESS")
Row = dict[str, Any]


def together(runs: list[list[Row]]) -> list[Row]:
    """One row per control of the catalogue, in its order; a later run takes an earlier's place.

    What was not tried in a run takes nothing's place. What the catalogue no longer has goes.
    """
    rows: dict[str, Row] = {
        one.name: {"name": one.name, "kind": one.kind, "doc": one.doc, "caught": False, "tiers": {}}
        for one in CONTROLS
    }
    for run in runs:
        for one in (known for known in run if known["name"] in rows):
            row = rows[one["name"]]
            tried = {t: said for t, said in one["tiers"].items() if said["verdict"] != "NOT TRIED"}
            row["tiers"].update(tried)
            row["caught"] = any(said["verdict"] in CAUGHT for said in row["tiers"].values())
    return list(rows.values())


def table(rows: list[Row]) -> str:
    """The table as Markdown, and how many each tier was given and caught."""
    lines = [
        "| control | about | " + " | ".join(TIERS) + " |",
        "|---|---|" + "---|" * len(TIERS),
    ]
    lines += [
        f"| `{row['name']}` | {row['kind']} | "
        + " | ".join(_cell(tier, row["name"], row["tiers"].get(tier)) for tier in TIERS)
        + " |"
        for row in rows
    ]
    sums = []
    for tier in TIERS:
        said = [row["tiers"][tier] for row in rows if tier in row["tiers"]]
        caught = sum(one["verdict"] in CAUGHT for one in said)
        spent = sum(one["processor"] for one in said)
        sums.append(f"{caught} of {len(said)}, {spent:.0f} s" if said else "none tried")
    lines.append(f"| {len(rows)} controls | | " + " | ".join(sums) + " |")
    return "\n".join(lines)


def _cell(tier: str, name: str, said: Row | None) -> str:
    """The check that caught it and the processor's seconds until then."""
    if said is None:
        return "to be run" if is_tried(tier, name, by_name=False) else "not tried"
    seconds = f"{said['processor']:.1f}"
    if said["verdict"] == "AGREES":
        return f"**missed**, {seconds}"
    check = said["check"].removeprefix(f"{tier}/")
    word = "" if said["verdict"] == "DIFFERS" else f"{said['verdict']} "
    return f"{word}{check}, {seconds}" if check != tier else f"{word.strip() or check}, {seconds}"


def page(text: str, rows: list[Row]) -> str:
    """The page with the table between its marks."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"


def main(words: list[str]) -> int:
    """0, or 1 when the page is old."""
    files = [Path(word) for word in words if not word.startswith("--")]
    kept = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else []
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    rows = together([kept, *runs])
    old = PAGE.read_text(encoding="utf-8")
    made = page(old, rows)
    if "--write" in words:
        RECORD.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(made, encoding="utf-8")
        return 0
    if made != old:
        print("docs/conform.md: the table of controls is old; run python docs/controls.py --write")
    return int(made != old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
