"""Pictures of plans: well formed, with equal bytes, everything named, no box where none is."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import pytest
from test_certificate_tiles import planned

from tessera.plan.pictures import arena_svg, curve_svg, partition_svg, plan_html
from tessera.plan.plan import Plan, from_json

SVG = "{http://www.w3.org/2000/svg}"


def plan(size: str = "least") -> Plan:
    return from_json(json.loads(planned("quantised", size)[0]))


def hints(text: str, style: str) -> list[str]:
    root = ET.fromstring(text)
    shapes = [one for one in root.iter() if style in one.get("class", "").split()]
    parents = {child: parent for parent in root.iter() for child in parent}
    found = []
    for shape in shapes:
        title = shape.find(f"{SVG}title")
        title = parents[shape].find(f"{SVG}title") if title is None else title
        assert title is not None
        assert title.text
        found.append(title.text)
    return found


def test_the_arena_has_a_box_for_every_buffer_and_marks_the_peak() -> None:
    made = plan()
    boxes = hints(arena_svg(made), "box")
    assert len(boxes) == len(made.buffers)
    first = made.buffers[0]
    assert any(f"{first.size} bytes at [{first.offset}, " in hint for hint in boxes)
    assert hints(arena_svg(made), "peak") == [f"peak: {made.peak} bytes"]
    assert any("ring of" in hint for hint in boxes)


def test_the_partition_has_every_band_of_every_layer() -> None:
    made = plan("some")
    bands = hints(partition_svg(made), "band")
    rows = {(s.node or s.writes[0].tensor, s.rows) for s in made.steps if s.kind != "load"}
    assert len(bands) == len(rows)
    assert len(hints(partition_svg(made), "group")) == len(made.groups)
    assert len(hints(partition_svg(made), "bar")) == len(made.layers)
    assert any("rows 0:1 of" in hint for hint in bands)


def test_weights_are_said_in_letters_not_in_colours_alone() -> None:
    made = plan("all")
    texts = [one.text for one in ET.fromstring(partition_svg(made)).iter(f"{SVG}text")]
    assert texts.count("R") == sum(group.way.weights == "resident" for group in made.groups)


@dataclass(frozen=True)
class Point:
    model: str
    method: str
    budget: int
    peak: int
    cost: float
    loaded: int


POINTS = [
    Point(model, method, budget, budget - 16, cost * 1e6, 4096)
    for model in ("one & two", "other")
    for method, cost in (("resident", 2.0), ("layer by layer", 5.0), ("y-plane", 3.0), ("ours", 1))
    for budget in (1 << 18, 3 << 18, 1 << 21)
]


def test_the_curve_names_every_point_and_method() -> None:
    text = curve_svg(POINTS)
    marks = hints(text, "mark")
    assert len(marks) == len(POINTS) + 8
    assert (
        "ours: budget 262144 bytes, peak 262128, cost 1000000, 4096 bytes loaded per run" in marks
    )
    root = ET.fromstring(text)
    assert len(list(root.iter(f"{SVG}polyline"))) == 8
    dashes = {one.get("stroke-dasharray") for one in root.iter(f"{SVG}polyline")}
    assert len(dashes) == 4
    assert {"256 KiB", "1 MiB"} <= {one.text for one in root.iter(f"{SVG}text")}


@pytest.mark.parametrize("span", [(660e6, 900e6), (1e9, 9e9), (300, 320_000)])
def test_costs_have_ticks_however_near_they_are(span: tuple[float, float]) -> None:
    points = [replace(POINTS[0], cost=cost) for cost in span]
    ticks = re.findall(r'text-anchor="end">([0-9][^<]*)<', curve_svg(points))
    assert 3 <= len(ticks) <= 9
    values = [float(one.replace(",", "").replace(" M", "e6")) for one in ticks]
    assert values == sorted(values)
    assert all(span[0] * 0.7 <= one <= span[1] * 1.3 for one in values)


def test_one_point_is_a_curve_too() -> None:
    assert len(hints(curve_svg(POINTS[:1]), "mark")) == 2


class Words(HTMLParser):
    """Tags that are open at the end, and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_fetches_nothing_and_is_stable() -> None:
    text = plan_html(plan())
    words = Words()
    words.feed(text)
    assert words.open == []
    assert len(words.ids) == len(set(words.ids))
    assert "src=" not in text
    assert "href=" not in text
    assert text == plan_html(plan())


@pytest.mark.parametrize("name", ["<script>", 'a"b', "a & b"])
def test_names_cannot_break_the_markup(name: str) -> None:
    made = plan("all")
    odd = replace(
        made,
        model=replace(made.model, name=name),
        layers=tuple(replace(one, name=name) for one in made.layers),
    )
    for text in (arena_svg(odd), partition_svg(odd)):
        ET.fromstring(text)
    assert "<script>" not in plan_html(odd)
