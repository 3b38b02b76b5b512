"""Values of the concrete machine: what a type's values are and how they read.

Goal: first values, finite domains and text, for integers, booleans, enum members and sort
elements; `Undecided`, the evaluator's way to say that it cannot tell.
Non-goals: arithmetic (see `arith`).
"""

from __future__ import annotations

from tessera.errors import Span, TesseraError
from tessera.lang.typed import Spec
from tessera.lang.types import BoolType, EnumType, IntType, NatType, SortType, Type
from tessera.model.script import Value, World

_HEX_FROM = 4096


class Undecided(TesseraError):
    """A quantifier (or choice) ranges over too many integers to enumerate, and none of the points
    tried decides it. Nothing follows: neither that the formula holds nor that it fails."""

    def __init__(self, what: str, left: int, span: Span | None) -> None:
        super().__init__(
            f"{what} ranges over {left} values, too many to enumerate, and they cannot be grouped",
            where=span,
            remedy="bound it with a guard (`where x < ...`), or use smaller sizes",
        )
        self.left = left


def width_of(type_: Type) -> int | None:
    """The bits of a machine integer; None for `nat`. Raises TypeError for anything else."""
    if isinstance(type_, IntType):
        return type_.width
    if isinstance(type_, NatType):
        return None
    raise TypeError(f"{type_} is not an integer type")


def is_integer(type_: Type) -> bool:
    """Whether values of the type are integers."""
    return isinstance(type_, IntType | NatType)


def elements(type_: Type, spec: Spec, world: World) -> tuple[Value, ...] | None:
    """Every value of a finite type, in order; None for integers."""
    if isinstance(type_, BoolType):
        return (False, True)
    if isinstance(type_, EnumType):
        return tuple(spec.enums[type_.name])
    if isinstance(type_, SortType):
        return tuple(world.universe.get(type_.name, ()))
    return None


def first_value(type_: Type, spec: Spec, world: World) -> Value:
    """0, false, the first member or the first element.

    Raises TesseraError when a sort has no element in this world.
    """
    values = elements(type_, spec, world)
    if values is None:
        return 0
    if not values:
        raise TesseraError(f"the sort '{type_}' has no element in this world")
    return values[0]


def fits_type(value: Value, type_: Type, spec: Spec, world: World) -> bool:
    """Whether `value` is a value of the type in this world."""
    values = elements(type_, spec, world)
    if values is not None:
        return value in values and isinstance(value, bool) == isinstance(type_, BoolType)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return False
    width = width_of(type_)
    return width is None or value < 1 << width


def show(value: Value, type_: Type) -> str:
    """A value as a reader of the spec would write it, e.g. `3 granules`, `0xe300000 bytes`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    unit = type_.unit if isinstance(type_, IntType) else None
    text = hex(value) if unit == "bytes" and value >= _HEX_FROM else str(value)
    return f"{text} {unit}" if unit else text
