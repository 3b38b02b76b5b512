"""The bench of conformance: what its rows say about the model checker's checks."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from control_trees import TOY_TREE

from tessera import resources
from tessera.conform import cbmc
from tessera.conform.prepared import Prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options
from tessera.lang.typed import Spec


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(resources.path("verification/bench/conform.py"))
    found = importlib.util.spec_from_file_location("bench_conform", path)
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def test_a_row_says_what_does_not_agree_and_why(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row without agreement must not look like one that nothing was asked for."""

    def run(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
        yield Check("cbmc", "cbmc/alloc/inside", "AGREES", counts={"runs": 2, "mebibytes": 5})
        yield Check("cbmc", "cbmc/alloc/list", "DIFFERS", counts={"runs": 1, "mebibytes": 9})
        yield Check("cbmc", "cbmc/coverage", "UNKNOWN", "3 of 28 added lines are reached by none")

    monkeypatch.setattr(cbmc, "run", run)
    alloc, cover = bench.checked("priority", TOY_TREE, 1)
    assert (alloc["checks"], alloc["agree"], alloc["differ"]) == (2, 1, 1)
    assert (alloc["runs"], alloc["mebibytes"], alloc["differs"]) == (3, 9, "cbmc/alloc/list")
    assert (cover["checks"], cover["agree"], cover["unknown"], cover["differs"]) == (1, 0, 1, "")
    assert cover["open"] == "cbmc/coverage: 3 of 28 added lines are reached by none"


def test_a_difference_of_the_model_checker_ends_with_exit_code_1(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    words = ["conform.py", "--tree", str(TOY_TREE), "--blocks", "1", "-o", str(out)]
    monkeypatch.setattr("sys.argv", words)
    monkeypatch.setattr(bench, "measure", lambda *_: [])
    for told, code in (("", 0), ("cbmc/alloc/list", 1)):
        monkeypatch.setattr(bench, "checked", lambda *_, told=told: [{"differs": told}])
        with pytest.raises(SystemExit) as ended:
            bench.main()
        assert ended.value.code == code and out.is_file()


def test_without_cbmc_a_row_says_skipped(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.guest.modelchecker.at_hand", lambda: None)
    (row,) = bench.checked("priority", TOY_TREE, 1)
    assert (row["operation"], row["skipped"], row["agree"]) == ("SKIPPED", 1, 0)
