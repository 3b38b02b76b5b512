"""Worlds: what stays the same during a run.

Goal: check a given world against the spec's ranges and assumptions; draw a random one that meets
them, with the sizes that the spec's `simulate` block (or the user) gives.
Non-goals: states (see `state`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from random import Random

from tessera.errors import TesseraError
from tessera.lang.typed import Choose, Const, Expr, Param, Spec
from tessera.lang.types import IntType, NatType, SortType
from tessera.model.engine import Engine
from tessera.model.scope import Scope
from tessera.model.script import Value, World
from tessera.model.values import elements, fits_type, show

_DRAWS = 2000
_SPARE = 4  # unnamed elements of a sort
_FRESH = 12  # elements of a sort from which `fresh` takes


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large a random world is: values of integer consts and params, elements per sort."""

    values: dict[str, int]
    elements: dict[str, int]


class BrokenAssumption(TesseraError):
    """An `assume` that does not hold in a world."""


def check_world(spec: Spec, world: World, engine: Engine | None = None) -> None:
    """Raise TesseraError when a value is out of its type or range, or an `assume` fails."""
    for sort in spec.sorts:
        named = spec.sort_elements(SortType(sort.name))
        missing = [n for n in named if n not in world.universe.get(sort.name, ())]
        if missing:
            raise TesseraError(f"the world's '{sort.name}' lacks the constant '{missing[0]}'")
    numbers: list[Const | Param] = [c for c in spec.consts.values() if not c.params]
    numbers += list(spec.params.values())
    for item in numbers:
        value = world.scalars.get(item.name)
        if value is not None and not fits_type(value, item.type, spec, world):
            raise TesseraError(f"'{item.name}' = {value} is not a {item.type}", where=item.span)
    engine = engine or Engine(spec, world)
    for item in numbers:
        if isinstance(item.type, IntType):
            _check_range(engine, item)
    for prop in spec.properties:
        if prop.kind == "assume" and not _true(engine, prop.formula):
            raise BrokenAssumption(
                f"the world breaks the assumption '{prop.name}': {prop.text}", where=prop.span
            )


def _true(engine: Engine, expr: Expr) -> bool:
    scope = Scope()
    return bool(engine.compile(expr, scope)(scope.frame(())))


def _check_range(engine: Engine, item: Const | Param) -> None:
    scope = Scope()
    if isinstance(item, Param):
        value: Value = engine.world.scalars.get(item.name, item.value)
    else:
        value = engine.world.scalars.get(item.name, 0)
    low, high = (
        engine.compile(e, scope)(scope.frame(())) if e is not None else None
        for e in (item.low, item.high)
    )
    if (low is not None and value < low) or (high is not None and value > high):
        raise TesseraError(
            f"'{item.name}' = {show(value, item.type)} is outside its range",
            where=item.span,
            remedy=f"give a value from {show(low or 0, item.type)} to "
            f"{show(high, item.type) if high is not None else 'the largest of its type'}",
        )


def sizes_of(spec: Spec, chosen: dict[str, int]) -> Sizes:
    """The spec's `simulate` block with the user's choices on top.

    A sort's name gives how many elements it has. Raises TesseraError for a name that is neither.
    """
    values = {name: p.value for name, p in spec.params.items()}
    values |= {name: value for name, value in spec.simulate.items() if name in _numbers(spec)}
    counts = {s.name: _count(spec, s.name) for s in spec.sorts}
    counts |= {name: value for name, value in spec.simulate.items() if name in counts}
    for name, value in chosen.items():
        if name in _numbers(spec):
            values[name] = value
        elif name in counts:
            counts[name] = value
        else:
            known = ", ".join([*_numbers(spec), *counts])
            raise TesseraError(f"there is no size '{name}' to set", remedy=f"one of: {known}")
    return Sizes(values, counts)


def _numbers(spec: Spec) -> list[str]:
    numeric = [c.name for c in spec.consts.values() if not c.params and isinstance(c.type, IntType)]
    return [*numeric, *spec.params]


def _count(spec: Spec, sort: str) -> int:
    fresh = {
        s.binder.type
        for a in spec.actions
        for s in a.body
        if isinstance(s, Choose) and s.kind == "fresh"
    }
    return _FRESH if SortType(sort) in fresh else len(spec.sort_elements(SortType(sort))) + _SPARE


def universe_of(spec: Spec, counts: dict[str, int]) -> dict[str, tuple[str, ...]]:
    """The elements of every sort: its constants, then as many more as `counts` asks for.

    Raises TesseraError when there is no element, or not one for each constant.
    """
    out: dict[str, tuple[str, ...]] = {}
    for sort in spec.sorts:
        named = spec.sort_elements(SortType(sort.name))
        wanted = counts.get(sort.name, len(named) + 1)
        if wanted < max(len(named), 1):
            raise TesseraError(
                f"'{sort.name}' needs at least {max(len(named), 1)} elements, not {wanted}"
            )
        spare = (f"{sort.prefix or sort.name}{i + 1}" for i in range(wanted - len(named)))
        out[sort.name] = (*named, *spare)
    return out


def draw_world(spec: Spec, sizes: Sizes, rng: Random) -> World:
    """A random world of the given sizes that meets every assumption.

    Integer consts without a given size take their lower bound. Raises TesseraError when a value is
    out of its range, or when no world drawn meets the assumptions.
    """
    world = World(dict(sizes.values), universe_of(spec, sizes.elements))
    refusal: BrokenAssumption | None = None
    for _ in range(_DRAWS):
        drawn = replace(world, scalars=_scalars(spec, world, rng), tables=_tables(spec, world, rng))
        try:
            check_world(spec, drawn)
            return drawn
        except BrokenAssumption as error:
            refusal = error
            if not _random(spec):
                break
    assert refusal is not None
    raise refusal


def _random(spec: Spec) -> bool:
    """Whether another draw can differ."""
    return any(c.params or not isinstance(c.type, SortType | IntType) for c in spec.consts.values())


def _scalars(spec: Spec, world: World, rng: Random) -> dict[str, Value]:
    out: dict[str, Value] = dict(world.scalars)
    for const in spec.consts.values():
        if const.params or const.name in out or isinstance(const.type, SortType):
            continue
        values = elements(const.type, spec, world)
        if values is not None:
            out[const.name] = rng.choice(values)
        else:
            out[const.name] = _low(spec, world, const)
    return out


def _low(spec: Spec, world: World, const: Const) -> int:
    if const.low is None:
        return 0
    scope = Scope()
    return int(Engine(spec, world).compile(const.low, scope)(scope.frame(())))


def _tables(spec: Spec, world: World, rng: Random) -> dict[str, dict[tuple[Value, ...], Value]]:
    """Random values for every rigid function over finite types; others keep first values."""
    out: dict[str, dict[tuple[Value, ...], Value]] = {}
    for const in spec.consts.values():
        values = elements(const.type, spec, world)
        if not const.params or values is None:
            continue
        if any(isinstance(p.type, IntType | NatType) for p in const.params):
            continue
        domains = [elements(p.type, spec, world) or () for p in const.params]
        places = list(product(*domains))
        # Every value about equally often, so that a small world has owners of every class.
        deck = [values[i % len(values)] for i in range(len(places))]
        rng.shuffle(deck)
        out[const.name] = dict(zip(places, deck, strict=True))
    return out
