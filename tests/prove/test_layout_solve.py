"""Choosing places: the optimum is the optimum, a conflict is a smallest one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from tessera import resources
from tessera.errors import TesseraError
from tessera.lang import load
from tessera.lang.load import load_layout
from tessera.lang.typed_layout import Layout, Place
from tessera.lang.write_platform import platform_text
from tessera.model.layout import breaks
from tessera.prove import layout as prove_layout
from tessera.prove.layout import Arrangement, lay_out
from tessera.prove.layout_solve import Choice, _Conflict

KIB, MIB = 1 << 10, 1 << 20
PAGE = 64 * KIB
OPEN = resources.path("models/optee/platforms/qemu_armv8a_open.tess")

# Everything lies in 12 granules of 64 KiB, few enough to try all layouts.
SMALL = """
platform small {{
  granule 64 KiB
  width paddr = 32
  region ram secure at 0x0010_0000 for 768 KiB
  region fixed in ram at ram.base + {hole} * 64 KiB for 64 KiB
  region buffer in ram somewhere align {align} KiB for 64 KiB .. 192 KiB
  region pool in ram somewhere align {pool_align} KiB for {least} KiB .. 768 KiB
  require order: {order}
}}
"""
ORDERS = (
    "true",
    "buffer.end <= pool.base",
    "pool.end <= fixed.base",
    "buffer.size >= 128 KiB",
    "pool.size + buffer.size <= 576 KiB",
    "pool.size / 2 >= buffer.size and fixed.base < pool.base",
)

LoadLayout = Callable[[str], Layout]


@pytest.fixture
def layout_of(tmp_path: Path) -> LoadLayout:
    """Load a platform from text."""

    def build(text: str) -> Layout:
        path = tmp_path / "board.tess"
        path.write_text(text, "utf-8")
        return load_layout(path)

    return build


def variant(rng: random.Random) -> str:
    return SMALL.format(
        hole=rng.randrange(12),
        align=rng.choice((64, 128, 256)),
        pool_align=rng.choice((64, 128, 256)),
        least=rng.choice((64, 320, 512)),
        order=rng.choice(ORDERS),
    )


def every_layout(layout: Layout) -> Iterator[dict[str, Place]]:
    """All layouts of SMALL that keep everything, by trying all of them."""
    ram = layout.places["ram"]
    bases = range(ram[0], sum(ram), PAGE)
    sizes = range(PAGE, ram[1] + 1, PAGE)
    asked = layout.properties()
    for base, size, other, length in product(bases, sizes, bases, (PAGE, 2 * PAGE, 3 * PAGE)):
        places = {**layout.places, "buffer": (other, length), "pool": (base, size)}
        if max(base + size, other + length) <= sum(ram):
            places = {area.name: places[area.name] for area in layout.areas}
            if not any(breaks(layout, places, prop) for prop in asked):
                yield places


@pytest.mark.parametrize("seed", range(10))
def test_the_optimum_is_what_trying_everything_finds(seed: int, layout_of: LoadLayout) -> None:
    layout = layout_of(variant(random.Random(seed)))
    all_of_them = list(every_layout(layout))
    found = lay_out(layout, maximise="pool")
    if not all_of_them:
        assert found.places is None
        assert found.conflict
        return
    # The rule of the manual: the named size, then other sizes large, then bases low, in order.
    best = max(
        all_of_them,
        key=lambda p: (p["pool"][1], p["buffer"][1], -p["buffer"][0], -p["pool"][0]),
    )
    assert found.places == best
    assert all(o.met for o in found.obligations)


def test_some_of_those_have_a_layout_and_some_have_none(layout_of: LoadLayout) -> None:
    outcomes = {
        any(True for _ in every_layout(layout_of(variant(random.Random(seed)))))
        for seed in range(10)
    }
    assert outcomes == {True, False}


@pytest.fixture(scope="module")
def carved() -> Arrangement:
    """The shipped open platform with a carve-out of 64 MiB."""
    return lay_out(load_layout(OPEN), maximise="ta_ram", fixed={"carveout.size": 64 * MIB})


def test_the_shipped_example(carved: Arrangement) -> None:
    assert carved.places is not None
    assert carved.places["ta_ram"][1] == 61 * MIB  # 64 less 2 for the core and 1 spare
    assert carved.places["carveout"] == (0x7C00_0000, 64 * MIB)
    assert all(o.met for o in carved.obligations)
    first, second = (o.property for o in carved.obligations[:2])
    assert (first, second) == ("satisfiable", "maximal")


def test_a_larger_one_that_was_overlooked_is_an_error(
    layout_of: LoadLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = layout_of(SMALL.format(hole=0, align=64, pool_align=64, least=64, order="true"))
    best = lay_out(layout, maximise="pool").places
    assert best is not None
    base, size = best["pool"]
    small = Choice({**best, "pool": (base, size - PAGE)}, (), "", 0, 0.0)
    monkeypatch.setattr(prove_layout, "choose", lambda *_: small)
    found = {o.property: o for o in lay_out(layout, maximise="pool").obligations}
    assert (found["maximal"].verdict, found["maximal"].met) == ("ERROR", False)
    wrong = Choice({**best, "pool": (base + 1, size)}, (), "", 0, 0.0)
    monkeypatch.setattr(prove_layout, "choose", lambda *_: wrong)
    found = {o.property: o for o in lay_out(layout, maximise="pool").obligations}
    assert found["aligned"].verdict == "VIOLATED"


def test_the_same_question_has_the_same_answer(layout_of: LoadLayout) -> None:
    text = SMALL.format(hole=5, align=64, pool_align=128, least=64, order=ORDERS[4])
    first, second = (lay_out(layout_of(text), maximise="pool") for _ in range(2))
    assert first.places == second.places
    assert [(o.verdict, o.resource) for o in first.obligations] == [
        (o.verdict, o.resource) for o in second.obligations
    ]


CONFLICT = """
platform conflict {
  granule 4 KiB
  region ram secure at 0 for 16 MiB
  region a in ram somewhere for 6 MiB .. 8 MiB
  region b in ram at a.end for 6 MiB .. 8 MiB
  region c in ram at b.end for 5 MiB .. 8 MiB
  require small "a is small": a.size <= 4 MiB
}
"""


def test_of_two_conflicts_the_smaller_is_named(layout_of: LoadLayout) -> None:
    found = lay_out(layout_of(CONFLICT))
    assert found.places is None
    assert [words for _, words in found.conflict] == [
        "the range of sizes of 'a'",
        "require small: a.size <= 4 MiB",
    ]
    assert [span.line for span, _ in found.conflict if span] == [5, 8]
    assert found.smallest
    (only,) = found.obligations
    assert (only.property, only.verdict, only.met) == ("satisfiable", "VIOLATED", False)


def test_a_longer_conflict_has_nothing_to_spare(layout_of: LoadLayout) -> None:
    """Without the small one, sizes, places and the outer region collide; none can be left out."""
    text = CONFLICT[: CONFLICT.index("  require")] + "}"
    found = lay_out(layout_of(text))
    words = [w for _, w in found.conflict]
    assert "the range of sizes of 'a'" in words
    assert "the range of sizes of 'c'" in words
    assert any("'c' lies in 'ram'" in w for w in words)
    assert "the size of 'ram'" in words
    eased = {
        "'a'": ("for 6 MiB .. 8 MiB\n  region b", "for 4 KiB .. 8 MiB\n  region b"),
        "'c'": ("for 5 MiB .. 8 MiB", "for 4 MiB .. 8 MiB"),
        "'ram'": ("for 16 MiB", "for 17 MiB"),
    }
    for old, new in eased.values():
        assert old in text
        assert lay_out(layout_of(text.replace(old, new))).places is not None


def test_past_the_rounds_a_conflict_is_still_one(
    layout_of: LoadLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Conflict, "_MOST_ROUNDS", 1)
    found = lay_out(layout_of(CONFLICT[: CONFLICT.index("  require")] + "}"))
    assert found.places is None
    assert not found.smallest
    assert 3 <= len(found.conflict) <= 12


def test_no_property_is_given_up_to_find_a_layout(layout_of: LoadLayout) -> None:
    """A pool of more than 64 Ki granules is not chosen unless the platform expects it."""
    text = """
platform large {
  granule 4 KiB
  region tzdram secure at 0x8000_0000 for 1 GiB
  region pool in tzdram somewhere for 4 KiB .. 1 GiB
}
"""
    strict = lay_out(layout_of(text), maximise="pool")
    assert strict.places is not None and strict.places["pool"][1] == 256 * MIB
    told = text.replace("}", "  expect lookup violated\n}")
    loose = lay_out(layout_of(told), maximise="pool")
    assert loose.places is not None and loose.places["pool"][1] == 1024 * MIB
    assert all(o.met for o in loose.obligations)


def test_giving_up_is_said(layout_of: LoadLayout) -> None:
    text = SMALL.format(hole=5, align=64, pool_align=128, least=64, order="true")
    found = lay_out(layout_of(text), maximise="pool", limit=1)
    assert found.places is None
    assert [(o.property, o.verdict, o.met) for o in found.obligations] == [
        ("satisfiable", "UNKNOWN", False)
    ]


def test_requests_that_make_no_sense(layout_of: LoadLayout) -> None:
    layout = layout_of(SMALL.format(hole=5, align=64, pool_align=128, least=64, order="true"))
    with pytest.raises(TesseraError, match="no region 'poool'") as caught:
        lay_out(layout, maximise="poool")
    assert "pool" in caught.value.remedy
    for key in ("pool", "pool.end", "nowhere.size"):
        with pytest.raises(TesseraError, match="no such base or size"):
            lay_out(layout, fixed={key: PAGE})
    with pytest.raises(TesseraError, match="does not fit in 32 bits"):
        lay_out(layout, fixed={"pool.size": 1 << 32})
    fixed = load_layout(resources.path("models/optee/platforms/rpi3.tess"))
    with pytest.raises(TesseraError, match="is fixed"):
        lay_out(fixed, maximise="pool")


def test_a_written_platform_reads_back_to_the_same(carved: Arrangement, tmp_path: Path) -> None:
    layout = load_layout(OPEN)
    assert carved.places is not None
    text = platform_text(layout, carved.places, "tessera layout")
    (tmp_path / "fixed.tess").write_text(text, "utf-8")
    again = load_layout(tmp_path / "fixed.tess")
    assert again.places == carved.places
    assert not again.open_areas
    assert [(d.name, d.doc, d.text) for d in again.demands] == [
        (d.name, d.doc, d.text) for d in layout.demands
    ]
    assert [a.align for a in again.areas] == [a.align for a in layout.areas]
    assert replace(again, file="", digest="").reach == layout.reach
    assert all(o.met for o in lay_out(again).obligations)
    spec = 'spec mine\nuse "fixed.tess"\nlemma big: ta_ram.size == 61 MiB\n'
    (tmp_path / "mine.tess").write_text(spec, "utf-8")
    platform = load(tmp_path / "mine.tess").platform
    assert platform is not None and platform.name == layout.name
