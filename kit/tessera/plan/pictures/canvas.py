"""The frame that pictures share: an SVG element with title, description and one style sheet.

Goal: light and dark, nothing fetched, coordinates with two digits so that bytes are stable.
Non-goals: what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

LETTER = 6.2
"""Pixels of one character, on average."""
STYLE = """
:root { color-scheme: light dark; }
svg.plan { background: #fbfaf7; font: 12px ui-sans-serif, system-ui, sans-serif; max-width: 100%; }
.plan text { fill: #1d1f21; } .plan .soft { fill: #565a5e; }
.plan .head { font-size: 15px; font-weight: 650; }
.plan .frame { fill: none; stroke: #c9c3b6; } .plan .grid { stroke: #e4dfd4; }
.plan .group { fill: #efece3; stroke: #c9c3b6; }
.plan .band { fill: #bcdde3; stroke: #28707c; stroke-width: 0.6; }
.plan .band:hover, .plan .bar:hover { stroke: #1d1f21; stroke-width: 2; }
.plan .bar { fill: #f0dfc0; stroke: #7d5f1c; stroke-width: 0.6; }
.plan .line { fill: none; stroke-width: 2; } .plan .mark { stroke-width: 1.5; fill: #fbfaf7; }
.plan .peak { stroke: #a33b2a; stroke-width: 1.5; }
.plan .s0 { stroke: #565a5e; } .plan .s1 { stroke: #7d5f1c; }
.plan .s2 { stroke: #28707c; } .plan .s3 { stroke: #a33b2a; }
@media (prefers-color-scheme: dark) {
  svg.plan { background: #15171a; } .plan text { fill: #e8e6e1; } .plan .soft { fill: #b3b5b6; }
  .plan .frame { stroke: #454c54; } .plan .grid { stroke: #2a2f35; }
  .plan .group { fill: #1d2126; stroke: #454c54; } .plan .mark { fill: #15171a; }
  .plan .band { fill: #1f4d57; stroke: #7fc0d3; } .plan .bar { fill: #57431f; stroke: #d9b872; }
  .plan .band:hover, .plan .bar:hover { stroke: #e8e6e1; } .plan .peak { stroke: #f0937f; }
  .plan .s0 { stroke: #b3b5b6; } .plan .s1 { stroke: #d9b872; }
  .plan .s2 { stroke: #7fc0d3; } .plan .s3 { stroke: #f0937f; }
}
"""


def svg(name: str, title: str, words: str, size: tuple[int, int], parts: Iterable[str]) -> str:
    """A whole SVG file; `name` keeps its ids apart from those of others on one page."""
    width, height = size
    return "\n".join(
        [
            f'<svg class="plan" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="{name}-t {name}-d">',
            f'<title id="{name}-t">{escape(title)}</title>',
            f'<desc id="{name}-d">{escape(words)}</desc>',
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>",
            "",
        ]
    )


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """One line of text; `anchor` is start, middle or end."""
    named = f' class="{style}"' if style else ""
    held = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text{named} x="{x:.2f}" y="{y:.2f}"{held}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, style: str, hint: str = "") -> str:
    """A rectangle; `hint` is shown when it is pointed at."""
    shape = f'<rect class="{style}" x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" '
    shape += f'height="{height:.2f}"'
    return f"{shape}><title>{escape(hint)}</title></rect>" if hint else f"{shape}/>"


def line(start: tuple[float, float], stop: tuple[float, float], style: str, hint: str = "") -> str:
    """A straight line."""
    shape = f'<line class="{style}" x1="{start[0]:.2f}" y1="{start[1]:.2f}" '
    shape += f'x2="{stop[0]:.2f}" y2="{stop[1]:.2f}"'
    return f"{shape}><title>{escape(hint)}</title></line>" if hint else f"{shape}/>"


def bytes_words(count: float) -> str:
    """Bytes in the largest binary unit that keeps them at least 1."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"
