"""`tessera run --baseline`: with and without in one table; a wrong answer is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_bare import CROSS, QEMU, need

from tessera.cli import run_network, with_without
from tessera.errors import TesseraError
from tessera.guest import beside, board, sealed
from tessera.package.contents import Contents
from tessera.package.keys import new_key
from tessera.package.pack import Packing, pack
from tessera.plan import execute, zoo
from tessera.plan.graph import Graph
from tessera.plan.network import plan_network
from tessera.plan.prepare import Calibration, prepared

BUDGET = 64 << 10
GIVEN = np.linspace(0, 1, 64, dtype="<f4")


@pytest.fixture(scope="module")
def graph() -> Graph:
    for tool in (QEMU, f"{CROSS}gcc", "gcc", "make"):
        need(tool)
    return prepared(zoo.build("lenet_digits"))


def contents_of(graph: Graph) -> Contents:
    return pack(graph, plan_network(graph, BUDGET), Packing("lenet_digits")).contents


def test_both_in_the_clear(graph: Graph) -> None:
    judge, contents = beside.prepare(graph, GIVEN), contents_of(graph)
    made = beside.run(judge, contents, float32=True)
    assert [one.name for one in made.ways] == [
        *("without, -O2", "without, -O3", "with, in the clear"),
    ]
    assert made.holds
    slow, quick = made.without
    assert slow.memory == quick.memory > graph.weight_bytes
    assert made.plain.memory == contents.manifest.arena + 2 * contents.manifest.chunk
    assert all(one.instructions and one.seconds is not None for one in made.ways)
    # Three loops that are not vectorised
    assert slow.instructions and quick.instructions and slow.instructions > 2 * quick.instructions
    assert json.loads(json.dumps([one.to_json() for one in made.ways]))[0]["holds"] is True


def test_integers_are_told_apart_but_not_demanded(graph: Graph) -> None:
    judge = beside.prepare(graph, GIVEN)
    contents = contents_of(prepared(zoo.build("lenet_digits"), Calibration()))
    made = beside.run(judge, contents, float32=False)
    assert made.holds and not replace(made, float32=True).holds
    assert made.plain.agreement.largest > 1e-4
    assert "before it was quantised" in with_without.text(made)


@pytest.mark.parametrize("wrong", ["naive", "planned"])
@pytest.mark.parametrize("where", [0, 1])
def test_a_wrong_answer_is_noticed(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, wrong: str, where: int
) -> None:
    """On the board or on this machine."""
    right = execute.run(graph, {graph.inputs[0]: GIVEN.reshape(1, 1, 8, 8)})[graph.outputs[0]]
    off = right.copy().reshape(-1)
    off[3] += np.float32(0.01)

    def took(one: str, *words: Any) -> board.Took:
        outputs = [(right.tobytes(),), (right.tobytes(),)]
        if one == wrong:
            outputs[where] = (off.tobytes(),)
        return board.Took(10, 20, 0.5, (outputs[0], outputs[1]))

    for one in ("naive", "planned"):
        monkeypatch.setattr(board, one, lambda *words, one=one: took(one, *words))
    judge = beside.prepare(graph, GIVEN)
    made = beside.run(judge, contents_of(graph), float32=True)
    assert not made.holds
    bad = [one.name for one in made.ways if not one.agreement.holds]
    assert bad == [
        one.name for one in made.ways if one.name.startswith("without") == (wrong == "naive")
    ]


def test_what_the_naive_runtime_lacks_ends_before_the_guest() -> None:
    graph = prepared(zoo.build("lenet_digits"), Calibration())
    with pytest.raises(TesseraError, match="the baseline has no"):
        beside.prepare(graph, GIVEN)


@pytest.mark.parametrize("counting", [False, True])
def test_the_command_shows_the_guest_beside_both(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counting: bool
) -> None:
    """The guest's run is a stand-in, which answers right or wrong."""
    off = np.float32(0)

    def guest(package: bytes, needs: object, master: bytes, inputs: bytes, **more: Any) -> Any:
        x = np.frombuffer(inputs, "<f4").reshape(-1, 1, 1, 8, 8)
        made = [execute.run(graph, {graph.inputs[0]: one})[graph.outputs[0]] for one in x]
        made[0].reshape(-1)[0] += off
        names = ("arena_bytes", "heap_peak", "data_bytes", "blocks", "bytes", "steps")
        figures = dict.fromkeys(names, 7)
        outputs = b"".join(one.tobytes() for one in made)
        return sealed.Ran(outputs, figures, (9, 8), None, None, 0, b"", "4.10.0", True)

    key = tmp_path / "owner.key"
    new_key(key)
    monkeypatch.setattr(sealed, "run", guest)

    def shown() -> run_network.Shown:
        return run_network.run(
            run_network.Asked("lenet_digits", None, (), BUDGET, False, False, False, True),
            *(run_network.Inputs((), True, None, 2), key),
            patched=True,
            counting=counting,
            tree=None,
            logs=tmp_path,
            progress=lambda message: None,
        )

    made = shown()
    assert made.holds and made.beside is not None and made.beside.sealed is not None
    contents = contents_of(graph)
    way = made.beside.sealed
    assert way.memory == 7 and way.instructions == (8000 if counting else None)
    assert way.decrypted == sum(len(contents.blocks[k]) for k in contents.each) > 0
    told = made.to_json()["baseline"]
    assert told["holds"] and [one["way"] for one in told["ways"]][-1] == "with, sealed, in OP-TEE"
    text = made.text()
    assert "without, -O2: " in text and ("--icount" in text) == (not counting)
    for one in made.beside.ways:
        assert f"{one.memory:,}" in text and f"{one.agreement.largest:.1e}, same top 5" in text
    off = np.float32(50)
    assert not shown().holds
