"""A memory strip as one line of text.

Goal: `render_strip` draws live runs, residue, zones and free space in a given width, in Unicode
or plain ASCII; `strip_text` is the same line with colours for a terminal; `legend` explains it.
Non-goals: pictures for the browser (see `svg`) and deciding what a strip shows (see `results`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.text import Text

from tessera.report.scale import Scale, scale_of
from tessera.results import Mark, Run, Strip

_LEAST_RUN = 5  # room for both edges and three characters of the label
_COLOURS = ("cyan", "magenta", "green", "blue", "yellow")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a strip; `fills` are given to the groups in the order of `groups_of`."""

    fills: tuple[str, ...]
    edges: tuple[str, str]
    frame: tuple[str, str]
    free: str
    zone: str
    residue: str
    stale: str  # live granule that holds content of another
    clash: str  # two live runs in one granule
    outside: str  # beyond the end of the pool


UNICODE = Glyphs(("▒", "█", "▓", "▤", "▥"), ("▐", "▌"), ("│", "│"), "·", "╱", "░", "▚", "╳", "!")
ASCII = Glyphs(("=", "#", "%", "&", "@"), ("[", "]"), ("|", "|"), ".", "/", "~", "*", "X", "!")


def groups_of(strips: Iterable[Strip]) -> tuple[str, ...]:
    """The groups (classes) of all runs, sorted, so that a group keeps its glyph and colour."""
    return tuple(sorted({run.group for strip in strips for run in strip.runs}))


def render_strip(
    strip: Strip,
    width: int = 72,
    *,
    plain: bool = False,
    scale: Scale | None = None,
    groups: tuple[str, ...] | None = None,
) -> str:
    """The strip as one line of at most `width` columns, without colour.

    `plain` asks for ASCII. For the steps of a trace pass one `scale` (`scale_of(strips, ...)`) and
    one `groups` (`groups_of(strips)`), so that places and glyphs keep still between lines.
    """
    return strip_text(strip, width, plain=plain, scale=scale, groups=groups).plain


def strip_text(
    strip: Strip,
    width: int = 72,
    *,
    plain: bool = False,
    scale: Scale | None = None,
    groups: tuple[str, ...] | None = None,
) -> Text:
    """The line of `render_strip` with a colour per group, for rich consoles."""
    glyphs = ASCII if plain else UNICODE
    known = groups if groups is not None else groups_of([strip])
    title = f"{_fit(strip.title, max(width // 4, 1))} " if strip.title else ""
    room = max(width - len(title) - 2, 8)
    used = scale or scale_of([strip], room, _LEAST_RUN)
    cells = _background(strip, used, glyphs)
    for run in sorted(strip.runs, key=lambda r: (r.start, r.size, r.label)):
        _draw_run(cells, run, used, glyphs, known)
    _draw_faults(cells, strip, used, glyphs)
    line = Text(title + glyphs.frame[0])
    for glyph, style in cells:
        line.append(glyph, style or None)
    return line.append(glyphs.frame[1])


def strip_lines(strips: Iterable[Strip], width: int = 72, *, plain: bool = False) -> list[Text]:
    """Several states of one pool, one line each, on a common scale and with common glyphs."""
    shown = tuple(strips)
    titles = max((len(_fit(s.title, max(width // 4, 1))) + 1 for s in shown if s.title), default=0)
    scale = scale_of(shown, max(width - titles - 2, 8), _LEAST_RUN)
    groups = groups_of(shown)
    return [strip_text(s, width, plain=plain, scale=scale, groups=groups) for s in shown]


def legend(strips: Iterable[Strip], *, plain: bool = False) -> str:
    """One line that explains every glyph used in the strips, e.g. `▒ ordinary  ░ residue`."""
    glyphs = ASCII if plain else UNICODE
    shown = tuple(strips)
    groups = groups_of(shown)
    parts = [f"{_fill(group, groups, glyphs)} {group}" for group in groups]
    if any(strip.marks for strip in shown):
        parts.append(f"{glyphs.residue} residue")
    if any(stale_ranges(strip) for strip in shown):
        parts.append(f"{glyphs.stale} another's content in a live block")
    zones = sorted({zone.label for strip in shown for zone in strip.zones if zone.size > 0})
    parts += [f"{glyphs.zone} {label}" for label in zones]
    if any(clashes(strip) for strip in shown):
        parts.append(f"{glyphs.clash} overlap")
    parts.append(f"{glyphs.free} free")
    return "  ".join(parts)


_Cells = list[tuple[str, str]]


def _background(strip: Strip, scale: Scale, glyphs: Glyphs) -> _Cells:
    cells: _Cells = [(glyphs.free, "dim")] * scale.width
    for zone in strip.zones:
        _paint(cells, scale, zone.start, zone.size, (glyphs.zone, "dim"))
    for mark in strip.marks:
        _paint(cells, scale, mark.start, mark.size, (glyphs.residue, "red"))
        lo, hi = scale.at(mark.start), scale.at(mark.start + mark.size)
        _write(cells, lo + 1, hi - 1, mark.label, "red")
    for at in range(scale.at(strip.length), scale.width):
        cells[at] = (glyphs.outside, "red")
    return cells


def _draw_run(
    cells: _Cells, run: Run, scale: Scale, glyphs: Glyphs, groups: tuple[str, ...]
) -> None:
    style = _COLOURS[_index(run.group, groups) % len(_COLOURS)]
    lo, hi = scale.at(run.start), scale.at(run.start + run.size)
    _paint(cells, scale, run.start, run.size, (_fill(run.group, groups, glyphs), style))
    if hi - lo >= 3:
        cells[lo] = (glyphs.edges[0], style)
        cells[hi - 1] = (glyphs.edges[1], style)
        _write(cells, lo + 1, hi - 1, run.label, f"bold {style}")


def _draw_faults(cells: _Cells, strip: Strip, scale: Scale, glyphs: Glyphs) -> None:
    for lo, hi in stale_ranges(strip):
        _paint(cells, scale, lo, hi - lo, (glyphs.stale, "bold red"))
    for lo, hi in clashes(strip):
        _paint(cells, scale, lo, hi - lo, (glyphs.clash, "bold red"))


def clashes(strip: Strip) -> list[tuple[int, int]]:
    """Ranges where two runs overlap."""
    spans = [(run.start, run.start + run.size) for run in strip.runs]
    pairs = [(a, b) for i, a in enumerate(spans) for b in spans[i + 1 :]]
    meets = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in pairs]
    return [(lo, hi) for lo, hi in meets if lo < hi]


def is_stale(run: Run, mark: Mark) -> bool:
    """Whether content of `mark` inside `run` is another's; labels are the owners' names."""
    return run.label != mark.label


def stale_ranges(strip: Strip) -> list[tuple[int, int]]:
    """Ranges where a live run holds residue of a label that is not its own."""
    pairs = [(run, mark) for run in strip.runs for mark in strip.marks if is_stale(run, mark)]
    meets = [(max(r.start, m.start), min(r.start + r.size, m.start + m.size)) for r, m in pairs]
    return [(lo, hi) for lo, hi in meets if lo < hi]


def _paint(cells: _Cells, scale: Scale, start: int, size: int, cell: tuple[str, str]) -> None:
    if size <= 0:
        return
    lo, hi = scale.at(start), scale.at(start + size)
    for at in range(min(lo, scale.width - 1), max(hi, lo + 1)):
        if at < scale.width:
            cells[at] = cell


def _write(cells: _Cells, lo: int, hi: int, label: str, style: str) -> None:
    """Centre as much of a printable label as fits between two cells."""
    text = "".join(c if c.isprintable() else "?" for c in label)[: max(hi - lo, 0)]
    first = lo + (hi - lo - len(text)) // 2
    for at, character in enumerate(text, start=first):
        cells[at] = (character, style)


def _index(group: str, groups: tuple[str, ...]) -> int:
    return groups.index(group) if group in groups else len(groups)


def _fill(group: str, groups: tuple[str, ...], glyphs: Glyphs) -> str:
    return glyphs.fills[_index(group, groups) % len(glyphs.fills)]


def _fit(text: str, width: int) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:width]
