"""`tessera explain`: words for a spec, its names and its obligations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.lang import Spec, load
from tessera.lang.explain import Explanation, explain

TEXT = """
spec tank "A tank."
const size: u8 in 1 .. 100
var level: u8 "how full it is"
var lamp: bool
function room(): u8 "what still fits" = size - level
init { level := 0 }
action add(n: u8) "pour" { require n <= room()  level := level + n }
action switch() { lamp := not lamp }
invariant inside "it never flows over": level <= size
promise refill: level == 0 => add(size) succeeds
cover full: level == size
"""


@pytest.fixture
def tank(tmp_path: Path) -> Spec:
    path = tmp_path / "tank.tess"
    path.write_text(TEXT)
    return load(path)


def lines(found: Explanation, title: str) -> tuple[str, ...]:
    return next(s.lines for s in found.sections if s.title == title)


def test_spec(tank: Spec) -> None:
    found = explain(tank)
    assert (found.title, found.summary) == ("spec tank", "A tank.")
    assert lines(found, "What can happen") == ("add - pour", "switch")
    assert lines(found, "Sizes that are not fixed") == ("size in 1 .. 100",)
    text = str(found)
    assert all(p.name in text for p in tank.properties)


def test_property_says_what_has_to_be_proved(tank: Spec) -> None:
    found = explain(tank, "inside")
    assert lines(found, "In words") == ("level is at most size",)
    assert lines(found, "What has to be proved") == (
        "init/inside: the start satisfies it",
        "add/inside: add keeps it",
        "nothing for switch: they change nothing that it reads",
    )


def test_obligation(tank: Spec) -> None:
    found = explain(tank, "tank/add/inside")
    assert lines(found, "add happens") == (
        "needs: n is at most room()",
        "level becomes level + n",
    )
    assert explain(tank, "init/inside").title == "tank/init/inside"
    assert "add(size) can happen" in str(explain(tank, "refill/witness"))


@pytest.mark.parametrize("name", ["room", "size", "level", "switch", "add/reachable", "full"])
def test_every_kind_of_name(tank: Spec, name: str) -> None:
    assert name.split("/", maxsplit=1)[0] in explain(tank, name).title


def test_unknown_name_suggests_the_nearest(tank: Spec) -> None:
    with pytest.raises(TesseraError, match="nothing called 'levle'") as error:
        explain(tank, "levle")
    assert "level" in error.value.remedy


def test_every_name_of_a_shipped_spec_is_explained() -> None:
    spec = load("specs/policies/priority.tess")
    names = [*(p.name for p in spec.properties), *(a.name for a in spec.actions)]
    names += [*spec.functions, *spec.consts, *spec.params, *spec.vars]
    assert all(explain(spec, name).sections or name for name in names)
    pairs = [f"{a.name}/{p.name}" for a in spec.actions for p in spec.properties]
    assert all(explain(spec, pair).title.endswith(pair) for pair in pairs)


def test_command() -> None:
    run = CliRunner().invoke
    shown = run(app, ["explain", "priority:alloc/disjoint"])
    assert shown.exit_code == 0
    assert "alloc happens" in shown.output
    assert "\x1b" not in shown.output
    document = json.loads(run(app, ["explain", "priority:disjoint", "--json"]).output)
    assert document["title"].startswith("invariant disjoint")
