"""The whole road without a guest: what is written, what is said about what did not run.

The parts are tested in their own folders; here the proofs and the guest are replaced, so that
every way the road can end is seen.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from tessera import prove
from tessera.cli import app
from tessera.errors import TesseraError
from tessera.guest import scenarios, toolchain, validation
from tessera.lang import Spec
from tessera.report.schema import results_schema
from tessera.results import Obligation, Outcome, PatchInfo, Scenario

PATCH = PatchInfo("a patch\n", 1, 0, 32, ("core/mm/x.c",), {"window": 1}, "OP-TEE 4.10.0")


def proved(spec: Spec, progress: object = None) -> tuple[Obligation, ...]:
    return (
        Obligation(
            f"{spec.name}/alloc/disjoint", "disjoint", "d", "PROVED", "proved", True, 0.1, 7
        ),
    )


def no_parts() -> None:
    raise TesseraError("host tools are missing: qemu-system-arm", remedy="tessera guest setup")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with quick proofs and without any guest part."""
    monkeypatch.delenv("TESSERA_REQUIRE_GUEST", raising=False)
    monkeypatch.setattr(prove, "check", proved)
    monkeypatch.setattr(toolchain, "at_hand", lambda: None)
    monkeypatch.setattr(toolchain, "require", no_parts)
    return monkeypatch


def report(*words: str) -> Result:
    return CliRunner().invoke(app, ["report", "priority", *words])


def test_without_guest_parts_the_rest_works_and_the_summary_says_so(tmp_path: Path) -> None:
    done = report("-o", str(tmp_path / "out"), "--beside", "vanilla")
    assert done.exit_code == 0, done.output
    assert "qemu-system-arm; to mend it: tessera guest setup" in done.stdout.replace("\n", " ")
    assert "\x1b" not in done.stdout
    document = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    Draft202012Validator(results_schema()).validate(document)
    assert [s["name"] for s in document["scenarios"]] == [d.name for d in scenarios.QUICK]
    assert all("tessera guest setup" in s["skipped"] for s in document["scenarios"])
    assert [o["id"] for o in document["obligations"]] == [
        "priority/alloc/disjoint", "vanilla/alloc/disjoint",
    ]  # fmt: skip
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == ["report.html", "results.json"]


def test_required_guest_turns_the_skip_into_an_error(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine.setenv("TESSERA_REQUIRE_GUEST", "1")
    done = report("-o", str(tmp_path))
    assert isinstance(done.exception, TesseraError)
    assert "qemu-system-arm" in done.exception.message


def test_setup_is_run_where_asked_for_and_its_failure_is_told(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_apt(_progress: object) -> None:
        raise TesseraError("there is no apt", remedy="use a Debian machine")

    machine.setattr(toolchain, "setup", no_apt)
    assert "there is no apt" not in report("-o", str(tmp_path)).stdout
    assert "there is no apt" in report("-o", str(tmp_path), "--setup").stdout


def guest_shows(machine: pytest.MonkeyPatch, met: bool) -> None:
    """Replace the guest by one that shows one scenario."""
    shown = Scenario("infer", "d", Outcome(True, "same"), Outcome(met, "same"), True, True, met)
    found = validation.Validation(PATCH, (shown,), {"QEMU": "7.2"})
    machine.setattr(toolchain, "require", lambda: None)
    machine.setattr(validation, "validate", lambda *_a, **_k: found)


@pytest.mark.parametrize("met, code", [(True, 0), (False, 1)])
def test_with_a_guest_patch_and_scenarios_are_in_the_report(
    machine: pytest.MonkeyPatch, tmp_path: Path, met: bool, code: int
) -> None:
    guest_shows(machine, met)
    done = report("-o", str(tmp_path), "--json")
    assert done.exit_code == code
    document = json.loads(done.stdout)
    assert document["versions"]["QEMU"] == "7.2"
    assert document["scenarios"][0]["met"] is met
    assert (tmp_path / "priority.patch").read_text(encoding="utf-8") == PATCH.text


@pytest.mark.parametrize("verdict, code", [("VIOLATED", 1), ("UNKNOWN", 3)])
def test_an_unproved_policy_is_not_booted(
    machine: pytest.MonkeyPatch, tmp_path: Path, verdict: str, code: int
) -> None:
    guest_shows(machine, True)
    machine.setattr(
        prove,
        "check",
        lambda s, **_: tuple(replace(o, verdict=verdict, met=False) for o in proved(s)),
    )
    done = report("-o", str(tmp_path))
    assert done.exit_code == code
    document = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert all("the policy is not proved" in s["skipped"] for s in document["scenarios"])


def test_unwritable_output_is_told_before_anything_runs(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(_spec: Spec, **_: object) -> tuple[Obligation, ...]:
        raise AssertionError("checked before the output folder was tried")

    machine.setattr(prove, "check", never)
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    done = report("-o", str(tmp_path / "out"))
    assert isinstance(done.exception, TesseraError)
    assert "cannot write" in done.exception.message


def test_unknown_spec_is_one_clear_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", "priorty", "-o", str(tmp_path)])
    assert isinstance(done.exception, TesseraError)
    assert "priority" in done.exception.remedy
