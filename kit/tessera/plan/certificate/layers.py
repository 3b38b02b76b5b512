"""The tiled layers of a plan as numbers, to be asked about for every input height.

Goal: of each convolution or pool that reads its bands from a line buffer: window, band, ring, and
how far ahead the writer of the buffer is when a band is made.
Non-goals: asking (`tessera.prove.tiles` does, whose `Bands` has the same fields), and layers that
read whole tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tessera.plan.certificate.contents import ROWS
from tessera.plan.plan import NodeRow, Plan, StepRow

_WINDOWS = ("Conv", "QLinearConv", "MaxPool", "AveragePool", "QLinearAveragePool")


@dataclass(frozen=True, slots=True)
class TiledLayer:
    """Rows along a window, of padding, of the first band and of the highest other, of the ring;
    `ahead`: rows that the writer of the ring is further than the band asks for."""

    kernel: int
    stride: int
    before: int
    after: int
    dilation: int
    band: int
    ring: int
    first: int
    ahead: int


def tiled_layers(plan: Plan) -> dict[str, TiledLayer]:
    """By the name of the node, in the order of its first step."""
    nodes = {node.name: node for node in plan.nodes if node.op in _WINDOWS}
    rings = {one.id: one.ring for one in plan.buffers if one.ring is not None}
    written: dict[str, int] = {}
    found: dict[str, TiledLayer] = {}
    for step in plan.steps:
        node = nodes.get(step.node)
        source = step.reads[0] if step.reads else None
        if node is not None and source is not None and step.rows and source.buffer in rings:
            layer = found.get(node.name) or _layer(node, rings[source.buffer])
            ahead = written.get(source.buffer, 0) - source.box[ROWS][1]
            size = step.rows[1] - step.rows[0]
            layer = replace(layer, ahead=max(layer.ahead, ahead))
            if step.rows[0] == 0:
                found[node.name] = replace(layer, first=max(layer.first, size))
            else:
                found[node.name] = replace(layer, band=max(layer.band, size))
        _note(step, written)
    return found


def _layer(node: NodeRow, ring: int) -> TiledLayer:
    attrs = node.attrs
    return TiledLayer(
        kernel=attrs["kernel"][0],
        stride=attrs["strides"][0],
        before=attrs["pads"][0],
        after=attrs["pads"][len(attrs["kernel"])],
        dilation=attrs["dilations"][0],
        band=1,
        ring=ring,
        first=0,
        ahead=0,
    )


def _note(step: StepRow, written: dict[str, int]) -> None:
    """One past the highest row that was written into each buffer, by whatever tensor."""
    for one in step.writes:
        if len(one.box) > ROWS:
            written[one.buffer] = max(written.get(one.buffer, 0), one.box[ROWS][1])
