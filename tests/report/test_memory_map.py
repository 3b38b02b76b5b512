"""The memory map: every region is drawn, nested regions to the right, nothing by colour alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tessera import resources
from tessera.lang.load import load_layout
from tessera.report.memory_map import depth, map_strips, map_svg

SVG = "{http://www.w3.org/2000/svg}"
FIXED = [
    file
    for file in sorted(resources.path("models/optee/platforms").glob("*.tess"))
    if not load_layout(file).open_areas
]


def test_strips_hold_every_region_once() -> None:
    layout = load_layout(resources.path("models/optee/platforms/qemu_armv8a.tess"))
    strips = map_strips(layout, layout.places)
    drawn = {run.label: (run.start, run.size) for strip in strips for run in strip.runs}
    assert drawn == {n: (b >> 12, s >> 12) for n, (b, s) in layout.places.items()}
    assert [len(strip.runs) for strip in strips] == [4, 3, 1, 2]
    assert {strip.length for strip in strips} == {0x8000_0000 >> 12}


@pytest.mark.parametrize("file", FIXED, ids=lambda f: f.stem)
def test_boxes_nest_as_regions_do(file: object) -> None:
    layout = load_layout(str(file))
    drawing = ET.fromstring(map_svg(layout, layout.places))
    boxes = {}
    for group in drawing.iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and title.text is not None and box is not None
        place = {k: int(box.attrib[k]) for k in ("x", "y", "width", "height")}
        boxes[title.text.partition(":")[0]] = place
        assert f": {box.attrib['class']}, [" in title.text  # the world is said, not only coloured
    assert set(boxes) == {area.name for area in layout.areas}
    bottom = max(b["y"] + b["height"] for b in boxes.values())
    for area in layout.areas:
        box = boxes[area.name]
        assert box["height"] >= 30
        assert box["y"] >= 56 and box["y"] + box["height"] <= bottom
        if area.parent is not None:
            outer = boxes[area.parent]
            assert outer["y"] <= box["y"]
            assert box["y"] + box["height"] <= outer["y"] + outer["height"]
            assert box["x"] >= outer["x"] + outer["width"]
        for other in layout.areas:
            if other.name != area.name and depth(layout, other) == depth(layout, area):
                there = boxes[other.name]
                above = there["y"] + there["height"] <= box["y"]
                assert above or box["y"] + box["height"] <= there["y"]


def test_names_are_escaped() -> None:
    layout = load_layout(resources.path("models/optee/platforms/rpi3.tess"))
    object.__setattr__(layout, "doc", "<script> & co")
    text = map_svg(layout, layout.places)
    assert "<script>" not in text
    assert "&lt;script&gt; &amp; co" in text
