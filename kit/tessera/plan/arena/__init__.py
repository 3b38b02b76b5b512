"""Offsets for buffers with known lifetimes: one arena, as low as can be found, with its bound.

Goal: buffers in (from a graph or a CSV file), offsets out, with the largest live load as the bound
that no plan can go below, and the gap to it always said.
Non-goals: lifetimes (they come from the order of execution) and checking (see
`tessera.plan.certificate`, which shares no code with this package).
"""

from tessera.plan.arena.buffers import Buffer
from tessera.plan.arena.planner import DEFAULT_NODES, METHODS, ArenaPlan, Budget, plan_arena

__all__ = ["DEFAULT_NODES", "METHODS", "ArenaPlan", "Budget", "Buffer", "plan_arena"]
