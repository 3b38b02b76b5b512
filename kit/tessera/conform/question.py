"""Questions that the tier `smt` asks, and what their answers become.

Goal: a question is two numbers over inputs in ranges, one read from C, one from the spec. It is
decided for all inputs by the proofs, and then again at chosen inputs by plain evaluation: a
difference must show there too, and equality must hold at the edges of every range.
Non-goals: which questions there are (see `smt_questions`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from tessera.conform.cplain import Plain, Undefined, wrapped
from tessera.conform.cread import NotModelled
from tessera.conform.ctypes_of import Int
from tessera.conform.result import Check
from tessera.lang import typed as t
from tessera.lang.types import CLASS
from tessera.model.evaluate import Evaluator
from tessera.model.scope import Scope
from tessera.model.script import World
from tessera.prove import cworld

Side = Any
"""`cworld.SymbolicWorld` or `PlainWorld`: they have the same methods."""

POINTS = 48
_SEED = 1
_ANSWERED: dict[str, cworld.Decided] = {}
"""By formula, for this process: what a mutant of a patch leaves alone is not solved again."""
_EDGES: dict[int, int] = {}
"""The points at which an answer of `_ANSWERED`, which are never dropped, was looked at again."""


@dataclass(frozen=True, slots=True)
class Question:
    """`pair` gives (C's number, the spec's number) wherever `assume` holds.

    `about` says which case it is; `words` what the number is, for a difference. Where all of
    `easier` are equal, which together say more, the question need not be asked itself.
    """

    about: str
    words: str
    inputs: Mapping[str, tuple[int, int]]
    assume: Callable[[Side], Any]
    pair: Callable[[Side], tuple[Any, Any]]
    easier: tuple[Question, ...] = ()


class SpecValues:
    """The spec's functions by the evaluator of the simulator; remembers what it was asked."""

    def __init__(self, spec: t.Spec, numbers: Mapping[str, int]) -> None:
        self.spec = spec
        self.numbers = numbers
        self._known: dict[tuple[str, str, int], int] = {}

    def value(self, function: str, class_: str, pages: int) -> int:
        """The value for a class and a pool size; a class as its number."""
        key = function, class_, pages
        if key not in self._known:
            made = self.spec.functions[function]
            found = self._found(function, pages, t.EnumLit(class_, CLASS, made.span))
            self._known[key] = self.numbers[found] if isinstance(found, str) else int(found)
        return self._known[key]

    def constant(self, function: str) -> str:
        """The member that a constant of an enumeration names."""
        return str(self._found(function, 1))

    def _found(self, function: str, pages: int, *args: t.Expr) -> Any:
        params = {name: param.value for name, param in self.spec.params.items()}
        world = World({**params, cworld.POOL_PAGES: pages}, {})
        made, scope = self.spec.functions[function], Scope()
        call = t.Apply("policy", function, args, made.type, made.span)
        return Evaluator(self.spec, world).compile(call, scope)(scope.frame(None))


class PlainWorld:
    """One input: the methods of `cworld.SymbolicWorld` on plain numbers."""

    def __init__(self, values: SpecValues, inputs: Mapping[str, int]) -> None:
        self.do = Plain()
        self.values = values
        self.inputs = inputs

    def number(self, name: str) -> int:
        """An input."""
        return self.inputs[name]

    def typed(self, number: int, type_: Int) -> int:
        """A number as a C value, modulo the type's width."""
        return wrapped(number, type_)

    def wide(self, value: int, _type: Int) -> int:
        """A C value as a number."""
        return int(value)

    def literal(self, value: int) -> int:
        """A number."""
        return value

    def spec(self, function: str, class_: str, pages: str) -> int:
        """What the spec's function gives."""
        return self.values.value(function, class_, self.inputs[pages])

    def both(self, *tests: bool) -> bool:
        """All of them hold."""
        return all(tests)

    def either(self, *tests: bool) -> bool:
        """One of them holds."""
        return any(tests)

    def no(self, test: bool) -> bool:
        """It does not hold."""
        return not test

    def pick(self, test: bool, then: int, other: int) -> int:
        """One of two numbers."""
        return then if test else other


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks questions about one spec; `limit` in Z3's resource units, 0 for the default."""

    values: SpecValues
    limit: int
    known: dict[str, cworld.Decided] = field(default_factory=lambda: _ANSWERED)

    def check(self, name: str, questions: Sequence[Question], detail: str, where: str) -> Check:
        """One check from all its questions; the first that is not answered well decides it."""
        began = time.perf_counter()
        counts = {"questions": 0, "obligations": 0, "points": 0, "solver units": 0}
        for question in questions:
            try:
                verdict, told, trace = self._ask(question, counts)
            except NotModelled as reason:
                verdict, told, trace = "UNKNOWN", f"{reason}; {_ELSEWHERE}", ()
            if verdict != "AGREES":
                seconds = time.perf_counter() - began
                told = f"{question.about}: {told}"
                return Check("smt", f"smt/{name}", verdict, told, counts, seconds, where, trace)
        seconds = time.perf_counter() - began
        return Check("smt", f"smt/{name}", "AGREES", detail, counts, seconds)

    def _ask(self, question: Question, counts: dict[str, int]) -> tuple[str, str, tuple[str, ...]]:
        if question.easier and self._settled(question.easier, counts):
            return "AGREES", "", ()
        spec, numbers = self.values.spec, self.values.numbers
        world = partial(cworld.SymbolicWorld, spec, question.inputs, numbers)
        answer = cworld.decide(world, question.assume, question.pair, self.known, self.limit)
        counts["questions"] += 1
        counts["obligations"] += answer.obligations
        counts["solver units"] += answer.units
        match answer.status:
            case "differs":
                return self._difference(question, answer.inputs)
            case "equal":
                return self._edges(question, answer, counts)
            case "vacuous":
                return "UNKNOWN", "no input is in range, so nothing was compared", ()
            case _:
                return "UNKNOWN", f"the solver gave up ({answer.reason})", ()

    def _settled(self, easier: Sequence[Question], counts: dict[str, int]) -> bool:
        return all(self._ask(question, counts)[0] == "AGREES" for question in easier)

    def _difference(
        self, question: Question, inputs: dict[str, int]
    ) -> tuple[str, str, tuple[str, ...]]:
        """What the solver found, seen again by plain evaluation."""
        told = self._at(question, inputs)
        if told is None:
            return "UNKNOWN", f"the solver's difference is none when evaluated: {inputs}", ()
        trace = tuple(f"{name} = {value}" for name, value in inputs.items())
        return "DIFFERS", told, (*trace, told)

    def _at(self, question: Question, inputs: Mapping[str, int]) -> str | None:
        """The difference at one input, None when there is none there."""
        world = PlainWorld(self.values, inputs)
        if not question.assume(world):
            return None
        try:
            ours, wanted = question.pair(world)
        except Undefined as reason:
            return f"{question.words}: undefined in C, {reason}"
        if ours == wanted:
            return None
        return f"{question.words}: {_said(ours)} in C, {_said(wanted)} in the spec"

    def _edges(
        self, question: Question, answer: cworld.Decided, counts: dict[str, int]
    ) -> tuple[str, str, tuple[str, ...]]:
        """Plain evaluation at the edges of the ranges, so that no encoding is alone."""
        if id(answer) not in _EDGES:
            rng, looked_at = Random(_SEED), 0
            for _ in range(POINTS):
                inputs = {n: _draw(rng, low, high) for n, (low, high) in question.inputs.items()}
                if not question.assume(PlainWorld(self.values, inputs)):
                    continue
                looked_at += 1
                told = self._at(question, inputs)
                if told is not None:
                    return "UNKNOWN", f"equal for the solver, but not evaluated: {told}", ()
            _EDGES[id(answer)] = looked_at
        counts["points"] += _EDGES[id(answer)]
        return "AGREES", "", ()


_ELSEWHERE = "another tier has to tell"


def _draw(rng: Random, low: int, high: int) -> int:
    """A number of a range, mostly near an edge of it or near a power of two."""
    power = 1 << rng.randrange(max(high.bit_length(), 1))
    near = rng.choice((low, high, 0, power, rng.randint(low, high))) + rng.choice((-1, 0, 0, 1))
    return min(max(near, low), high)


def _said(value: Any) -> str:
    return str(value)
