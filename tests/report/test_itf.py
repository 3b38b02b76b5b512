"""ITF: the published form, the round trip through `tessera replay`, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tessera.cli import app
from tessera.errors import TesseraError
from tessera.report.itf import from_itf, to_itf
from tessera.report.read import read_results, recorded_traces

SPEC = """
spec counter "a counter that stops at its limit"
const limit: u8 in 1 .. 200
const weight(t: thing): u8
enum colour { red, green }
sort thing as t
var level: u8
var lit(c: colour): bool
var pair(t: thing, c: colour): u8
var memory(g: u16): thing
init { level := 0 }
action up() { require level <= limit  level := level + 1 }
action mark(t: thing, c: colour, g: u16) { pair(t, c) := 3  lit(c) := true  memory(g) := t }
invariant in_range "never above the limit": level <= limit
invariant pairs: forall t: thing, c: colour where lit(c): pair(t, c) <= 2
invariant kept: forall t: thing, g: u16: memory(g) == t => pair(t, red) == 0
cover two within 3: level == 2
"""
IDS = ["counter/in_range", "counter/pairs", "counter/kept", "counter/two"]
runner = CliRunner()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`results.json` of the spec, checked once."""
    folder = tmp_path_factory.mktemp("itf")
    (folder / "counter.tess").write_text(SPEC)
    done = runner.invoke(app, ["check", str(folder / "counter.tess"), "--json", "--jobs", "1"])
    (folder / "results.json").write_text(done.stdout)
    return folder / "results.json"


def exported(results: Path, name: str) -> dict[str, Any]:
    (document,) = read_results(results)
    (obligation,) = (o for o in document.obligations if o.id == name)
    return to_itf(document, obligation)


def is_expression(data: Any) -> bool:
    """An expression of ADR-015 as revised on 2023-09-14: no JSON number stands in one."""
    if isinstance(data, bool | str):
        return True
    if isinstance(data, list):
        return all(map(is_expression, data))
    if not isinstance(data, dict):
        return False
    if not any(key.startswith("#") for key in data):
        return all(map(is_expression, data.values()))
    if len(data) != 1:
        return False
    ((kind, content),) = data.items()
    match kind:
        case "#bigint":
            return isinstance(content, str) and re.fullmatch(r"-?[0-9]+", content) is not None
        case "#tup" | "#set":
            return isinstance(content, list) and all(map(is_expression, content))
        case "#map":
            return isinstance(content, list) and all(
                isinstance(p, list) and len(p) == 2 and all(map(is_expression, p)) for p in content
            )
        case _:
            return False


@pytest.mark.parametrize("name", IDS)
def test_the_form_is_the_published_one(results: Path, name: str) -> None:
    trace = exported(results, name)
    assert set(trace) == {"#meta", "params", "vars", "states"}
    assert trace["vars"] == ["level", "lit", "pair", "memory"]
    assert trace["params"] == ["limit", "weight"]
    for number, state in enumerate(trace["states"]):
        params = trace["params"] if number == 0 else []
        assert set(state) == {"#meta", *trace["vars"], *params}
        assert state["#meta"]["index"] == number
        for key, value in state.items():
            assert key == "#meta" or is_expression(value), (key, value)


def test_values_have_the_form_of_their_kind(results: Path) -> None:
    state = exported(results, "counter/kept")["states"][-1]
    assert state["level"] == {"#bigint": "0"}
    assert state["lit"] == {"#map": [["red", True], ["green", False]]}
    assert state["pair"]["#map"][0] == [
        "t1",
        {"#map": [["red", {"#bigint": "3"}], ["green", {"#bigint": "0"}]]},
    ]
    ends = {"#tup": [{"#bigint": "0"}, {"#bigint": "65536"}]}
    assert state["memory"] == {"#map": [[ends, "t1"]]}


@pytest.mark.parametrize("name", IDS)
def test_replay_reproduces_what_was_exported(results: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "one.itf.json"
    done = runner.invoke(
        app, ["export", str(results), "--format", "itf", "--id", name, "-o", str(file)]
    )
    assert done.exit_code == 0, done.output
    (document,) = read_results(results)
    (original,) = (r for r in recorded_traces([document]) if r.id == name)
    read = from_itf(json.loads(file.read_text()), "here")
    assert (read.id, read.digest, read.script) == (original.id, original.digest, original.script)
    assert list(read.states) == list(original.states)
    done = runner.invoke(app, ["replay", str(file)])
    assert done.exit_code == 0 and f"reproduced {name}" in done.stdout


def test_a_folder_takes_one_file_per_trace_and_replay_takes_them_all(
    results: Path, tmp_path: Path
) -> None:
    done = runner.invoke(app, ["export", str(results), "--format", "itf", "-o", str(tmp_path)])
    assert done.exit_code == 0
    assert len(list(tmp_path.glob("*.itf.json"))) == len(IDS)
    done = runner.invoke(app, ["replay", str(results), "--json"])
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert [row["id"] for row in rows] == IDS
    assert all(row["reproduced"] for row in rows)
    done = runner.invoke(app, ["export", str(results), "--format", "itf"])
    assert isinstance(done.exception, TesseraError)
    assert "choose one with --id" in done.exception.remedy


def _events(trace: dict[str, Any]) -> None:
    trace["states"][1]["#meta"]["event"]["action"] = "mark"


def _state(trace: dict[str, Any]) -> None:
    trace["states"][1]["level"] = {"#bigint": "7"}


def _short(trace: dict[str, Any]) -> None:
    trace["states"].pop()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_events, "not reproduced"),
        (_state, "step 1: another value of 'level' is recorded"),
        (_short, "'in_range' is not violated"),
    ],
)
def test_a_changed_trace_is_not_reproduced(
    results: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    trace = exported(results, "counter/in_range")
    change(trace)
    file = tmp_path / "changed.itf.json"
    file.write_text(json.dumps(trace))
    done = runner.invoke(app, ["replay", str(file)])
    assert done.exit_code == 1
    assert said in " ".join(done.stdout.split())


def _foreign(trace: dict[str, Any]) -> None:
    trace["#meta"] = {"source": "Other.tla"}


def _no_world(trace: dict[str, Any]) -> None:
    del trace["#meta"]["tessera"]["world"]


def _no_variable(trace: dict[str, Any]) -> None:
    del trace["states"][1]["level"]


def _number(trace: dict[str, Any]) -> None:
    trace["states"][1]["level"] = 7


def _digest(trace: dict[str, Any]) -> None:
    trace["#meta"]["tessera"]["digest"] = "0" * 64


def _property(trace: dict[str, Any]) -> None:
    trace["#meta"]["tessera"]["property"] = "thrift"


def _tables(trace: dict[str, Any]) -> None:
    trace["#meta"]["tessera"]["world"]["tables"] = {"weight": [7]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_foreign, "was not written by tessera"),
        (_no_world, "has no 'world'"),
        (_no_variable, "has no 'level'"),
        (_number, "not an ITF expression"),
        (_digest, "another version of this spec"),
        (_property, "no property 'thrift'"),
        (_tables, "cannot be read"),
    ],
)
def test_bad_input_is_told(
    results: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    trace = exported(results, "counter/in_range")
    change(trace)
    file = tmp_path / "bad.itf.json"
    file.write_text(json.dumps(trace))
    done = runner.invoke(app, ["replay", str(file)])
    assert isinstance(done.exception, TesseraError)
    assert said in done.exception.message


def test_another_version_of_the_spec_can_be_forced(results: Path, tmp_path: Path) -> None:
    """A trace of yesterday's defect, on today's spec."""
    mended = tmp_path / "counter.tess"
    mended.write_text(SPEC.replace("require level <= limit", "require level < limit"))
    words = ["replay", str(results), "--id", "counter/in_range", "--spec", str(mended)]
    assert isinstance(runner.invoke(app, words).exception, TesseraError)
    done = runner.invoke(app, [*words, "--force"])
    assert done.exit_code == 1
    assert "not reproduced, step 2: up() is not enabled" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "not a results document"),
        ('{"obligations": [], "schema_version": "1"}', "version 1"),
        ('{"obligations": [], "schema_version": "2"}', "results has no 'spec'"),
    ],
)
def test_bad_documents_are_told(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(text)
    for words in (["replay", str(file)], ["export", str(file), "--format", "itf"]):
        done = runner.invoke(app, words)
        assert isinstance(done.exception, TesseraError)
        assert said in done.exception.message
    assert "cannot read" in str(runner.invoke(app, ["replay", str(tmp_path / "none")]).exception)


def test_a_document_is_read_back_as_it_was_written(results: Path) -> None:
    (document,) = read_results(results)
    assert json.loads(json.dumps(document.to_json())) == json.loads(results.read_text())
