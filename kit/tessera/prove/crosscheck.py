"""A second opinion: the same query, put to cvc5 as SMT-LIB text.

Goal: a proof that rests on one solver's word is asked of another one. The query is the grounded one
(no quantifiers, bit-vectors with uninterpreted functions and enumerations), without the case splits
that help Z3, so that the two solvers share the formula and nothing else.
Non-goals: a second opinion on bounded searches (their runs are replayed by the simulator) and on the
encoding itself (the simulator and the tests of `model` against `prove` look at that).
"""

from __future__ import annotations

import time
from typing import Any

import z3

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.prove.decide import Query
from tessera.prove.ground import ground
from tessera.prove.induct import Induction
from tessera.prove.solver import Answer, script

LIMIT = 2_000_000
"""Resource units of cvc5 per query: the hardest shipped one takes about a twentieth."""


def available() -> bool:
    """Whether cvc5's Python package is installed."""
    try:
        import cvc5  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def second_opinion(query: Query, limit: int = LIMIT, seed: int = 0) -> Answer:
    """What cvc5 says of a query: unsat when every way to fail is; `reason` for unknown.

    Raises TesseraError when cvc5 is not installed.
    """
    began = time.perf_counter()
    assumed, ways = ground(query.assumed, query.ways)
    spent, status, reason = 0, "unsat", ""
    for way in ways:
        answer = ask_cvc5(as_text([*assumed, *way]), limit, seed)
        spent += answer.resource
        if answer.status != "unsat":
            status, reason = answer.status, answer.reason
            if status == "sat":
                break
    return Answer(status, time.perf_counter() - began, spent, reason)


def as_text(formulas: list[Any]) -> str:
    """SMT-LIB 2.6 that other solvers read; simplified, because Z3 prints an empty `and` bare."""
    return script(z3.simplify(formula) for formula in formulas)


def ask_cvc5(text: str, limit: int = LIMIT, seed: int = 0) -> Answer:
    """Decide SMT-LIB text (declarations and assertions) with cvc5."""
    try:
        import cvc5  # noqa: PLC0415
    except ImportError as error:
        raise TesseraError(
            "the cross-check needs cvc5, which is not installed",
            remedy="pip install 'tessera[cross-check]'",
        ) from error
    began = time.perf_counter()
    solver = cvc5.Solver(cvc5.TermManager())
    solver.setOption("rlimit", str(limit))
    solver.setOption("seed", str(seed))
    solver.setLogic("ALL")
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "query")
    symbols = parser.getSymbolManager()
    while not (command := parser.nextCommand()).isNull():
        command.invoke(solver, symbols)
    result = solver.checkSat()
    status = "unsat" if result.isUnsat() else "sat" if result.isSat() else "unknown"
    reason = str(result.getUnknownExplanation()) if status == "unknown" else ""
    return Answer(status, time.perf_counter() - began, _spent(solver), reason)


def _spent(solver: Any) -> int:
    statistics = solver.getStatistics()
    return int(statistics["resource::resourceUnitsUsed"]["value"])


def proof_query(
    spec: t.Spec, kind: str, prop: t.Property, action: str, hypotheses: tuple[str, ...]
) -> Query:
    """The query of one proof: `kind` is init, step or here (see `tessera.prove.tasks`)."""
    induction = Induction(spec)
    assumed = [p for p in spec.properties if p.name in hypotheses]
    if kind == "init":
        return induction.base(prop)
    if kind == "step":
        return induction.step(spec.action(action), prop, assumed)
    return induction.here(prop, assumed)
