"""What a network needs without tiles: the figures that a plan is held against.

Goal: largest live loads of the network run node by node in its order, and the buffers of that run,
so that any planner of arenas can place them.
Non-goals: plans with tiles (`choose`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tessera.plan.tiles.place import load_of
from tessera.plan.tiles.schedule import schedule
from tessera.plan.tiles.steps import Buffer, Choice, Group, Weights
from tessera.plan.tiles.units import Units


@dataclass(frozen=True, slots=True)
class Loads:
    """Largest live loads in bytes: `activations` alone, `streamed` with the constants of the unit
    that runs, `resident` with all constants."""

    activations: int
    streamed: int
    resident: int


def activation_buffers(units: Units) -> tuple[Buffer, ...]:
    """The buffers of activations of the network run unit by unit; what runs in place is one."""
    made = schedule(units, _one_by_one(units, Weights.GROUP))
    tensors = units.graph.tensors
    return tuple(one for one in made.buffers.values() if tensors[one.tensor].data is None)


def untiled(units: Units) -> Loads:
    """The loads of a network."""
    most = load_of(activation_buffers(units))
    streamed, resident = (
        schedule(units, _one_by_one(units, kept)).peak for kept in (Weights.GROUP, Weights.RESIDENT)
    )
    return Loads(most, streamed, resident)


def _one_by_one(units: Units, weights: Weights) -> list[Group]:
    return [Group(unit, unit + 1, Choice(weights=weights)) for unit in range(len(units))]
