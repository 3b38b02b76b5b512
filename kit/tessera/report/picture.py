"""A memory strip as boxes with places in pixels, ready for a template to draw.

Goal: the geometry of a strip and of a whole trace: one scale for all its steps, what is new in a
step and what has just gone, residue, overlaps, ticks that do not collide.
Non-goals: markup and colours (see `templates/strip.svg.j2` and `report.css`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tessera.report.scale import Scale, extent, scale_of
from tessera.report.strip import clashes, is_stale
from tessera.results import Mark, Run, Step, Strip

WIDTH = 960  # pixels of a strip
COLOURS = 5  # class colours that the style sheet has
_LEAST = 40
_GAP = 8
_LETTER = 7.3  # pixels of one character of a label
_DIGIT = 6.6


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the strip: pixels from the left, a kind the style sheet knows, its words."""

    x: int
    width: int
    kind: str  # zone outside residue held stale run ghost clash
    label: str = ""
    colour: int = 0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A granule number under the strip."""

    x: int
    text: str
    anchor: str  # start middle end


@dataclass(frozen=True, slots=True)
class Picture:
    """One strip, ready to draw, and its description in words for those who cannot see it."""

    title: str
    boxes: tuple[Box, ...]
    ticks: tuple[Tick, ...]
    words: str
    width: int = WIDTH


def trace_pictures(
    steps: Sequence[Step], groups: tuple[str, ...]
) -> tuple[tuple[Picture, ...], ...]:
    """The pictures of every step; pools of one title share their scale.

    `groups` are all classes of the page: their order gives the colours, the same in every trace.
    """
    by_title: dict[str, list[Strip]] = {}
    for step in steps:
        for strip in step.strips:
            by_title.setdefault(strip.title, []).append(strip)
    scales = {title: scale_of(pools, WIDTH, _LEAST, _GAP) for title, pools in by_title.items()}
    shown: list[tuple[Picture, ...]] = []
    last: dict[str, Strip] = {}
    for step in steps:
        shown.append(
            tuple(_picture(s, scales[s.title], groups, last.get(s.title)) for s in step.strips)
        )
        last.update({strip.title: strip for strip in step.strips})
    return tuple(shown)


def _picture(strip: Strip, scale: Scale, groups: tuple[str, ...], before: Strip | None) -> Picture:
    boxes = [_box(scale, z.start, z.size, "zone", z.label) for z in strip.zones if z.size > 0]
    if extent(strip) > strip.length or scale.cuts[-1] > strip.length:
        boxes.append(_box(scale, strip.length, scale.cuts[-1] - strip.length, "outside", "outside"))
    gone = set(before.runs) - set(strip.runs) if before else set()
    boxes += [_box(scale, m.start, m.size, "residue", m.label) for m in strip.marks]
    boxes += [_ghost(scale, run, groups, strip.marks) for run in _sorted(gone)]
    new = set(strip.runs) - set(before.runs) if before else set()
    for run in _sorted(strip.runs):
        boxes.append(_run(scale, run, groups, "run new" if run in new else "run"))
        boxes += _held(scale, run, strip.marks)
    boxes += [_box(scale, lo, hi - lo, "clash", "") for lo, hi in clashes(strip)]
    return Picture(strip.title, tuple(boxes), _ticks(scale), _words(strip))


def _sorted(runs: set[Run] | tuple[Run, ...]) -> list[Run]:
    return sorted(runs, key=lambda run: (run.start, run.size, run.label))


def _box(scale: Scale, start: int, size: int, kind: str, label: str, colour: int = 0) -> Box:
    lo, hi = scale.at(start), scale.at(start + size)
    width = max(hi - lo, 2)
    span = f"[{start}, {start + size})"
    return Box(lo, width, kind, _fit(label, width), colour, f"{label} {span}".strip())


def _run(scale: Scale, run: Run, groups: tuple[str, ...], kind: str) -> Box:
    colour = groups.index(run.group) % COLOURS
    box = _box(scale, run.start, run.size, kind, run.label, colour)
    return replace(box, hint=f"{run.group} {box.hint}")


def _ghost(scale: Scale, run: Run, groups: tuple[str, ...], marks: tuple[Mark, ...]) -> Box:
    """A block that has just gone; where residue is left in it, that carries the name."""
    box = _run(scale, run, groups, "ghost")
    left = any(m.start < run.start + run.size and run.start < m.start + m.size for m in marks)
    return replace(box, label="") if left else box


def _held(scale: Scale, run: Run, marks: tuple[Mark, ...]) -> list[Box]:
    """What a live run's granules hold: its own data, or another's (`stale`)."""
    boxes = []
    for mark in marks:
        lo = max(run.start, mark.start)
        hi = min(run.start + run.size, mark.start + mark.size)
        if lo < hi:
            kind = "stale" if is_stale(run, mark) else "held"
            boxes.append(_box(scale, lo, hi - lo, kind, mark.label))
    return boxes


def _fit(label: str, width: int) -> str:
    room = int((width - 8) / _LETTER)
    if len(label) <= room:
        return label
    return label[: room - 1] + "…" if room >= 2 else ""


def _ticks(scale: Scale) -> tuple[Tick, ...]:
    """Granule numbers at the cuts; the ends always, others where they do not touch."""
    *inner, (last_cut, last_x) = scale.ticks()
    end = Tick(last_x, str(last_cut), "end")
    limit = last_x - len(end.text) * _DIGIT - 10
    ticks: list[Tick] = []
    reach = -1.0
    for cut, x in inner:
        text = str(cut)
        half = len(text) * _DIGIT / 2
        anchor = "start" if x < half else "middle"
        left = x if anchor == "start" else x - half
        right = left + 2 * half
        if left > reach and right < limit:
            ticks.append(Tick(x, text, anchor))
            reach = right + 10
    return (*ticks, end)


def _words(strip: Strip) -> str:
    """The strip in words, e.g. for a screen reader."""
    runs = [f"{r.label} ({r.group}) at [{r.start}, {r.start + r.size})" for r in strip.runs]
    marks = [f"content of {m.label} in [{m.start}, {m.start + m.size})" for m in strip.marks]
    facts = "; ".join(runs + marks) or "nothing live"
    return f"{strip.title}, {strip.length} granules: {facts}"
