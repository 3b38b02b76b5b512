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
    ways = {one for one in rows if not one.startswith("onnxruntime")}
    # 1,000 bytes are too few: said, and left out
    assert ways == {"without, -O2", "without, -O3", "with 64 KiB"}
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
