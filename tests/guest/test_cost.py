"""The scenario `cost`: from counted calls to figures and rows, and the real thing once."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from tessera.errors import TesseraError
from tessera.guest import build
from tessera.guest.gdbstub import Registers, Stub
from tessera.guest.layout import Layout
from tessera.guest.meter import ALLOC, CLOSE, FREE, OPEN, Counted, Meter
from tessera.guest.scenarios import cost, run
from tessera.guest.scenarios.bench import InconclusiveError, prepare
from tessera.report import html, markdown, terminal, view
from tessera.results import Outcome, Results, Scenario

SIZES = (4096, 65536)
ENTRY, OTHER = 0x9100, 0x9200


def session(owner: str, spent: int, *inside: Counted) -> list[Counted]:
    return [
        Counted(owner, ALLOC, 1200, 8192, ENTRY, owner, 1),
        Counted(owner, ALLOC, 1000, 1 << 20, OTHER, owner, 1),
        Counted(owner, OPEN, 9, 0, 0, owner, 1),  # one session opens another
        Counted(owner, OPEN, spent, 0, 0, "", 0),
        *inside,
        Counted(owner, FREE, 70, 8192, ENTRY, "", 1),
        Counted(owner, CLOSE, spent // 10, 0, 0, "", 0),
    ]


def block(size: int, spent: int) -> list[Counted]:
    """The hog takes a block of `size`; its own pages of 4 KiB are freed around it."""
    phase = str(size)
    return [
        Counted(phase, ALLOC, 1111, 4096, OTHER, cost.ORDINARY, 1),
        Counted(phase, ALLOC, 1000 + size // 4096, size, ENTRY, cost.ORDINARY, 0),
        Counted(phase, FREE, 33, 4096, OTHER, "", 1),
        Counted(phase, FREE, spent, size, ENTRY, "", 1),
        Counted(phase, FREE, 44, 4096, ENTRY, "", 1),  # the entry is used again
    ]


def calls(runs: int = 2, per_byte: int = 5) -> list[Counted]:
    found: list[Counted] = []
    for n in range(runs):
        found += session(cost.INFERENCE, 5000 + n) + session(cost.ORDINARY, 3000 + n)
        for size in SIZES:
            found += block(size, 100 + per_byte * size + n)
    return found


def test_the_least_of_equal_calls_is_the_figure() -> None:
    figures = cost.counts(calls(), 2, SIZES)
    assert (figures["open_inference"], figures["open_inference_most"]) == (5000, 5001)
    assert (figures["open_ordinary"], figures["close_ordinary"]) == (3000, 300)
    assert figures["alloc_inference"] == 1000, "of the largest block"
    assert figures["alloc_ordinary"] == 1001
    assert figures["free_4096"] == 100 + 5 * 4096, "not the TA's own pages of that size"
    assert figures["free_65536"] == 100 + 5 * 65536
    assert figures["free_per_mib"] == 5 * cost.MIB
    assert figures["furthest_from_line"] == 0


def test_what_does_not_lie_on_a_line_is_told() -> None:
    bent = cost.per_mib({0: 0.0, cost.MIB: 90.0, 2 * cost.MIB: 0.0})
    assert bent == {"free_per_mib": 0, "furthest_from_line": 60}


@pytest.mark.parametrize(
    "gone", [(OPEN, cost.INFERENCE), (CLOSE, cost.ORDINARY), (ALLOC, "4096"), (FREE, "65536")]
)
def test_a_call_too_few_is_no_figure(gone: tuple[str, str]) -> None:
    seen = calls()
    last = max(i for i, c in enumerate(seen) if (c.kind, c.phase) == gone and c.block != OTHER)
    if gone == (FREE, "65536"):
        last -= 1  # the last one is not of the client's block
    with pytest.raises(InconclusiveError, match=r"1 calls seen for .*, not 2"):
        cost.counts(seen[:last] + seen[last + 1 :], 2, SIZES)


def outcome(**figures: float) -> Outcome:
    return Outcome(True, "", figures)


def test_rows_are_differences_of_the_least() -> None:
    left = outcome(open_inference=100, open_inference_most=120, text=5000)
    right = outcome(open_inference=150, open_inference_most=151, text=5376, bss=3)
    first, second = cost.costs(left, right)
    assert (first.unpatched, first.patched, first.added) == (100, 150, 50)
    assert (first.unpatched_most, first.patched_most) == (120, 151)
    assert (second.unit, second.added, second.patched_most) == ("bytes", 376, 5376)


def scenario() -> Scenario:
    left = outcome(close_inference=100, close_inference_most=120, pool_record=48)
    right = outcome(close_inference=1234567, close_inference_most=1234567, pool_record=48)
    rows = cost.costs(left, right)
    return Scenario("cost", cost.DOC, left, right, True, True, True, costs=rows)


def test_every_report_shows_the_table() -> None:
    results = Results("priority", "", "priority.tess", "ab" * 32, scenarios=(scenario(),))
    page = html.render_html(results)
    text = markdown.to_markdown([results])
    said = io.StringIO()
    terminal.print_summary(results, Console(file=said, width=160))
    for whole in (page, text, said.getvalue()):
        shown = whole.replace("\u202f", " ")
        assert "hat the policy costs" in shown
        assert "1 234 567" in shown and "+1 234 467" in shown
        assert "120 / 1 234 567" in shown, "the most, where runs differ"
    assert 'href="#costs"' in page
    bare = dataclasses.replace(results, scenarios=(dataclasses.replace(scenario(), costs=()),))
    assert "What the policy costs" not in html.render_html(bare) + markdown.to_markdown([bare])
    assert view.page_of(bare).scenarios[0].figures, "without a table the figures are shown"


def test_both_sides_are_compared_only_when_both_were_counted() -> None:
    made = build.Build("k", Path("/nowhere"), "4.10.0", False)
    sides = [(outcome(text=1), True), (outcome(text=3), True)]
    (definition,) = run._select(["cost"])
    assert made.version
    assert [c.added for c in run._compare(definition, sides, True).costs] == [2]
    cut = [sides[0], (outcome(), False)]
    found = run._compare(definition, cut, True)
    assert (found.met, found.costs) == (False, ())


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "101", "1.5"])
def test_a_number_of_runs_that_is_none(text: str) -> None:
    with pytest.raises(TesseraError, match="is no number of runs"):
        run._select([f"cost:{text}"])


def test_other_scenarios_take_nothing_after_a_colon() -> None:
    with pytest.raises(TesseraError, match="infer takes nothing after a colon") as caught:
        run._select(["infer:3"])
    assert "xtest:, cost:" in caught.value.remedy


# --- on a real OP-TEE -----------------------------------------------------------------------------


class Stepping(Meter):
    """Goes through one allocation instruction by instruction; it is none of those compared."""

    steps = 0
    counted_as = 0

    def _called(self, stub: Stub, kind: str, regs: Registers) -> None:
        if self.steps or kind != ALLOC or self._shift_of(stub, regs.x[0]) is None:
            super()._called(stub, kind, regs)
            return
        began, now = self._counter(), regs
        while (now.pc, now.sp) != (regs.link, regs.sp):
            stub.ask("s")
            self.steps += 1
            now = stub.registers()
        self.counted_as = self._counter() - began


@pytest.mark.guest
def test_the_patched_op_tee_clears_what_it_frees(
    patched_build: build.Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meters: list[Stepping] = []

    def stepping(place: Layout) -> Stepping:
        meters.append(Stepping(place))
        return meters[0]

    monkeypatch.setattr(cost, "Meter", stepping)
    sizes = (64 * 1024, 256 * 1024)
    shown = cost.trial(prepare(patched_build, "patched", tmp_path), 1, sizes)
    figures = shown.figures
    assert figures["free_262144"] - figures["free_65536"] > 3 * 64 * 1024, "an instruction a byte"
    assert figures["open_inference"] > figures["close_inference"] > figures["free_65536"]
    assert 100 < figures["alloc_ordinary"] < 100_000
    assert figures["text"] > 100_000
    assert meters[0].steps > 100
    assert meters[0].counted_as == meters[0].steps, "QEMU's count is that of single steps"
