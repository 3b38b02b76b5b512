"""The heap: its demands are proved, mistakes are found by short runs, changes are noticed."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tessera import resources
from tessera.cli import app
from tessera.lang import Spec, load
from tessera.model.replay import replay
from tessera.prove.tasks import Settings, Task, run_task

HEAP = resources.path("specs/heap/heap.tess")
BROKEN = sorted(resources.path("specs/heap/broken").glob("*.tess"))
PAGE = Path(__file__).resolve().parents[2] / "docs/heap.md"
SETTINGS = Settings(20_000_000, 0, 5)

LEANT_ON = (
    "heap_inside",
    "heap_disjoint",
    "heap_tiled",
    "heap_coalesced",
    "heap_tags",
    "heap_edges",
    "heap_room",
)
"""What proofs take for granted of the state before: all that holds without a `given`."""

Changed = Callable[..., Path]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """A copy of the heap's files with one text replaced in one of them; the path of `spec`."""

    def make(file: str, old: str, new: str, spec: str = "heap.tess") -> Path:
        shutil.copytree(resources.path("models/optee"), tmp_path / "optee")
        for one in HEAP.parent.glob("*.tess"):
            shutil.copy(one, tmp_path)
        target = tmp_path / file
        text = target.read_text(encoding="utf-8")
        assert text.count(old) == 1
        target.write_text(text.replace(old, new), encoding="utf-8")
        return tmp_path / spec

    return make


def proof(spec: Spec, action: str, demand: str) -> str:
    """What the solver says to the negation of one step of the proof; "unsat": proved."""
    names = tuple(dict.fromkeys([*LEANT_ON, demand])) if action else LEANT_ON
    task = Task("step" if action else "here", demand, action, names)
    answer = run_task(spec, task, SETTINGS).answer
    assert answer is not None
    return answer.status


def broken_steps(spec: Spec, name: str) -> int:
    """How many steps the shortest run takes that breaks a property; the simulator took it too."""
    found = run_task(spec, Task("violate", name), SETTINGS).found[0][1]
    assert found.status == "found" and found.script is not None, f"{name}: {found.reason}"
    assert replay(spec, found.script, name).replayed
    return found.steps


# --- proved ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "action", "demand"),
    [
        ("heap", "free", "heap_tags"),
        ("heap", "carve_middle", "heap_size"),
        ("heap", "calloc", "heap_no_wrap"),
        ("heap_32", "malloc", "heap_no_wrap"),
        ("heap_32", "copy", "heap_kept"),
        ("heap", "", "heap_returns"),
    ],
)
def test_some_steps_of_the_proof(name: str, action: str, demand: str) -> None:
    """All of them take minutes: `tessera check specs/heap/heap.tess`."""
    assert proof(load(HEAP.with_stem(name)), action, demand) == "unsat"


def test_nothing_is_expected_to_fail_and_every_demand_is_there() -> None:
    spec = load(HEAP)
    assert not spec.expects
    assert {p.name for p in spec.properties if p.kind != "assume"} == set(demands())


# --- broken ---------------------------------------------------------------------------------------


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def demands() -> list[str]:
    return [row[0].strip("`") for row in table("What is demanded")]


def test_enough_mistakes_are_shipped_and_the_page_tells_of_each() -> None:
    assert len(BROKEN) >= 8
    assert [row[0].strip("`") for row in table("Mistakes that are found")] == [
        f.stem for f in BROKEN
    ]
    for path in BROKEN:
        assert path.read_text("utf-8").startswith("# Mistake: ")


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_every_mistake_is_found_in_so_many_steps(path: Path) -> None:
    spec = load(path)
    (told,) = [row[2] for row in table("Mistakes that are found") if row[0] == f"`{path.stem}`"]
    wanted = {name: int(steps) for name, steps in re.findall(r"`(\w+)` \((\d+)\)", told)}
    assert wanted.keys() == {n for n, e in spec.expects.items() if e.verdict == "violated"}
    assert {name: broken_steps(spec, name) for name in wanted} == wanted


# --- changed --------------------------------------------------------------------------------------

TAG = (
    "optee/heap_chunks.tess",
    "  for y in live where start(y) == hi { back(y) := hi }\n",
    "",
)
WIPE = (
    "optee/heap_join.tess",
    "(wipe or free_wipe) and wiped(e, true, true, q)",
    "wipe and wiped(e, true, true, q)",
)


@pytest.mark.parametrize(
    ("change", "action", "demand"),
    [(TAG, "carve", "heap_tags"), (WIPE, "free_between", "heap_wiped")],
    ids=["tag", "wipe"],
)
def test_a_changed_heap_is_not_proved(
    changed: Changed, change: tuple[str, str, str], action: str, demand: str
) -> None:
    assert proof(load(HEAP), action, demand) == "unsat"
    assert proof(load(changed(*change)), action, demand) != "unsat"


def simulate(path: Path) -> Result:
    return CliRunner().invoke(app, ["simulate", str(path), "--steps", "400", "--quiet"])


def test_random_runs_of_the_heap_find_nothing() -> None:
    done = simulate(HEAP)
    assert done.exit_code == 0, done.output
    assert "No unexpected violation." in done.output
    for action in ("calloc", "memalign", "copy", "free_between", "free_with", "write"):
        assert f"{action} " in done.output, f"{action} never happened"


def test_random_runs_of_a_changed_heap_break_it(changed: Changed) -> None:
    done = simulate(changed(*TAG))
    assert done.exit_code == 1
    assert "heap_tags" in done.output


# --- the page -------------------------------------------------------------------------------------


def test_every_output_on_the_page_is_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PAGE.parents[1])
    monkeypatch.setenv("COLUMNS", "100")
    block = r"```console\n\$ tessera ([^\n]*)\n(.*?)```"
    ((line, wanted),) = re.findall(block, PAGE.read_text(encoding="utf-8"), re.S)
    done = CliRunner().invoke(app, [*shlex.split(line), "--jobs", "1"])
    assert said(done.stdout) == said(wanted)


def said(text: str) -> list[str]:
    """Lines without trailing space; the time of solving differs from run to run."""
    return [re.sub(r"\([0-9.]+ s of solving\)", "()", line.rstrip()) for line in text.splitlines()]
