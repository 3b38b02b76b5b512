"""The parts of the scenarios that need no guest: searching, comparing, judging."""

from __future__ import annotations

import dataclasses
import random
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from tessera import resources
from tessera.dnn import digits, reference
from tessera.errors import TesseraError
from tessera.guest import build, machine, validation
from tessera.guest.scenarios import bench, isolate, residue, run, starve
from tessera.guest.scenarios.bench import InconclusiveError
from tessera.lang import load
from tessera.results import Outcome

SEED = 20261121


def _weights(size: int = 8192) -> bytes:
    return random.Random(SEED).randbytes(size)


def test_windows_are_unmistakable() -> None:
    pieces = residue.windows(bytes(4096) + _weights())
    assert len(pieces) == len(residue.windows(_weights())) == 8192 // residue.STRIDE
    assert all(len(set(piece)) >= 16 for piece in pieces)


def test_the_real_weights_give_many_windows() -> None:
    assert len(residue.windows(digits.model_path().read_bytes())) > 1000


@pytest.mark.parametrize("at", [0, 1, 4095, 4097, 65536 - 8192])
def test_weights_are_found_wherever_they_lie(at: int) -> None:
    weights = _weights()
    memory = bytearray(65536)
    memory[at : at + len(weights)] = weights
    pieces = residue.windows(weights)
    found = residue.search(bytes(memory), pieces)
    assert len(found) == len(pieces)
    assert found[0] == at


def test_part_of_the_weights_is_found_and_other_bytes_are_not() -> None:
    weights = _weights()
    pieces = residue.windows(weights)
    memory = bytearray(random.Random(SEED + 1).randbytes(65536))
    assert residue.search(bytes(memory), pieces) == []
    memory[30000 : 30000 + residue.WINDOW] = weights[: residue.WINDOW]
    assert residue.search(bytes(memory), pieces) == [30000]
    memory[30000] ^= 1
    assert residue.search(bytes(memory), pieces) == []


def test_blank_pages_are_skipped_and_nothing_else() -> None:
    memory = bytearray(5 * 4096)
    memory[4096], memory[3 * 4096 - 1], memory[-1] = 1, 2, 3
    assert [(at, len(text)) for at, text in residue.used_runs(bytes(memory))] == [
        (4096, 8192),
        (16384, 4096),
    ]


def test_logits_are_compared_with_the_reference() -> None:
    images, _labels = digits.held_out()
    logits = reference.run(digits.model(), images[:4]).astype("<f4")
    assert bench.compare(logits.tobytes(), images[:4]).holds
    off = logits.copy()
    off[2, 0] += 0.01
    assert not bench.compare(off.tobytes(), images[:4]).holds
    swapped = np.roll(logits, 1, axis=1)
    assert bench.compare(swapped.tobytes(), images[:4]).same_top1 < 4
    broken = logits.copy()
    broken[0, 0] = np.nan
    assert not bench.compare(broken.tobytes(), images[:4]).holds
    with pytest.raises(InconclusiveError, match="bytes of logits"):
        bench.compare(logits.tobytes()[:-4], images[:4])


def test_pool_statistics_are_read() -> None:
    text = (
        "Pool:                Heap\nBytes allocated:                       1\n"
        "Pool:                Physical TA memory\nBytes allocated:              942080\n"
        "Max bytes allocated:                   2199552\n"
        "Size of pool:                          15728640\n"
    )
    assert bench.parse_pool(text) == (942080, 15728640)
    assert bench.parse_pool("Physical TA memory\nno statistics here") is None


HOG = (
    "hog: instances 4 blocks 8 bytes 14249984 refusal {refusal}\n{stats}{rest}dnn status {status}\n"
)
STATS = "Physical TA memory\nBytes allocated: 5\nSize of pool: 9\n"


class FakeGuest:
    """A guest whose hog and client print what they are told to."""

    def __init__(self, output: str) -> None:
        self.output = output

    def run(self, command: str, timeout: float = 60) -> machine.RunResult:
        if command.startswith("xtest"):
            return machine.RunResult(0, STATS)
        return machine.RunResult(0, self.output if command.startswith("tessera_hog") else "")

    def read_file(self, _path: str) -> bytes:
        images, _labels = digits.held_out()
        return reference.run(digits.model(), images[:1]).astype("<f4").tobytes()


def _starve(monkeypatch: pytest.MonkeyPatch, refusal: str, rest: str, status: int) -> Outcome:
    output = HOG.format(refusal=refusal, stats=STATS, rest=rest, status=status)

    class FakeBench:
        def boot(self, _name: str) -> object:
            return nullcontext(FakeGuest(output))

    return starve.trial(FakeBench())  # type: ignore[arg-type]


def test_starve_tells_refusal_from_success(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _starve(monkeypatch, "0xffff000c", "", 0).passed
    refused = _starve(monkeypatch, "0xffff000c", "cannot open the TA: 0xffff000c\n", 1)
    assert not refused.passed
    assert "out of memory" in refused.detail


def test_starve_judges_without_pool_statistics_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "STATS", "none\n")
    outcome = _starve(monkeypatch, "0xffff000c", "", 0)
    assert outcome.passed
    assert set(outcome.figures) == {"hog_instances", "hog_blocks", "hog_bytes"}


@pytest.mark.parametrize(
    ("refusal", "rest", "status"),
    [
        ("0x00000000", "", 0),  # the hog was never refused
        ("0xffff000c", "cannot open the TA: 0xffff0008\n", 1),  # the TA is missing
        ("0xffff000c", "", 127),  # the client is missing
    ],
)
def test_starve_does_not_judge_what_it_cannot_tell(
    monkeypatch: pytest.MonkeyPatch, refusal: str, rest: str, status: int
) -> None:
    with pytest.raises(InconclusiveError):
        _starve(monkeypatch, refusal, rest, status)


def test_isolate_covers_all_of_secure_ram() -> None:
    tried = isolate.addresses()
    assert len(tried) == 17
    assert (tried[0], tried[-1]) == (0x0E000000, 0x0EFFFFFC)


def _scenario(unpatched: object, patched: object, expect: bool = True) -> object:
    """Compare two made-up sides of a scenario that OP-TEE alone fails."""

    def trial(side: bench.Bench) -> Outcome:
        told = unpatched if side.side == "unpatched" else patched
        if isinstance(told, Exception):
            raise told
        return Outcome(bool(told), "told")

    definition = run.Definition("made-up", "", trial, unpatched_passes=False)
    made = build.Build("k", Path("/nowhere"), "4.10.0", False)
    sides = [
        run._try(definition, bench.Bench(made, side, Path("out/guest"), (), {}))
        for side in ("unpatched", "patched")
    ]
    return run._compare(definition, sides, expect)


@pytest.mark.parametrize(
    ("unpatched", "patched", "met"),
    [
        (False, True, True),
        (True, True, False),  # the trial no longer sees the defect
        (False, False, False),
        (InconclusiveError("control"), True, False),
        (False, InconclusiveError("control"), False),
        (machine.GuestError("panic"), True, False),
    ],
)
def test_met_needs_both_sides_as_expected(unpatched: object, patched: object, met: bool) -> None:
    scenario = _scenario(unpatched, patched)
    assert scenario.met == met  # type: ignore[attr-defined]


def test_an_outcome_names_the_version_and_its_log() -> None:
    scenario = _scenario(False, True)
    assert scenario.patched.detail.startswith("OP-TEE 4.10.0: ")  # type: ignore[attr-defined]
    assert scenario.patched.log == "guest/made-up.patched.linux.log"  # type: ignore[attr-defined]


def test_an_unknown_scenario_lists_the_known_ones() -> None:
    with pytest.raises(TesseraError, match="no scenario churned") as caught:
        run._select(["churned"])
    assert "infer, starve, residue, isolate" in caught.value.remedy


def test_expectations_follow_the_spec() -> None:
    priority = load(resources.path("specs/policies/priority.tess"))
    vanilla = load(resources.path("specs/policies/vanilla.tess"))
    assert validation.expectations(priority) == {"starve": True, "residue": True, "crash": True}
    assert validation.expectations(vanilla) == {"starve": False, "residue": False, "crash": False}


def test_a_spec_that_names_other_tas_promises_ours_nothing() -> None:
    priority = load(resources.path("specs/policies/priority.tess"))
    others = tuple(dataclasses.replace(one, tas=()) for one in priority.classes)
    spec = dataclasses.replace(priority, classes=others)
    assert validation.expectations(spec)["starve"] is False
    assert validation.expectations(spec)["residue"] is True
