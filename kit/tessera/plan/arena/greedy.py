"""Offsets by one pass over the buffers: an order, and a rule for the gap.

Goal: many quick plans to start the search from, and the rule that TensorFlow Lite Micro uses by
its name, for comparison.
Non-goals: going back on a decision (see `exact`).

The rule of TensorFlow Lite Micro's `GreedyMemoryPlanner`, in our words: take the buffers from large
to small; put each at the lowest offset where it fits beside those already placed that live at some
step with it. With equal sizes the one that lives earlier goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tessera.plan.arena.bounds import sections
from tessera.plan.arena.buffers import Buffer

Key = Callable[[Buffer], tuple[int, ...]]

_ORDERS: Mapping[str, Key] = MappingProxyType(
    {
        "size": lambda b: (-b.size, b.lower, -b.upper),
        "lifetime": lambda b: (b.lower - b.upper, -b.size, b.lower),
        "area": lambda b: (-b.size * (b.upper - b.lower), -b.size, b.lower),
        "start": lambda b: (b.lower, -b.size, -b.upper),
        "end": lambda b: (-b.upper, -b.size, b.lower),
    }
)
FITS = ("first", "best")
TFLM = "tflm"
RULES = (*(f"{order}/{fit}" for order in (*_ORDERS, "contention") for fit in FITS), TFLM)


def place(buffers: Sequence[Buffer], rule: str) -> tuple[int, ...]:
    """The offset of every buffer by a rule of `RULES`; it always finds a plan."""
    order, _, fit = ("size/first" if rule == TFLM else rule).partition("/")
    key = _contention(buffers) if order == "contention" else _ORDERS[order]
    ordered = sorted(range(len(buffers)), key=lambda i: (*key(buffers[i]), buffers[i].name))
    return in_order(buffers, ordered, best_fit=fit == "best")


def in_order(
    buffers: Sequence[Buffer], ordered: Sequence[int], *, best_fit: bool
) -> tuple[int, ...]:
    """Each at the lowest offset where it fits, or in the tightest gap below the top."""
    offsets = [0] * len(buffers)
    placed: list[int] = []
    for number in ordered:
        buffer = buffers[number]
        near = sorted((offsets[i], buffers[i].size) for i in placed if buffers[i].meets(buffer))
        offsets[number] = _gap(near, buffer, best_fit=best_fit)
        placed.append(number)
    return tuple(offsets)


def _gap(near: Sequence[tuple[int, int]], buffer: Buffer, *, best_fit: bool) -> int:
    end, tightest, found = 0, 0, -1
    for offset, size in near:
        at = rounded(end, buffer.alignment)
        room = offset - at
        if room >= buffer.size and (found < 0 or room < tightest):
            if not best_fit:
                return at
            found, tightest = at, room
        end = max(end, offset + size)
    return found if found >= 0 else rounded(end, buffer.alignment)


def rounded(offset: int, alignment: int) -> int:
    """Up to the next multiple."""
    return -(-offset // alignment) * alignment


def _contention(buffers: Sequence[Buffer]) -> Key:
    """First what lives where most is alive."""
    worst: dict[str, int] = {}
    for section in sections(buffers):
        for number in section.members:
            name = buffers[number].name
            worst[name] = max(worst.get(name, 0), section.load)
    return lambda b: (-worst[b.name], -b.size, b.lower)
