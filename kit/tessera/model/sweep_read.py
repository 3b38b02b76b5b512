"""State variables and rigid functions at arguments that depend on a swept variable.

Goal: pieces of a map along a moving index, cut where the map changes.
Non-goals: other expressions (see `sweep`).
"""

from __future__ import annotations

from typing import Any

from tessera.lang.typed import Apply
from tessera.model.evaluate import Evaluator
from tessera.model.intervals import IntervalMap
from tessera.model.ramp import Piece, Ramp, quotient_cuts
from tessera.model.scope import Frame
from tessera.model.sweep_logic import PieceCode, RefineCode
from tessera.model.tables import runs_of
from tessera.model.values import first_value, is_integer


def compile_read(evaluator: Evaluator, expr: Apply, args: RefineCode) -> PieceCode:
    """The pieces of a "var" or a "const" with arguments; `args` gives the forms of those."""
    if expr.kind == "var":
        return _Variable(evaluator, expr, args).run
    return _Table(evaluator, expr, args).run


class _Variable:
    """A state variable."""

    def __init__(self, evaluator: Evaluator, expr: Apply, args: RefineCode) -> None:
        self.layout = evaluator.layouts[expr.name]
        self.args = args

    def run(self, f: Frame, lo: int, hi: int) -> list[Piece]:
        layout, out = self.layout, []
        content = f[0][layout.slot]
        for a, b, forms in self.args(f, lo, hi):
            if layout.integer is None or type(forms[layout.integer]) is not Ramp:
                out.append((a, b, layout.read(content, forms)))
                continue
            key, _ = layout.split(forms)
            whole = content[key] if layout.keys else content
            out += _along(whole, forms[layout.integer], a, b)
        return out


class _Table:
    """A rigid function."""

    def __init__(self, evaluator: Evaluator, expr: Apply, args: RefineCode) -> None:
        spec, world = evaluator.spec, evaluator.world
        params = spec.consts[expr.name].params
        self.place = next((i for i, p in enumerate(params) if is_integer(p.type)), None)
        self.table = world.tables.get(expr.name, {})
        self.first = first_value(expr.type, spec, world)
        self.runs: dict[tuple[Any, ...], IntervalMap] = {}
        if self.place is not None:
            self.runs = runs_of(spec, world, expr.name, self.place)
        self.args = args

    def run(self, f: Frame, lo: int, hi: int) -> list[Piece]:
        place, out = self.place, []
        for a, b, forms in self.args(f, lo, hi):
            if place is None or type(forms[place]) is not Ramp:
                out.append((a, b, self.table.get(forms, self.first)))
                continue
            whole = self.runs.get(forms[:place] + forms[place + 1 :])
            if whole is None:
                out.append((a, b, self.first))
            else:
                out += _along(whole, forms[place], a, b)
        return out


def _along(whole: IntervalMap, index: Ramp, lo: int, hi: int) -> list[Piece]:
    """The runs of a map as a swept index passes over them."""
    ends = (index.at(lo), index.at(hi - 1))
    runs = list(whole.runs(min(ends), max(ends) + 1))
    cuts = quotient_cuts(index, [start for start, _, _ in runs], lo, hi)
    return [(a, b, runs[i][2]) for a, b, i in cuts]
