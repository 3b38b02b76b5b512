"""JUnit XML, which every CI service reads.

Goal: one test case per obligation and per scenario, one suite per spec; what is not as expected is
a failure with its trace in words, what stayed open or broke is an error.
Non-goals: deciding what is as expected (`met` says so).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from tessera.report.prose import trace_lines
from tessera.results import Obligation, Results, Scenario

# Neither broken nor sound: the tool, not the spec, has to be looked at.
_ERRORS = ("ERROR", "UNKNOWN")
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(documents: Sequence[Results]) -> str:
    """The XML text of some results; equal results give equal bytes."""
    root = ET.Element("testsuites", name="tessera")
    for results in documents:
        root.append(_suite(results))
    suites = list(root)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.set("time", _seconds(sum(float(suite.get("time", "0")) for suite in suites)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _suite(results: Results) -> ET.Element:
    suite = ET.Element("testsuite", name=results.spec)
    properties = ET.SubElement(suite, "properties")
    facts = {"spec.file": results.file, "spec.digest": results.digest, **results.versions}
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    for obligation in results.obligations:
        suite.append(_obligation(results, obligation))
    for scenario in results.scenarios:
        suite.append(_scenario(results, scenario))
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", _seconds(sum(o.seconds for o in results.obligations)))
    return suite


def _obligation(results: Results, obligation: Obligation) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=f"{results.spec}.{_clean(obligation.property)}",
        name=_clean(obligation.id),
        time=_seconds(obligation.seconds),
    )
    if not obligation.met:
        kind = "error" if obligation.verdict in _ERRORS else "failure"
        message = f"{obligation.verdict}, expected {obligation.expect}: {obligation.detail}"
        problem = ET.SubElement(case, kind, type=obligation.verdict, message=_clean(message))
        problem.text = _clean("\n".join(_lines(obligation)))
    return case


def _lines(obligation: Obligation) -> list[str]:
    out = [obligation.doc, f"at {obligation.span}" if obligation.span else ""]
    out += [obligation.formula, f"hint: {obligation.hint}" if obligation.hint else ""]
    if obligation.trace is not None:
        out += trace_lines(obligation.trace)
    return [line for line in out if line]


def _scenario(results: Results, scenario: Scenario) -> ET.Element:
    case = ET.Element("testcase", classname=f"{results.spec}.guest", name=_clean(scenario.name))
    if scenario.skipped:
        ET.SubElement(case, "skipped", message=_clean(scenario.skipped))
    elif not scenario.met:
        sides = {"unpatched": scenario.unpatched, "patched": scenario.patched}
        text = "\n".join(f"{name}: {side.detail}" for name, side in sides.items() if side)
        problem = ET.SubElement(case, "failure", type="scenario", message=_clean(scenario.doc))
        problem.text = _clean("\n".join([text, *scenario.differs]))
    return case


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("?", text)
