"""The bench of plans: what its rows say of a tiled run that is equal, and of one that is not."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tessera import resources
from tessera.plan import zoo
from tessera.plan.execute import run
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.choose import Chooser


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(resources.path("verification/bench/plan.py"))
    found = importlib.util.spec_from_file_location("bench_plan", path)
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def test_three_budgets_of_the_digits_network_in_integers(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "plan.json"
    words = ["plan.py", "--int8", "--models", "lenet_digits", "-o", str(out)]
    monkeypatch.setattr("sys.argv", words)
    bench.main()
    (row,) = json.loads(out.read_text())["models"]
    assert len(row["plans"]) == 3
    for plan in row["plans"]:
        assert plan["certificate"] == "holds" and plan["equal_bits"] is True
        assert plan["peak"] <= (plan["budget"] or plan["peak"])
        assert plan["all_of_the_ta"] > plan["peak"] and plan["all_of_the_ta"] % 4096 == 0
    assert row["plans"][0]["loaded"] > row["plans"][1]["loaded"] > row["plans"][2]["loaded"] == 0


def test_a_run_that_differs_in_one_value_is_said(bench: ModuleType) -> None:
    graph = prepared(zoo.build("lenet_digits"), Calibration())
    found = Chooser(graph).minimise()
    right = run(graph, zoo.sample(graph, 0))
    same = bench.compared(found, right, 0)
    assert same["equal_bits"] is True and same["relative_difference"] == 0
    (name,) = right
    other = np.array(right[name])
    other.flat[3] = np.nextafter(other.flat[3], np.inf)
    assert bench.compared(found, {name: other}, 0)["equal_bits"] is False
