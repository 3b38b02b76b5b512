"""Shipped data is found, a user's own file always wins, and a wrong name is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera import resources
from tessera.errors import TesseraError


def test_short_name_and_shipped_path_mean_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    by_name = resources.find_spec("priority")
    by_path = resources.find_spec("specs/policies/priority.tess")
    assert by_name == by_path == resources.path("specs/policies/priority.tess")


def test_a_users_file_wins_over_a_shipped_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("priority").write_text("mine", encoding="utf-8")
    assert resources.find_spec("priority") == Path("priority")


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(TesseraError) as caught:
        resources.find_spec("priorty")
    assert "priority" in caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["../pyproject.toml", "/no/such/file.tess", ""])
def test_nothing_outside_the_shipped_data_is_found_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "":
        assert resources.find_spec(name) == Path()  # the current folder: for the reader to refuse
        return
    with pytest.raises(TesseraError):
        resources.find_spec(name)


@pytest.mark.parametrize(
    "name", ["CVE-2019-1010294/defect", "cases/CVE-2019-1010294/defect", "specs/cases/%s.tess"]
)
def test_a_spec_of_a_case_goes_by_its_folder_and_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = resources.find_spec(name.replace("%s", "CVE-2019-1010294/defect"))
    assert found == resources.path("specs/cases/CVE-2019-1010294/defect.tess")


@pytest.mark.parametrize("name", ["CVE-2019-1010294", "CVE-2019-1010294/defct"])
def test_a_case_without_its_file_suggests_the_files(name: str) -> None:
    with pytest.raises(TesseraError) as caught:
        resources.find_spec(name)
    assert "CVE-2019-1010294/defect" in caught.value.remedy
