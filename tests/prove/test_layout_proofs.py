"""Layout obligations: every property can fail, and two judges agree."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from tessera import resources
from tessera.lang.load import load_layout
from tessera.lang.typed_layout import Layout, Place
from tessera.model.layout import breaks
from tessera.prove import layout as prove_layout
from tessera.prove.layout import judge, lay_out, settings
from tessera.results import Obligation, Results

PLATFORMS = sorted(resources.path("models/optee/platforms").glob("*.tess"))
FIXED = [file for file in PLATFORMS if not load_layout(file).open_areas]
MIB = 1 << 20

BOARD = """
platform board "a small board" {
  granule 4 KiB
  width paddr = 32
  width reach = 31
  region ram secure at 0x0e00_0000 for 16 MiB
  region tfa in ram at 0x0e00_0000 for 1 MiB
  region pool in ram at tfa.end align 1 MiB for 15 MiB
  region optee_core in pool at pool.base for 2 MiB
  region dram nonsecure at 0x4000_0000 for 512 MiB
  region shared_memory in dram at 0x4200_0000 for 2 MiB
  region uart device at 0x0900_0000 for 4 KiB
  require below "secure memory lies below the other": ram.end <= dram.base
  config optee "CFG_SPARE" = dram.base - ram.end
  config dt "optee_core" = pool.base, pool.size
}
"""

LoadLayout = Callable[[str], Layout]


@pytest.fixture
def layout_of(tmp_path: Path) -> LoadLayout:
    """Load a platform from text."""

    def build(text: str) -> Layout:
        path = tmp_path / "board.tess"
        path.write_text(text, "utf-8")
        return load_layout(path)

    return build


def by_property(obligations: tuple[Obligation, ...]) -> dict[str, Obligation]:
    return {o.property: o for o in obligations}


def test_there_are_platforms_of_every_kind() -> None:
    layouts = [load_layout(file) for file in FIXED]
    assert len(layouts) >= 11
    assert {"qemu_armv8a", "qemu_armv8a_big", "rpi3"} <= {x.name for x in layouts}
    assert {x.paddr for x in layouts} == {32, 64}
    assert max(x.places["pool"][1] for x in layouts) > 256 * MIB


@pytest.mark.parametrize("file", PLATFORMS, ids=lambda f: f.stem)
def test_a_platform_file_is_named_after_its_platform_and_tells_its_sources(file: Path) -> None:
    assert load_layout(file).name == file.stem
    head = file.read_text("utf-8").partition("\nplatform ")[0]
    assert "4.10.0" in head or "as qemu_armv8a" in head


@pytest.mark.parametrize("file", FIXED, ids=lambda f: f.stem)
def test_a_shipped_platform_is_as_expected(file: Path) -> None:
    layout = load_layout(file)
    found = lay_out(layout)
    assert [o.id for o in found.obligations if not o.met] == []
    assert {o.property for o in found.obligations} == set(layout.properties())
    assert all(o.id == f"{layout.name}/layout/{o.property}" for o in found.obligations)
    core, ta_ram = layout.places["optee_core"], layout.places["ta_ram"]
    assert core[1] + ta_ram[1] == layout.places["pool"][1]


def test_a_pool_beyond_16_bit_offsets_is_reported() -> None:
    file = resources.path("models/optee/platforms/d06.tess")
    lookup = by_property(lay_out(load_layout(file)).obligations)["lookup"]
    assert (lookup.verdict, lookup.expect, lookup.met) == ("VIOLATED", "violated", True)
    assert "204800 granules" in lookup.detail


def test_a_pool_of_exactly_64_ki_granules_is_still_told_apart() -> None:
    layout = load_layout(resources.path("models/optee/platforms/zynqmp.tess"))
    assert layout.places["pool"][1] // layout.granule == 1 << 16
    assert by_property(judge(layout, layout.places))["lookup"].verdict == "PROVED"
    base, size = layout.places["pool"]
    one_more = {**layout.places, "pool": (base, size + layout.granule)}
    assert by_property(judge(layout, one_more))["lookup"].verdict == "VIOLATED"


def test_a_sound_board_keeps_everything(layout_of: LoadLayout) -> None:
    layout = layout_of(BOARD)
    found = lay_out(layout).obligations
    assert {o.verdict for o in found} == {"PROVED"}
    assert set(by_property(found)) == {*layout.properties()}
    assert "placed" not in by_property(found)


BROKEN: dict[str, dict[str, Place]] = {
    "disjoint": {"uart": (0x0E80_0000, 4096)},
    "contained": {"tfa": (0x0DF0_0000, MIB)},
    "worlds": {"dram": (0x0EF0_0000, 512 * MIB)},
    "aligned": {"uart": (0x0900_0010, 4096)},
    "reach": {"dram": (0x7000_0000, 512 * MIB)},
    "shared_outside": {"shared_memory": (0x0E80_0000, 2 * MIB)},
    "room": {"optee_core": (0x0E10_0000, 15 * MIB)},
    "lookup": {"pool": (0x0E10_0000, 256 * MIB + 4096)},
}


@pytest.mark.parametrize("prop", BROKEN)
def test_every_property_can_fail(prop: str, layout_of: LoadLayout) -> None:
    layout = layout_of(BOARD)
    found = by_property(judge(layout, {**layout.places, **BROKEN[prop]}))[prop]
    assert found.verdict == "VIOLATED", found
    assert not found.met
    assert found.detail


@pytest.mark.parametrize(
    ("old", "new", "prop", "why"),
    [
        ("ram.end <= dram.base", "ram.end <= uart.base", "below", "is false"),
        ("dram.base - ram.end", "ram.end - dram.base", "configuration", "CFG_SPARE wraps"),
    ],
)
def test_what_a_platform_says_of_itself_can_fail(
    old: str, new: str, prop: str, why: str, layout_of: LoadLayout
) -> None:
    assert old in BOARD
    found = by_property(lay_out(layout_of(BOARD.replace(old, new))).obligations)[prop]
    assert (found.verdict, found.met, found.trace) == ("VIOLATED", False, None)
    assert why in found.detail


def test_offsets_fail_only_beyond_32_bits_of_bytes(layout_of: LoadLayout) -> None:
    layout = layout_of(
        BOARD.replace("paddr = 32", "paddr = 64").replace("reach = 31", "reach = 48")
    )
    for pages, verdict in ((1 << 20, "PROVED"), ((1 << 20) + 1, "VIOLATED")):
        places = {**layout.places, "pool": (0x0E10_0000, pages << 12)}
        assert by_property(judge(layout, places))["offsets"].verdict == verdict


def test_an_alignment_that_is_asked_for_is_checked(layout_of: LoadLayout) -> None:
    layout = layout_of(BOARD.replace("at tfa.end align 1 MiB", "at tfa.end align 2 MiB"))
    found = by_property(lay_out(layout).obligations)["aligned"]
    assert found.verdict == "VIOLATED"
    assert "'pool'" in found.detail and "0x200000" in found.detail


def test_expectations_of_a_platform_count(layout_of: LoadLayout) -> None:
    wrong = layout_of(BOARD.replace("  config optee", "  expect lookup violated\n  config optee"))
    found = by_property(lay_out(wrong).obligations)["lookup"]
    assert (found.verdict, found.met) == ("PROVED", False)


def test_a_platform_without_secure_memory_is_vacuous(layout_of: LoadLayout) -> None:
    text = "platform p { granule 4 KiB region a nonsecure at 0 for 1 MiB }"
    found = by_property(lay_out(layout_of(text)).obligations)
    assert (found["worlds"].verdict, found["worlds"].met) == ("VACUOUS", False)
    assert not {"room", "lookup", "offsets", "shared_outside", "configuration"} & set(found)


def test_a_solver_that_gives_up_proves_nothing(layout_of: LoadLayout) -> None:
    found = lay_out(layout_of(BOARD), limit=1).obligations
    unknown = [o for o in found if o.verdict == "UNKNOWN"]
    assert unknown and all(not o.met for o in unknown)
    assert Results("p", "", "", "", obligations=tuple(unknown)).exit_code == 3


def test_judges_that_disagree_are_an_error(
    layout_of: LoadLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = layout_of(BOARD)
    monkeypatch.setattr(prove_layout, "breaks", lambda *_: ["something"])
    assert {o.verdict for o in lay_out(layout).obligations} == {"ERROR"}


def test_solver_and_integers_agree_at_odd_places(layout_of: LoadLayout) -> None:
    """Places at and around every edge: ends of memory, halves of granules, empty regions."""
    layout = layout_of(BOARD)
    rng = random.Random(7)
    edges = [0, 1, 0x0E00_0000, 0x0F00_0000, 0x4000_0000, 1 << 31, (1 << 32) - 4096]
    sizes = [0, 1, 4096, MIB, 2 * MIB, 256 * MIB, 256 * MIB + 4096, 1 << 31, (1 << 32) - 1]
    seen = defaultdict(set)
    for _ in range(16):
        places = dict(layout.places)
        for name in rng.sample(sorted(places), rng.randint(1, 3)):
            base = (rng.choice(edges) + rng.choice((0, 1, 4096, -4096))) % (1 << 32)
            places[name] = (base, rng.choice(sizes))
        for found in judge(layout, places):
            seen[found.property].add(found.verdict)
            assert (found.verdict == "VIOLATED") == bool(breaks(layout, places, found.property))
    assert all(verdicts <= {"PROVED", "VIOLATED"} for verdicts in seen.values())
    both = [prop for prop, verdicts in seen.items() if len(verdicts) == 2]
    assert {"disjoint", "contained", "aligned", "reach"} <= set(both)


def test_configuration_values_are_read_off_the_places(layout_of: LoadLayout) -> None:
    layout = layout_of(BOARD)
    assert settings(layout, layout.places) == (
        ("optee", "CFG_SPARE", (0x4000_0000 - 0x0F00_0000,)),
        ("dt", "optee_core", (0x0E10_0000, 15 * MIB)),
    )
    trace = by_property(lay_out(layout).obligations)["configuration"].trace
    assert trace is not None
    assert trace.constants["dt optee_core"] == "0xe100000, 0xf00000"


def test_a_require_that_wraps_is_broken(layout_of: LoadLayout) -> None:
    wraps = "require below: ram.base - dram.base >= 0"
    layout = layout_of(
        BOARD.replace(BOARD[BOARD.index("require") : BOARD.index("  config")], wraps)
    )
    found = by_property(lay_out(layout).obligations)["below"]
    assert found.verdict == "VIOLATED"
    assert "wraps" in found.detail


def test_a_branch_that_is_not_taken_may_wrap(layout_of: LoadLayout) -> None:
    guarded = "require below: dram.base <= ram.base => ram.base - dram.base >= 0\n"
    layout = layout_of(
        BOARD.replace(BOARD[BOARD.index("require") : BOARD.index("  config")], guarded)
    )
    assert by_property(lay_out(layout).obligations)["below"].verdict == "PROVED"
