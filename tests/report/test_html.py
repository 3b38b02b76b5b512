"""The HTML page: self-contained, escaped, deterministic, and it shows what the results say."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from tessera.report.html import render_html
from tessera.results import Results, Step, Trace

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"


class Balance(HTMLParser):
    """Checks that tags nest, collects ids and every attribute that could fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "action", "data"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def parse(page: str) -> Balance:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    return parser


def hostile(results: Results) -> Results:
    """The same results with a hostile text in every place a spec or a guest can write to."""
    first = results.obligations[0]
    trace = Trace({HOSTILE: HOSTILE}, (Step(HOSTILE, (HOSTILE,)), Step(HOSTILE, ())), HOSTILE)
    bad = replace(
        first, id=f"{HOSTILE}/{HOSTILE}/x", property=HOSTILE, doc=HOSTILE, detail=HOSTILE,
        formula=HOSTILE, span=HOSTILE, expect=HOSTILE, trace=trace,
    )  # fmt: skip
    scenario = results.scenarios[1]
    assert scenario.patched is not None
    outcome = replace(scenario.patched, detail=HOSTILE, log=HOSTILE, figures={HOSTILE: 1.0})
    assert results.patch is not None
    patch = replace(
        results.patch, text=results.patch.text.replace("sample", HOSTILE), costs={HOSTILE: 3},
        target=HOSTILE,
    )  # fmt: skip
    return replace(
        results, spec=HOSTILE, doc=HOSTILE, file=HOSTILE, obligations=(bad,), patch=patch,
        scenarios=(replace(scenario, name=HOSTILE, doc=HOSTILE, patched=outcome),
                   replace(scenario, skipped=HOSTILE)),
        versions={HOSTILE: HOSTILE},
    )  # fmt: skip


def test_page_is_well_formed_and_fetches_nothing(sample: Results) -> None:
    page = parse(render_html(sample))
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert "link" not in page.tags
    assert "img" not in page.tags


def test_no_address_of_another_host_is_in_the_page(sample: Results) -> None:
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+", render_html(sample)) == []


def test_hostile_names_stay_text(sample: Results) -> None:
    plain, attacked = parse(render_html(sample)), parse(render_html(hostile(sample)))
    assert attacked.tags.count("script") == plain.tags.count("script") == 1
    assert attacked.handlers == []
    assert "img" not in attacked.tags
    assert "49" not in re.findall(r">(\d+)<", render_html(hostile(sample)))


def test_equal_results_give_equal_bytes(sample: Results) -> None:
    assert render_html(sample) == render_html(sample)


def test_page_shows_verdict_patch_and_both_sides(sample: Results) -> None:
    page = render_html(sample)
    assert "Everything is as expected" in page
    assert "26 of 32 lines" in page
    assert "TEEC_OpenSession: out of memory" in page
    assert "granules 1280 to 1500 belong to ta2" in page
    assert page.count('<li class="step">') == 6


def test_an_unmet_expectation_leads_the_page(sample: Results) -> None:
    first, *rest = sample.obligations
    broken = replace(sample, obligations=(replace(first, verdict="VIOLATED", met=False), *rest))
    page = render_html(broken)
    assert "Everything is as expected" not in page
    assert "1 expectation not met" in page
    assert f"Look at {first.id}" in page


def test_an_undecided_obligation_is_told_from_a_violated_one(sample: Results) -> None:
    first, *rest = sample.obligations
    unknown = replace(first, verdict="UNKNOWN", met=False, detail="timeout")
    assert "stayed undecided" in render_html(replace(sample, obligations=(unknown, *rest)))


def test_skipped_scenarios_are_said_at_the_top_with_the_mending_command(sample: Results) -> None:
    why = "no QEMU: run `tessera guest setup`"
    skipped = tuple(
        replace(s, unpatched=None, patched=None, met=False, skipped=why) for s in sample.scenarios
    )
    page = render_html(replace(sample, scenarios=skipped))
    assert page.index("Not everything ran") < page.index("What was proved")
    assert "tessera guest setup" in page
    assert "Everything that ran is as expected" in page


def test_an_empty_document_renders() -> None:
    parse(render_html(Results("s", "", "s.tess", "")))


def test_obligations_that_share_a_trace_share_its_picture(sample: Results) -> None:
    shared = next(o for o in sample.obligations if o.trace)
    twin = replace(shared, id="vanilla/die/no_residue_at_rest")
    page = render_html(replace(sample, obligations=(*sample.obligations, twin)))
    assert page.count('<li class="step">') == 6
    assert page.count('href="#trace-1"') == 2, "both tiles lead to it"


def test_a_witness_is_reached_not_broken(sample: Results) -> None:
    shared = next(o for o in sample.obligations if o.trace)
    witness = replace(shared, id="priority/full", property="full", verdict="PROVED")
    page = render_html(replace(sample, obligations=(witness,)))
    assert "Reached here:" in page
    assert "Broken here:" not in page
