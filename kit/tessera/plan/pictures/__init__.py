"""Plans as pictures: SVG text with equal bytes for equal plans, and a page that holds them.

Goal: the arena over time, the partition of the layers, the curve of cost over budgets; everything
that a colour says is said in words or by a shape as well, and hovering names what is under it.
Non-goals: computing anything that the plan does not say.
"""

from __future__ import annotations

from tessera.plan.pictures.arena import arena_svg
from tessera.plan.pictures.curve import CurvePoint, curve_svg
from tessera.plan.pictures.page import plan_html
from tessera.plan.pictures.partition import partition_svg

__all__ = ["CurvePoint", "arena_svg", "curve_svg", "partition_svg", "plan_html"]
