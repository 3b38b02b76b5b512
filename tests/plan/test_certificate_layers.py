"""Tiled layers of a plan: read off its steps, and proved for every input height."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from test_certificate_tiles import planned

from tessera.plan.certificate.layers import TiledLayer, tiled_layers
from tessera.plan.plan import from_json
from tessera.prove.tiles import Bands, confirm_bands


def layers() -> dict[str, TiledLayer]:
    return tiled_layers(from_json(json.loads(planned("residual", "some")[0])))


def verdicts(layer: TiledLayer) -> dict[str, str]:
    return {one.property: one.verdict for one in confirm_bands(Bands(**asdict(layer)), (1, 255))}


def test_numbers_are_those_of_the_plan() -> None:
    found = layers()
    assert found["stem"] == TiledLayer(
        kernel=3, stride=1, before=1, after=1, dilation=1, band=1, ring=4, first=3, ahead=0
    )
    assert len(found) > 2


def test_a_layer_of_a_plan_is_proved_for_every_height() -> None:
    assert set(verdicts(layers()["stem"]).values()) == {"PROVED"}


def test_a_ring_one_row_lower_is_not() -> None:
    found = verdicts(replace(layers()["stem"], ring=3))
    assert found["arena_initialised"] == "VIOLATED"
    assert found["arena_halo"] == "PROVED"
