"""The scenarios on a real OP-TEE: what the unpatched one fails, the patched one must pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera import resources
from tessera.cli import app
from tessera.guest import build, scenarios
from tessera.results import Scenario

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def outcomes(
    unpatched_build: build.Build,
    patched_build: build.Build,
    priority_patch: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Scenario]:
    """The quick scenarios on both sides, run once; the others have files of their own."""
    logs = tmp_path_factory.mktemp("scenarios")
    names = ("infer", "starve", "residue", "isolate")
    ran = scenarios.run_scenarios(priority_patch, names=names, log_folder=logs)
    return {scenario.name: scenario for scenario in ran}


def _figures(scenario: Scenario) -> tuple[dict[str, float], dict[str, float]]:
    assert scenario.unpatched is not None
    assert scenario.patched is not None
    return scenario.unpatched.figures, scenario.patched.figures


def test_inference_equals_the_reference_on_both(outcomes: dict[str, Scenario]) -> None:
    for figures in _figures(outcomes["infer"]):
        assert figures["images"] >= 100
        assert figures["same_top1"] == figures["images"]
        assert figures["largest_difference"] <= 1e-4
    assert outcomes["infer"].met


def test_ordinary_tas_starve_inference_only_without_the_policy(
    outcomes: dict[str, Scenario],
) -> None:
    scenario = outcomes["starve"]
    before, after = _figures(scenario)
    assert scenario.unpatched is not None and not scenario.unpatched.passed
    assert "out of memory" in scenario.unpatched.detail
    assert before["pool_allocated_starved"] == before["pool_bytes"]
    assert scenario.patched is not None and scenario.patched.passed
    # What ordinary TAs may not have is the reserve of the spec.
    assert before["hog_bytes"] - after["hog_bytes"] > 7 * 1024 * 1024
    assert scenario.met


def test_the_weights_stay_behind_only_without_the_policy(outcomes: dict[str, Scenario]) -> None:
    scenario = outcomes["residue"]
    before, after = _figures(scenario)
    assert scenario.unpatched is not None and not scenario.unpatched.passed
    assert before["found_after"] > 0
    assert after["found_open"] > 0
    assert after["found_after"] == 0
    assert after["searched_bytes"] == 16 * 1024 * 1024
    assert scenario.met


def test_linux_cannot_read_secure_ram_on_either(outcomes: dict[str, Scenario]) -> None:
    for figures in _figures(outcomes["isolate"]):
        assert figures["faults"] == figures["reads"] == 17
    assert outcomes["isolate"].met


def test_logs_of_every_side_are_kept(outcomes: dict[str, Scenario]) -> None:
    for scenario in outcomes.values():
        for side, outcome in (("unpatched", scenario.unpatched), ("patched", scenario.patched)):
            assert outcome is not None
            assert outcome.log.endswith(f"{scenario.name}.{side}.linux.log")


def test_a_patch_without_the_scrub_is_caught(unpatched_build: build.Build, tmp_path: Path) -> None:
    """The unpatched OP-TEE in place of the patched one: `residue` must not be met."""
    (scenario,) = scenarios.run_scenarios("", names=["residue"], log_folder=tmp_path)
    assert scenario.patched is not None and not scenario.patched.passed
    assert not scenario.met


def test_validate_prints_the_document_and_its_exit_code_follows(
    patched_build: build.Build, tmp_path: Path
) -> None:
    spec = str(resources.path("specs/policies/priority.tess"))
    words = ["validate", spec, "--json", "--scenario", "isolate", "--logs", str(tmp_path / "g")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert [(s["name"], s["met"]) for s in document["scenarios"]] == [("isolate", True)]
    assert document["patch"]["added"] + document["patch"]["removed"] <= 32
    assert document["versions"]["OP-TEE"].startswith(unquoted_version(document))
    assert (tmp_path / "g/isolate.patched.linux.log").is_file()


def unquoted_version(document: dict[str, dict[str, str]]) -> str:
    """The OP-TEE version that the patch says it is for."""
    return document["patch"]["target"].removeprefix("OP-TEE ").split()[0]


def test_validate_leaves_with_1_when_a_scenario_is_not_as_expected(
    unpatched_build: build.Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.guest.scenarios.isolate.BUS_ERROR", 0)
    monkeypatch.setattr("tessera.guest.scenarios.isolate.SHARED_MEMORY", 0x0E000000)
    spec = str(resources.path("specs/policies/vanilla.tess"))
    words = ["validate", spec, "--scenario", "isolate", "--logs", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "inconclusive" in result.output
