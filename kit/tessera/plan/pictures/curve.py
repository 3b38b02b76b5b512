"""Cost over budgets: one panel per model, one line per method, both axes logarithmic.

Goal: methods told apart by dashes, by the shape of their points and by their names.
Non-goals: computing points (`tessera.plan.curve`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from tessera.plan.pictures.canvas import bytes_words, line, svg, text

_LEFT, _TOP, _WIDTH, _HEIGHT, _RIGHT, _GAP = 96, 76, 640, 280, 170, 78
_DASHES = ("2 4", "8 4", "8 3 2 3", "")
_STYLES = 4
_STEPS = ((1.0, 2.0, 5.0), tuple(range(1, 10)), tuple(k / 5 for k in range(5, 50)))
"""Ticks of costs within a power of ten: the coarsest that give three."""


class CurvePoint(Protocol):
    """A plan of a model by a method: budget and peak in bytes, cost and bytes loaded per run."""

    @property
    def model(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def budget(self) -> int: ...
    @property
    def peak(self) -> int: ...
    @property
    def cost(self) -> float: ...
    @property
    def loaded(self) -> int: ...


def curve_svg(series: Sequence[CurvePoint], quantity: str = "Cost") -> str:
    """The picture of at least one point; models and methods in the order of their first points.

    `quantity`: what the costs are, as a title begins.
    """
    models = [*dict.fromkeys(one.model for one in series)]
    methods = [*dict.fromkeys(one.method for one in series)]
    title = f"{quantity} over budgets: {', '.join(models)}"
    words = "lower is better; the left end of a line is the least budget that works for the method"
    parts = [text(_LEFT, 24, title, "head"), text(_LEFT, 44, words + ".", "soft")]
    for number, model in enumerate(models):
        top = _TOP + number * (_HEIGHT + _GAP)
        found = [one for one in series if one.model == model]
        parts += _panel(found, methods, model, top, quantity.lower())
    total = _TOP + len(models) * (_HEIGHT + _GAP)
    return svg("curve", title, words, (_LEFT + _WIDTH + _RIGHT, total), parts)


class _Scale:
    """A logarithmic axis from the least to the largest value, with some room."""

    def __init__(self, values: Sequence[float], start: float, length: float) -> None:
        low, high = math.log(max(min(values), 1)), math.log(max(*values, 1, 1))
        room = max((high - low) * 0.05, 0.02)
        self.low, self.high = low - room, high + room
        self._start, self._length = start, length

    def at(self, value: float) -> float:
        part = (math.log(max(value, 1)) - self.low) / (self.high - self.low)
        return self._start + part * self._length

    def ticks(self, base: int, steps: Sequence[float]) -> list[float]:
        """The values step * base**k on the axis."""
        first = math.floor(self.low / math.log(base))
        last = math.ceil(self.high / math.log(base))
        found = [step * base**k for k in range(max(first, 0), last + 1) for step in steps]
        return [one for one in found if one >= 1 and self.low <= math.log(one) <= self.high]


def _panel(
    points: Sequence[CurvePoint], methods: Sequence[str], model: str, top: float, quantity: str
) -> list[str]:
    across = _Scale([one.budget for one in points], _LEFT, _WIDTH)
    up = _Scale([one.cost for one in points], top + _HEIGHT, -_HEIGHT)
    parts = [text(_LEFT, top - 8, model), *_axes(across, up, top, quantity)]
    ends: list[float] = []
    for number, method in enumerate(methods):
        found = sorted((one for one in points if one.method == method), key=lambda p: p.budget)
        if not found:
            continue
        places = [(across.at(one.budget), up.at(one.cost)) for one in found]
        style = f"s{number % _STYLES}"
        path = " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
        dash = _DASHES[number % len(_DASHES)]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<polyline class="line {style}" points="{path}"{dashed}/>')
        for one, place in zip(found, places, strict=True):
            hint = (
                f"{one.method}: budget {one.budget} bytes, peak {one.peak}, "
                f"{quantity} {one.cost:.0f}, {one.loaded} bytes loaded per run"
            )
            parts.append(_mark(number, place, style, hint))
        y = places[-1][1]
        while any(abs(y - other) < 14 for other in ends):
            y += 2
        ends.append(y)
        parts.append(_mark(number, (_LEFT + _WIDTH + 14, y), style, method))
        parts.append(text(_LEFT + _WIDTH + 26, y + 4, method))
    return parts


def _axes(across: _Scale, up: _Scale, top: float, quantity: str) -> list[str]:
    base = top + _HEIGHT
    parts = [line((_LEFT, base), (_LEFT + _WIDTH, base), "frame")]
    parts.append(line((_LEFT, top), (_LEFT, base), "frame"))
    for value in _thinned(across.ticks(2, (1,)), 9):
        x = across.at(value)
        parts.append(line((x, top), (x, base), "grid"))
        parts.append(text(x, base + 18, bytes_words(value), "soft", "middle"))
    ticks = next((one for steps in _STEPS if len(one := up.ticks(10, steps)) > 2), [])
    for value in _thinned(ticks, 7):
        y = up.at(value)
        parts.append(line((_LEFT, y), (_LEFT + _WIDTH, y), "grid"))
        parts.append(text(_LEFT - 8, y + 4, _cost_words(value), "soft", "end"))
    parts.append(text(_LEFT + _WIDTH / 2, base + 38, "budget", "soft", "middle"))
    parts.append(text(_LEFT - 8, top - 8, quantity, "soft", "end"))
    return parts


def _cost_words(value: float) -> str:
    return f"{value / 1e6:,.5g} M" if value >= 1e6 else f"{value:,.5g}"


def _thinned(values: Sequence[float], most: int) -> Sequence[float]:
    return values[:: -(-len(values) // most)] if values else values


def _mark(number: int, place: tuple[float, float], style: str, hint: str) -> str:
    """A point; its shape tells the method: circle, square, triangle, diamond."""
    x, y = place
    corners = (
        "",
        f"{x - 4:.2f},{y - 4:.2f} {x + 4:.2f},{y - 4:.2f} {x + 4:.2f},{y + 4:.2f} "
        f"{x - 4:.2f},{y + 4:.2f}",
        f"{x:.2f},{y - 5:.2f} {x + 5:.2f},{y + 4:.2f} {x - 5:.2f},{y + 4:.2f}",
        f"{x:.2f},{y - 5:.2f} {x + 5:.2f},{y:.2f} {x:.2f},{y + 5:.2f} {x - 5:.2f},{y:.2f}",
    )[number % _STYLES]
    shape = (
        f'<polygon class="mark {style}" points="{corners}">'
        if corners
        else f'<circle class="mark {style}" cx="{x:.2f}" cy="{y:.2f}" r="4">'
    )
    tag = "polygon" if corners else "circle"
    return f"{shape}<title>{_escaped(hint)}</title></{tag}>"


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
