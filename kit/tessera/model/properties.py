"""The properties of a spec, judged in concrete states.

Goal: `Truth` per property; only an exact evaluation says HOLDS, a sampled one at most FAILS.
A property is judged anew only when something that it reads has changed.
Non-goals: proofs; lemmas over unbounded integers (nothing to run).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tessera.lang.typed import Apply, Expr, Property, Spec
from tessera.model.engine import Engine
from tessera.model.lower import children, implies
from tessera.model.machine import State
from tessera.model.scope import Code, Scope
from tessera.model.values import Undecided


class Truth(Enum):
    """What an evaluation can say about a formula."""

    HOLDS = "holds"
    FAILS = "fails"
    SAMPLED = "no failure in the points tried"


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that fails in a state or a step."""

    name: str
    kind: str
    doc: str
    text: str


@dataclass(frozen=True, slots=True)
class _Judge:
    property: Property
    code: Code
    scope: Scope
    reads: tuple[int, ...]


class Properties:
    """Compiles and judges; remembers which properties held for which contents."""

    def __init__(self, spec: Spec, engine: Engine) -> None:
        self._engine = engine
        self._judges = {
            p.name: self._judge(p)
            for p in spec.properties
            if p.kind != "assume" and not p.unbounded
        }
        self._held: dict[str, tuple[object, ...]] = {}
        self.sampled: set[str] = set()
        """Properties that were once judged by a sample only: no failure found proves nothing."""

    @property
    def names(self) -> tuple[str, ...]:
        """The properties that can be judged, covers included."""
        return tuple(self._judges)

    def covers(self) -> tuple[str, ...]:
        """The names of the covers."""
        return tuple(n for n, j in self._judges.items() if j.property.kind == "cover")

    def truth(self, name: str, state: State, before: State | None, last: str) -> Truth:
        """Whether a property holds here. Raises KeyError for an unknown one.

        A step property holds in the initial state and after an action it excepts.
        """
        judge = self._judges[name]
        is_step = judge.property.kind == "step"
        if is_step and (before is None or last in judge.property.excepted):
            return Truth.HOLDS
        try:
            return Truth.HOLDS if judge.code(judge.scope.frame(state, before)) else Truth.FAILS
        except Undecided:
            self.sampled.add(name)
            return Truth.SAMPLED

    def violations(self, state: State, before: State | None, last: str) -> tuple[Violation, ...]:
        """The properties (not covers) that fail."""
        out: list[Violation] = []
        for name, judge in self._judges.items():
            prop = judge.property
            if prop.kind == "cover":
                continue
            key = tuple(state[i] for i in judge.reads)
            if prop.kind != "step" and self._same(name, key):
                continue
            found = self.truth(name, state, before, last)
            if found is Truth.FAILS:
                out.append(Violation(name, prop.kind, prop.doc, prop.text))
            elif prop.kind != "step":
                self._held[name] = key
        return tuple(out)

    def _same(self, name: str, key: tuple[object, ...]) -> bool:
        """Whether the property was found not to fail for these very contents."""
        held = self._held.get(name)
        return held is not None and all(a is b for a, b in zip(held, key, strict=True))

    def _judge(self, prop: Property) -> _Judge:
        scope = Scope()
        formula = self._engine.lower(implies(prop.given, prop.formula))
        code = self._engine.evaluator.compile(formula, scope)
        layouts = self._engine.evaluator.layouts
        slots = sorted(layouts[v].slot for v in self._reads(formula, set()))
        return _Judge(prop, code, scope, tuple(slots))

    def _reads(self, expr: Expr, seen: set[str]) -> set[str]:
        """The state variables that a formula depends on, through functions."""
        found: set[str] = set()
        if isinstance(expr, Apply) and expr.kind == "var":
            found.add(expr.name)
        functions = self._engine.evaluator.lowering.functions
        if (
            isinstance(expr, Apply)
            and expr.kind in ("function", "policy")
            and expr.name not in seen
        ):
            seen.add(expr.name)
            found |= self._reads(functions[expr.name].body, seen)
        for child in children(expr):
            found |= self._reads(child, seen)
        return found
