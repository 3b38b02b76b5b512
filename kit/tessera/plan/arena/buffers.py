"""Buffers of an arena: when they live, how large they are, and which may share a place.

Goal: the frozen input of the planner, refused early where it makes no sense.
Non-goals: files (see `csv_file`) and where lifetimes come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tessera.errors import TesseraError

LARGEST = 1 << 48
"""No size, step or alignment may be larger, so that sums of all stay within 64 bits."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes that live in the steps [lower, upper); the offset is a multiple of `alignment`."""

    name: str
    lower: int
    upper: int
    size: int
    alignment: int = 1

    def meets(self, other: Buffer) -> bool:
        """Whether both live in one step."""
        return self.lower < other.upper and other.lower < self.upper


Alias = tuple[str, str]
"""(earlier, later): `later` may take the very place of `earlier` in the one step where both live,
as an operator does that writes its output over its input."""


def require_sound(buffers: Sequence[Buffer], aliases: Sequence[Alias] = ()) -> None:
    """Raises `TesseraError` for what no plan can be made of."""
    seen: dict[str, Buffer] = {}
    for buffer in buffers:
        complaint = fault(buffer)
        if complaint is not None:
            raise TesseraError(f"buffer {buffer.name}: {complaint[0]}", remedy=complaint[1])
        if buffer.name in seen:
            raise TesseraError(
                f"two buffers are called {buffer.name}", remedy="give every buffer its own id"
            )
        seen[buffer.name] = buffer
    if sum(buffer.size + buffer.alignment for buffer in buffers) > LARGEST:
        raise TesseraError(
            f"the buffers need more than {LARGEST} bytes together",
            remedy="check the sizes; they are in bytes",
        )
    for pair in aliases:
        _require_alias(pair, seen)


def fault(buffer: Buffer) -> tuple[str, str] | None:
    """What is wrong with one buffer, and how to mend it; None when nothing is."""
    if buffer.lower < 0 or buffer.upper > LARGEST:
        return "its steps are out of range", f"count steps from 0, and to {LARGEST} at most"
    if buffer.lower >= buffer.upper:
        return (
            f"it lives in no step: [{buffer.lower}, {buffer.upper})",
            "upper is the first step in which it is dead, so it is larger than lower",
        )
    if not 0 < buffer.size <= LARGEST:
        return (
            f"a size of {buffer.size} bytes",
            f"leave out empty buffers; sizes are in bytes, {LARGEST} at most",
        )
    if not 0 < buffer.alignment <= LARGEST:
        return f"an alignment of {buffer.alignment}", f"give 1 to {LARGEST}, in bytes"
    return None


def _require_alias(pair: Alias, known: dict[str, Buffer]) -> None:
    for name in pair:
        if name not in known:
            raise TesseraError(
                f"the alias {pair[0]}, {pair[1]} names no buffer {name}",
                remedy="name two buffers of the plan",
            )
    earlier, later = known[pair[0]], known[pair[1]]
    if later.lower != earlier.upper - 1 or earlier.lower >= later.lower:
        raise TesseraError(
            f"{later.name} cannot take the place of {earlier.name}: they do not meet in exactly "
            "the last step of the one and the first of the other",
            remedy="give as aliases only an operator's input that dies there and its output",
        )
