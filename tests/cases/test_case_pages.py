"""Shipped cases are found and proved; their pages are what the tool writes."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_case import DEFECT, FIXED, MODEL, MakeCase
from typer.testing import CliRunner

from tessera.cases import page
from tessera.cases.library import Case, read_case
from tessera.cases.verdicts import Finding, Side, find, steps_of
from tessera.cli import app
from tessera.lang import load

DOCS = Path(__file__).resolve().parents[2] / "docs" / "cases"


# --- the shipped ones -----------------------------------------------------------------------------


def test_every_defect_is_found_and_every_fix_proved(
    shipped_findings: tuple[Finding, ...],
) -> None:
    assert len(shipped_findings) >= 12
    unmet = [f"{f.case.id}/{s.name}" for f in shipped_findings for s in f.sides if not s.met]
    assert unmet == []


def test_runs_are_replayed_and_as_short_as_expected(
    shipped_findings: tuple[Finding, ...],
) -> None:
    for finding in shipped_findings:
        for side in finding.sides:
            expects = load(finding.case.spec(side.name)).expects
            for obligation in side.broken:
                assert obligation.trace is not None and obligation.trace.replayed
                within = expects[obligation.property].within
                steps = max(steps_of(obligation), 1)
                assert steps == within, f"{obligation.id}: say within {steps}"


def test_the_pages_are_what_the_tool_writes(shipped_findings: tuple[Finding, ...]) -> None:
    fresh = page.files(shipped_findings)
    index = (DOCS / page.INDEX).read_text(encoding="utf-8")
    fresh[page.INDEX] = page.index(shipped_findings, index)
    old = {file.name: file.read_text(encoding="utf-8") for file in DOCS.iterdir()}
    renew = "run: tessera cases --write docs/cases"
    assert sorted(old) == sorted(fresh), renew
    assert [name for name in fresh if fresh[name] != old[name]] == [], renew


def test_pictures_are_xml_and_fetch_nothing(shipped_findings: tuple[Finding, ...]) -> None:
    pictures = [x for n, x in page.files(shipped_findings).items() if n.endswith(".svg")]
    assert pictures
    for text in pictures:
        root = ET.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_links_of_the_pages_lead_somewhere() -> None:
    for file in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", file.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (DOCS / target).exists(), f"{file.name} links to {target}"


# --- a case that is not as it says ----------------------------------------------------------------


def found(folder: Path) -> Finding:
    return find([read_case(folder)])[0]


def test_the_tiny_case_is_as_expected(make_case: MakeCase) -> None:
    finding = found(make_case())
    assert finding.met
    assert [side.met for side in finding.sides] == [True, True]
    assert [o.property for o in finding.sides[0].broken] == ["below"]


def test_a_defect_that_is_not_there_is_noticed(make_case: MakeCase) -> None:
    text = DEFECT.replace("bool = true", "bool = n < 3")
    finding = found(make_case(defect__tess=text))
    assert not finding.met and not finding.undecided
    assert "Not found." in page.page(finding)


def test_a_fix_that_mends_nothing_is_noticed(make_case: MakeCase) -> None:
    finding = found(make_case(fixed__tess=FIXED.replace("n < 3", "n < 4")))
    assert [side.met for side in finding.sides] == [True, False]


def test_a_fix_that_expects_the_defect_is_noticed(make_case: MakeCase) -> None:
    text = DEFECT.replace("counter_defect", "counter_fixed")
    finding = found(make_case(fixed__tess=text))
    assert all(o.met for o in finding.sides[1].results.obligations)
    assert not finding.met


def test_a_defect_may_be_that_something_is_never_reached(make_case: MakeCase) -> None:
    text = """# Before 0123abc
spec counter_defect "It does not count."
use "model.tess"
policy { function may(n: u8): bool = n < 2 }
expect full violated
"""
    finding = found(make_case(defect__tess=text))
    assert finding.met
    assert [o.property for o in finding.sides[0].unreached] == ["full"]
    assert "No run reaches `full`: the limit is reached" in page.page(finding)
    assert page.breaks(finding.sides[0]) == "`full` never reached"


def test_a_side_that_only_stayed_undecided_is_told_apart(make_case: MakeCase) -> None:
    finding = found(make_case())
    mended = finding.sides[1]
    first, *rest = mended.results.obligations
    open_end = replace(first, verdict="UNKNOWN", met=False)
    results = replace(mended.results, obligations=(open_end, *rest))
    undecided = Finding(finding.case, (finding.sides[0], Side("fixed", results)))
    assert not undecided.met and undecided.undecided


# --- pages ----------------------------------------------------------------------------------------


def test_a_page_tells_the_facts_and_shows_the_trace(make_case: MakeCase) -> None:
    finding = found(make_case())
    text = page.page(finding)
    for words in ("The limit was not tested.", "0123abc", "![The trace", "4. up()", "`below`"):
        assert words in text
    assert "The limit | is tested." in text
    assert page.page(finding) == text


def test_a_bar_in_a_table_is_escaped(make_case: MakeCase) -> None:
    model = MODEL.replace("the counter keeps its limit", "count | limit")
    assert r"| count \| limit |" in page.page(found(make_case(model__tess=model)))


def test_words_in_a_picture_are_escaped(make_case: MakeCase) -> None:
    model = MODEL.replace("the counter keeps its limit", "count <= 3 & <b>")
    finding = found(make_case(model__tess=model))
    text = page.files([finding])["counter-defect-below.svg"]
    assert "<b>" not in text
    ET.fromstring(text)


def test_an_index_without_markers_is_left_alone(make_case: MakeCase) -> None:
    finding = found(make_case())
    assert page.index([finding], "mine") == "mine"
    text = page.index([finding], f"a\n{page.BEGIN}\nold\n{page.END}\nb\n")
    assert text.startswith("a\n") and text.endswith("\nb\n") and "old" not in text
    assert "`below` in 4 steps" in text


# --- the command ----------------------------------------------------------------------------------


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["cases", "--no-cache", *words], catch_exceptions=False)
    return done.exit_code, done.stdout


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """The cases that the command knows."""
    known: list[Case] = []
    monkeypatch.setattr("tessera.cli.cases.read_cases", lambda _wanted: tuple(known))
    return known


def test_list_proves_nothing_and_names_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.cli.cases.find", lambda *_: pytest.fail("nothing is to run"))
    code, text = run("--list", "--json")
    ids = [case["id"] for case in json.loads(text)]
    assert code == 0
    assert {"CVE-2019-1010294", "OP-TEE-2019-0013"} <= set(ids)


def test_the_table_and_the_exit_code_of_good_cases(only: list[Case], make_case: MakeCase) -> None:
    only.append(read_case(make_case()))
    code, text = run()
    assert code == 0
    assert "below 4" in text and "proved" in text and "1 of 1 cases as expected" in text
    assert "\x1b" not in text


def test_a_case_that_is_not_as_expected_ends_with_1(only: list[Case], make_case: MakeCase) -> None:
    only.append(read_case(make_case(fixed__tess=FIXED.replace("n < 3", "n < 4"))))
    code, text = run("counter")
    assert code == 1
    assert "0 of 1 cases as expected" in text
    assert "VIOLATED counter_fixed/up/below" in text


def test_json_holds_the_results_of_both_sides(only: list[Case], make_case: MakeCase) -> None:
    only.append(read_case(make_case()))
    code, text = run("--json")
    (document,) = json.loads(text)
    assert code == 0 and document["met"]
    assert [side["name"] for side in document["sides"]] == ["defect", "fixed"]
    assert document["sides"][0]["breaks"] == {"below": 4}
    assert document["sides"][1]["results"]["spec"] == "counter_fixed"


def test_write_renews_pages_and_the_table_of_the_index(
    only: list[Case], make_case: MakeCase, tmp_path: Path
) -> None:
    only.append(read_case(make_case()))
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "README.md").write_text(f"# Mine\n{page.BEGIN}\n{page.END}\n", encoding="utf-8")
    assert run("--write", str(folder))[0] == 0
    names = {file.name for file in folder.iterdir()}
    assert names == {"README.md", "counter.md", "counter-defect-below.svg"}
    assert "counter.md" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [["no-such-case"], ["--list", "--write", "x"]])
def test_bad_words_are_refused(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["cases", *words])
    assert done.exception is not None
    assert getattr(done.exception, "exit_code", None) == 2
