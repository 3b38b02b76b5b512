"""The spec that a plan gives out: proved when the reserve holds the TA, refused when not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_plan_command import run
from test_plan_data import TINY

from tessera.errors import TesseraError
from tessera.lang import load
from tessera.plan.fragment import GRANULE, TaSizes, demand_of, fragment, header_lines
from tessera.prove import check

DEMANDS = ("ta_exact", "ta_heap_holds", "ta_fits", "ta_served")
PLAN = replace(TINY, peak=3 << 20)


def verdicts(text: str, folder: Path, only: tuple[str, ...] = DEMANDS) -> dict[str, set[str]]:
    """Of every property the verdicts of its obligations."""
    path = folder / "planned.tess"
    path.write_text(text)
    found: dict[str, set[str]] = {}
    for one in check(load(path), jobs=1, only=only):
        found.setdefault(one.property, set()).add(one.verdict)
    return found


def test_a_plan_that_fits_is_proved(tmp_path: Path) -> None:
    found = verdicts(fragment(PLAN), tmp_path)
    assert {name: found[name] for name in DEMANDS} == {key: {"PROVED"} for key in DEMANDS}


@pytest.mark.parametrize("change", ["reserve", "arena"])
def test_a_plan_that_does_not_fit_is_refused(change: str, tmp_path: Path) -> None:
    """A reserve one granule short; an arena that no three quarters of the pool hold."""
    if change == "reserve":
        short = (demand_of(PLAN, TaSizes()).total - 1) * GRANULE
        found = verdicts(fragment(PLAN, reserve=short), tmp_path)
    else:
        found = verdicts(fragment(replace(PLAN, peak=12 << 20)), tmp_path)
    assert not found["ta_fits"] & {"PROVED", "UNKNOWN"}
    assert "VIOLATED" in found["ta_served"]
    assert found["ta_exact"] == found["ta_heap_holds"] == {"PROVED"}


def test_a_heap_that_does_not_hold_the_arena_is_refused(tmp_path: Path) -> None:
    heap = demand_of(PLAN, TaSizes()).heap
    text = fragment(PLAN).replace(f"= {heap} granules", f"= {heap - 1} granules")
    assert verdicts(text, tmp_path, ("ta_heap_holds",))["ta_heap_holds"] != {"PROVED"}


def test_every_block_is_whole_granules_and_counted() -> None:
    demand = demand_of(PLAN, TaSizes(code=1, data=4096, stack=4097, image=0, beside=1, shared=0))
    assert (demand.code, demand.data, demand.stack, demand.image) == (1, 1, 2, 0)
    assert demand.heap == (3 << 20) // GRANULE + 1
    # 785 granules are mapped: two tables of 2 MiB each, and two for the edges: one parent.
    assert demand.tables == 4
    assert demand.total == 769 + 1 + 1 + 2 + 0 + 17 + 4


def test_the_header_has_the_same_sizes() -> None:
    demand = demand_of(PLAN, TaSizes())
    assert header_lines(PLAN) == (
        f"#define TA_STACK_SIZE\t({demand.stack} * 4096)\n"
        f"#define TA_DATA_SIZE\t({demand.heap} * 4096)\n"
    )


def test_the_text_is_stable_and_names_cannot_break_it(tmp_path: Path) -> None:
    assert fragment(PLAN) == fragment(PLAN)
    odd = replace(PLAN, model=replace(PLAN.model, name='1 net\n"quoted" é'))
    path = tmp_path / "odd.tess"
    path.write_text(fragment(odd))
    assert load(path).name == "planned_1_net_quoted"


@pytest.mark.parametrize("reserve", [0, -4096, 4095])
def test_a_reserve_that_is_no_granules_is_refused(reserve: int) -> None:
    with pytest.raises(TesseraError, match="a reserve of"):
        fragment(PLAN, reserve=reserve)


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(TesseraError, match="'code'"):
        demand_of(PLAN, TaSizes(code=-1))


def test_the_command_writes_a_spec_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "ta.tess"
    code, _, error = run("lenet_digits", "--budget", "64KiB", "--spec", path, "--reserve", "2MiB")
    assert code == 0, error
    assert f"written: {path}" in error.replace("\n", "")
    spec = load(path)
    assert spec.name == "planned_lenet_digits"
    assert 'ta_reserve: u32 granules "the reserve that is configured" = 512 granules' in (
        path.read_text()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lenet_digits", "--reserve", "1MiB"], "a reserve is a part of the spec"),
        (["lenet_digits", "--curve", "--spec", "ta.tess"], "only the plan of one network"),
        (["--csv", "b.csv", "--spec", "ta.tess"], "only the plan of one network"),
        (["lenet_digits", "--spec", "ta.tess", "--reserve", "4095"], "a reserve of 4095 bytes"),
    ],
)
def test_words_for_the_spec_that_do_not_fit(words: list[str], said: str) -> None:
    code, printed, error = run(*words)
    assert (code, printed) == (2, "")
    assert said in error
