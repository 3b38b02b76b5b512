"""The bench that sets packages beside the naive runtime: what it counts, compares and draws."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from c_runtime import compiler

from tessera import resources
from tessera.plan import zoo
from tessera.plan.prepare import prepared

BUDGET = 64 << 10


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """verification/bench/with_without.py."""
    path = Path(resources.path("verification/bench/with_without.py"))
    found = importlib.util.spec_from_file_location("bench_with_without", path)
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    sys.modules["bench_with_without"] = made
    found.loader.exec_module(made)
    return made


def test_one_small_network(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler()
    if shutil.which("make") is None:
        pytest.skip("no make; mend: apt-get install make")
    words = ["lenet_digits", "--no-board", "--rounds", "1", "--budget", str(BUDGET)]
    words += ["--budget", "1000", "-o", str(tmp_path / "out.json")]
    assert bench.main([*words, "--svg", str(tmp_path / "out.svg")]) == 0
    (network,) = json.loads((tmp_path / "out.json").read_text())["networks"]
    rows = {one["way"]: one for one in network["rows"]}
    ways = {one for one in rows if not one.startswith(("onnxruntime", "ncnn"))}
    # 1,000 bytes are too few: said, and left out
    mine = {"with 64 KiB", "with 64 KiB, native", "with 64 KiB, native, fused"}
    assert ways == {"without, -O2", "without, -O3", *mine}
    assert set(network["ratios"]) == mine
    # What is not installed is said
    assert len(network["missing"]) + len(rows) - len(ways) == len(bench.peers.ALL)
    said = capsys.readouterr()
    assert "1,000 bytes" in said.err and "with 64 KiB" in said.out
    assert all(one["units"] <= bench.UNITS for one in rows.values())
    assert all(one["instructions"] is None for one in rows.values())
    graph = prepared(zoo.build("lenet_digits"))
    assert rows["without, -O2"]["bytes"]["weight_bytes"] == graph.weight_bytes
    assert 0 < rows["with 64 KiB"]["bytes"]["arena"] <= BUDGET
    ET.parse(tmp_path / "out.svg")


def test_a_wrong_output_is_not_counted(bench: ModuleType) -> None:
    reference = np.ones((1, 2), np.float32)
    case = bench.Case("x", None, reference, reference)
    wrong = np.array([1.0, 1.0 + 65 * np.spacing(np.float32(1))], np.float32)
    row = bench.Row("mine", {}, lambda: (wrong, 0.5))
    with pytest.raises(RuntimeError, match=r"x, mine: 65\.0 units"):
        bench.take_turns(case, [row], 1)
    assert row.seconds is None
    with pytest.raises(RuntimeError):
        case.require(np.full(2, np.nan, np.float32), "nothing")


def test_the_best_of_all_rounds_counts(bench: ModuleType) -> None:
    case = bench.Case("x", None, np.ones(2, np.float32), np.ones(2, np.float32))
    order: list[str] = []

    def row(way: str, *seconds: float) -> Any:
        left = list(seconds)

        def once() -> Any:
            order.append(way)
            return case.x, left.pop(0)

        return bench.Row(way, {}, once)

    rows = [row("a", 3.0, 1.0, 2.0), row("b", 0.5, 0.25, 4.0)]
    bench.take_turns(case, rows, 3)
    assert [one.seconds for one in rows] == [1.0, 0.25] and order == ["a", "b"] * 3


def test_bars_are_as_long_as_what_they_stand_for(bench: ModuleType) -> None:
    rows = [
        {"way": "without, -O2", "all_bytes": 400, "instructions": None, "seconds": 1.0},
        {"way": "with", "all_bytes": 100, "instructions": None, "seconds": None},
    ]
    drawn = ET.fromstring(bench.picture([{"name": "x", "rows": rows}]))
    bars = drawn.findall("{http://www.w3.org/2000/svg}rect")
    assert [float(one.get("width", "0")) for one in bars] == [420.0, 105.0, 420.0]


def test_what_is_missing_is_said(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(graph: Any, x: Any) -> Any:
        raise ImportError("No module named 'some'")

    def other(graph: Any, x: Any) -> Any:
        raise ValueError("Erf is not written for other")

    monkeypatch.setattr(bench.peers, "ALL", {"some": none, "other": other})
    rows, missing = bench.others(bench.Case("x", None, np.ones(1), np.ones(1)))
    assert not rows and set(missing) == {"some", "other"}
    assert "x, some: No module named 'some'" in capsys.readouterr().err


def test_ratios_are_ours_over_theirs(bench: ModuleType) -> None:
    mine, unknown = bench.Row("with 1", {}, None, seconds=3.0), bench.Row("with 2", {}, None)
    theirs = bench.Row("other", {}, None, seconds=1.5)
    assert bench.ratios([mine, unknown], [theirs]) == {"with 1": {"other": 2.0}, "with 2": {}}


def test_a_width_that_changes_bits_is_not_counted(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = prepared(zoo.build("lenet_digits"))
    x = zoo.sample(graph, 1)[graph.inputs[0]]
    made = iter([1.0, 1.0, 2.0])

    def execute(*words: Any, **more: Any) -> Any:
        output = np.array([next(made)], np.float32)
        return bench.packages.Ran((output,), {}, {"cpu_seconds": 1.0})

    monkeypatch.setattr(bench.packages, "execute", execute)
    case = bench.Case("lenet_digits", graph, x, np.ones(1))
    found = bench.planned(case, dict.fromkeys(bench.BUILDS, tmp_path), BUDGET)
    assert found is not None
    portable, native, _ = found[0]
    portable.once()
    native.once()
    with pytest.raises(RuntimeError, match="the width of vectors changes bits"):
        native.once()


def test_a_graph_as_ncnn_reads_it(bench: ModuleType) -> None:
    graph = prepared(zoo.build("resnet18"))
    writer = bench.peers.Writer(graph)
    lines = writer.text().splitlines()
    layers, blobs = map(int, lines[1].split())
    assert layers == len(lines) - 2
    written = [word for line in lines[2:] for word in outputs_of(line)]
    read = [word for line in lines[2:] for word in inputs_of(line)]
    assert len(written) == len(set(written)) == blobs
    # Every blob is read once, after it is written; the last is the output
    assert sorted([*read, graph.outputs[0]]) == sorted(written)
    tags = sum(node.op in {"Conv", "Gemm"} for node in graph.nodes)
    assert len(writer.weights) == graph.weight_bytes + 4 * tags


def inputs_of(line: str) -> list[str]:
    words = line.split()
    return words[4 : 4 + int(words[2])]


def outputs_of(line: str) -> list[str]:
    words = line.split()
    at = 4 + int(words[2])
    return words[at : at + int(words[3])]
