"""The scenario `xtest`: reading transcripts, comparing two, and the real thing on a few cases."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tessera.errors import TesseraError
from tessera.guest import build, scenarios
from tessera.guest.console import RunResult
from tessera.guest.machine import GuestError
from tessera.guest.scenarios import run, xtest
from tessera.guest.scenarios.bench import Bench, InconclusiveError
from tessera.guest.scenarios.xtest_output import CUT, FAILED, OK, SKIPPED, parse
from tessera.report import html, junit, markdown, terminal, view
from tessera.results import Outcome, Results, Scenario

# Made up; only the shape of the lines is that of the program.
HEAD = """Run test suite with level=0

#
# regression
#
"""
APPLE = """
* regression_0101 Counting apples
o regression_0101.1 Green ones
  regression_0101.1 OK
o regression_0101.2 Red ones
o regression_0101.2.1 Small
  regression_0101.2.1 OK
  regression_0101.2 OK
  regression_0101 OK
"""
PEAR = """
* regression_0202_pear Weighing a pear
a line of the kernel that says OK
  regression_0202_pear OK
"""
PLUM = """
* regression_0303 Peeling plums
o regression_0303.1 By hand
fruit.c:12: stone has an unexpected value: 0x1 = 1, expected 0x0 = 0
  regression_0303.1 FAILED
o regression_0303.2 By machine
  regression_0303.2 OK
  regression_0303 FAILED
"""
FIG = """
* regression_0404 Drying figs
 - 0404 -   skip test, no sun
  regression_0404 OK
"""


def summary(cases: int, failed: int = 0, checks: int = 40) -> str:
    bad = "regression_0303 FAILED first error at fruit.c:12\n" if failed else ""
    return (
        "+----\nResult of testsuite regression:\nregression_0101 OK\n"
        f"{bad}+----\n{checks} subtests of which {failed} failed\n"
        f"{cases} test case{'s' * (cases != 1)} of which {failed} failed\n"
        "0 test cases were skipped\n"
    )


WHOLE = HEAD + APPLE + PEAR + PLUM + FIG + summary(4, 1)


# --- reading --------------------------------------------------------------------------------------


def test_every_case_is_read_with_its_subtests() -> None:
    seen = parse(WHOLE)
    assert (seen.broken, seen.checks) == ("", 40)
    assert {case.name: case.verdict for case in seen.cases.values()} == {
        "regression_0101": OK,
        "regression_0202_pear": OK,
        "regression_0303": FAILED,
        "regression_0404": SKIPPED,
    }
    apple, plum = seen.cases["regression_0101"], seen.cases["regression_0303"]
    assert apple.title == "Counting apples"
    assert list(apple.subtests) == ["regression_0101.1", "regression_0101.2", "regression_0101.2.1"]
    assert set(apple.subtests.values()) == {OK}
    assert plum.subtests == {"regression_0303.1": FAILED, "regression_0303.2": OK}
    assert [seen.count(v) for v in (OK, FAILED, SKIPPED)] == [2, 1, 1]


def test_lines_that_end_as_a_console_ends_them() -> None:
    assert parse(WHOLE.replace("\n", "\r\n")) == parse(WHOLE)


def test_a_case_in_which_something_ran_is_not_skipped() -> None:
    part = FIG.replace("  regression_0404 OK", "o regression_0404.1 Shade\n  regression_0404.1 OK\n"
                       "  regression_0404 OK")  # fmt: skip
    (case,) = parse(HEAD + part + summary(1)).cases.values()
    assert (case.verdict, xtest.words(case)) == (OK, "ok, 1 of 1 subtests ok, 1 part left out")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it says nothing of any case"),
        (HEAD + APPLE + PEAR, "it ended after regression_0202_pear, without a summary"),
        (HEAD + APPLE + PEAR[:40], "regression_0202_pear did not come to its end"),
        (
            HEAD + APPLE[: APPLE.index("  regression_0101.2.1 OK")],
            "regression_0101 did not come to its end, nor regression_0101.2.1",
        ),
        (
            HEAD + APPLE.replace("  regression_0101.1 OK\n", "") + summary(1),
            "regression_0101.1 did not come to its end",
        ),
        (
            HEAD + APPLE + summary(2),
            "its summary has 2 cases, 0 failed; 1 were seen, 0 failed",
        ),
        (
            HEAD + PLUM + summary(1, 0),
            "its summary has 1 cases, 0 failed; 1 were seen, 1 failed",
        ),
        (HEAD + summary(0), "no case was run"),
    ],
)
def test_a_run_that_is_not_whole_says_why(text: str, why: str) -> None:
    assert parse(text).broken == why


def test_a_case_cut_short_is_none_that_passed() -> None:
    seen = parse(HEAD + APPLE + PEAR[:40])
    assert seen.cases["regression_0202_pear"].verdict == CUT
    assert seen.cases["regression_0101"].verdict == OK


# --- comparing ------------------------------------------------------------------------------------


class FakeGuest:
    """A guest whose test program prints what it is told to, or that dies while it does."""

    def __init__(self, text: str, log: Path, status: int = 0, dies: bool = False) -> None:
        self.text, self.status, self.dies = text, status, dies
        self.console_log = log
        self.commands: list[str] = []

    def run(self, command: str, timeout: float = 60.0) -> RunResult:
        self.commands.append(command)
        if self.dies:
            self.console_log.write_text(self.text)
            raise GuestError("the guest failed: OP-TEE panicked\n  Linux console: ...")
        return RunResult(self.status, self.text)


def bench_of(guest: FakeGuest) -> Bench:
    @contextmanager
    def boot(name: str) -> Iterator[FakeGuest]:
        yield guest

    version = build.Build("k", Path("/nowhere"), "4.10.0", False)
    made: Any = SimpleNamespace(build=version, boot=boot, side="", log_folder=Path("out/guest"))
    return made  # type: ignore[no-any-return]


Compared = Callable[..., Scenario]


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    """The scenario of two made-up guests, judged as the real one is."""

    def compare(unpatched: FakeGuest | str, patched: FakeGuest | str) -> Scenario:
        (definition,) = run._select(["xtest"])
        log = tmp_path / "log"
        guests = [FakeGuest(g, log) if isinstance(g, str) else g for g in (unpatched, patched)]
        return run._compare(definition, [run._try(definition, bench_of(g)) for g in guests], True)

    return compare


def test_runs_that_are_alike_are_met_though_a_case_fails(compared: Compared) -> None:
    found = compared(WHOLE, WHOLE)
    assert (found.met, found.differs) == (True, ())
    assert found.patched is not None and found.patched.passed
    assert found.patched.detail == "OP-TEE 4.10.0: 4 cases: 2 ok, 1 failed, 1 skipped"
    assert found.patched.cases["regression_0303"] == (
        "failed, 1 of 2 subtests ok (regression_0303.1 failed)"
    )


def test_errors_that_a_case_passes_over_are_told_and_not_compared(compared: Compared) -> None:
    poor = WHOLE.replace("a line of the kernel", "TEEC_ERROR_OUT_OF_MEMORY - ignored\n" * 2 + "x")
    found = compared(WHOLE, poor)
    assert (found.met, found.differs) == (True, ())
    assert found.patched is not None and found.unpatched is not None
    assert found.patched.detail.endswith(
        "1 skipped; regression_0202_pear passes over 2 TEEC_ERROR_OUT_OF_MEMORY"
    )
    assert found.patched.figures["errors_ignored"] == 2
    assert found.unpatched.figures["errors_ignored"] == 0


BETTER = PLUM.replace("0303.1 FAILED", "0303.1 OK").replace("0303 FAILED", "0303 OK")


@pytest.mark.parametrize(
    ("patched", "named"),
    [
        # it fails on one side only, whichever that is
        (HEAD + APPLE + PEAR + BETTER + FIG + summary(4), "regression_0303: unpatched failed"),
        # another subtest fails
        (
            WHOLE.replace("0303.1 FAILED", "0303.1 OK").replace("0303.2 OK", "0303.2 FAILED"),
            r"patched failed, 1 of 2 subtests ok \(regression_0303.2 failed\)",
        ),
        # a subtest less
        (WHOLE.replace("o regression_0101.2.1 Small\n", ""), "patched ok, 2 of 2 subtests ok"),
        # it ends well because it leaves something out
        (
            WHOLE.replace("a line of the kernel that says OK", "no scales: skipping"),
            "regression_0202_pear: unpatched ok; patched skipped",
        ),
        # a case less
        (HEAD + APPLE + PLUM + FIG + summary(3, 1), "regression_0202_pear: .*; patched not run"),
        # a case more
        (
            HEAD + APPLE + PEAR + PLUM + FIG + APPLE.replace("0101", "0505") + summary(5, 1),
            "regression_0505: unpatched not run; patched ok",
        ),
    ],
)
def test_a_pair_that_differs_is_refused(compared: Compared, patched: str, named: str) -> None:
    found = compared(WHOLE, patched)
    assert not found.met
    assert found.patched is not None and found.patched.passed, "each run for itself is whole"
    (line,) = found.differs
    assert re.search(named, line)
    assert not compared(patched, WHOLE).met, "nor the other way round"


def test_a_guest_that_dies_is_told_with_the_case(compared: Compared, tmp_path: Path) -> None:
    dead = FakeGuest(HEAD + APPLE + PEAR[:40], tmp_path / "console", dies=True)
    found = compared(WHOLE, dead)
    assert not found.met
    assert found.patched is not None and not found.patched.passed
    assert found.patched.detail == (
        "OP-TEE 4.10.0: the run broke off: the guest failed: OP-TEE panicked; "
        "regression_0202_pear did not come to its end"
    )
    assert found.differs == (
        "regression_0202_pear: unpatched ok; patched cut short",
        "regression_0303: unpatched failed, 1 of 2 subtests ok (regression_0303.1 failed); "
        "patched not run",
        "regression_0404: unpatched skipped; patched not run",
    )
    assert not compared(dead, dead).met, "two runs that broke off alike say nothing"


def test_a_run_that_takes_too_long_is_told(compared: Compared, tmp_path: Path) -> None:
    slow = FakeGuest(HEAD + APPLE + PEAR[:40], tmp_path / "console", status=143)
    found = compared(WHOLE, slow)
    assert found.patched is not None and "it took longer than 3000 s" in found.patched.detail
    assert not found.met


def test_a_program_that_runs_nothing_is_inconclusive(tmp_path: Path) -> None:
    with pytest.raises(InconclusiveError, match="xtest ran no case: not found"):
        xtest.trial(bench_of(FakeGuest("not found", tmp_path / "log", 127)))


def test_cases_are_chosen_by_name(tmp_path: Path) -> None:
    guest = FakeGuest(HEAD + APPLE + summary(1), tmp_path / "log")
    shown = xtest.chosen("0101,0202_pear")(bench_of(guest))
    assert guest.commands == ["xtest -t regression 0101 0202_pear"]
    assert shown.detail == "1 cases of those named 0101, 0202_pear: 1 ok, 0 failed, 0 skipped"
    everything = FakeGuest(WHOLE, tmp_path / "log")
    assert xtest.trial(bench_of(everything)).passed
    assert everything.commands == ["xtest -t regression"]


@pytest.mark.parametrize("text", ["", "1001,", "1001 1004", "1004;reboot", "-x"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(TesseraError, match="does not name cases"):
        run._select([f"xtest:{text}"])


def test_a_difference_is_in_every_report(compared: Compared) -> None:
    results = Results(
        "priority", "", "p", "ab" * 32, scenarios=(compared(WHOLE, HEAD + APPLE + summary(1)),)
    )
    said = io.StringIO()
    terminal.print_summary(results, Console(file=said, width=200))
    reports = (
        html.render_html(results),
        markdown.to_markdown([results]),
        said.getvalue(),
        junit.to_junit([results]),
    )
    for shown in reports:
        assert "regression_0202_pear: unpatched ok; patched not run" in shown


def test_many_differences_are_cut_in_reports_only() -> None:
    left = Outcome(True, "", cases={f"c_{n}": "ok" for n in range(30)})
    lines = xtest.differs(left, Outcome(True, ""))
    assert len(lines) == 30
    made = Scenario("xtest", "", left, left, True, True, False, differs=lines)
    assert view.differences(made)[-1] == "and 20 more"
    assert len(view.differences(made)) == 11


# --- on a real OP-TEE -----------------------------------------------------------------------------


@pytest.mark.guest
def test_a_few_real_cases_end_alike(
    patched_build: build.Build,
    unpatched_build: build.Build,
    priority_patch: str,
    tmp_path: Path,
) -> None:
    names = ["xtest:1001,1004"]
    (shown,) = scenarios.run_scenarios(priority_patch, names=names, log_folder=tmp_path)
    assert (shown.met, shown.differs) == (True, ())
    assert shown.patched is not None and shown.unpatched is not None
    assert list(shown.patched.cases) == ["regression_1001", "regression_1004"]
    assert shown.patched.figures["failed"] == 0
    assert shown.patched.figures["subtests"] >= 8
    assert shown.patched.cases == shown.unpatched.cases
