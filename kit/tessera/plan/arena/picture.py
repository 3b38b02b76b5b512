"""The arena as a picture: steps from left to right, addresses upwards, one box per buffer.

Goal: an SVG of its own, or the same in a page of its own; hovering a box names the buffer, its
bytes and its steps; the peak and the largest live load are lines. Light and dark, nothing fetched.
Non-goals: choosing offsets.
"""

from __future__ import annotations

from html import escape

from tessera.plan.arena.bounds import steps
from tessera.plan.arena.buffers import Buffer
from tessera.plan.arena.planner import ArenaPlan

_LEFT, _TOP, _WIDTH, _HEIGHT, _BELOW, _GAP, _LOAD = 96, 64, 880, 460, 34, 16, 90
_LETTER = 6.2
_TONES = 6
_STYLE = """
:root { color-scheme: light dark; }
svg { background: #fbfaf7; font: 12px ui-sans-serif, system-ui, sans-serif; max-width: 100%; }
text { fill: #1d1f21; } .soft { fill: #565a5e; } .title { font-size: 15px; font-weight: 650; }
.box { stroke: #fbfaf7; stroke-width: 1; } .box:hover { stroke: #1d1f21; stroke-width: 2; }
.frame { fill: none; stroke: #c9c3b6; } .load { fill: #bcdde3; }
.peak { stroke: #a33b2a; stroke-width: 1.5; }
.bound { stroke: #28707c; stroke-width: 1.5; stroke-dasharray: 6 4; }
.t0 { fill: #bcdde3; } .t1 { fill: #f0dfc0; } .t2 { fill: #cfe3c4; }
.t3 { fill: #e3cddd; } .t4 { fill: #f1d0c4; } .t5 { fill: #d0d3e8; }
@media (prefers-color-scheme: dark) {
  svg { background: #15171a; } text { fill: #e8e6e1; } .soft { fill: #b3b5b6; }
  .box { stroke: #15171a; } .box:hover { stroke: #e8e6e1; } .frame { stroke: #454c54; }
  .peak { stroke: #f0937f; } .bound { stroke: #7fc0d3; } .load { fill: #1f4d57; }
  .t0 { fill: #1f4d57; } .t1 { fill: #57431f; } .t2 { fill: #2f4f2a; }
  .t3 { fill: #4f3049; } .t4 { fill: #5a3226; } .t5 { fill: #333a5e; }
}
"""


def picture_svg(plan: ArenaPlan, name: str) -> str:
    """The picture as the text of an SVG file; equal plans give equal bytes."""
    total = _TOP + _HEIGHT + _GAP + _LOAD + _BELOW
    width = _LEFT + _WIDTH + _GAP
    title = f"Arena of {name}: {plan.height} bytes for {len(plan.buffers)} buffers"
    note = f"largest live load {plan.load} bytes in step {plan.load_step}, gap {plan.gap:.2%}"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="{width}" '
        f'height="{total}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(note)}; low addresses at the bottom, first step at the left</desc>',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="{_LEFT}" y="24">{escape(title)}</text>',
        f'<text class="soft" x="{_LEFT}" y="44">{escape(note)}. Below: bytes alive.</text>',
        f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}"/>',
    ]
    across = _Across(plan)
    for number, buffer in enumerate(plan.buffers):
        out += _box(plan, buffer, number, across)
    out += _level(plan, plan.height, "peak", "peak")
    if plan.bound != plan.height:
        out += _level(plan, plan.bound, "bound", "bound")
    out += _loads(plan, across)
    return "\n".join([*out, "</svg>", ""])


def picture_html(plan: ArenaPlan, name: str) -> str:
    """The picture in a page of its own."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Arena of {escape(name)}</title>\n"
        "<style>:root { color-scheme: light dark; } body { margin: 1.5rem; background: #fbfaf7; }\n"
        "@media (prefers-color-scheme: dark) { body { background: #15171a; } }</style>\n"
        f"</head><body>\n{picture_svg(plan, name)}</body></html>\n"
    )


class _Across:
    """Steps to pixels, in proportion."""

    def __init__(self, plan: ArenaPlan) -> None:
        self.first = min(buffer.lower for buffer in plan.buffers)
        self.length = max(buffer.upper for buffer in plan.buffers) - self.first

    def at(self, step: int) -> float:
        return _LEFT + (step - self.first) * _WIDTH / self.length


def _up(plan: ArenaPlan, address: int) -> float:
    return _TOP + _HEIGHT - address * _HEIGHT / plan.height


def _box(plan: ArenaPlan, buffer: Buffer, number: int, across: _Across) -> list[str]:
    offset = plan.offsets[buffer.name]
    x, right = across.at(buffer.lower), across.at(buffer.upper)
    y, below = _up(plan, offset + buffer.size), _up(plan, offset)
    hint = (
        f"{buffer.name}: {buffer.size} bytes at [{offset}, {offset + buffer.size}), alive in steps "
        f"[{buffer.lower}, {buffer.upper})"
    )
    out = [
        f'<g><title>{escape(hint)}</title><rect class="box t{number % _TONES}" x="{x:.2f}" '
        f'y="{y:.2f}" width="{right - x:.2f}" height="{below - y:.2f}"/>'
    ]
    if below - y >= 14 and right - x >= len(buffer.name) * _LETTER + 8:
        out.append(
            f'<text x="{x + 4:.2f}" y="{(y + below) / 2 + 4:.2f}">{escape(buffer.name)}</text>'
        )
    return ["".join([*out, "</g>"])]


def _level(plan: ArenaPlan, address: int, style: str, words: str) -> list[str]:
    y = _up(plan, address)
    down = 4 if style == "peak" else 16
    return [
        f'<line class="{style}" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.2f}" y2="{y:.2f}">'
        f"<title>{words}: {address} bytes</title></line>",
        f'<text class="soft" x="{_LEFT - 6}" y="{y + down:.2f}" text-anchor="end">'
        f"{words} {address}</text>",
    ]


def _loads(plan: ArenaPlan, across: _Across) -> list[str]:
    """The curve of the bytes alive, on the scale of the height."""
    base = _TOP + _HEIGHT + _GAP + _LOAD
    out = []
    for here, there, load in steps(plan.buffers):
        tall = load * _LOAD / max(plan.height, plan.load)
        out.append(
            f'<rect class="load" x="{across.at(here):.2f}" y="{base - tall:.2f}" '
            f'width="{across.at(there) - across.at(here):.2f}" height="{tall:.2f}">'
            f"<title>steps [{here}, {there}): {load} bytes alive</title></rect>"
        )
    y = base + 18
    last = across.first + across.length
    out.append(f'<text class="soft" x="{_LEFT}" y="{y}">step {across.first}</text>')
    out.append(
        f'<text class="soft" x="{_LEFT + _WIDTH}" y="{y}" text-anchor="end">step {last}</text>'
    )
    return out
