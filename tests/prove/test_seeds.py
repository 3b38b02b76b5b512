"""Spreads over seeds, and the command that reports them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.cli import check as command
from tessera.prove.seeds import over_seeds, steady
from tessera.results import Obligation, Spread


def obligation(name: str, verdict: str, resource: int) -> Obligation:
    return Obligation(name, "p", "", verdict, "proved", verdict == "PROVED", 0.0, resource)


RUNS = {
    0: (obligation("s/a", "PROVED", 10), obligation("s/b", "PROVED", 5)),
    1: (obligation("s/a", "PROVED", 30), obligation("s/b", "UNKNOWN", 9)),
    2: (obligation("s/a", "PROVED", 20),),
}


def test_spread() -> None:
    a, b = over_seeds(RUNS, RUNS.__getitem__)
    assert a == Spread("s/a", {"PROVED": 3}, 10, 20, 30)
    assert b == Spread("s/b", {"PROVED": 1, "UNKNOWN": 1, "absent": 1}, 5, 5, 9)
    assert (steady(a), steady(b)) == (True, False)
    assert not steady(Spread("s/c", {"UNKNOWN": 3}, 1, 1, 1)), "undecided is not steady"


def test_no_seeds_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        over_seeds((), RUNS.__getitem__)


SPEC = """
spec tank
var level: u8
init { level := 0 }
action add(n: u8) { require n <= 100 - level  level := level + n }
invariant inside: level <= 100
"""


def test_command(tmp_path: Path) -> None:
    file = tmp_path / "tank.tess"
    file.write_text(SPEC)
    run = CliRunner().invoke
    words = ["check", str(file), "--jobs", "1", "--seeds", "3"]
    assert "3 seeds: 3 of 3 verdicts are steady" in run(app, words).output
    document = json.loads(run(app, [*words, "--json"]).stdout)
    assert {s["id"] for s in document["spreads"]} == {o["id"] for o in document["obligations"]}
    assert all(s["verdicts"] == {"PROVED": 3} for s in document["spreads"])


def test_a_verdict_that_depends_on_the_seed_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tank.tess"
    file.write_text(SPEC)
    runs = iter([RUNS[0], RUNS[1], RUNS[2]])
    monkeypatch.setattr(command, "check_all", lambda *_, **__: [next(runs)])
    done = CliRunner().invoke(app, ["check", str(file), "--seeds", "3"])
    assert done.exit_code == 1
    assert "s/b (1 PROVED, 1 UNKNOWN, 1 absent)" in done.output
