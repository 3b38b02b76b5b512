"""A plan of an arena as plain data: what is printed as JSON and what the checker reads.

Goal: one stable form, everything in bytes and steps.
Non-goals: judging it.
"""

from __future__ import annotations

from typing import Any

from tessera.plan.arena.planner import ArenaPlan


def plan_document(plan: ArenaPlan, capacity: int | None = None) -> dict[str, Any]:
    """The plan; without a `capacity` its own height is what must be there."""
    return {
        "kind": "tessera-arena-plan",
        "capacity": plan.height if capacity is None else capacity,
        "height": plan.height,
        "bound": plan.bound,
        "gap": round(plan.gap, 6),
        "largest_live_load": plan.load,
        "load_step": plan.load_step,
        "method": plan.method,
        "rules": dict(plan.rules),
        "search": {
            "nodes": plan.nodes,
            "restarts": plan.restarts,
            "seed": plan.seed,
            "core": plan.core,
        },
        "shared": [list(pair) for pair in plan.shared],
        "buffers": [
            {
                "id": b.name,
                "lower": b.lower,
                "upper": b.upper,
                "size": b.size,
                "alignment": b.alignment,
                "offset": plan.offsets[b.name],
            }
            for b in plan.buffers
        ],
    }
