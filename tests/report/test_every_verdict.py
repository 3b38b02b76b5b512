"""Every verdict that a check can give is printed, and is one that the schema knows."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.report.html import render_html
from tessera.report.read import results_in
from tessera.report.schema import results_schema

COUNTER = """
spec counter
var x: u8
var y: u8
init { x := 0  y := 0 }
action up() { require x < 250  x := x + 1 }
action both() { require x == 250 and y == 7  y := 9 }
"""
SPECS = {
    "PROVED": "invariant small: x <= 250",
    "VIOLATED": "invariant small: x <= 2",
    "BOUNDED": "invariant small: x <= 240\nexpect small violated within 3",
    "CTI": "invariant small: y < 9",
    "VACUOUS": "cover far within 3: x == 9",
    "UNKNOWN": "var a: u64\nvar b: u64\naction mul(n: u64, m: u64) { a := n  b := m }\n"
    "invariant small: a < 2 or b < 2 or a >= 0x1_0000_0000 or b >= 0x1_0000_0000 or "
    "a * b != 0xffff_fff6_0000_0019",
}


@pytest.mark.parametrize("verdict", SPECS)
def test_printed_and_in_the_schema(verdict: str, tmp_path: Path) -> None:
    file = tmp_path / "counter.tess"
    file.write_text(COUNTER + SPECS[verdict])
    words = ["check", str(file), "--jobs", "1", "--steps", "3", "--all"]
    words += ["--limit", "20000"] if verdict == "UNKNOWN" else []
    shown = CliRunner().invoke(app, words)
    assert shown.exception is None or isinstance(shown.exception, SystemExit)
    assert verdict in shown.output
    document = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    jsonschema.validate(document, results_schema())
    verdicts = {o["verdict"] for o in document["obligations"]}
    assert verdict in verdicts
    (results,) = results_in(document, "here")
    assert verdict in render_html(results)
