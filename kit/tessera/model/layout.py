"""Layouts judged with Python integers: the second opinion on what the solver says about them.

Goal: for given places of all regions, what breaks each property, in words; arithmetic is exact, and
an expression that would wrap at its width breaks what uses it.
Non-goals: choosing places, and Z3 (see `tessera.prove.layout`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

from tessera.lang import typed as t
from tessera.lang.show import hexadecimal
from tessera.lang.typed_layout import CORE, POOL, SHARED, Area, Layout, Places
from tessera.lang.types import IntType

_SHIFT_BITS = 32  # tee_mm_get_smem() shifts a uint32_t
_LOOKUP_BITS = 16  # tee_mm_find() keeps a uint16_t


class Wraps(ArithmeticError):
    """An operation whose result does not fit its width, or that C leaves undefined."""


def value(expr: t.Expr, places: Places) -> int:
    """The value of a platform's expression (truth values are 0 and 1); raises `Wraps`."""
    match expr:
        case t.IntLit() | t.BoolLit():
            return int(expr.value)
        case t.Apply(kind="region", name=name):
            region, _, part = name.partition(".")
            base, size = places[region]
            return _fit({"base": base, "size": size, "end": base + size}[part], expr)
        case t.Cast():
            return _fit(value(expr.arg, places), expr)
        case t.Unary(op="not"):
            return 1 - value(expr.arg, places)
        case t.Unary(type=IntType(width=width)):
            return value(expr.arg, places) ^ ((1 << width) - 1)
        case t.Ite():
            return value(expr.then if value(expr.test, places) else expr.other, places)
        case t.Binary():
            return _binary(expr, places)
    raise AssertionError(f"not an expression of a platform: {expr}")


def _fit(result: int, expr: t.Expr) -> int:
    if isinstance(expr.type, IntType) and not 0 <= result < 1 << expr.type.width:
        raise Wraps
    return result


def _binary(expr: t.Binary, places: Places) -> int:
    left = value(expr.left, places)
    match expr.op, left:
        case ("and", 0) | ("or", 1):
            return left
        case "=>", 0:
            return 1
    right = value(expr.right, places)
    if expr.op in ("and", "or", "=>"):
        return right
    if expr.op in ("/", "%") and right == 0:
        raise Wraps
    if expr.op in ("<<", ">>") and (not isinstance(expr.type, IntType) or right >= expr.type.width):
        raise Wraps
    return _fit(_OPERATIONS[expr.op](left, right), expr)


_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "min": min,
    "max": max,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    ">": lambda a, b: int(a > b),
    ">=": lambda a, b: int(a >= b),
}


def extent(places: Places, name: str) -> str:
    """`'pool' [0x0e10_0000, 0x0f00_0000)`."""
    base, size = places[name]
    return f"'{name}' [{hexadecimal(base)}, {hexadecimal(base + size)})"


def breaks(layout: Layout, places: Places, prop: str) -> list[str]:
    """What breaks a property at these places, in words; nothing when it holds."""
    judge = _JUDGES.get(prop)
    if judge is not None:
        return list(judge(layout, places))
    demand = next(d for d in layout.demands if d.name == prop)
    try:
        return [] if value(demand.test, places) else [f"{demand.text} is false"]
    except Wraps:
        return [f"{demand.text} wraps"]


def _placed(layout: Layout, places: Places) -> Iterator[str]:
    for area in layout.areas:
        base, size = places[area.name]
        try:
            if area.base is not None and base != value(area.base, places):
                yield f"{extent(places, area.name)} does not start where its line says"
            low = value(area.size, places)
            high = value(area.most, places) if area.most is not None else low
            if not low <= size <= high:
                yield f"{extent(places, area.name)} is not as large as its line says"
        except Wraps:
            yield f"the line of '{area.name}' wraps"


def _meet(places: Places, one: Area, other: Area) -> bool:
    (a, m), (b, n) = places[one.name], places[other.name]
    return a < b + n and b < a + m


def _disjoint(layout: Layout, places: Places) -> Iterator[str]:
    for one, other in combinations(layout.areas, 2):
        if one.parent == other.parent and _meet(places, one, other):
            yield f"{extent(places, one.name)} and {extent(places, other.name)}"


def _contained(layout: Layout, places: Places) -> Iterator[str]:
    for area in layout.areas:
        base, size = places[area.name]
        low, room = (0, 1 << layout.paddr) if area.parent is None else places[area.parent]
        if size == 0:
            yield f"'{area.name}' is empty"
        elif base < low or base + size > low + room:
            outer = "the address space" if area.parent is None else extent(places, area.parent)
            yield f"{extent(places, area.name)} lies outside {outer}"


def _worlds(layout: Layout, places: Places) -> Iterator[str]:
    for one, other in combinations(layout.areas, 2):
        mixed = one.world != other.world and "secure" in (one.world, other.world)
        if mixed and _meet(places, one, other):
            yield f"{extent(places, one.name)} and {extent(places, other.name)}"


def _aligned(layout: Layout, places: Places) -> Iterator[str]:
    for area in layout.areas:
        base, size = places[area.name]
        if base % area.align:
            yield f"{extent(places, area.name)} does not start at a multiple of {area.align:#x}"
        if size % layout.granule:
            yield f"{extent(places, area.name)} is not whole granules"


def _reach(layout: Layout, places: Places) -> Iterator[str]:
    for name, (base, size) in places.items():
        if base + size > 1 << layout.reach:
            yield f"{extent(places, name)} ends beyond {layout.reach} bits"


def _shared(layout: Layout, places: Places) -> Iterator[str]:
    shared = layout.area(SHARED)
    assert shared is not None
    if shared.world != "nonsecure":
        yield f"'{SHARED}' is {shared.world}"
    for area in layout.areas:
        if area.world == "secure" and area.name != SHARED and _meet(places, shared, area):
            yield f"{extent(places, SHARED)} meets {extent(places, area.name)}"


def _room(layout: Layout, places: Places) -> Iterator[str]:
    pool = places[POOL][1]
    core = places[CORE][1] if CORE in places else 0
    if pool <= core:
        yield f"the pool has {pool:#x} bytes, the core takes {core:#x}"


def _fits(layout: Layout, places: Places, most: int, what: str) -> Iterator[str]:
    pages = places[POOL][1] // layout.granule
    if pages > most:
        yield f"the pool has {pages} granules; {what} tells {most} apart"


def _offsets(layout: Layout, places: Places) -> Iterator[str]:
    return _fits(layout, places, 1 << max(_SHIFT_BITS - _shift(layout), 0), "the shifted offset")


def _lookup(layout: Layout, places: Places) -> Iterator[str]:
    return _fits(layout, places, 1 << _LOOKUP_BITS, "a 16-bit offset")


def _shift(layout: Layout) -> int:
    return layout.granule.bit_length() - 1


def _configuration(layout: Layout, places: Places) -> Iterator[str]:
    for setting in layout.settings:
        try:
            for expr in setting.values:
                value(expr, places)
        except Wraps:
            yield f"{setting.key} wraps"


_JUDGES: dict[str, Callable[[Layout, Places], Iterator[str]]] = {
    "placed": _placed,
    "disjoint": _disjoint,
    "contained": _contained,
    "worlds": _worlds,
    "aligned": _aligned,
    "reach": _reach,
    "shared_outside": _shared,
    "room": _room,
    "offsets": _offsets,
    "lookup": _lookup,
    "configuration": _configuration,
}
