"""What no plan can go below, and which buffers have nothing to do with each other.

Goal: sections (the sets of buffers alive together that no other such set contains), their loads,
and components (buffers that no chain of common lifetimes connects), which are planned apart.
Non-goals: placing anything.

A set of intervals has its largest common sets exactly where an end follows a start in the order of
events, ends first (Gilmore and Hoffman 1964 on interval graphs); so every buffer's sections are
consecutive, and two buffers meet if and only if they share a section.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd

from tessera.plan.arena.buffers import Buffer


@dataclass(frozen=True, slots=True)
class Section:
    """Buffers (their numbers, rising) alive together at `step`; `load` is their bytes."""

    step: int
    members: tuple[int, ...]
    load: int


def sections(buffers: Sequence[Buffer]) -> tuple[Section, ...]:
    """All sections, in the order of their steps."""
    events = sorted(
        event
        for number, buffer in enumerate(buffers)
        for event in ((buffer.lower, 1, number), (buffer.upper, 0, number))
    )
    alive: set[int] = set()
    found: list[Section] = []
    started = False
    for step, starts, number in events:
        if starts:
            alive.add(number)
            last = step
        else:
            if started:
                members = tuple(sorted(alive))
                found.append(Section(last, members, sum(buffers[i].size for i in members)))
            alive.remove(number)
        started = bool(starts)
    return tuple(found)


def live_load(buffers: Sequence[Buffer]) -> tuple[int, int]:
    """(bytes, step) of the largest live load, the first of equals; (0, 0) without buffers."""
    loads = [(section.load, -section.step) for section in sections(buffers)]
    load, step = max(loads, default=(0, 0))
    return load, -step


def components(buffers: Sequence[Buffer]) -> tuple[tuple[int, ...], ...]:
    """Numbers of buffers, grouped so that no two groups meet; in the order of time."""
    ordered = sorted(range(len(buffers)), key=lambda i: (buffers[i].lower, i))
    groups: list[list[int]] = []
    end = -1
    for number in ordered:
        if buffers[number].lower >= end:
            groups.append([])
        groups[-1].append(number)
        end = max(end, buffers[number].upper)
    return tuple(tuple(sorted(group)) for group in groups)


def unit(buffers: Sequence[Buffer]) -> int:
    """Every lowest height is a multiple of this: offsets are sums of sizes, rounded up."""
    return gcd(*(b.size for b in buffers), *(b.alignment for b in buffers if b.alignment > 1)) or 1


def spans(found: Sequence[Section], count: int) -> tuple[list[int], list[int]]:
    """Of every buffer the first section and the one behind its last."""
    first, end = [-1] * count, [0] * count
    for number, section in enumerate(found):
        for member in section.members:
            if first[member] < 0:
                first[member] = number
            end[member] = number + 1
    return first, end


def steps(buffers: Sequence[Buffer]) -> tuple[tuple[int, int, int], ...]:
    """(from, to, bytes alive) between neighbouring events; the curve of the live load."""
    change: dict[int, int] = {}
    for buffer in buffers:
        change[buffer.lower] = change.get(buffer.lower, 0) + buffer.size
        change[buffer.upper] = change.get(buffer.upper, 0) - buffer.size
    out, load = [], 0
    for here, there in pairwise(sorted(change)):
        load += change[here]
        out.append((here, there, load))
    return tuple(out)
