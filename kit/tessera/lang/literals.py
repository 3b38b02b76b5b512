"""Integer literals: scales, units and ranges.

Goal: a literal gets the width and unit of the place where it stands, or a clear error.
Non-goals: arithmetic on literals (see `tessera.lang.fold`).
"""

from __future__ import annotations

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.scope import Symbols
from tessera.lang.types import IntType, NatType, Type

BYTE_SCALES = ("KiB", "MiB", "GiB")
SCALES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def typed_number(symbols: Symbols, number: s.Number, expected: Type | None) -> t.Expr | None:
    """The literal at the expected type; without one, u32 for granules and u64 otherwise."""
    scaled = _scaled(symbols, number)
    if scaled is None:
        return None
    value, unit = scaled
    if isinstance(expected, NatType):
        return t.IntLit(value, expected, number.span)
    if not isinstance(expected, IntType):
        expected = IntType(32 if unit == "granules" else 64, unit)
    if unit is None and expected.unit is not None and value != 0:
        written = f"{number.text} {number.scale}" if number.scale else number.text
        symbols.diagnostics.add(
            number.span,
            f"missing unit: a number of {expected.unit} is needed here",
            f"write {written} {expected.unit}, or a size such as 4 KiB",
        )
        return None
    if unit is not None and unit != expected.unit:
        converted = _convert(symbols, number, value, unit, expected.unit)
        if converted is None:
            return None
        value = converted
    if value >= 1 << expected.width:
        symbols.diagnostics.add(
            number.span,
            f"{value} does not fit in {expected}",
            f"the largest value is {(1 << expected.width) - 1}",
        )
        return None
    return t.IntLit(value, expected, number.span)


def _scaled(symbols: Symbols, number: s.Number) -> tuple[int, str | None] | None:
    scale = number.scale or ""
    unit = "bytes" if scale.endswith("B") else None
    if unit is not None and number.unit == "granules":
        symbols.diagnostics.add(
            number.span,
            f"unit mismatch: {scale} counts bytes, not granules",
            f"write {number.text} {scale}, or {number.text} {scale[:-1]} granules",
        )
        return None
    value = number.value * SCALES.get(scale[:2], 1)
    return value, number.unit or unit


def _convert(
    symbols: Symbols, number: s.Number, value: int, unit: str, wanted: str | None
) -> int | None:
    if wanted is None:
        symbols.diagnostics.add(
            number.span,
            f"unit mismatch: {unit} meets a number without a unit",
            "drop the unit, or give the other side one",
        )
        return None
    if symbols.platform is None:
        symbols.diagnostics.add(
            number.span,
            f"{unit} cannot become {wanted}: no platform says how large a granule is",
            'use a platform, e.g. use "optee/platforms/qemu_armv8a.tess"',
        )
        return None
    granule = symbols.platform.granule
    if wanted == "bytes":
        return value * granule
    if value % granule:
        symbols.diagnostics.add(
            number.span,
            f"{value} bytes are not whole granules of {granule} bytes",
            f"the nearest are {value // granule} and {value // granule + 1} granules",
        )
        return None
    return value // granule
