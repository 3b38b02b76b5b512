"""The physical memory map of a platform: as strips of text, and as a picture.

Goal: `map_strips` gives one strip per level of nesting, on a common scale; `map_svg` a file of its
own, low addresses at the bottom, readable in light and dark and by a screen reader.
Non-goals: verdicts, and choosing places (see `tessera.prove.layout`).
"""

from __future__ import annotations

from html import escape

from tessera.lang.typed_layout import Area, Layout, Places
from tessera.lang.write_platform import address_text, size_text
from tessera.report.scale import scale_of
from tessera.results import Run, Strip

_COLUMN, _GAP, _LEFT, _TOP = 172, 8, 118, 56
_LEAST, _LEAST_GAP, _PER_RANGE = 30, 15, 36  # pixels of a region, of nothing, of a range on average
_LETTER = 6.7
_STYLE = """
:root { color-scheme: light dark; }
svg { background: #fbfaf7; font: 12px ui-sans-serif, system-ui, sans-serif; }
text { fill: #1d1f21; } .soft { fill: #565a5e; } .title { font-size: 15px; font-weight: 650; }
rect { stroke: #fbfaf7; stroke-width: 1.5; } .line { stroke: #c9c3b6; stroke-dasharray: 2 4; }
.secure { fill: #bcdde3; } .nonsecure { fill: #f0dfc0; } .device { fill: #dddcd8; }
.chosen { stroke: #28707c; stroke-width: 2.5; }
@media (prefers-color-scheme: dark) {
  svg { background: #15171a; } text { fill: #e8e6e1; } .soft { fill: #b3b5b6; }
  rect { stroke: #15171a; } .line { stroke: #454c54; } .chosen { stroke: #7fc0d3; }
  .secure { fill: #1f4d57; } .nonsecure { fill: #57431f; } .device { fill: #3a3d40; }
}
"""


def depth(layout: Layout, area: Area) -> int:
    """How many regions a region lies in."""
    level = 0
    while area.parent is not None:
        outer = layout.area(area.parent)
        assert outer is not None
        area, level = outer, level + 1
    return level


def map_strips(layout: Layout, places: Places) -> tuple[Strip, ...]:
    """One strip per level of nesting, in granules from address 0."""
    end = max(base + size for base, size in places.values()) // layout.granule
    levels: dict[int, list[Run]] = {}
    for area in layout.areas:
        base, size = (x // layout.granule for x in places[area.name])
        run = Run(area.name, area.world, base, size)
        levels.setdefault(depth(layout, area), []).append(run)
    return tuple(Strip("", end, tuple(levels[level])) for level in sorted(levels))


def map_svg(layout: Layout, places: Places) -> str:
    """The picture as the text of an SVG file."""
    strips = map_strips(layout, places)
    cuts = {cut for strip in strips for r in strip.runs for cut in (r.start, r.start + r.size)}
    height = _PER_RANGE * (len(cuts) + 1)
    scale = scale_of(strips, height, _LEAST, _LEAST_GAP)
    bottom = _TOP + height
    width = _LEFT + len(strips) * (_COLUMN + _GAP) + _GAP
    title = f"{layout.name}: {layout.doc}" if layout.doc else layout.name
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 46}" '
        f'width="{width}" height="{bottom + 46}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(_words(layout, places))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="{_GAP}" y="24">{escape(title)}</text>',
        f'<text class="soft" x="{_GAP}" y="42">Low addresses at the bottom; not to scale: every '
        "region is shown. Inner regions stand to the right.</text>",
    ]
    for cut in sorted(cuts):
        y = bottom - scale.at(cut)
        address = address_text(cut * layout.granule)
        out.append(f'<line class="line" x1="{_LEFT - 4}" x2="{width - _GAP}" y1="{y}" y2="{y}"/>')
        out.append(
            f'<text class="soft" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{address}</text>'
        )
    for level, strip in enumerate(strips):
        x = _LEFT + level * (_COLUMN + _GAP)
        for run in strip.runs:
            low, high = scale.at(run.start), scale.at(run.start + run.size)
            out += _box(layout, places, run, (x, bottom - high, high - low))
    out += _legend(layout, bottom + 20)
    return "\n".join([*out, "</svg>", ""])


def _box(layout: Layout, places: Places, run: Run, at: tuple[int, int, int]) -> list[str]:
    x, y, height = at
    area = layout.area(run.label)
    assert area is not None
    base, size = places[run.label]
    chosen = " chosen" if area.fixed is None else ""
    extent = f"[{address_text(base)}, {address_text(base + size)})"
    hint = f"{area.name}: {area.world}, {extent}, {size_text(size)}. {area.doc}"
    room = int((_COLUMN - 14) / _LETTER)
    words = f"{area.name} · {size_text(size)}"
    label = words if len(words) <= room else words[: room - 1] + "…"
    return [
        f'<g><title>{escape(hint)}</title><rect class="{area.world}{chosen}" x="{x}" y="{y}" '
        f'width="{_COLUMN}" height="{height}" rx="3"/>',
        f'<text x="{x + 7}" y="{y + height // 2 + 4}">{escape(label)}</text></g>',
    ]


def _legend(layout: Layout, y: int) -> list[str]:
    out, x = [], _LEFT
    entries = [(w, w) for w in ("secure", "nonsecure", "device")]
    if layout.open_areas:
        entries.append(("nonsecure chosen", "place chosen"))
    for style, words in entries:
        out.append(f'<rect class="{style}" x="{x}" y="{y - 11}" width="18" height="14" rx="3"/>')
        out.append(f'<text class="soft" x="{x + 24}" y="{y}">{words}</text>')
        x += 44 + int(len(words) * _LETTER)
    return out


def _words(layout: Layout, places: Places) -> str:
    """The map in words, e.g. for a screen reader."""
    ordered = sorted(layout.areas, key=lambda area: places[area.name])
    return "; ".join(
        f"{area.name} ({area.world}) from {address_text(places[area.name][0])}, "
        f"{size_text(places[area.name][1])}"
        for area in ordered
    )
