"""Traces taken again by the compiled C of a tree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera import resources
from tessera.cli import app
from tessera.conform.hostpool import build
from tessera.conform.pool_replay import replay_in_c
from tessera.errors import TesseraError
from tessera.model.script import Event, Script, World

TOY_TREE = Path(__file__).parents[1] / "emit" / "tree"
PRIORITY = resources.path("specs/policies/priority.tess")
UNIVERSE = {"owner": ("core", "nobody", "ta1", "ta2"), "block": ("b1", "b2", "b3")}


@pytest.fixture(scope="module", params=["toy", "real"])
def tree(request: pytest.FixtureRequest) -> Path:
    """The small tree, and the real one where it is at hand."""
    found: Path = TOY_TREE if request.param == "toy" else request.getfixturevalue("optee_tree")
    return found


def event(action: str, *, o: int | None = None, e: str = "", **args: int | str) -> Event:
    choices: dict[str, int | bool | str] = {} if o is None else {"o": o}
    return Event(action, dict(args), choices | ({"e": e} if e else {}))


def script(*events: Event, pages: int = 40, reserve: int = 10) -> Script:
    classes = {("ta1",): "inference", ("ta2",): "ordinary", ("core",): "ordinary"}
    scalars: dict[str, int | bool | str] = {"pool_pages": pages, "reserve": reserve}
    return Script(World(scalars, UNIVERSE, {"class_of": dict(classes)}), events)


RUN = script(
    event("open", w="ta1"),
    event("alloc_core", n=2, o=0, e="b1"),
    event("alloc", w="ta1", n=8, o=30, e="b2"),
    event("alloc_spill", w="ta1", n=3, o=2, e="b3"),
    event("write", e="b2", g=31),
    event("free", e="b2"),
    event("shrink", e="b1", lo=0, hi=1),
    event("alloc", w="ta2", n=1, o=1, e="b2"),
    event("die", w="ta1"),
    event("alloc", w="ta2", n=20, o=2, e="b3"),
)


def test_the_c_takes_a_run_of_the_model(tree: Path) -> None:
    done = replay_in_c(PRIORITY, RUN, tree)
    assert (done.differs, done.steps, done.asked) == ("", 10, 6)


@pytest.mark.parametrize("number", [1, 2, 3, 7, 9])
def test_another_offset_is_noticed(number: int) -> None:
    wrong = RUN.events[number]
    choices = dict(wrong.choices) | {"o": int(wrong.choices["o"]) + 1}
    events = list(RUN.events)
    events[number] = replace(wrong, choices=choices)
    done = replay_in_c(PRIORITY, replace(RUN, events=tuple(events)), TOY_TREE)
    assert done.differs.startswith(f"step {number + 1}, {wrong.action}: the C gives offset")
    assert done.steps == number


def test_a_refusal_is_noticed() -> None:
    full = script(event("alloc_core", n=31, o=0, e="b1"))
    assert "refuses" in replay_in_c(PRIORITY, full, TOY_TREE).differs


def test_the_parameters_are_those_of_the_trace() -> None:
    more = script(event("alloc", w="ta1", n=1, o=20, e="b1"), reserve=20)
    assert not replay_in_c(PRIORITY, more, TOY_TREE).differs


def test_the_unpatched_pool(tree: Path) -> None:
    """vanilla needs no patch: the tree's pool as it is."""
    run = script(event("alloc", w="ta1", n=40, o=0, e="b1"))
    assert not replay_in_c(resources.path("specs/policies/vanilla.tess"), run, tree).differs


def test_what_the_pool_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="has no 'adjust'"):
        replay_in_c(PRIORITY, script(event("adjust", n=1)), TOY_TREE)
    with pytest.raises(TesseraError, match="no OP-TEE tree"):
        build(tmp_path, tmp_path)
    broken = tmp_path / "tree"
    for name in ("core/mm/tee_mm.c", "core/include/mm/tee_mm.h"):
        (broken / name).parent.mkdir(parents=True, exist_ok=True)
        (broken / name).write_text("int x = ;\n")
    with pytest.raises(TesseraError, match="does not compile"):
        build(broken, tmp_path)


def test_command(tmp_path: Path) -> None:
    run = CliRunner().invoke
    checked = run(app, ["check", "vanilla", "--property", "reserve_kept", "--json"])
    file = tmp_path / "results.json"
    file.write_text(checked.stdout)
    shown = run(app, ["replay", str(file), "--tree", str(TOY_TREE)])
    assert (shown.exit_code, "the C does the same: 1 steps" in shown.output) == (0, True)
    (row,) = json.loads(run(app, ["replay", str(file), "--tree", str(TOY_TREE), "--json"]).stdout)
    assert row["c"] == {"steps": 1, "asked": 1, "differs": ""}
