"""Checking a platform: every region lies in its parent, siblings do not overlap.

Goal: a platform that passes is a tree of regions with one world per branch.
Non-goals: synthesis of bases and sizes.
"""

from __future__ import annotations

from dataclasses import replace

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.fold import fold
from tessera.lang.scope import Symbols
from tessera.lang.types import IntType


def check_platform(symbols: Symbols, decl: s.Platform) -> t.Platform | None:
    """The typed platform; reports what is wrong with it."""
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
    if granule is None or granule <= 0 or granule & (granule - 1):
        span = decl.granule.span if decl.granule else decl.name.span
        symbols.diagnostics.add(
            span, "a platform needs a granule that is a power of two", "write: granule 4 KiB"
        )
        return None
    regions: list[t.Region] = []
    for region in decl.regions:
        typed = _region(symbols, region, regions, bytes_type)
        if typed is not None:
            regions.append(typed)
    return t.Platform(
        decl.name.text,
        decl.doc,
        granule,
        widths["usize"],
        widths["paddr"],
        tuple(regions),
        decl.span,
    )


def _constant(symbols: Symbols, expr: s.Expr, type_: IntType) -> int | None:
    # A physical address is written bare (0x0e00_0000): it is a number of bytes by nature.
    if isinstance(expr, s.Number) and expr.unit is None and expr.scale is None:
        expr = replace(expr, unit=type_.unit)
    typed = ExprChecker(symbols).expr(expr, Context(what="a platform", state=False), type_)
    if typed is None:
        return None
    value = fold(typed, {})
    if value is None:
        symbols.diagnostics.add(expr.span, "a platform's numbers must be constant")
    return value


def _region(
    symbols: Symbols, region: s.Region, earlier: list[t.Region], type_: IntType
) -> t.Region | None:
    base = _constant(symbols, region.base, type_)
    size = _constant(symbols, region.size, type_)
    if not symbols.declare(region.name, "region") or base is None or size is None:
        return None
    if size == 0 or base + size > 1 << type_.width:
        symbols.diagnostics.add(
            region.size.span,
            f"region '{region.name.text}' is empty or ends beyond the last address",
        )
        return None
    parent = None
    if region.parent is not None:
        parent = next((r for r in earlier if r.name == region.parent.text), None)
        if parent is None:
            symbols.diagnostics.add(
                region.parent.span,
                f"unknown region '{region.parent.text}'",
                nearest(region.parent.text, [r.name for r in earlier])
                or "declare the outer region first",
            )
            return None
        if base < parent.base or base + size > parent.base + parent.size:
            symbols.diagnostics.add(
                region.span,
                f"region '{region.name.text}' [{base:#x}, {base + size:#x}) lies outside "
                f"'{parent.name}' [{parent.base:#x}, {parent.base + parent.size:#x})",
                "move it, shrink it, or enlarge the outer region",
            )
            return None
    world = _world(symbols, region, parent)
    if world is None:
        return None
    outer = parent.name if parent else None
    for other in earlier:
        if other.parent == outer and base < other.base + other.size and other.base < base + size:
            symbols.diagnostics.add(
                region.span,
                f"regions overlap: '{region.name.text}' [{base:#x}, {base + size:#x}) and "
                f"'{other.name}' [{other.base:#x}, {other.base + other.size:#x})",
                "move one of them, or declare one 'in' the other",
            )
    return t.Region(region.name.text, outer, world, base, size, region.doc, region.span)


def _world(symbols: Symbols, region: s.Region, parent: t.Region | None) -> str | None:
    if parent is None:
        if region.world is None:
            symbols.diagnostics.add(
                region.name.span,
                f"region '{region.name.text}' needs a world",
                "write secure, nonsecure or device before 'at'",
            )
        return region.world
    if region.world not in (None, parent.world):
        symbols.diagnostics.add(
            region.name.span,
            f"'{region.name.text}' is {region.world} but lies in '{parent.name}', "
            f"which is {parent.world}",
            "an inner region has the world of the outer one",
        )
        return None
    return parent.world
