"""Thresholds of a sweep are exact: a replayed run at the size named, and proofs below it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tessera import resources
from tessera.cli import app
from tessera.errors import TesseraError
from tessera.lang import Spec, load
from tessera.model.replay import replay
from tessera.model.script import Event, Script, World
from tessera.prove.bounded import find_violation
from tessera.prove.engine import LocalEngine
from tessera.prove.sweep import Row, sweep
from tessera.prove.sweep_specs import (
    bare,
    bounds,
    chosen_platforms,
    chosen_properties,
    own_subject,
    resized,
    shipped_platforms,
    size_const,
    subjects,
)

MACHINE = """
spec tiny "A counter of granules."
use "optee/platforms/qemu_armv8a.tess"
const pool_pages: u32 granules in 1 granules .. 4096 granules
var used: u32 granules
init { used := 0 }
action take(n: u32 granules) {
  require 1 granules <= n and n <= pool_pages - used TAKE
  used := used + n
}
action reset() { used := 0 }
MORE
invariant narrow "what is used is kept in 8 bits" given pool_pages <= 100 granules:
  ((used as u8) as u32) == used
invariant within_platform: pool.base + ((used as paddr) << granule_shift) <= pool.end
invariant never: used != used
invariant inside: used <= pool_pages
view strip "pool" { length pool_pages  zone "used": 0, used }
"""

BOARD = """
platform {name} "a board" {{
  granule 4 KiB
  region ram secure at 0x1000_0000 for 1 MiB
  region pool in ram at 0x1000_0000 for {size}
}}
"""

Build = Callable[..., Spec]


@pytest.fixture
def tiny(tmp_path: Path) -> Build:
    """The machine, with another condition on `take` and more items."""

    def build(take: str = "", more: str = "") -> Spec:
        path = tmp_path / "tiny.tess"
        path.write_text(MACHINE.replace("TAKE", take).replace("MORE", more))
        return load(path)

    return build


def row(spec: Spec, name: str, **settings: int) -> Row:
    (found,) = sweep(
        [own_subject(spec)],
        [name],
        "pool_pages",
        engine=LocalEngine(1),
        **settings,  # type: ignore[arg-type]
    )
    return found


def confirmed(spec: Spec, found: Row) -> bool:
    """The threshold, found again without the sweep: a run at it, and none below it."""
    assert found.fails_from is not None
    plain = bare(spec, found.prop)
    at = resized(plain, "pool_pages", found.fails_from, found.fails_from)
    below = resized(plain, "pool_pages", found.lowest, found.fails_from - 1)
    prop = next(p for p in plain.properties if p.name == found.prop)
    here, less = find_violation(at, prop, 3), find_violation(below, prop, 3)
    assert here.script is not None
    return replay(at, here.script, found.prop).replayed and less.status == "none"


def test_the_threshold_is_where_the_width_ends(tiny: Build) -> None:
    found = row(tiny(), "narrow")
    assert (found.proved_to, found.fails_from, found.exact) == (255, 256, True)
    assert "inside" in found.leant_on
    assert found.trace is not None and found.trace.replayed
    assert found.trace.constants["pool_pages"] == "256 granules"
    assert confirmed(tiny(), found)


def test_a_given_that_hides_the_truth_is_left_out(tiny: Build) -> None:
    prop = next(p for p in tiny().properties if p.name == "narrow")
    assert find_violation(tiny(), prop, 2).status == "none"
    assert row(tiny(), "narrow").fails_from == 256


def test_what_always_holds_and_what_never_does(tiny: Build) -> None:
    holds, never = row(tiny(), "inside"), row(tiny(), "never")
    assert (holds.proved_to, holds.fails_from, holds.exact) == (4096, None, True)
    assert (never.proved_to, never.fails_from, never.exact) == (0, 1, True)
    assert never.verdict(1) == "fails"


def test_a_longer_run_breaks_it_at_a_smaller_size(tiny: Build) -> None:
    jump = """action jump() { require pool_pages >= 1000 granules  used := pool_pages }"""
    spec = tiny("and n <= 100 granules", jump)
    prop = next(p for p in bare(spec, "narrow").properties if p.name == "narrow")
    quick = find_violation(bare(spec, "narrow"), prop, 1)
    assert quick.script is not None and quick.script.world.scalars["pool_pages"] == 1000
    found = row(spec, "narrow", steps=3)
    assert (found.proved_to, found.fails_from, found.exact) == (255, 256, True)
    assert found.trace is not None and len(found.trace.steps) == 1 + 3


def test_a_threshold_above_the_last_power_of_two_is_closed_in_on(tiny: Build) -> None:
    more = """
    action jump() { require pool_pages >= 300 granules  used := pool_pages }
    invariant low: used < 260 granules
    """
    found = row(tiny("and n <= 100 granules", more), "low", steps=3)
    assert (found.proved_to, found.fails_from, found.exact) == (259, 260, True)


def test_where_runs_are_too_short_the_gap_is_said_to_be_unknown(tiny: Build) -> None:
    jump = """action jump() { require pool_pages >= 1000 granules  used := pool_pages }"""
    found = row(tiny("and n <= 100 granules", jump), "narrow", steps=2)
    assert (found.proved_to, found.fails_from, found.exact) == (255, 1000, False)
    assert [found.verdict(n) for n in (255, 256, 999, 1000)] == [
        *("holds", "unknown", "unknown", "fails")
    ]
    assert found.verdict(0) == found.verdict(4097) == "-"


def test_without_resources_nothing_is_claimed(tiny: Build) -> None:
    found = row(tiny(), "narrow", limit=1000)
    assert not found.exact
    assert found.proved_to < 256
    assert found.fails_from is None or found.fails_from >= 256


def test_each_platform_has_its_own_threshold(tiny: Build, tmp_path: Path) -> None:
    tiny()
    boards = []
    for name, size in (("small", "32 KiB"), ("large", "80 KiB")):
        path = tmp_path / f"{name}.tess"
        path.write_text(BOARD.format(name=name, size=size))
        boards.append((name, path))
    found = subjects(tmp_path / "tiny.tess", [*boards, *chosen_platforms(["qemu_armv8a"])])
    assert [s.own for s in found] == [8, 20, 3840]
    rows = sweep(found, ["within_platform"], "pool_pages", engine=LocalEngine(1))
    assert [(r.platform, r.fails_from) for r in rows] == [
        *(("small", 9), ("large", 21), ("qemu_armv8a", 3841))
    ]
    assert all(r.exact and r.own_verdict == "holds" for r in rows)


def test_at_the_own_size_a_run_of_exactly_that_size_is_needed(tiny: Build) -> None:
    found = row(tiny(), "narrow")
    assert found.own == 3840 and found.own_verdict == "fails"
    assert found.own_trace is not None and found.own_trace.replayed
    assert found.own_trace.constants["pool_pages"] == "3840 granules"
    only_small = tiny("and pool_pages <= 300 granules")
    found = row(only_small, "narrow")
    assert (found.fails_from, found.verdict(3840), found.own_verdict) == (256, "fails", "unknown")


def test_a_parameter_too_large_for_a_platform_takes_its_lowest_value(
    tiny: Build, tmp_path: Path
) -> None:
    tiny(
        "", "param kept: u32 granules in 1 granules .. (pool.size >> granule_shift) as u32 = 2 MiB"
    )
    board = tmp_path / "small.tess"
    board.write_text(BOARD.format(name="small", size="32 KiB"))
    found = subjects(tmp_path / "tiny.tess", [("small", board)])[0].spec.params["kept"]
    assert found.value == 1


def test_rows_are_the_same_in_other_processes(tiny: Build) -> None:
    spec = tiny()
    runs = [
        sweep([own_subject(spec)], ["narrow", "never"], "pool_pages", engine=LocalEngine(jobs))
        for jobs in (1, 2)
    ]
    assert runs[0] == runs[1]


def test_a_run_at_the_size_below_is_not_reproduced(tiny: Build) -> None:
    """The simulator, not the search, decides: the run of 256 does not fit in a pool of 255."""
    script = Script(World({"pool_pages": 255}, {}, {}), (Event("take", {"n": 256}, {}),))
    assert not replay(bare(tiny(), "narrow"), script, "narrow").replayed


# --- choosing -------------------------------------------------------------------------------------


def test_the_constant_is_the_length_of_the_view(tiny: Build) -> None:
    assert size_const(tiny(), None) == "pool_pages"
    assert bounds(tiny(), "pool_pages") == (1, 4096)


@pytest.mark.parametrize(
    ("more", "wanted", "message"),
    [
        ("", "pool_page", "there is no integer constant 'pool_page'"),
        ("const most: u32 in 1 .. 8 * 8", "most", "is not made of numbers"),
        ("param p: u32 = 5  const odd: u32 in p .. 9", "odd", "is not made of numbers"),
    ],
)
def test_a_constant_that_cannot_be_swept(tiny: Build, more: str, wanted: str, message: str) -> None:
    with pytest.raises(TesseraError, match=message):
        size_const(tiny("", more), wanted)


def test_without_a_view_the_constant_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "bare.tess"
    path.write_text("spec x  const a: u8  var b: u8  init { b := 0 }  invariant c: b == 0")
    with pytest.raises(TesseraError, match="no view tells") as error:
        size_const(load(path), None)
    assert "--size-const" in error.value.remedy and "a" in error.value.remedy


def test_what_is_swept_by_default(tiny: Build) -> None:
    assert chosen_properties(load(resources.find_spec("vanilla")), ()) == (
        *("lookup", "inside_secure", "no_wrap"),
    )
    assert chosen_properties(tiny("", "expect narrow violated"), ()) == ("narrow",)
    with pytest.raises(TesseraError, match="none of the properties"):
        chosen_properties(tiny(), ())
    with pytest.raises(TesseraError, match="no invariant, step property or promise 'narow'"):
        chosen_properties(tiny(), ["narow"])


def test_all_shipped_platforms_with_fixed_places_are_swept() -> None:
    names = [name for name, _ in chosen_platforms(())]
    assert set(shipped_platforms()) - set(names) == {"qemu_armv8a_open"}
    with pytest.raises(TesseraError, match="there is no platform 'versl'") as error:
        chosen_platforms(["versl"])
    assert "versal" in error.value.remedy


# --- the width cases and the command --------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "name", "threshold"),
    [
        ("lookup-16-bit", "lookup", (1 << 16) + 1),
        ("address-32-bit", "own_address", (1 << 20) + 1),
    ],
)
def test_the_width_cases_fail_from_the_next_granule_on(
    case: str, name: str, threshold: int
) -> None:
    found = row(load(resources.find_spec(f"{case}/defect")), name)
    assert (found.proved_to, found.fails_from) == (threshold - 1, threshold)
    fixed = row(load(resources.find_spec(f"{case}/fixed")), name)
    assert (fixed.proved_to, fixed.fails_from) == (0xFFFF_FFFF, None)


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["sweep", *words, "--jobs", "1"])
    if isinstance(result.exception, TesseraError):
        return result.exception.exit_code, result.exception.render()
    return result.exit_code, result.stdout


def test_the_command_prints_writes_and_says_how_it_ended(tiny: Build, tmp_path: Path) -> None:
    tiny()
    file, sheet = str(tmp_path / "tiny.tess"), tmp_path / "cells.csv"
    words = (file, "--property", "narrow", "--platform", "qemu_armv8a", "--pages", "255,0x100")
    code, text = command(*words, "--csv", str(sheet))
    assert code == 0
    assert "narrow, by pool_pages" in text and "\x1b" not in text
    assert "0 of 1 hold at the platform's own pool." in text
    assert sheet.read_text().splitlines() == [
        "property,platform,pages,own,verdict,fails_from",
        "narrow,qemu_armv8a,255,no,holds,256",
        "narrow,qemu_armv8a,256,no,fails,256",
        "narrow,qemu_armv8a,3840,yes,fails,256",
    ]
    code, text = command(*words, "--json")
    (found,) = json.loads(text)["rows"]
    assert [cell["verdict"] for cell in found["cells"]] == ["holds", "fails"]
    assert (found["own"], found["own_verdict"], found["fails_from"]) == (3840, "fails", 256)
    assert found["script"]["world"]["scalars"]["pool_pages"] == 256
    assert command(*words, "--limit", "1000")[0] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pages", "12,many"), "not a list of sizes"),
        (("--pages", "0"), "outside the constant's range"),
        (("--property", "insid"), "no invariant"),
        (("--platform", "qemu"), "no platform"),
    ],
)
def test_bad_input_is_one_clear_message(
    tiny: Build, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    tiny()
    code, text = command(str(tmp_path / "tiny.tess"), "--property", "narrow", *words)
    assert code == 2
    assert message in text and "help: " in text


# --- the page -------------------------------------------------------------------------------------


def test_the_page_shows_every_platform_with_its_own_pool() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sweep.md").read_text(encoding="utf-8")
    (table,) = [b for b in page.split("```text\n") if b.startswith("lookup, by pool_pages")]
    rows = {line.split()[0]: line for line in table.split("\n```")[0].splitlines()[2:]}
    found = subjects(resources.find_spec("lookup-16-bit/defect"), chosen_platforms(()))
    assert set(rows) == {s.platform for s in found}
    for subject in found:
        assert subject.own is not None
        assert rows[subject.platform].endswith("64 Ki + 1")
        within = subject.own <= 64 << 10
        assert ("✓" if within else "✗") == rows[subject.platform].split(")")[1].split()[0]
        pool = rows[subject.platform].split()[1:3]
        number = int(pool[0]) << {"Ki": 10, "Mi": 20}.get(pool[1], 0)
        assert number == subject.own
