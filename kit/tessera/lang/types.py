"""Types: machine integers with units, booleans, classes, enumerations and unbounded sorts.

Goal: one frozen value per type, so that equality is type equality.
Non-goals: inference (see `tessera.lang.check_expr`).
"""

from __future__ import annotations

from dataclasses import dataclass

INT_WIDTHS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64}
PLATFORM_INTS = ("usize", "paddr")


@dataclass(frozen=True, slots=True)
class BoolType:
    """Truth values."""

    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True, slots=True)
class IntType:
    """An unsigned machine integer: `width` bits, `unit` one of granules, bytes or None.

    `name` is the C-like name it was written with; two types are the same when width and unit are.
    """

    width: int
    unit: str | None = None
    name: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntType) and self.width == other.width and self.unit == other.unit

    def __hash__(self) -> int:
        return hash((self.width, self.unit))

    def __str__(self) -> str:
        name = self.name or f"u{self.width}"
        return f"{name} {self.unit}" if self.unit else name


@dataclass(frozen=True, slots=True)
class NatType:
    """An unbounded integer; only inside `lemma ... unbounded`."""

    def __str__(self) -> str:
        return "nat"


@dataclass(frozen=True, slots=True)
class EnumType:
    """A finite enumeration; `class` is the one that the class declarations build."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class SortType:
    """An unbounded set of things, e.g. blocks."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class IntervalType:
    """A half-open interval of integers; exists only while checking, where it becomes two ints."""

    of: IntType

    def __str__(self) -> str:
        return f"interval of {self.of}"


Type = BoolType | IntType | NatType | EnumType | SortType
AnyType = Type | IntervalType

BOOL = BoolType()
CLASS = EnumType("class")
GRANULES = IntType(32, "granules", "u32")
