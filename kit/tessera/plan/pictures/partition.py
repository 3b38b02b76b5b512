"""The partition of a plan: layers from left to right, each cut into its bands, groups around them.

Goal: at one look which layers are fused, how high their bands are and whether weights stay or are
streamed; below, the largest number of bytes alive while a layer runs.
Non-goals: channel blocks one by one (their number is written).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tessera.plan.pictures.canvas import LETTER, box, bytes_words, line, svg, text
from tessera.plan.plan import LayerRow, Plan, Range, StepRow

_LEFT, _TOP, _WIDTH, _HEIGHT, _LOAD = 96, 92, 880, 300, 110
_FOOT, _BELOW = 40, 150
_MOST = 96
"""Bands drawn one by one; more are drawn as so many, and the hint has their number."""
_WEIGHTS = {"resident": "R", "group": "G", "step": "S"}
_KEY = (
    "Boxes around columns: groups. R: weights resident, G: loaded per group, S: streamed per step "
    "(with the number of blocks)."
)


def partition_svg(plan: Plan) -> str:
    """The view; hovering a band, a group or a bar says it in words."""
    layers = plan.layers
    width = _WIDTH / len(layers)
    fused = sum(len(group.layers) > 1 for group in plan.groups)
    title = f"Partition of {plan.model.name}: {len(layers)} layers in {len(plan.groups)} groups"
    words = (
        f"{fused} groups fuse several layers; {len(plan.steps)} steps; peak {plan.peak} bytes. "
        "Columns: layers in the order of execution, cut into bands of rows"
    )
    parts = [
        text(_LEFT, 24, title, "head"),
        text(_LEFT, 44, words + ".", "soft"),
        text(_LEFT, 62, _KEY, "soft"),
        text(_LEFT - 8, _TOP + 12, "first row", "soft", "end"),
        text(_LEFT - 8, _TOP + _HEIGHT, "last row", "soft", "end"),
    ]
    parts += _groups(plan, width)
    heights = {one.name: one.shape[2] for one in plan.tensors if len(one.shape) > 2}
    bands = _bands(plan.steps)
    makes = {node.name: node.outputs[0] for node in plan.nodes}
    for number, layer in enumerate(layers):
        tensor = makes.get(layer.name, layer.name)
        rows = heights.get(tensor, 1)
        parts += _column(number, layer, bands.get(layer.name, []), rows, width)
    parts += _loads(plan, width)
    total = _TOP + _HEIGHT + _FOOT + _LOAD + _BELOW
    return svg("partition", title, words, (_LEFT + _WIDTH + 16, total), parts)


def _bands(steps: Sequence[StepRow]) -> Mapping[str, list[Range | None]]:
    """Of every layer the rows of its steps in order, each once; None for all of them."""
    found: dict[str, list[Range | None]] = {}
    for step in steps:
        if step.kind == "load":
            continue
        name = step.node or step.writes[0].tensor
        rows = found.setdefault(name, [])
        if step.rows not in rows[-1:]:
            rows.append(step.rows)
    return found


def _groups(plan: Plan, width: float) -> list[str]:
    places: dict[int, list[int]] = {}
    for number, layer in enumerate(plan.layers):
        places.setdefault(layer.group, []).append(number)
    parts = []
    for group, members in sorted(places.items()):
        if not 0 <= group < len(plan.groups):
            continue
        row = plan.groups[group]
        x, wide = _LEFT + members[0] * width, (members[-1] + 1 - members[0]) * width
        names = ", ".join(row.layers[:8]) + (", ..." if len(row.layers) > 8 else "")
        hint = (
            f"group {group}: {names}; {row.way.words}; {row.transient} bytes while it runs, "
            f"{row.resident} resident; {row.costs.loaded} bytes loaded"
        )
        parts.append(box(x, _TOP - 8, wide, _HEIGHT + _FOOT, "group", hint))
        mark = _WEIGHTS.get(row.way.weights, "?")
        mark += str(row.way.blocks) if row.way.blocks > 1 else ""
        if wide >= len(mark) * LETTER:
            parts.append(text(x + wide / 2, _TOP + _HEIGHT + 22, mark, "", "middle"))
        label = "whole" if row.way.band is None else f"bands of {row.way.band}"
        if wide >= len(label) * LETTER:
            parts.append(text(x + wide / 2, _TOP - 14, label, "soft", "middle"))
    return parts


def _column(
    number: int, layer: LayerRow, bands: Sequence[Range | None], rows: int, width: float
) -> list[str]:
    x, wide = _LEFT + (number + 0.12) * width, 0.76 * width
    known = [band if band is not None else (0, rows) for band in bands] or [(0, rows)]
    said = f"{layer.name}: {layer.steps} steps, {len(known)} bands, {layer.load} bytes alive"
    if len(known) > _MOST:
        known = [(k * rows // _MOST, (k + 1) * rows // _MOST) for k in range(_MOST)]
    parts = []
    for low, high in known:
        y, below = _TOP + low * _HEIGHT / rows, _TOP + high * _HEIGHT / rows
        hint = f"{said}; rows {low}:{high} of {rows}"
        parts.append(box(x, y, wide, below - y, "band", hint))
    return parts


def _loads(plan: Plan, width: float) -> list[str]:
    base = _TOP + _HEIGHT + _FOOT + _LOAD
    parts = [text(_LEFT - 8, base - _LOAD + 12, bytes_words(plan.peak), "soft", "end")]
    parts.append(text(_LEFT - 8, base, "alive", "soft", "end"))
    for number, layer in enumerate(plan.layers):
        tall = layer.load * _LOAD / plan.peak
        x = _LEFT + number * width
        hint = f"{layer.name}: at most {layer.load} bytes alive, {layer.costs.loaded} bytes loaded"
        parts.append(box(x + 0.12 * width, base - tall, 0.76 * width, tall, "bar", hint))
        if width >= 9:
            turned = f'transform="rotate(90 {x + width / 2 - 3:.2f} {base + 8:.2f})"'
            name = text(x + width / 2 - 3, base + 8, layer.name[:22], "soft")
            parts.append(name.replace("<text", f"<text {turned}", 1))
    peak = f"peak {plan.peak} bytes"
    parts.append(line((_LEFT, base - _LOAD), (_LEFT + _WIDTH, base - _LOAD), "peak", peak))
    return parts
