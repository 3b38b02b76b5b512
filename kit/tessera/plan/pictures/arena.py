"""The arena of a plan: steps from left to right, addresses upwards, one box per buffer.

Goal: the chart of `tessera.plan.arena.picture` for a whole plan.
Non-goals: another chart.
"""

from __future__ import annotations

from tessera.plan.arena.buffers import Buffer
from tessera.plan.arena.picture import picture_svg
from tessera.plan.arena.planner import ArenaPlan
from tessera.plan.plan import BufferRow, Plan


def arena_svg(plan: Plan) -> str:
    """The chart; hovering a box names buffer, tensor, bytes and steps; the peak is a line."""
    names = {one.id: _named(one) for one in plan.buffers}
    found = plan.offsets
    arena = ArenaPlan(
        buffers=tuple(
            Buffer(names[one.id], one.lower, one.upper, one.size, plan.alignment)
            for one in plan.buffers
        ),
        offsets={names[one.id]: one.offset for one in plan.buffers},
        height=plan.peak,
        bound=found.bound,
        load=found.load,
        load_step=found.load_step,
        method=found.method,
        rules={},
        shared=(),
        nodes=0,
        restarts=0,
        seed=0,
        core="",
    )
    return picture_svg(arena, plan.model.name)


def _named(one: BufferRow) -> str:
    """Names of buffers are their own, so what is added keeps them different."""
    more = [] if one.id == one.tensor else [f"for {one.tensor}"]
    if one.ring is not None:
        more.append(f"ring of {one.ring} rows")
    return one.id if not more else f"{one.id} ({', '.join(more)})"
