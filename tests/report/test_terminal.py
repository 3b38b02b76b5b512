"""The summary in a terminal: nothing that went wrong is left out, no colour codes in a pipe."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from tessera.report.terminal import print_obligation, print_summary
from tessera.results import Obligation, Results


def printed(results: Results, **options: bool) -> str:
    stream = io.StringIO()
    print_summary(results, Console(file=stream, width=110, **options))  # type: ignore[arg-type]
    return stream.getvalue()


def shown(obligation: Obligation) -> str:
    stream = io.StringIO()
    print_obligation(obligation, Console(file=stream, width=110))
    return stream.getvalue()


def violated(sample: Results) -> Obligation:
    return next(o for o in sample.obligations if o.verdict == "VIOLATED")


def test_summary_names_counts_budget_and_scenarios(sample: Results) -> None:
    text = printed(sample)
    assert "priority  36 proved" in text
    assert "vanilla  35 proved, 1 violated" in text
    assert "26 of 32 lines for OP-TEE 4.10.0" in text
    assert "fails: TEEC_OpenSession: out of memory" in text
    assert "Everything is as expected." in text


def test_expected_violations_are_not_spelt_out_unexpected_ones_are(sample: Results) -> None:
    assert "broken:" not in printed(sample)
    unmet = tuple(
        replace(o, met=False) if o.verdict == "VIOLATED" else o for o in sample.obligations
    )
    text = printed(replace(sample, obligations=unmet))
    assert "broken: granules 1280 to 1500 belong to ta2" in text
    assert "1 expectation not met. Look at vanilla/free/no_residue_at_rest." in text


def test_a_trace_is_printed_step_by_step_with_strips_in_one_scale(sample: Results) -> None:
    lines = shown(violated(sample)).splitlines()
    steps = [line for line in lines if line.startswith(("  0.", "  1.", "  2.", "  3.", "  4."))]
    assert [line.split()[1].split("(")[0] for line in steps] == [
        "init", "alloc", "alloc", "write", "free",
    ]  # fmt: skip
    strips = [line for line in lines if "│" in line]
    assert len(strips) == 6
    assert len({len(line) for line in strips}) == 1
    assert "with pool.pages = 3328, reserve = 2048" in "\n".join(lines)


def test_no_colour_codes_outside_a_terminal(sample: Results) -> None:
    assert "\x1b" not in printed(sample)
    assert "\x1b" in printed(sample, force_terminal=True), "colours are there for a terminal"


def test_markup_in_names_is_text(sample: Results) -> None:
    hostile = replace(violated(sample), doc="[red]x[/red] [/bold]", id="a/[b]/c", met=False)
    assert "[red]x[/red] [/bold]" in shown(hostile)


def test_skips_are_said_with_their_mending_command(sample: Results) -> None:
    why = "no QEMU: tessera guest setup"
    skipped = tuple(replace(s, skipped=why, unpatched=None, patched=None) for s in sample.scenarios)
    text = printed(replace(sample, scenarios=skipped))
    assert text.count(why) == 1
    assert "3 scenarios skipped" in text


def test_a_trace_that_two_obligations_share_is_printed_once(sample: Results) -> None:
    one = replace(violated(sample), met=False)
    two = replace(one, id="vanilla/die/no_residue_at_rest")
    text = printed(replace(sample, obligations=(one, two)))
    assert text.count("broken:") == 1
    assert "same trace as vanilla/free/no_residue_at_rest" in text
