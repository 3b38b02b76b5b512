"""Checking a platform: every region lies in its parent, siblings do not overlap.

Goal: a platform that passes is a tree of regions with one world per branch.
Non-goals: synthesis of bases and sizes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import replace

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.fold import fold
from tessera.lang.scope import Symbols
from tessera.lang.show import hexadecimal
from tessera.lang.types import IntType


def check_platform(symbols: Symbols, decl: s.Platform) -> t.Platform | None:
    """The typed platform; reports what is wrong with it.

    While it is checked, `symbols.platform` holds what is known so far, so that a region can be
    placed by the ones above it.
    """
    widths = {"usize": 64, "paddr": 64}
    for name, bits in decl.widths:
        if name.text not in widths:
            symbols.diagnostics.add(name.span, f"unknown width '{name.text}'", "usize or paddr")
        elif bits not in (32, 64):
            symbols.diagnostics.add(name.span, f"{bits} is not a width of {name.text}", "32 or 64")
        else:
            widths[name.text] = bits
    bytes_type = IntType(widths["paddr"], "bytes", "paddr")
    granule = _constant(symbols, decl.granule, bytes_type) if decl.granule else None
    if decl.granule is None or (granule is not None and granule.bit_count() != 1):
        span = decl.granule.span if decl.granule else decl.name.span
        symbols.diagnostics.add(
            span, "a platform needs a granule that is a power of two", "write: granule 4 KiB"
        )
        return None
    if granule is None:
        return None
    platform = t.Platform(
        decl.name.text, decl.doc, granule, widths["usize"], widths["paddr"], (), decl.span
    )
    regions = _Regions(symbols, bytes_type)
    for region in decl.regions:
        symbols.platform = replace(platform, regions=tuple(regions.by_name.values()))
        regions.add(region)
    return replace(platform, regions=tuple(regions.by_name.values()))


def _constant(symbols: Symbols, expr: s.Expr, type_: IntType) -> int | None:
    # A physical address is written bare (0x0e00_0000): it is a number of bytes by nature.
    if isinstance(expr, s.Number) and expr.unit is None:
        expr = replace(expr, unit=type_.unit)
    typed = ExprChecker(symbols).expr(expr, Context(what="a platform", state=False), type_)
    if typed is None:
        return None
    value = fold(typed, {})
    if value is None:
        symbols.diagnostics.add(
            expr.span, "a platform's numbers must be constant", "use numbers and earlier regions"
        )
    return value


class _Regions:
    """The regions of one platform, added in order of declaration."""

    def __init__(self, symbols: Symbols, type_: IntType) -> None:
        self.symbols = symbols
        self.type = type_
        self.by_name: dict[str, t.Region] = {}
        self.inside: dict[str | None, list[tuple[int, int, str]]] = {}  # sorted by base

    def add(self, region: s.Region) -> None:
        """Check one region and keep it when it is sound enough to build on."""
        name = region.name.text
        base = _constant(self.symbols, region.base, self.type)
        size = _constant(self.symbols, region.size, self.type)
        fresh = self.symbols.declare(region.name, "region")
        if not fresh or base is None or size is None or not self._extent(region, base, size):
            self.symbols.broken.add(name)
            return
        parent = None
        if region.parent is not None:
            parent = self._parent(region, base, size)
            if parent is None:
                self.symbols.broken.add(name)
                return
        world = self._world(region, parent)
        if world is None:
            self.symbols.broken.add(name)
            return
        outer = parent.name if parent else None
        self._overlap(region, outer, base, size)
        self.by_name[name] = t.Region(name, outer, world, base, size, region.doc, region.span)
        insort(self.inside.setdefault(outer, []), (base, size, name))

    def _error(self, where: s.Ident | s.Expr, message: str, remedy: str) -> None:
        self.symbols.diagnostics.add(where.span, message, remedy)

    def _extent(self, region: s.Region, base: int, size: int) -> bool:
        if size == 0:
            self._error(region.size, f"region '{region.name.text}' is empty", "give it a size")
            return False
        if base + size > 1 << self.type.width:
            self._error(
                region.size,
                f"region '{region.name.text}' ends at {hexadecimal(base + size)}, beyond the last "
                f"address of {self.type.width} bits",
                "move it, shrink it, or set: width paddr = 64",
            )
            return False
        return True

    def _parent(self, region: s.Region, base: int, size: int) -> t.Region | None:
        assert region.parent is not None
        name = region.parent.text
        parent = self.by_name.get(name)
        if parent is None:
            if name not in self.symbols.broken:
                self._error(
                    region.parent,
                    f"unknown region '{name}'",
                    nearest(name, self.by_name) or "declare the outer region first",
                )
            return None
        if base < parent.base or base + size > parent.base + parent.size:
            self._error(
                region.name,
                f"region '{region.name.text}' {_extent(base, size)} lies outside "
                f"'{parent.name}' {_extent(parent.base, parent.size)}",
                "move it, shrink it, or enlarge the outer region",
            )
            return None
        return parent

    def _overlap(self, region: s.Region, outer: str | None, base: int, size: int) -> None:
        """The siblings are sorted: only the neighbours of the place can overlap."""
        siblings = self.inside.get(outer, [])
        place = bisect_left(siblings, (base, size, region.name.text))
        for other_base, other_size, other in siblings[max(0, place - 1) : place + 1]:
            if base < other_base + other_size and other_base < base + size:
                self._error(
                    region.name,
                    f"regions overlap: '{region.name.text}' {_extent(base, size)} and "
                    f"'{other}' {_extent(other_base, other_size)}",
                    "move one of them, or declare one 'in' the other",
                )

    def _world(self, region: s.Region, parent: t.Region | None) -> str | None:
        name = region.name.text
        if parent is None:
            if region.world is None:
                self._error(
                    region.name,
                    f"region '{name}' needs a world",
                    "write secure, nonsecure or device before 'at'",
                )
            return region.world
        if region.world not in (None, parent.world):
            self._error(
                region.name,
                f"'{name}' is {region.world} but lies in '{parent.name}', which is {parent.world}",
                "an inner region has the world of the outer one: drop the word",
            )
            return None
        return parent.world


def _extent(base: int, size: int) -> str:
    return f"[{hexadecimal(base)}, {hexadecimal(base + size)})"
