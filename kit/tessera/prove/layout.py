"""The obligations of a layout: properties of its places, and that no larger ones exist.

Goal: `lay_out(layout)` gives an obligation per property of a platform, each asked of an ordinary
solver and judged a second time with plain integers; for an open platform also the places chosen,
and the proof that the maximised region cannot be larger.
Non-goals: printing, and configuration files (see `tessera.cli.layout`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import z3

from tessera.errors import Span, TesseraError
from tessera.lang.diagnostics import nearest
from tessera.lang.typed_layout import Layout, Place, Places
from tessera.model.layout import breaks, extent, value
from tessera.prove.layout_solve import Choice, choose, pinned
from tessera.prove.layout_terms import Constraint, LayoutTerms
from tessera.prove.solver import DEFAULT_LIMIT, Answer, fresh_context, solve
from tessera.results import Obligation, Step, Trace

_MOST_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What came out: the places (None when there are none) and the obligations."""

    places: dict[str, Place] | None
    obligations: tuple[Obligation, ...]
    conflict: tuple[tuple[Span | None, str], ...] = ()
    smallest: bool = True  # no fewer constraints are in conflict


def lay_out(
    layout: Layout,
    *,
    maximise: str | None = None,
    fixed: Mapping[str, int] | None = None,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
) -> Arrangement:
    """Choose the places that are open and prove what holds of them.

    `fixed` gives values to open bases and sizes, e.g. `{"carveout.size": 1 << 25}`. Raises
    `TesseraError` when `maximise` or `fixed` names what is not open.
    """
    _check_request(layout, maximise, fixed or {})
    if not layout.open_areas:
        return Arrangement(layout.places, judge(layout, layout.places, limit=limit, seed=seed))
    fresh_context()
    terms = LayoutTerms(layout)
    wanted = [c for c in terms.constraints() if c.needed and layout.expected(c.prop) == "proved"]
    wanted += pinned(terms, layout, dict(fixed or {}))
    choice = choose(terms, wanted, maximise, limit, seed)
    if choice.places is None:
        conflict = tuple((c.span, c.words) for c in choice.conflict)
        refuted = (_not_satisfied(layout, choice),)
        return Arrangement(None, refuted, conflict, choice.smallest)
    obligations = [_satisfied(layout, choice, choice.places)]
    if maximise is not None:
        size = choice.places[maximise][1]
        larger = z3.UGT(terms.size[maximise], terms.number(size))
        answer = solve([*(c.term for c in wanted), larger], limit, seed)
        obligations.append(_maximal(layout, maximise, size, answer))
    obligations += judge(layout, choice.places, limit=limit, seed=seed)
    return Arrangement(choice.places, tuple(obligations))


def _check_request(layout: Layout, maximise: str | None, fixed: Mapping[str, int]) -> None:
    names = [a.name for a in layout.areas]
    for key, number in fixed.items():
        region, _, part = key.partition(".")
        area = layout.area(region)
        if area is None or part not in ("base", "size"):
            raise TesseraError(
                f"--fix {key}: no such base or size",
                where=layout.file or layout.name,
                remedy=nearest(region, names) or "write REGION.size=64MiB or REGION.base=0x...",
            )
        if not 0 <= number < 1 << layout.paddr:
            raise TesseraError(
                f"--fix {key}: {number:#x} does not fit in {layout.paddr} bits",
                where=layout.file or layout.name,
                remedy="give a smaller number",
            )
    unknown = maximise is not None and maximise not in names
    if unknown:
        raise TesseraError(
            f"there is no region '{maximise}' to maximise",
            where=layout.file or layout.name,
            remedy=nearest(str(maximise), names) or f"the regions are {', '.join(names)}",
        )
    if (maximise is not None or fixed) and not layout.open_areas:
        raise TesseraError(
            f"platform '{layout.name}' is fixed: no base or size is open",
            where=layout.file or layout.name,
            remedy="open some, e.g. region pool in tzdram somewhere for 8 MiB .. 64 MiB",
        )


def judge(
    layout: Layout, places: Places, *, limit: int = DEFAULT_LIMIT, seed: int = 0
) -> tuple[Obligation, ...]:
    """One obligation per property that applies, at given places."""
    fresh_context()
    terms = LayoutTerms(layout)
    here = terms.at(places)
    by_prop: dict[str, list[Constraint]] = {}
    for constraint in terms.constraints():
        by_prop.setdefault(constraint.prop, []).append(constraint)
    out = []
    for prop, doc in layout.properties().items():
        parts = by_prop.get(prop, [])
        if parts:
            wrong = z3.Not(z3.And(*(c.term for c in parts)))
            answer = solve([*here, wrong], limit, seed)
            out.append(_judged(layout, places, prop, doc, answer, parts))
        elif prop == "worlds" and not any(a.world == "secure" for a in layout.areas):
            why = "no region is secure"
            out.append(_obligation(layout, prop, doc, "VACUOUS", detail=why))
    return tuple(out)


def _judged(
    layout: Layout,
    places: Places,
    prop: str,
    doc: str,
    answer: Answer,
    parts: Sequence[Constraint],
) -> Obligation:
    """The verdict, if plain integers agree with it."""
    verdict = {"unsat": "PROVED", "sat": "VIOLATED"}.get(answer.status, "UNKNOWN")
    found = breaks(layout, places, prop)
    detail = _few(found) if verdict == "VIOLATED" else answer.reason
    if verdict != "UNKNOWN" and bool(found) != (verdict == "VIOLATED"):
        verdict, detail = "ERROR", f"solver and integers disagree: {answer.status}, {_few(found)}"
    return _obligation(
        layout,
        prop,
        doc,
        verdict,
        answer=answer,
        detail=detail,
        span=parts[0].span if len(parts) == 1 else layout.span,
        formula="; ".join(c.words for c in parts[:_MOST_SHOWN])
        + (f"; and {len(parts) - _MOST_SHOWN} more" if len(parts) > _MOST_SHOWN else ""),
        trace=_settings(layout, places) if prop == "configuration" and not found else None,
    )


def _few(found: Sequence[str]) -> str:
    more = f", and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return "; ".join(found[:_MOST_SHOWN]) + more


def settings(layout: Layout, places: Places) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    """Kind, name and values of every configuration value at these places."""
    return tuple(
        (s.kind, s.key, tuple(value(expr, places) for expr in s.values)) for s in layout.settings
    )


def _settings(layout: Layout, places: Places) -> Trace:
    """The configuration as a witness, so that every report format carries it."""
    constants = {
        f"{kind} {key}": ", ".join(f"{v:#x}" for v in values)
        for kind, key, values in settings(layout, places)
    }
    return Trace(constants, (Step("layout", tuple(extent(places, name) for name in places)),))


def _satisfied(layout: Layout, choice: Choice, places: Places) -> Obligation:
    constants: dict[str, str] = {}
    for area in layout.open_areas:
        base, size = places[area.name]
        constants |= {f"{area.name}.base": f"{base:#x}", f"{area.name}.size": f"{size:#x}"}
    steps = (Step("layout", tuple(extent(places, name) for name in places)),)
    return _obligation(
        layout,
        "satisfiable",
        "places can be chosen so that everything asked for holds",
        "PROVED",
        answer=Answer("sat", choice.seconds, choice.resource),
        trace=Trace(constants, steps),
    )


def _not_satisfied(layout: Layout, choice: Choice) -> Obligation:
    shown = "; ".join(f"{c.words} ({c.span})" if c.span else c.words for c in choice.conflict)
    return _obligation(
        layout,
        "satisfiable",
        "places can be chosen so that everything asked for holds",
        "VIOLATED" if choice.conflict else "UNKNOWN",
        answer=Answer("", choice.seconds, choice.resource),
        detail=f"these cannot hold together: {shown}" if choice.conflict else choice.reason,
        hint="widen a range, drop a require, or move a fixed region" if choice.conflict else "",
    )


def _maximal(layout: Layout, region: str, size: int, answer: Answer) -> Obligation:
    verdict = {"unsat": "PROVED", "sat": "ERROR"}.get(answer.status, "UNKNOWN")
    return _obligation(
        layout,
        "maximal",
        f"no layout that keeps the constraints has '{region}' larger than {size:#x} bytes",
        verdict,
        answer=answer,
        detail="a larger one exists" if verdict == "ERROR" else answer.reason,
        formula=f"{region}.size <= {size:#x}",
    )


def _obligation(
    layout: Layout,
    prop: str,
    doc: str,
    verdict: str,
    *,
    answer: Answer | None = None,
    detail: str = "",
    span: Span | None = None,
    formula: str = "",
    trace: Trace | None = None,
    hint: str = "",
) -> Obligation:
    expect = layout.expected(prop)
    met = verdict == {"proved": "PROVED", "violated": "VIOLATED"}[expect]
    return Obligation(
        id=f"{layout.name}/layout/{prop}",
        property=prop,
        doc=doc,
        verdict=verdict,
        expect=expect,
        met=met,
        seconds=round(answer.seconds, 3) if answer else 0.0,
        resource=answer.resource if answer else 0,
        detail=detail,
        span=str(span or layout.span),
        formula=formula,
        trace=trace,
        hint=hint,
    )
