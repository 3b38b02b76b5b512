"""Checking a platform: every region lies in its parent, siblings do not overlap.

Goal: a platform that passes is a tree of regions with one world per branch. What is fixed is
checked here; open bases and sizes become expressions for `tessera layout`.
Non-goals: choosing bases and sizes (see `tessera.prove.layout_solve`), and what a platform says
about its regions (see `tessera.lang.check_layout`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import replace

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.check_layout import (
    check_configs,
    check_constraints,
    check_expects,
    in_bytes,
    opens,
)
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.fold import fold
from tessera.lang.scope import Symbols
from tessera.lang.show import hexadecimal
from tessera.lang.typed_layout import Area, Layout
from tessera.lang.types import IntType

_LEAST_REACH = 20


def check_platform(symbols: Symbols, decl: s.Platform) -> t.Platform | None:
    """The typed platform; reports what is wrong with it, and regions that are still open."""
    layout = check_layout(symbols, decl)
    if layout is None:
        return None
    if layout.open_areas:
        first = layout.open_areas[0]
        others = len(layout.open_areas) - 1
        more = f", and {others} more" if others else ""
        symbols.diagnostics.add(
            first.span,
            f"the place of region '{first.name}' is open{more}: a machine needs fixed places",
            "choose them with: tessera layout THIS_FILE --write FIXED.tess, and use that file",
        )
        return None
    return layout.platform(layout.places)


def check_layout(symbols: Symbols, decl: s.Platform) -> Layout | None:
    """The platform with what is open in it; reports what is wrong.

    While it is checked, `symbols.platform` holds what is known so far, so that a region can be
    placed by the ones above it.
    """
    widths = _widths(symbols, decl)
    bytes_type = IntType(widths["paddr"], "bytes", "paddr")
    granule = _granule(symbols, decl, bytes_type)
    if granule is None:
        return None
    platform = t.Platform(
        decl.name.text, decl.doc, granule, widths["usize"], widths["paddr"], (), decl.span
    )
    regions = _Regions(symbols, bytes_type, granule)
    for region in decl.regions:
        symbols.platform = replace(platform, regions=tuple(regions.by_name.values()))
        regions.add(region)
    symbols.platform = replace(platform, regions=tuple(regions.by_name.values()))
    demands = check_constraints(symbols, decl.constraints)
    layout = Layout(
        name=platform.name,
        doc=platform.doc,
        granule=granule,
        usize=platform.usize,
        paddr=platform.paddr,
        reach=widths["reach"],
        areas=tuple(regions.areas.values()),
        demands=demands,
        settings=check_configs(symbols, decl.configs, bytes_type),
        expects={},
        span=decl.span,
    )
    return replace(layout, expects=check_expects(symbols, decl.expects, layout.properties()))


def _widths(symbols: Symbols, decl: s.Platform) -> dict[str, int]:
    widths = {"usize": 64, "paddr": 64}
    reach: tuple[s.Ident, int] | None = None
    for name, bits in decl.widths:
        if name.text == "reach":
            reach = (name, bits)
        elif name.text not in widths:
            symbols.diagnostics.add(
                name.span, f"unknown width '{name.text}'", "usize, paddr or reach"
            )
        elif bits not in (32, 64):
            symbols.diagnostics.add(name.span, f"{bits} is not a width of {name.text}", "32 or 64")
        else:
            widths[name.text] = bits
    widths["reach"] = widths["paddr"]
    if reach is not None:
        name, bits = reach
        if _LEAST_REACH <= bits <= widths["paddr"]:
            widths["reach"] = bits
        else:
            symbols.diagnostics.add(
                name.span,
                f"page tables cannot hold {bits} bits of an address of {widths['paddr']} bits",
                f"a number from {_LEAST_REACH} to {widths['paddr']}",
            )
    return widths


def _granule(symbols: Symbols, decl: s.Platform, type_: IntType) -> int | None:
    granule = _constant(symbols, decl.granule, type_) if decl.granule else None
    if decl.granule is None or (granule is not None and granule.bit_count() != 1):
        span = decl.granule.span if decl.granule else decl.name.span
        symbols.diagnostics.add(
            span, "a platform needs a granule that is a power of two", "write: granule 4 KiB"
        )
        return None
    return granule


def _typed(symbols: Symbols, expr: s.Expr, type_: IntType) -> t.Expr | None:
    """A number of bytes, in which regions above may be used."""
    return ExprChecker(symbols).expr(in_bytes(expr), Context(what="a platform", state=False), type_)


def _constant(symbols: Symbols, expr: s.Expr, type_: IntType) -> int | None:
    typed = _typed(symbols, expr, type_)
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

    def __init__(self, symbols: Symbols, type_: IntType, granule: int) -> None:
        self.symbols = symbols
        self.type = type_
        self.granule = granule
        self.by_name: dict[str, t.Region] = {}  # the fixed ones
        self.areas: dict[str, Area] = {}
        self.inside: dict[str | None, list[tuple[int, int, str]]] = {}  # sorted by base

    def add(self, region: s.Region) -> None:
        """Check one region and keep it when it is sound enough to build on."""
        name = region.name.text
        area = self._area(region)
        if area is None or not self._fits(region, area):
            self.symbols.broken.add(name)
            return
        self.areas[name] = area
        if area.fixed is None:
            self.symbols.open_regions.add(name)
            return
        base, size = area.fixed
        self._overlap(region, area.parent, base, size)
        self.by_name[name] = t.Region(
            name, area.parent, area.world, base, size, region.doc, region.span
        )
        insort(self.inside.setdefault(area.parent, []), (base, size, name))

    def _area(self, region: s.Region) -> Area | None:
        """The region with its expressions; None when they or its name are wrong."""
        base = _typed(self.symbols, region.base, self.type) if region.base else None
        size = _typed(self.symbols, region.size, self.type)
        most = _typed(self.symbols, region.most, self.type) if region.most else None
        align = self._align(region)
        fresh = self.symbols.declare(region.name, "region")
        lost = (region.base is not None and base is None) or (region.most and most is None)
        if not fresh or size is None or lost or align is None:
            return None
        parent = None
        if region.parent is not None:
            parent = self._parent(region.parent)
            if parent is None:
                return None
        world = self._world(region, parent)
        if world is None:
            return None
        fixed = None
        if base is not None and most is None:
            values = fold(base, {}), fold(size, {})
            fixed = None if values[0] is None or values[1] is None else (values[0], values[1])
            if not self._closed(region, base, size, known=fixed is not None):
                return None
        name, outer = region.name.text, parent.name if parent else None
        return Area(name, outer, world, base, size, most, align, fixed, region.doc, region.span)

    def _closed(self, region: s.Region, base: t.Expr, size: t.Expr, *, known: bool) -> bool:
        """Whether an expression that is not constant is open only because a region above is."""
        if known:
            return True
        for written, typed in ((region.base, base), (region.size, size)):
            if fold(typed, {}) is None and not opens(typed) and written is not None:
                self._error(
                    written,
                    "a platform's numbers must be constant",
                    "use numbers and earlier regions",
                )
                return False
        return True

    def _align(self, region: s.Region) -> int | None:
        if region.align is None:
            return self.granule
        align = _constant(self.symbols, region.align, self.type)
        if align is not None and (align.bit_count() != 1 or align < self.granule):
            self._error(
                region.align,
                "an alignment is a power of two, and at least a granule",
                "write for example: align 2 MiB",
            )
            return None
        return align

    def _fits(self, region: s.Region, area: Area) -> bool:
        """What can be said before places are chosen: sizes, ends, fixed regions in fixed ones."""
        if area.fixed is not None:
            return self._extent(region, *area.fixed) and self._within(region, area)
        low = fold(area.size, {})
        high = fold(area.most, {}) if area.most is not None else low
        if low is not None and high is not None and low > high:
            self._error(
                region.size,
                f"the sizes of '{area.name}' are none: {hexadecimal(low)} .. {hexadecimal(high)}",
                "write the smaller one first",
            )
            return False
        if high == 0:
            self._error(region.size, f"region '{area.name}' is empty", "give it a size")
            return False
        return True

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

    def _parent(self, name: s.Ident) -> Area | None:
        parent = self.areas.get(name.text)
        if parent is None and name.text not in self.symbols.broken:
            self._error(
                name,
                f"unknown region '{name.text}'",
                nearest(name.text, self.areas) or "declare the outer region first",
            )
        return parent

    def _within(self, region: s.Region, area: Area) -> bool:
        """Whether a fixed region lies in its parent, when that is fixed too."""
        parent = self.by_name.get(area.parent or "")
        if parent is None or area.fixed is None:
            return True
        base, size = area.fixed
        if base < parent.base or base + size > parent.base + parent.size:
            self._error(
                region.name,
                f"region '{region.name.text}' {_extent(base, size)} lies outside "
                f"'{parent.name}' {_extent(parent.base, parent.size)}",
                "move it, shrink it, or enlarge the outer region",
            )
            return False
        return True

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

    def _world(self, region: s.Region, parent: Area | None) -> str | None:
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
