"""Units, widths and constants: what a literal becomes where it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tessera.lang import Spec
from tessera.lang import typed as t
from tessera.lang.types import IntType

LoadText = Callable[..., Spec]
Mistakes = Callable[[str], str]

BOARD = """
platform board {
  granule 4 KiB
  width usize = 32
  region secure_ram secure at 0x0e00_0000 for 16 MiB
  region core in secure_ram at secure_ram.base for 3 MiB
  region pool in secure_ram at core.end for 3328 granules
  region dram nonsecure at 0x4000_0000 for 1 GiB
}
"""


@pytest.mark.parametrize(
    ("type_", "written", "value"),
    [
        ("u32 granules", "8 MiB", 2048),
        ("u32 granules", "4 KiB", 1),
        ("u32 granules", "3 granules", 3),
        ("u32 granules", "64 Ki granules", 65536),
        ("u32 granules", "8192 bytes", 2),
        ("u32 granules", "0", 0),
        ("u32 granules", "pool.size >> granule_shift as u32", None),
        ("u32 granules", "(pool.size >> granule_shift) as u32", 3328),
        ("u64 bytes", "3 granules", 12288),
        ("u64 bytes", "1 GiB - 1 KiB", (1 << 30) - 1024),
        ("paddr bytes", "pool.base", 0x0E30_0000),
        ("paddr bytes", "pool.end - 1 bytes", 0x0EFF_FFFF),
        ("paddr bytes", "dram.size / 2", 1 << 29),
        ("u8", "0xff", 255),
        ("u8", "1_0_0", 100),
        ("u16", "2 Ki", 2048),
        ("u32", "1 MiB / 4 KiB", 256),
        ("u32 granules", "2 * 4 MiB", 2048),
        ("u32 granules", "4 MiB * 2", 2048),
        ("u32 granules", "4 KiB * 4 KiB", None),
        ("u32", "16 / 4 KiB", None),
        ("u64", "1 MiB / 4 KiB", 256),
        ("u32", "granule_shift", 12),
        ("usize", "0xffff_ffff", 0xFFFF_FFFF),
        ("u8", "~0xf0", 0x0F),
        ("u8", "min(3, 5) + max(1, 2)", 5),
        ("u8", "if true then 1 else 2", None),
        ("u16", "0x1_00ff as u8 as u16", 255),
        ("u8", "250 + 10", 4),
        ("u8", "7 % 4 | 8 ^ 1", 10),
        ("u8", "1 << 8", 0),
        ("u8", "5 / 0", 255),
        ("u8", "5 % 0", 5),
    ],
)
def test_constants(
    type_: str, written: str, value: int | None, load_text: LoadText, mistakes: Mistakes
) -> None:
    """None: the constant has the wrong width, or is no constant."""
    text = f"spec s\n{BOARD}\nparam p: {type_} = {written}\n"
    if value is None:
        assert ": error: " in mistakes(text)
    else:
        assert load_text(text).params["p"].value == value


def test_platform(load_text: LoadText) -> None:
    platform = load_text(f"spec s\n{BOARD}").platform
    assert platform is not None
    assert (platform.granule, platform.granule_shift) == (4096, 12)
    assert (platform.usize, platform.paddr) == (32, 64)
    places = {r.name: (r.parent, r.world, r.base, r.size) for r in platform.regions}
    assert places == {
        "secure_ram": (None, "secure", 0x0E00_0000, 16 << 20),
        "core": ("secure_ram", "secure", 0x0E00_0000, 3 << 20),
        "pool": ("secure_ram", "secure", 0x0E30_0000, 13 << 20),
        "dram": (None, "nonsecure", 0x4000_0000, 1 << 30),
    }


def test_the_last_platform_counts(load_text: LoadText) -> None:
    text = (
        f"spec s\n{BOARD}\nplatform small {{ granule 64 KiB  region pool secure at 0 for 1 MiB }}\n"
    )
    spec = load_text(text + "param p: u32 granules = 1 MiB\n")
    assert spec.platform is not None
    assert spec.platform.name == "small"
    assert spec.params["p"].value == 16


def literal_types(spec: Spec, name: str) -> list[IntType]:
    formula = next(p.formula for p in spec.properties if p.name == name)
    assert isinstance(formula, t.Binary)
    return [side.type for side in (formula.left, formula.right) if isinstance(side.type, IntType)]


def test_literals_take_the_type_of_the_other_side(load_text: LoadText) -> None:
    spec = load_text(
        f"""spec s
{BOARD}
var small: u8
var start: u32 granules
invariant right: small < 5
invariant left: 5 < small
invariant both: 5 < 6
invariant sized: 4 KiB < start
invariant scaled: start * 2 < start
invariant ratio: start / 4 KiB < 7
"""
    )
    granules = IntType(32, "granules")
    assert literal_types(spec, "right") == [IntType(8), IntType(8)]
    assert literal_types(spec, "left") == [IntType(8), IntType(8)]
    assert literal_types(spec, "both") == [IntType(64), IntType(64)]
    assert literal_types(spec, "sized") == [granules, granules]
    assert literal_types(spec, "scaled") == [granules, granules]
    assert literal_types(spec, "ratio") == [IntType(32), IntType(32)]
    sized = next(p.formula for p in spec.properties if p.name == "sized")
    assert isinstance(sized, t.Binary)
    assert isinstance(sized.left, t.IntLit)
    assert sized.left.value == 1


def test_shifts_by_the_granule_change_the_unit(load_text: LoadText) -> None:
    spec = load_text(
        f"""spec s
{BOARD}
var start: u32 granules
function there(): u32 bytes = start << granule_shift
function back(): u32 granules = there() >> granule_shift
function plain(): u32 granules = start << 3
function wide(): paddr bytes = (start as paddr) << granule_shift
"""
    )
    types = {name: function.type for name, function in spec.functions.items()}
    assert types == {
        "there": IntType(32, "bytes"),
        "back": IntType(32, "granules"),
        "plain": IntType(32, "granules"),
        "wide": IntType(64, "bytes"),
    }


def test_usize_and_paddr_follow_the_platform(load_text: LoadText) -> None:
    small = BOARD.replace("width usize = 32", "width usize = 64\n  width paddr = 32")
    spec = load_text(f"spec s\n{small}\nvar n: usize\nvar a: paddr bytes\n")
    assert spec.vars["n"].type == IntType(64)
    assert spec.vars["a"].type == IntType(32, "bytes")
