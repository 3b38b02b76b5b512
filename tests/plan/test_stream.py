"""Blocks of constants, pipelines, and partitions against every possible cut."""

from __future__ import annotations

import itertools
import random

import pytest
from tile_graphs import Net, mobile

from tessera.errors import TesseraError
from tessera.plan.tiles.bands import Piece
from tessera.plan.tiles.boxes import blocking_of, input_boxes
from tessera.plan.tiles.rows import Rows
from tessera.plan.tiles.steps import volume
from tessera.plan.tiles.stream import (
    Layer,
    Partitions,
    partition,
    piece_blocks,
    pipeline,
    whole_block,
)
from tessera.plan.tiles.units import units_of


def test_blocks_cover_the_channels_and_respect_groups() -> None:
    net = Net(1, 6, 4, 4)
    made = net.conv(net.x, 12, group=3)
    graph = net.finish(made)
    blocking = blocking_of(graph.nodes[0], graph.tensors)
    assert blocking is not None
    assert blocking.unit == 4, "a block holds whole groups"
    assert blocking.cut(2) == (Rows(0, 8), Rows(8, 12))
    assert blocking.cut(64) == (Rows(0, 4), Rows(4, 8), Rows(8, 12))
    boxes = input_boxes(graph.nodes[0], graph.tensors, None, Rows(4, 8))
    assert boxes[0][1] == Rows(2, 4), "a group reads its own input channels"


@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 100])
def test_blocks_of_every_layer_add_up_to_its_constants(blocks: int) -> None:
    units = units_of(mobile())
    for item in units.items:
        found = piece_blocks(units, Piece(item, None), blocks)
        names = units.constants(item)
        assert sum(one.loaded for one in found) == whole_block(units, (item,)).loaded
        assert sum(one.loaded for one in found) == sum(
            volume(tuple(Rows(0, n) for n in units.graph.tensors[name].shape)) * 4 for name in names
        )
        assert all(one.size >= one.loaded for one in found)


def test_a_pipeline_hides_all_but_the_first_load() -> None:
    assert pipeline([4, 4, 4], [10, 10, 10], ahead=False) == 42
    assert pipeline([4, 4, 4], [10, 10, 10], ahead=True) == 34
    assert pipeline([9, 9], [1, 1], ahead=True) == 9 + 9 + 1


def _layers(rng: random.Random, count: int) -> list[Layer]:
    return [
        Layer(
            f"l{i}", w := rng.randint(1, 9), rng.randint(1, 6), 2.0 * w, float(rng.randint(1, 20))
        )
        for i in range(count)
    ]


def _every_cut(layers: list[Layer], budget: int, switch: float, ahead: bool) -> Partitions | None:
    """All numbers of kept layers and all cuts, by definition."""
    best: Partitions | None = None
    for kept in range(len(layers) + 1):
        stays = sum(one.weights for one in layers[:kept])
        rest = range(kept + 1, len(layers))
        for count in range(len(rest) + 1):
            for cuts in itertools.combinations(rest, count):
                bounds = [kept, *cuts, len(layers)] if kept < len(layers) else [kept]
                parts = [layers[a:b] for a, b in itertools.pairwise(bounds)]
                weights = [sum(one.weights for one in part) for part in parts]
                peaks = [one.activations + stays for one in layers[:kept]]
                for index, part in enumerate(parts):
                    more = weights[index + 1] if ahead and index + 1 < len(parts) else 0
                    top = max(one.activations for one in part)
                    peaks.append(stays + weights[index] + top + more)
                if max(peaks) > budget:
                    continue
                loads = [switch + sum(one.load for one in part) for part in parts]
                works = [sum(one.compute for one in part) for part in parts]
                head = sum(one.compute for one in layers[:kept])
                time = head + pipeline(loads, works, ahead)
                loaded = sum(weights)
                if best is None or (loaded, time) < (best.loaded, best.time):
                    best = Partitions((), kept, loaded, time)
    return best


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ahead", [False, True])
def test_partitions_are_the_best_of_all(seed: int, ahead: bool) -> None:
    rng = random.Random(seed)
    layers = _layers(rng, 6)
    answers = 0
    for budget in (8, 12, 16, 20, 30, 60):
        right = _every_cut(layers, budget, 3.0, ahead)
        if right is None:
            with pytest.raises(TesseraError):
                partition(layers, budget, 3.0, ahead)
            continue
        answers += 1
        found = partition(layers, budget, 3.0, ahead)
        assert (found.loaded, found.time) == (right.loaded, pytest.approx(right.time))
        assert (found.bounds[0], found.bounds[-1]) == (0, len(layers))
    assert answers >= 2


def test_a_layer_that_fits_nowhere_is_named_with_the_least_budget() -> None:
    layers = [Layer("small", 2, 2, 1.0, 1.0), Layer("fat", 50, 9, 1.0, 1.0)]
    with pytest.raises(TesseraError) as error:
        partition(layers, 58, 1.0)
    assert "fat" in error.value.message
    assert "59 bytes" in error.value.remedy
    assert partition(layers, 59, 1.0).loaded == 52
