"""Every mistake a newcomer makes has its message, kept word for word beside the spec.

After a change that is meant, `pytest --update-golden` rewrites the .expect files; read the diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera.errors import TesseraError
from tessera.lang import SpecError, load

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests/golden/lang"
CASES = sorted(path.stem for path in FOLDER.glob("*.tess"))


def test_there_are_cases() -> None:
    assert len(CASES) > 50


def test_no_expectation_is_left_over() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.expect")) == CASES


@pytest.mark.parametrize("case", CASES)
def test_message(
    case: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(TesseraError) as caught:
        load(f"tests/golden/lang/{case}.tess")
    found = caught.value.render() + "\n"
    expected = FOLDER / f"{case}.expect"
    if request.config.getoption("--update-golden"):
        expected.write_text(found, "utf-8")
    assert found == expected.read_text("utf-8")


@pytest.mark.parametrize("case", CASES)
def test_every_mistake_has_a_place_and_a_remedy(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SpecError) as caught:
        load(f"tests/golden/lang/{case}.tess")
    for mistake in caught.value.diagnostics:
        lines = caught.value.lines[mistake.span.file]
        assert mistake.remedy, mistake.message
        assert 1 <= mistake.span.line <= len(lines)
        assert 1 <= mistake.span.column <= len(lines[mistake.span.line - 1]) + 1
        assert (mistake.span.end_line, mistake.span.end_column) > (
            mistake.span.line,
            mistake.span.column,
        )
