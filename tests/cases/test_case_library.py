"""Cases are read from their folders; a folder that is not as it should be is one clear error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tiny_case import FACTS, FIXED, MakeCase

from tessera import resources
from tessera.cases.library import GROUPS, has_defect, read_case, read_cases
from tessera.errors import TesseraError
from tessera.lang import load

SHIPPED = sorted(place.name for place in resources.path("specs/cases").iterdir())


def test_a_case_knows_its_facts_and_its_sides(make_case: MakeCase) -> None:
    again = FIXED.replace("counter_fixed", "counter_fixed_again")
    case = read_case(make_case(fixed_again__tess=again))
    assert (case.id, case.title, case.group) == (
        "counter",
        "A counter passes its limit",
        "history",
    )
    assert case.specs == ("defect", "fixed", "fixed_again")
    assert [has_defect(side) for side in case.specs] == [True, False, False]
    assert case.fixes == ("0123abc",)


def test_cases_come_by_group_and_then_by_id(make_case: MakeCase) -> None:
    for name in ("b-history", "a-history"):
        make_case(name)
    folder = make_case("z-advisory", case__toml=FACTS.replace('"history"', '"advisory"')).parent
    assert [case.id for case in read_cases(None, folder)] == [
        "z-advisory",
        "a-history",
        "b-history",
    ]
    assert [case.id for case in read_cases(["b-history"], folder)] == ["b-history"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"case__toml": None}, "cannot be read"),
        ({"case__toml": "title = "}, "not TOML"),
        ({"case__toml": FACTS.replace('place = "counter.c, up()"', "")}, "`place` is missing"),
        ({"case__toml": FACTS + 'cause = "x"'}, "`cause` is not a fact"),
        ({"case__toml": FACTS.replace('fixes = ["0123abc"]', "fixes = [7]")}, "list of texts"),
        ({"case__toml": FACTS.replace('"all releases"', '" "')}, "`affected` must be a text"),
        ({"case__toml": FACTS.replace('"history"', '"future"')}, "no such group: future"),
        ({"fixed__tess": None}, "a side is missing"),
        ({"defect__tess": None}, "a side is missing"),
        ({"mended__tess": FIXED}, "mended.tess has no part in a case"),
    ],
)
def test_a_folder_that_is_no_case_is_told(
    make_case: MakeCase, changed: dict[str, str | None], message: str
) -> None:
    folder = make_case(**changed)
    with pytest.raises(TesseraError) as caught:
        read_case(folder)
    assert message in caught.value.message
    assert str(folder) in str(caught.value.where)
    assert caught.value.remedy


def test_an_unknown_case_names_the_nearest() -> None:
    with pytest.raises(TesseraError) as caught:
        read_cases(["CVE-2019-1010249"])
    assert "CVE-2019-1010294" in caught.value.remedy


# --- the shipped cases keep the rules of docs/cases/README.md -------------------------------------

each = pytest.mark.parametrize("name", SHIPPED)


def comment_of(file: Path) -> str:
    """The comment on top of a spec."""
    return file.read_text(encoding="utf-8").split("\nspec ", 1)[0]


@each
def test_the_sides_share_a_model_and_say_which_commit_they_stand_for(name: str) -> None:
    (case,) = read_cases([name])
    comments = [comment_of(case.spec(side)) for side in case.specs]
    for side, comment in zip(case.specs, comments, strict=True):
        assert 'use "model.tess"' in case.spec(side).read_text(encoding="utf-8"), side
        assert comment.startswith("# "), side
    assert all(any(fix in comment for comment in comments) for fix in case.fixes)


@each
def test_a_case_has_a_picture_and_a_cover(name: str) -> None:
    (case,) = read_cases([name])
    for side in case.specs:
        spec = load(case.spec(side))
        assert spec.views, side
        assert any(prop.kind == "cover" for prop in spec.properties), side
        violated = {n for n, e in spec.expects.items() if e.verdict == "violated"}
        assert bool(violated) == has_defect(side), side
        covers = {prop.name for prop in spec.properties if prop.kind == "cover"}
        assert all(spec.expects[n].within is not None for n in violated - covers), side


@each
def test_facts_are_well_formed(name: str) -> None:
    (case,) = read_cases([name])
    assert case.group in GROUPS
    assert not case.title.endswith(".")
    assert all(re.fullmatch(r"[0-9a-f]{9,12}", fix) for fix in case.fixes)
    if case.group == "advisory":
        assert case.id in case.advisories
        assert case.fixes
