"""Z3 on tiled layers: proved for every height of a range; broken ones give a counterexample."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tessera.errors import TesseraError
from tessera.prove.tiles import TALLEST, Bands, confirm_bands

LAYERS = {
    "3x3": Bands(kernel=3, stride=1, before=1, after=1, dilation=1, band=4, ring=6),
    "3x3 every second": Bands(kernel=3, stride=2, before=1, after=1, dilation=1, band=3, ring=7),
    "7x7 every second": Bands(kernel=7, stride=2, before=3, after=3, dilation=1, band=1, ring=7),
    "3x3 dilated": Bands(kernel=3, stride=1, before=2, after=2, dilation=2, band=2, ring=6),
    "first band": Bands(kernel=3, stride=1, before=1, after=1, dilation=1, band=2, ring=4, first=3),
    "pool": Bands(kernel=2, stride=2, before=0, after=0, dilation=1, band=5, ring=10),
}
HEIGHTS = (1, 4096)


def verdicts(layer: Bands, heights: tuple[int, int] = HEIGHTS) -> dict[str, tuple[str, str]]:
    return {one.property: (one.verdict, one.detail) for one in confirm_bands(layer, heights)}


def refused(layer: Bands) -> list[str]:
    found = verdicts(layer)
    assert {verdict for verdict, _ in found.values()} <= {"PROVED", "VIOLATED"}
    return [rule for rule, (verdict, _) in found.items() if verdict == "VIOLATED"]


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_layer_is_proved_for_every_height(layer: Bands) -> None:
    assert refused(layer) == []


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("arena_complete", {"whole_only": True}),
        ("arena_halo", {"short": 1}),
        ("arena_initialised", {"ring": 5}),
        ("arena_initialised", {"ahead": 1}),
        ("arena_initialised", {"first": 6}),
    ],
)
def test_each_broken_layer_breaks_its_rule(rule: str, changes: dict[str, int]) -> None:
    assert refused(replace(LAYERS["3x3"], **changes)) == [rule]


def numbers(detail: str) -> dict[str, int]:
    return {name: int(value) for name, value in (one.split(" = ") for one in detail.split(", "))}


def test_the_counterexamples_are_real() -> None:
    """Plain counting, with nothing of the encoding."""
    layer = replace(LAYERS["3x3"], ring=5)
    found = numbers(verdicts(layer)["arena_initialised"][1])
    read = {
        row - layer.before + tap
        for row in range(found["start"], found["stop"])
        for tap in range(layer.kernel)
    } & set(range(found["height"]))
    assert found["stop"] - found["start"] <= layer.band
    assert max(read) - min(read) + 1 > layer.ring
    lost = numbers(verdicts(replace(LAYERS["3x3"], whole_only=True))["arena_complete"][1])
    rows = lost["height"] + layer.before + layer.after - layer.reach + 1
    assert rows // layer.band * layer.band <= lost["row"] < rows


def test_the_same_question_by_counting() -> None:
    """The ring that is proved is the least that holds every band, for every height tried."""
    for layer in (one for one in LAYERS.values() if not one.first):
        widest = 0
        for height in range(layer.reach, 40):
            rows = (height + layer.before + layer.after - layer.reach) // layer.stride + 1
            for start in range(rows):
                for stop in range(start + 1, min(rows, start + layer.band) + 1):
                    first = start * layer.stride - layer.before
                    last = (stop - 1) * layer.stride - layer.before + layer.reach
                    widest = max(widest, min(last, height) - max(first, 0))
        assert widest == layer.ring
    short = replace(LAYERS["pool"], ring=LAYERS["pool"].ring - 1)
    assert "arena_initialised" in refused(short)


def test_tall_inputs_wrap() -> None:
    found = verdicts(LAYERS["3x3"], (TALLEST - 8, TALLEST))
    assert found["arena_no_wrap"][0] == "VIOLATED"


def test_no_row_to_make_is_vacuous() -> None:
    found = verdicts(replace(LAYERS["7x7 every second"], before=0, after=0), (1, 6))
    assert found["arena_halo"][0] == "VACUOUS"


def test_a_limit_that_is_too_low_is_no_proof() -> None:
    found = confirm_bands(LAYERS["7x7 every second"], HEIGHTS, limit=10)
    assert not any(one.met for one in found if one.property == "arena_halo")


@pytest.mark.parametrize(
    ("layer", "heights"),
    [
        (replace(LAYERS["pool"], stride=0), HEIGHTS),
        (replace(LAYERS["pool"], band=1 << 16), HEIGHTS),
        (LAYERS["pool"], (5, 4)),
        (LAYERS["pool"], (0, 4)),
    ],
)
def test_sizes_that_make_no_sense_are_refused(layer: Bands, heights: tuple[int, int]) -> None:
    with pytest.raises(TesseraError):
        confirm_bands(layer, heights)
