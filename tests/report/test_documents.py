"""The results document, its schema, the diff and the files on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from tessera.errors import TesseraError
from tessera.report.diff import parse_patch
from tessera.report.files import to_text, write_json, write_text
from tessera.report.schema import results_schema, schema_of
from tessera.results import Obligation, Results, Scenario


def test_document_meets_the_schema(sample: Results) -> None:
    schema = results_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(to_text(sample.to_json())))


@pytest.mark.parametrize(
    "path, value",
    [
        (("obligations", 0, "verdict"), "FINE"),
        (("obligations", 0, "seconds"), "fast"),
        (("scenarios", 0, "met"), "yes"),
        (("patch", "added"), 1.5),
        (("surprise",), 1),
    ],
)
def test_schema_refuses_a_wrong_document(
    sample: Results, path: tuple[str | int, ...], value: object
) -> None:
    document = json.loads(to_text(sample.to_json()))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        Draft202012Validator(results_schema()).validate(document)


@pytest.mark.parametrize("name", [field.name for field in fields(Results)])
def test_schema_requires_every_field(sample: Results, name: str) -> None:
    document = json.loads(to_text(sample.to_json()))
    del document[name]
    with pytest.raises(ValidationError):
        Draft202012Validator(results_schema()).validate(document)


def test_schema_has_the_promised_fields() -> None:
    defs = results_schema()["$defs"]
    promised = {"id", "verdict", "expect", "met", "seconds", "resource"}
    assert promised <= set(defs[Obligation.__name__]["required"])
    assert {"name", "unpatched", "patched", "met"} <= set(defs[Scenario.__name__]["required"])


def test_a_field_type_that_json_lacks_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd:
        where: bytes

    Odd.__annotations__["where"] = bytes
    with pytest.raises(TypeError, match="bytes"):
        schema_of(Odd)


def test_nothing_but_numbers_gets_into_the_document(sample: Results) -> None:
    bad = replace(sample, obligations=(replace(sample.obligations[0], seconds=float("nan")),))
    with pytest.raises(ValueError, match="JSON"):
        to_text(bad.to_json())


def test_patch_is_split_into_message_files_and_kinds(sample: Results) -> None:
    assert sample.patch is not None
    diff = parse_patch(sample.patch.text)
    assert "Says what the sample does." in diff.message
    assert [file.path for file in diff.files] == ["core/mm/sample.c"]
    kinds = [line.kind for line in diff.files[0].lines]
    assert kinds == ["hunk", "add", "add", "add", "add", "hunk", "del"]
    added = "".join(token.text for token in diff.files[0].lines[2].tokens)
    assert added == "\tif (memcmp(uuid, &sample_uuid, sizeof(*uuid)) == 0)"
    assert ("if", "kw") in [(t.text, t.kind) for t in diff.files[0].lines[2].tokens]


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "new" / "results.json"
    write_json(target, {"a": 1})
    write_json(target, {"a": 2})
    assert json.loads(target.read_text(encoding="utf-8")) == {"a": 2}
    assert [file.name for file in target.parent.iterdir()] == ["results.json"]


def test_unwritable_output_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(TesseraError) as caught:
        write_text(tmp_path / "out" / "report.html", "x")
    assert "cannot write" in caught.value.render()
    assert "-o" in caught.value.remedy
    assert (tmp_path / "out").read_text(encoding="utf-8").startswith("a file")


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write_text(tmp_path / "report.html", "old")

    def broken(*_args: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(TesseraError, match="No space left"):
        write_text(target, "new")
    assert target.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_exit_code_tells_unmet_from_undecided_from_skipped(sample: Results) -> None:
    first, *rest = sample.obligations
    violated = replace(first, verdict="VIOLATED", met=False)
    unknown = replace(first, verdict="UNKNOWN", met=False)
    scenario = replace(sample.scenarios[0], met=False)

    def code(*obligations: Obligation, scenarios: tuple[Scenario, ...] = ()) -> int:
        return replace(sample, obligations=obligations, scenarios=scenarios).exit_code

    assert code(*sample.obligations, scenarios=sample.scenarios) == 0
    assert code(violated, *rest) == 1
    assert code(unknown, *rest) == 3
    assert code(unknown, violated, *rest) == 1
    assert code(*rest, scenarios=(scenario,)) == 1
    assert code(*rest, scenarios=(replace(scenario, skipped="no QEMU"),)) == 0
