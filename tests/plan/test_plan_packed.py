"""Plans of packed weights: sizes against real streams, assessed as scheduled, and checked."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tile_graphs import Net

from tessera.plan.certificate.tiles import certify_plan
from tessera.plan.compress.measure import Stored, measured, stored
from tessera.plan.compress.stream import pack, parse
from tessera.plan.cost import Coefficients, Counts, counts_of, time_of
from tessera.plan.graph import Graph
from tessera.plan.make import make_plan
from tessera.plan.tiles.candidates import Space, of_group
from tessera.plan.tiles.choose import Chooser
from tessera.plan.tiles.schedule import schedule
from tessera.plan.tiles.steps import Group
from tessera.plan.tiles.units import units_of

SPACE = Space(longest=3, bands=(2,), blocks=(1, 2, 4), packed=True)
RNG = np.random.default_rng(5)
ARRAYS: dict[str, np.ndarray] = {
    "int8": np.clip(np.rint(RNG.standard_normal(30_001) * 20), -127, 127).astype(np.int8),
    "float32": (RNG.standard_normal((41, 500)) * 0.02).astype(np.float32),
    "int32": RNG.integers(-9, 9, 5_000).astype(np.int32),
    "int64": RNG.integers(-9, 9, 3_000),
    "zeros": np.zeros(9_000, np.int8),
    "noise": RNG.integers(0, 256, 9_000).astype(np.uint8),
    "one": np.ones(1, np.float32),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("block", [64, 4096])
def test_sizes_are_those_of_the_streams(name: str, block: int) -> None:
    stream = pack(ARRAYS[name], block)
    head = parse(stream)
    words = head.elements * sum(one is not None for one in head.lengths)
    assert measured(ARRAYS[name], block) == Stored(len(stream), words)


@pytest.mark.parametrize("chunk", [1 << 10, 1 << 16])
def test_a_block_is_stored_in_pieces_each_packed_or_as_it_is(chunk: int) -> None:
    for name, data in ARRAYS.items():
        flat = data.reshape(-1)
        per = chunk // data.dtype.itemsize
        pieces = [flat[k : k + per] for k in range(0, len(flat), per)]
        right = sum(min(len(pack(piece)), piece.nbytes) for piece in pieces)
        assert stored(data, chunk).bytes == right, name
    assert stored(ARRAYS["noise"]) == Stored(9_000, 0)
    assert stored(ARRAYS["zeros"]).bytes < 2_000


@cache
def net() -> Graph:
    """Convolutions whose weights have few values, so that packing is worth its tables."""
    made = Net(1, 8, 16, 16)
    plain = made.weights

    def weights(*shape: int) -> str:
        name = plain(*shape)
        one = made.builder.tensors[name]
        assert one.data is not None
        made.builder.tensors[name] = replace(one, data=np.round(one.data * 2) / 2)
        return name

    made.weights = weights  # type: ignore[method-assign]
    x = made.x
    for channels in (24, 32, 32):
        x = made.node("Relu", made.conv(x, channels).name)
    return made.finish(made.head(x, 10))


def test_what_is_assessed_is_what_is_scheduled() -> None:
    """The choosers' sums are those of the steps, by bytes, code words and cost."""
    chooser = Chooser(net(), SPACE)
    units, graph = chooser.units, net()
    least = chooser.minimise().placement.height
    for budget in (least, 2 * least, 1 << 20):
        plan = chooser.choose(budget)
        counts = sum((one.counts for one in plan.chosen), Counts())
        steps = [one for one in plan.schedule.steps if one.group >= 0]
        assert counts == sum((counts_of(graph, one, units.store) for one in steps), Counts())
        time = time_of(graph, steps, Coefficients(), units.store)
        assert time == pytest.approx(plan.cost)


def test_loads_ahead_hide_decoding_too() -> None:
    units, seen = units_of(net(), packed=True), 0
    for start in range(len(units)):
        for one in of_group(units, start, start + 1, SPACE):
            if not one.choice.ahead:
                continue
            ways = [replace(one.choice, ahead=unit == start) for unit in range(len(units))]
            made = schedule(units, [Group(u, u + 1, way) for u, way in enumerate(ways)])
            steps = [step for step in made.steps if step.group == start]
            assert time_of(net(), steps, SPACE.rates, units.store) == pytest.approx(one.cost)
            seen += one.counts.decoded > 0
    assert seen > 3


def test_packing_lowers_what_is_loaded_and_costs_code_words() -> None:
    plain, packed = (Chooser(net(), replace(SPACE, packed=p)).minimise() for p in (False, True))
    first, second = (sum((c.counts for c in p.chosen), Counts()) for p in (plain, packed))
    assert second.loaded < 0.8 * first.loaded
    assert first.decoded == 0 < second.decoded
    assert packed.placement.height == plain.placement.height


def document(packed: bool = True) -> dict[str, object]:
    space = replace(SPACE, packed=packed)
    plan = make_plan(Chooser(net(), space).minimise(), None, space).to_json()
    return dict(json.loads(json.dumps(plan)))


def refusal(plan: dict[str, object], graph: Graph | None = None) -> str:
    judged = certify_plan(plan, graph)
    assert all(one.holds for one in judged.rulings if one.rule != "arena_loaded")
    return next(one.broken for one in judged.rulings if one.rule == "arena_loaded")


def test_the_checker_packs_the_blocks_itself() -> None:
    plan = document()
    assert plan["chunk"] == 1 << 16
    assert refusal(plan, net()) == refusal(plan) == ""
    load = next(one for one in plan["steps"] if one["kind"] == "load")  # type: ignore[attr-defined]
    load["stored"] -= 1
    plan["costs"]["loaded"] -= 1  # type: ignore[index]
    assert "its blocks have" in refusal(plan, net())
    assert refusal(plan) == "", "without the weights nobody can say"


@pytest.mark.parametrize(("field", "said"), [("decoded", "code words"), ("loaded", "bytes loaded")])
def test_sums_that_are_too_small_are_refused(field: str, said: str) -> None:
    plan = document()
    plan["costs"][field] -= 1  # type: ignore[index]
    assert said in refusal(plan, net())


@pytest.mark.parametrize("chunk", [0, -4, 6, 1 << 17])
def test_pieces_of_an_odd_size_are_refused(chunk: int) -> None:
    assert "which no package has" in refusal(document() | {"chunk": chunk}, net())


def test_a_plain_plan_that_claims_packed_bytes_is_refused() -> None:
    plan = document() | {"chunk": None}
    assert "its blocks have" in refusal(plan)
