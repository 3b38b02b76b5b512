"""The report in a real browser: it renders, filters and steps by keyboard, asks for nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tessera.report.html import render_html
from tessera.results import Mutant, Results, Spread

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        strict = os.environ.get("TESSERA_REQUIRE_GUEST") == "1"
        (pytest.fail if strict else pytest.skip)("no Chromium: sudo apt install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@dataclass
class Seen:
    """What the browser complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def seen(browser: Browser, mixed: Results, tmp_path: Path) -> Iterator[Seen]:
    file = tmp_path / "report.html"
    file.write_text(render_html(mixed), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    found = Seen(page)
    page.on("console", lambda m: found.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(file.as_uri())
    yield found
    page.close()


@pytest.fixture
def mixed(sample: Results) -> Results:
    """A document with every part: an unexpected violation, mutants, spreads."""
    traced = next(o for o in sample.obligations if o.trace is not None)
    assert traced.trace is not None
    trace = replace(traced.trace, conjunct="end(a) <= start(b)", conjunct_span="a.tess:3:4")
    odd = replace(traced, id="priority/free/odd", met=False, hint="look there", trace=trace)
    mutants = (
        Mutant("guard/alloc/1/drop", "guard", "a.tess:1:1", "x", "y", "killed", "disjoint"),
        Mutant("bound/alloc/2", "bound", "a.tess:2:1", "x < y", "x <= y", "survived"),
    )
    spreads = (Spread("priority/alloc/disjoint", {"PROVED": 10}, 10, 20, 30),)
    kept = (replace(o, trace=trace) if o is traced else o for o in sample.obligations)
    obligations = (*kept, odd)
    return replace(sample, obligations=obligations, mutants=mutants, spreads=spreads)


def test_it_renders_without_complaint_or_request(seen: Seen) -> None:
    assert seen.page.locator("h1").inner_text().strip() == "1 expectation not met"
    assert seen.page.locator("svg").count() > 0
    assert seen.page.locator("#mutation .survivors li").count() == 1
    assert "10 PROVED" in seen.page.locator("#stability").inner_text()
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith("file:")] == []
    assert len(seen.requests) == 1


def shown_step(page: Page) -> str:
    steps = page.locator(".trace").first.locator(".step:visible .n")
    assert steps.count() == 1
    return steps.first.inner_text()


def test_keys_step_through_a_trace(seen: Seen) -> None:
    trace = seen.page.locator(".trace").first
    trace.focus()
    assert shown_step(seen.page).lower() == "step 0 of 5"
    for key, now in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 5)):
        seen.page.keyboard.press(key)
        assert shown_step(seen.page).lower() == f"step {now} of 5"
    assert "end(a) <= start(b)" in trace.locator(".step:visible").inner_text()
    assert seen.complaints == []


def test_everything_is_reached_by_the_tab_key(seen: Seen) -> None:
    """Without a mouse: the filter and the player come up while tabbing."""
    reached = set()
    for _ in range(80):
        seen.page.keyboard.press("Tab")
        reached.add(
            seen.page.evaluate(
                "document.activeElement.closest('.filter, .trace, nav, .theme')?.className ?? ''"
            )
        )
    assert any("filter" in name for name in reached)
    assert any("trace" in name for name in reached)


def test_the_filter_shows_one_verdict(seen: Seen, mixed: Results) -> None:
    page = seen.page
    page.locator('.filter button[data-show="unmet"]').focus()
    page.keyboard.press("Enter")
    assert page.locator("tr.obligation:visible").count() == 1
    page.locator('.filter button[data-show="VIOLATED"]').click()
    violated = sum(o.verdict == "VIOLATED" for o in mixed.obligations)
    assert page.locator("tr.obligation:visible").count() == violated
    assert page.locator(".filter .shown").inner_text().startswith(f"{violated} of ")
    page.locator('.filter button[data-show=""]').click()
    assert page.locator("tr.obligation:visible").count() == len(mixed.obligations)
    assert seen.complaints == []


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_dark_light_and_print(seen: Seen) -> None:
    seen.page.emulate_media(color_scheme="light")
    light = background(seen.page)
    seen.page.emulate_media(color_scheme="dark")
    assert background(seen.page) != light
    seen.page.emulate_media(media="print")
    steps = seen.page.locator(".trace").first.locator(".step")
    assert steps.locator("visible=true").count() == steps.count(), "print shows every step"
    assert seen.page.locator(".filter").is_hidden()
