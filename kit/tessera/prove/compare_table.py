"""Properties side by side: what each of several specs was found to have.

Goal: a row per property with one verdict per spec, the worst of its obligations.
Non-goals: proofs (see `tessera.prove.check`) and drawing the table (see `tessera.cli.compare`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tessera.results import Obligation

# From what one hopes for to what stops everything.
_ORDER = ("PROVED", "BOUNDED", "UNKNOWN", "VACUOUS", "CTI", "VIOLATED", "ERROR")


@dataclass(frozen=True, slots=True)
class Cell:
    """A property of one spec: its verdict, and whether that is the expected one.

    `steps` is the length of the run that broke it, when there is one.
    """

    verdict: str
    met: bool
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One property in all specs that have it, by the spec's name."""

    property: str
    doc: str
    cells: Mapping[str, Cell]


def side_by_side(checked: Mapping[str, Sequence[Obligation]]) -> tuple[Row, ...]:
    """The rows, in the order in which the specs declare the properties, the first spec's first."""
    docs: dict[str, str] = {}
    found: dict[str, dict[str, Cell]] = {}
    for spec, obligations in checked.items():
        for obligation in obligations:
            docs.setdefault(obligation.property, obligation.doc)
            cells = found.setdefault(obligation.property, {})
            cells[spec] = _worse(cells.get(spec), obligation)
    return tuple(Row(name, docs[name], cells) for name, cells in found.items())


def _worse(known: Cell | None, obligation: Obligation) -> Cell:
    trace = obligation.trace
    broken = trace is not None and obligation.verdict == "VIOLATED"
    steps = len(trace.steps) - 1 if broken and trace is not None else None
    cell = Cell(obligation.verdict, obligation.met, steps)
    if known is None:
        return cell
    worst = max(known, cell, key=lambda c: _ORDER.index(c.verdict.partition("(")[0]))
    return Cell(worst.verdict, known.met and cell.met, worst.steps)
