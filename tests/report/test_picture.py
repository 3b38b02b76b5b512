"""The geometry of the pictures: what is new, gone, stale or outside, and that nothing jumps."""

from __future__ import annotations

from tessera.report.picture import WIDTH, Box, Picture, trace_pictures
from tessera.results import Mark, Results, Run, Step, Strip

GROUPS = ("inference", "ordinary")


def pictures(*strips: Strip) -> list[Picture]:
    steps = [Step(str(i), (), (strip,)) for i, strip in enumerate(strips)]
    return [shown for (shown,) in trace_pictures(steps, GROUPS)]


def kinds(picture: Picture) -> dict[str, Box]:
    return {box.kind: box for box in picture.boxes}


def test_a_block_is_new_then_there_then_a_ghost() -> None:
    run = Run("a", "ordinary", 2, 3)
    empty, full = Strip("p", 10), Strip("p", 10, (run,))
    shown = [kinds(picture) for picture in pictures(empty, full, full, empty)]
    assert [sorted(kind) for kind in shown] == [[], ["run new"], ["run"], ["ghost"]]
    assert len({(box.x, box.width) for kind in shown for box in kind.values()}) == 1


def test_a_class_has_one_colour_whatever_else_is_there() -> None:
    ordinary, inference = Run("a", "ordinary", 0, 2), Run("b", "inference", 4, 2)
    alone = kinds(pictures(Strip("p", 10, (ordinary,)))[0])["run"].colour
    both = {b.label: b.colour for b in pictures(Strip("p", 10, (ordinary, inference)))[0].boxes}
    assert both["a"] == alone
    assert both["a"] != both["b"]


def test_own_content_is_held_anothers_is_stale() -> None:
    run = Run("a", "ordinary", 0, 4)
    own = kinds(pictures(Strip("p", 10, (run,), (Mark("a", 0, 2),)))[0])
    other = kinds(pictures(Strip("p", 10, (run,), (Mark("b", 0, 2),)))[0])
    assert "held" in own and "stale" not in own
    assert "stale" in other and "held" not in other


def test_overlap_and_outside_are_drawn_where_they_are() -> None:
    a, b = Run("a", "ordinary", 0, 6), Run("b", "ordinary", 4, 8)
    shown = kinds(pictures(Strip("p", 10, (a, b)))[0])
    assert shown["clash"].x < shown["outside"].x
    assert shown["outside"].x + shown["outside"].width == WIDTH
    inside = kinds(pictures(Strip("p", 12, (a, Run("b", "ordinary", 6, 6))))[0])
    assert "clash" not in inside and "outside" not in inside


def test_every_box_lies_on_the_strip_and_ticks_do_not_touch(sample: Results) -> None:
    for obligation in sample.obligations:
        steps = obligation.trace.steps if obligation.trace else ()
        for shown in trace_pictures(steps, GROUPS):
            for picture in shown:
                assert all(b.x >= 0 and b.x + b.width <= WIDTH for b in picture.boxes)
                places = [tick.x for tick in picture.ticks]
                assert places == sorted(places)
                assert picture.ticks[0].text == "0"


def test_the_words_say_what_the_picture_shows() -> None:
    strip = Strip("p", 10, (Run("a", "ordinary", 0, 4),), (Mark("b", 6, 2),))
    assert pictures(strip)[0].words == (
        "p, 10 granules: a (ordinary) at [0, 4); content of b in [6, 8)"
    )
