"""The tier `guest`: replays of recorded runs, what makes them differ, and the real guest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera import resources
from tessera.cli import app
from tessera.conform import guest as tier
from tessera.conform.prepared import Prepared
from tessera.conform.result import exit_code
from tessera.conform.tiers import Options, available
from tessera.conform.trace_replay import replay
from tessera.errors import TesseraError
from tessera.guest import build, pooltrace
from tessera.guest.pooltrace import Operation, PoolTrace
from tessera.guest.scenarios.bench import Bench, InconclusiveError
from tessera.lang import load
from tessera.lang.typed import Spec
from tessera.results import Outcome

# Recorded from OP-TEE 4.10 with the policy `priority`: boot, inference, hogs, eight at once.
RECORDED = pooltrace.read(Path(__file__).with_name("priority_trace.jsonl"))


@pytest.fixture(scope="module")
def priority() -> Spec:
    return load(resources.find_spec("priority"))


def changed(number: int, **fields: int | str) -> PoolTrace:
    """The recorded trace with one operation changed, counted from 0."""
    operations = list(RECORDED.operations)
    operations[number] = dataclasses.replace(operations[number], **fields)  # type: ignore[arg-type]
    return dataclasses.replace(RECORDED, operations=tuple(operations))


def without(*numbers: int) -> PoolTrace:
    operations = [op for i, op in enumerate(RECORDED.operations) if i not in numbers]
    return dataclasses.replace(RECORDED, operations=tuple(operations))


def place(which: Callable[[Operation], bool]) -> int:
    """The number of the first operation that is so."""
    return next(i for i, op in enumerate(RECORDED.operations) if which(op))


def test_a_recorded_run_agrees(priority: Spec) -> None:
    done = replay(priority, RECORDED)
    assert (done.differs, done.taken) == ("", len(RECORDED.operations))
    assert done.counts == {
        "operations": 237,
        "allocations": 113,
        "refusals": 24,
        "frees": 100,
        "carve_out": 2,
        "shrink": 1,
        "alloc_core": 11,
        "alloc": 98,
        "alloc_spill": 1,
    }
    check = tier.judged(done, RECORDED.version, Path("t.jsonl"))
    assert (check.verdict, check.name) == ("AGREES", "guest/trace")
    assert "237 operations as the spec: 113 allocations, 24 refused, 100 frees" in check.detail


def test_one_changed_offset_differs(priority: Spec) -> None:
    number = place(lambda op: bool(op.owner))
    right = RECORDED.operations[number].offset
    done = replay(priority, changed(number, offset=right + 1))
    assert done.taken == done.counts["operations"] == number
    assert done.counts["allocations"] + done.counts["frees"] == number
    assert done.differs.startswith(f"operation {number + 1}, alloc of 4096 bytes by TA 2c3d9a52")
    assert f"offset {right + 1}, 1 granules: the spec gives offset {right}" in done.differs
    check = tier.judged(done, RECORDED.version, Path("t.jsonl"))
    assert (check.verdict, check.where) == ("DIFFERS", f"t.jsonl:{number + 2}")
    assert len(check.trace) == 13
    assert exit_code([check]) == 1


@pytest.mark.parametrize("action", ["alloc_at", "core", "size"])
def test_other_changes_differ(priority: Spec, action: str) -> None:
    number = {
        "alloc_at": place(lambda op: op.kind == "alloc_at" and op.offset > 0),
        "core": place(lambda op: op.kind == "alloc" and not op.owner),
        "size": place(lambda op: op.kind == "alloc" and op.size > 1),
    }[action]
    op = RECORDED.operations[number]
    what = {"size": op.size + 1} if action == "size" else {"offset": op.offset + 1}
    done = replay(priority, changed(number, **what))
    assert (done.taken, "the spec gives offset" in done.differs) == (number, True)


def test_another_owner_differs(priority: Spec) -> None:
    number = place(lambda op: bool(op.owner))
    other = "a1f47c90-3be2-4d57-8c6b-95d20e7f4b13"
    done = replay(priority, changed(number, owner=other))
    assert (done.taken, "the spec gives offset 221" in done.differs) == (number, True)


def test_a_refusal_that_the_spec_would_serve(priority: Spec) -> None:
    number = place(lambda op: bool(op.owner))
    done = replay(priority, changed(number, entry=0, offset=-1, size=0))
    assert (done.taken, "the spec gives offset 1792" in done.differs) == (number, True)


def test_a_success_that_the_spec_refuses(priority: Spec) -> None:
    number = place(lambda op: op.offset < 0)
    asked = RECORDED.operations[number].asked
    done = replay(priority, changed(number, entry=0x7777, offset=300, size=asked // 4096))
    assert (done.taken, "the spec refuses" in done.differs) == (number, True)


def test_a_reservation_that_is_cut_down_at_another_place(priority: Spec) -> None:
    assert [op.kind for op in RECORDED.operations[:3]] == ["alloc_at", "free", "alloc_at"]
    done = replay(priority, changed(2, offset=1))
    assert "taken again at offset 1, 202 granules, not [0, 202)" in done.differs


def test_the_run_is_not_one_of_another_policy() -> None:
    done = replay(load(resources.find_spec("vanilla")), RECORDED)
    assert "the spec gives offset 221" in done.differs


def test_calls_that_were_missed_are_told(priority: Spec) -> None:
    free = max(i for i, op in enumerate(RECORDED.operations) if op.kind == "free")
    with pytest.raises(TesseraError, match="not whole: the pool's own list at the end has 13"):
        replay(priority, without(free))
    alloc = place(lambda op: bool(op.owner))
    entry = RECORDED.operations[alloc].entry
    freed = next(
        i for i, op in enumerate(RECORDED.operations) if op.kind == "free" and op.entry == entry
    )
    later = changed(freed, entry=0x7777)
    with pytest.raises(TesseraError, match="given back that was never taken: 0x7777"):
        replay(priority, later)
    with pytest.raises(TesseraError, match="at another place than it was taken"):
        replay(priority, changed(freed, offset=5))
    with pytest.raises(TesseraError, match="a request of 0 bytes"):
        replay(priority, changed(alloc, asked=0))
    with pytest.raises(TesseraError, match="no pool is at 0x1"):
        replay(priority, changed(alloc, pool=1))
    with pytest.raises(TesseraError, match="taken twice"):
        replay(priority, changed(alloc + 1, entry=entry))


def test_a_trace_that_is_cut_never_agrees(priority: Spec) -> None:
    half = dataclasses.replace(RECORDED, operations=RECORDED.operations[:120])
    with pytest.raises(TesseraError, match="not whole"):
        replay(priority, half)


def test_a_spec_of_something_else() -> None:
    with pytest.raises(TesseraError, match="not one of the page pool"):
        replay(load(resources.find_spec("specs/lessons/ring_buffer.tess")), RECORDED)


# --- crash and churn ------------------------------------------------------------------------------


def outcome(**figures: float) -> Outcome:
    return Outcome(not any(figures.values()), "as told", dict(figures))


@pytest.mark.parametrize(
    ("figures", "wiped", "verdict"),
    [
        ({"granules_lost_1": 0, "found_after_1": 0}, True, "AGREES"),
        ({"granules_lost_1": 0, "found_after_1": 3}, True, "DIFFERS"),
        ({"granules_lost_1": 0, "found_after_1": 3}, False, "AGREES"),
        ({"granules_lost_1": 0, "found_after_1": 0}, False, "DIFFERS"),
        ({"granules_lost_1": 2, "found_after_1": 0}, True, "DIFFERS"),
    ],
)
def test_crash_is_judged_by_the_spec(figures: dict[str, float], wiped: bool, verdict: str) -> None:
    assert tier.crash_check(outcome(**figures), wiped=wiped).verdict == verdict


def test_churn_is_judged_by_the_pools() -> None:
    assert tier.churn_check(Outcome(True, "same", {"cycles": 3})).counts == {"cycles": 3}
    assert tier.churn_check(Outcome(False, "less")).verdict == "DIFFERS"


def test_a_trial_that_cannot_tell_is_unknown() -> None:
    def blind() -> tier.Check:
        raise InconclusiveError("nothing was found")

    check = tier._timed("crash", blind)
    assert (check.verdict, check.detail) == ("UNKNOWN", "inconclusive: nothing was found")
    assert exit_code([check]) == 3


def test_without_the_guests_parts_it_is_skipped(
    priority: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise TesseraError("there is no guest", remedy="tessera guest setup")

    monkeypatch.setattr("tessera.conform.guest.toolchain.require", missing)
    ready = Prepared(Path(), Path(), "", "OP-TEE", "emitted")
    (check,) = tier.run(priority, ready, Options())
    assert (check.verdict, check.remedy) == ("SKIPPED", "tessera guest setup")
    assert exit_code([check]) == 3
    assert "guest" in available()


def traced(
    trace: PoolTrace, failed: TesseraError | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    """A bench whose recorded run is this one."""
    monkeypatch.setattr("tessera.conform.guest.trace.record", lambda bench: (trace, failed))
    built = build.Build("made", folder, "4.10.0", True)
    return Bench(built, "patched", folder, (), {})


def test_a_run_that_fails_differs_if_the_spec_says_so_before(
    priority: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = TesseraError("the run that is traced failed with 1")
    number = place(lambda op: bool(op.owner))
    wrong = changed(number, offset=RECORDED.operations[number].offset + 1)
    check = tier.trace_check(priority, traced(wrong, failed, tmp_path, monkeypatch))
    assert check.verdict == "DIFFERS"
    with pytest.raises(TesseraError, match="failed with 1"):
        tier.trace_check(priority, traced(RECORDED, failed, tmp_path, monkeypatch))
    check = tier.trace_check(priority, traced(RECORDED, None, tmp_path, monkeypatch))
    assert check.verdict == "AGREES"


# --- the real guest -------------------------------------------------------------------------------


@pytest.mark.guest
def test_the_patched_op_tee_agrees(
    patched_build: build.Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.guest.machine.LOG_FOLDER", tmp_path)
    line = ["conform", "priority", "--tier", "guest", "--operations", "20", "--json"]
    shown = CliRunner().invoke(app, line)
    assert shown.exit_code == 0, shown.output
    checks = {check["name"]: check for check in json.loads(shown.stdout)["checks"]}
    assert {c["verdict"] for c in checks.values()} == {"AGREES"}
    counts = {name.removeprefix("guest/"): check["counts"] for name, check in checks.items()}
    assert counts["trace"]["operations"] >= 200
    assert counts["trace"]["alloc_spill"] and counts["trace"]["refusals"]
    assert counts["crash"]["points"] == 3 and counts["crash"]["found_open"] > 1000
    assert counts["churn"]["cycles"] == 20
    kept = pooltrace.read(tmp_path / "trace.patched.jsonl")
    assert len(kept.operations) == counts["trace"]["operations"]
    vanilla = load(resources.find_spec("vanilla"))
    assert "the spec gives offset" in replay(vanilla, kept).differs
