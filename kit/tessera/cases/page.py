"""Cases written up: a page each, with pictures of the traces, and a table of all.

Goal: text from a case's facts, its specs and the results of its check; equal findings give equal
bytes, so that a test can tell whether committed pages are old. Times and resources are left out.
Non-goals: running the cases (see `tessera.cases.verdicts`) and the words of the facts.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import fill, wrap

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from rich.console import Console

from tessera import resources
from tessera.cases.verdicts import Finding, Side, steps_of
from tessera.report.picture import WIDTH, Picture, trace_pictures
from tessera.report.strip import groups_of
from tessera.report.terminal import print_obligation
from tessera.results import Obligation, Step, Trace

INDEX = "README.md"
BEGIN, END = "<!-- cases: begin -->", "<!-- cases: end -->"

_COMMIT = "https://github.com/OP-TEE/optee_os/commit/"
_COLUMNS = 100  # of a trace in text
_LETTERS = 140  # of a line of words in a picture
_HEAD, _LINE, _STRIP = 24, 17, 100  # pixels


@dataclass(frozen=True, slots=True)
class Proof:
    """A property of a mended side: how many questions it took, or how a cover was reached."""

    name: str
    doc: str
    says: str


@dataclass(frozen=True, slots=True)
class Shot:
    """One step of a trace with its place in the picture, in pixels from the top."""

    top: int
    title: str
    lines: tuple[str, ...]
    pictures: tuple[tuple[int, Picture], ...]


def files(findings: Iterable[Finding]) -> dict[str, str]:
    """Every page and picture by its file name."""
    out: dict[str, str] = {}
    for finding in findings:
        out[f"{finding.case.id}.md"] = page(finding)
        for side in finding.sides:
            for obligation in shown(side):
                out[picture_name(finding, side, obligation)] = picture(obligation)
    return out


def shown(side: Side) -> tuple[Obligation, ...]:
    """The violations whose traces a page shows; each property once."""
    return side.broken if side.has_defect else ()


def picture_name(finding: Finding, side: Side, obligation: Obligation) -> str:
    """The file name of a trace's picture."""
    return f"{finding.case.id}-{side.name}-{obligation.property}.svg"


def page(finding: Finding) -> str:
    """The page of a case, as Markdown."""
    return _environment().get_template("case.md.j2").render(finding=finding, case=finding.case)


def index(findings: Sequence[Finding], old: str) -> str:
    """The text of the index with a fresh table between its two markers; no markers, no change."""
    if BEGIN not in old or END not in old:
        return old
    table = _environment().get_template("index.md.j2").render(findings=findings)
    head, tail = old.split(BEGIN, 1)[0], old.split(END, 1)[1]
    return f"{head}{BEGIN}\n\n{table}\n{END}{tail}"


# --- words ----------------------------------------------------------------------------------------


def trace_text(obligation: Obligation) -> str:
    """What `tessera check` prints about a violation, with paths inside the kit."""
    out = io.StringIO()
    console = Console(file=out, width=_COLUMNS, highlight=False, color_system=None)
    print_obligation(_located(obligation), console)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _located(obligation: Obligation) -> Obligation:
    trace = obligation.trace
    if trace is not None:
        trace = replace(trace, conjunct_span=_inside(trace.conjunct_span))
    return replace(obligation, span=_inside(obligation.span), trace=trace)


def _inside(span: str) -> str:
    """`specs/cases/.../model.tess:3:1` wherever the command was run."""
    file, colon, rest = span.partition(":")
    place = Path(file).resolve()
    root = resources.root().resolve()
    return f"{place.relative_to(root)}{colon}{rest}" if place.is_relative_to(root) else span


def proofs(side: Side) -> tuple[Proof, ...]:
    """What was proved on a side, a row per property."""
    by_name: dict[str, list[Obligation]] = {}
    for obligation in side.results.obligations:
        by_name.setdefault(obligation.property, []).append(obligation)
    return tuple(Proof(name, same[0].doc, _says(same)) for name, same in by_name.items())


def _says(same: Sequence[Obligation]) -> str:
    first = same[0]
    if len(same) == 1 and first.trace is not None:
        return f"{first.verdict.lower()}: {first.detail}"
    return "; ".join(_counted(verdict, same) for verdict in dict.fromkeys(o.verdict for o in same))


def _counted(verdict: str, same: Sequence[Obligation]) -> str:
    """E.g. `proved, 4 obligations` or `vacuous, as expected`."""
    alike = [o for o in same if o.verdict == verdict]
    words = [verdict.lower()]
    if len(alike) > 1:
        words.append(f"{len(alike)} obligations")
    if verdict != "PROVED":
        words.append("as expected" if all(o.met for o in alike) else "not as expected")
    return ", ".join(words)


def breaks(side: Side) -> str:
    """What a run breaks and after how many steps, and what no run reaches."""
    broken = [f"`{o.property}` in {_count(steps_of(o), 'step')}" for o in side.broken]
    return ", ".join([*broken, *(f"`{o.property}` never reached" for o in side.unreached)])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _source(finding: Finding, name: str) -> str:
    return finding.case.spec(name).read_text(encoding="utf-8").strip()


def _linked(advisory: str) -> str:
    if advisory.startswith("CVE-"):
        return f"[{advisory}](https://nvd.nist.gov/vuln/detail/{advisory})"
    if advisory.startswith("GHSA-"):
        return f"[{advisory}](https://github.com/OP-TEE/optee_os/security/advisories/{advisory})"
    return advisory


# --- pictures -------------------------------------------------------------------------------------


def picture(obligation: Obligation) -> str:
    """A trace as one SVG image: every step with its words and strips, light and dark."""
    trace = obligation.trace
    assert trace is not None
    groups = groups_of(strip for step in trace.steps for strip in step.strips)
    shots, below = _shots(trace, groups)
    broken = _lines(trace.broken) + (
        _lines(f"this part fails: {trace.conjunct}") if trace.conjunct else ()
    )
    return (
        _environment()
        .get_template("trace.svg.j2")
        .render(
            obligation=obligation,
            shots=shots,
            groups=groups,
            kinds={box.kind for shot in shots for _, p in shot.pictures for box in p.boxes},
            broken=broken,
            constants=_lines(", ".join(f"{k} = {v}" for k, v in trace.constants.items())),
            below=below,
            height=below + len(broken) * _LINE + 44,
            width=WIDTH,
            line=_LINE,
        )
    )


def _shots(trace: Trace, groups: tuple[str, ...]) -> tuple[tuple[Shot, ...], int]:
    """The steps with their places, and where they end."""
    top = _HEAD + (_LINE if trace.constants else 0)
    shots: list[Shot] = []
    pairs = zip(trace.steps, trace_pictures(trace.steps, groups), strict=True)
    for number, (step, pictures) in enumerate(pairs):
        lines = _changes(step)
        strips = top + (1 + len(lines)) * _LINE
        places = tuple((strips + i * _STRIP, _legible(p)) for i, p in enumerate(pictures))
        shots.append(Shot(top, f"{number}. {step.action}", lines, places))
        top = strips + len(pictures) * _STRIP + 14
    return tuple(shots), top


def _legible(picture: Picture) -> Picture:
    """Without the labels of what lies under a live block's own: old content, a block just gone."""
    live = [box for box in picture.boxes if box.kind.startswith("run")]
    boxes = (
        replace(box, label="")
        if box.kind in ("residue", "ghost")
        and any(box.x < run.x + run.width and run.x < box.x + box.width for run in live)
        else box
        for box in picture.boxes
    )
    return replace(picture, boxes=tuple(boxes))


def _changes(step: Step) -> tuple[str, ...]:
    return _lines("; ".join(step.changes))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(wrap(text, _LETTERS))


def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("tessera.cases"), PackageLoader("tessera.report")]),
        autoescape=lambda name: name is not None and name.endswith(".svg.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "breaks": breaks,
        "commit": _COMMIT,
        "picture_name": picture_name,
        "proofs": proofs,
        "shown": shown,
        "source": _source,
        "trace_text": trace_text,
    }
    environment.filters["cell"] = lambda text: text.replace("|", "\\|")
    environment.filters["linked"] = _linked
    environment.filters["paragraph"] = lambda text: fill(text, _COLUMNS)
    return environment
