"""Memory strips: in scale, never wider than asked, and every fault visible."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.report.scale import extent, scale_of
from tessera.report.strip import groups_of, legend, render_strip, strip_lines
from tessera.results import Mark, Run, Strip

POOL = 3328
RESERVE = Mark("reserve", 1280, 2048)


def pool(*runs: Run, marks: tuple[Mark, ...] = ()) -> Strip:
    return Strip("pool", POOL, runs, marks, (RESERVE,))


def test_one_granule_in_a_large_pool_is_seen_with_its_label() -> None:
    line = render_strip(pool(Run("ta1", "ordinary", 17, 1)), 72)
    assert "▐ta1▌" in line
    assert len(line) == 72


def test_empty_pool_shows_free_space_and_zone_in_proportion() -> None:
    line = render_strip(Strip("", 100, zones=(Mark("reserve", 75, 25),)), 42)
    assert line == "│" + "·" * 30 + "╱" * 10 + "│"


def test_plain_is_ascii() -> None:
    strip = pool(
        Run("ta1", "ordinary", 0, 600), Run("dnn", "inference", 500, 900), marks=(RESERVE,)
    )
    assert render_strip(strip, plain=True).isascii()
    assert legend([strip], plain=True).isascii()


def test_overlap_is_marked_and_explained() -> None:
    strip = pool(Run("a", "ordinary", 0, 600), Run("b", "ordinary", 400, 300))
    assert "╳" in render_strip(strip)
    assert "╳ overlap" in legend([strip])


def test_touching_blocks_are_no_overlap() -> None:
    strip = pool(Run("a", "ordinary", 0, 400), Run("b", "ordinary", 400, 300))
    assert "╳" not in render_strip(strip)
    assert "overlap" not in legend([strip])


def test_content_of_another_in_a_live_block_is_marked_own_content_is_not() -> None:
    own = pool(Run("a", "ordinary", 0, 400), marks=(Mark("a", 0, 400),))
    other = pool(Run("a", "ordinary", 0, 400), marks=(Mark("b", 0, 400),))
    assert "▚" not in render_strip(own)
    assert "▚" in render_strip(other)


def test_a_block_beyond_the_end_of_the_pool_is_seen() -> None:
    line = render_strip(Strip("p", 8, (Run("far", "x", 2**32 - 4, 8),)), 40)
    assert "!" in line
    assert "▐far▌" in line
    assert len(line) == 40


def test_places_and_glyphs_keep_still_between_steps() -> None:
    steps = [pool(Run("z", "ordinary", 0, 1)), pool(Run("a", "inference", 1280, 9))]
    lines = [line.plain for line in strip_lines(steps, 72)]
    assert {len(line) for line in lines} == {72}
    zone_starts = {line.index("╱") for line in [strip_lines(steps, 72)[0].plain]}
    assert lines[1].index("▐") in zone_starts
    assert groups_of(steps) == ("inference", "ordinary")


def test_a_zone_of_no_size_is_not_explained() -> None:
    assert "reserve" not in legend([Strip("p", 8, zones=(Mark("reserve", 8, 0),))])
    assert "reserve" in legend([Strip("p", 8, zones=(Mark("reserve", 7, 1),))])


def test_control_characters_in_names_do_not_reach_the_terminal() -> None:
    strip = Strip("\x1b[31mpool", 10, (Run("\x1b]0;t\x07", "x", 0, 10),))
    assert all(c.isprintable() for c in render_strip(strip))


runs = st.builds(
    Run, st.text(max_size=6), st.sampled_from("abc"), st.integers(0, 5000), st.integers(0, 5000)
)
marks = st.builds(Mark, st.text(max_size=6), st.integers(0, 5000), st.integers(0, 5000))
strips = st.builds(
    Strip,
    st.text(max_size=30),
    st.integers(0, 6000),
    st.lists(runs, max_size=12).map(tuple),
    st.lists(marks, max_size=4).map(tuple),
    st.lists(marks, max_size=2).map(tuple),
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(strips, st.integers(16, 200), st.booleans())
def test_any_strip_fits_its_width_on_one_line(strip: Strip, width: int, plain: bool) -> None:
    line = render_strip(strip, width, plain=plain)
    assert len(line) == width
    assert len(line.splitlines()) == 1


@settings(max_examples=200, derandomize=True, deadline=None)
@given(strips, st.integers(8, 200))
def test_scale_is_monotonic_and_keeps_ranges_apart(strip: Strip, width: int) -> None:
    scale = scale_of([strip], width, 3)
    assert scale.width == width
    places = [scale.at(cut) for cut, _ in scale.ticks()]
    assert places == sorted(set(places))
    assert scale.at(0) == 0
    assert scale.at(extent(strip)) == width


@pytest.mark.parametrize("count", [100, 1000])
def test_more_blocks_than_columns_stay_within_the_width(count: int) -> None:
    many = Strip("x", 10 * count, tuple(Run(f"t{i}", "o", 10 * i, 3) for i in range(count)))
    assert len(render_strip(many, 40)) == 40
