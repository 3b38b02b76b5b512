"""A platform before its places are chosen: regions with open bases and sizes, and what binds them.

Goal: the one input of the layout proofs and of the synthesis of a layout. A platform whose regions
are all fixed is the special case that the rest of a spec can use (`typed.Platform`).
Non-goals: choosing places (see `tessera.prove.layout_solve`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tessera.errors import Span
from tessera.lang import typed as t

Place = tuple[int, int]
"""Base and size of a region, in bytes."""

Places = Mapping[str, Place]
"""The place of every region, by name."""

PROPERTIES = {
    "placed": "every region lies where its line allows",
    "disjoint": "regions side by side share no byte",
    "contained": "an inner region lies in its outer one",
    "worlds": "no byte of a secure region lies in a nonsecure or device region",
    "aligned": "bases and sizes are whole granules, and bases keep the alignment asked for",
    "reach": "every region ends where the core's page tables can still point",
    "shared_outside": "shared memory is nonsecure and meets no secure region",
    "room": "the pool holds the core, and something remains",
    "offsets": "the offset of every granule of the pool, shifted at 32 bits, loses no bit",
    "lookup": "a granule's offset fits in the 16 bits in which tee_mm_find() keeps it",
    "configuration": "no configuration value wraps at the width of an address",
}
"""What is asked of every layout, by the name of its obligation."""

CHOICES = ("satisfiable", "maximal")
"""What is asked besides of an open layout, when places are chosen."""

POOL, CORE, SHARED = "pool", "optee_core", "shared_memory"
"""The regions that the layout properties know by name."""

KINDS = {"optee": "OP-TEE", "tfa": "TF-A", "dt": "device tree"}
"""Who reads a configuration value."""


@dataclass(frozen=True, slots=True)
class Area:
    """A region as declared: `base` None means somewhere, `most` not None an open size.

    Expressions may use `t.Apply("region", "name.base")` (and size, end) of regions above.
    """

    name: str
    parent: str | None
    world: str
    base: t.Expr | None
    size: t.Expr
    most: t.Expr | None
    align: int
    fixed: Place | None
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Demand:
    """`require name: test` of a platform; `text` is the test in words."""

    name: str
    doc: str
    test: t.Expr
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Setting:
    """`config kind "key" = values`."""

    kind: str
    key: str
    values: tuple[t.Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Layout:
    """A platform, open or not; `reach` is the bits of an address that page tables hold."""

    name: str
    doc: str
    granule: int
    usize: int
    paddr: int
    reach: int
    areas: tuple[Area, ...]
    demands: tuple[Demand, ...]
    settings: tuple[Setting, ...]
    expects: dict[str, str]  # property to "proved" or "violated"
    span: Span
    file: str = ""
    digest: str = ""
    lines: dict[str, list[str]] = field(default_factory=dict)

    @property
    def open_areas(self) -> tuple[Area, ...]:
        """The regions whose place is still to be chosen."""
        return tuple(a for a in self.areas if a.fixed is None)

    @property
    def places(self) -> dict[str, Place]:
        """The places of the fixed regions."""
        return {a.name: a.fixed for a in self.areas if a.fixed is not None}

    def area(self, name: str) -> Area | None:
        """The region of that name."""
        return next((a for a in self.areas if a.name == name), None)

    def expected(self, prop: str) -> str:
        """`proved` unless the platform says otherwise."""
        return self.expects.get(prop, "proved")

    def properties(self) -> dict[str, str]:
        """The properties that apply: names of the obligations, with their meaning in words."""
        asked = dict(PROPERTIES)
        if not self.open_areas:
            del asked["placed"]  # a fixed region is its line
        if self.area(SHARED) is None:
            del asked["shared_outside"]
        if self.area(POOL) is None:
            del asked["room"], asked["offsets"], asked["lookup"]
        if not self.settings:
            del asked["configuration"]
        return asked | {d.name: d.doc or d.text for d in self.demands}

    def platform(self, places: Places) -> t.Platform:
        """The platform with these places, for the rest of a spec."""
        regions = tuple(
            t.Region(a.name, a.parent, a.world, *places[a.name], a.doc, a.span) for a in self.areas
        )
        return t.Platform(
            self.name, self.doc, self.granule, self.usize, self.paddr, regions, self.span
        )
