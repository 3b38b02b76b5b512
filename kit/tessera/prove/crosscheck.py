"""A second opinion: the same query, put to cvc5 as SMT-LIB text.

Goal: a proof that rests on one solver's word is asked of another one. The query is the grounded one
(no quantifiers, bit-vectors with uninterpreted functions and enumerations), without the case splits
that help Z3, so that the two solvers share the formula and nothing else.
Non-goals: a second opinion on bounded searches (their runs are replayed by the simulator) and on
the encoding itself (the simulator and the tests of `model` against `prove` look at that).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import z3

from tessera.errors import TesseraError
from tessera.prove.decide import Query
from tessera.prove.ground import ground
from tessera.prove.solver import Answer, script
from tessera.results import Obligation

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

    Grounding weakens: where it leaves a way open, the query is asked again with its quantifiers.
    Raises TesseraError when cvc5 is not installed.
    """
    began = time.perf_counter()
    assumed, ways = ground(query.assumed, query.ways)
    answers = [ask_cvc5(as_text([*assumed, *way]), limit, seed) for way in ways]
    if any(answer.status != "unsat" for answer in answers):
        whole = ask_cvc5(as_text([*query.assumed, z3.Or(query.ways)]), limit, seed)
        answers = [*(replace(a, status="unsat") for a in answers), whole]
    status = answers[-1].status if answers else "unsat"
    spent = sum(answer.resource for answer in answers)
    reason = answers[-1].reason if answers else ""
    return Answer(status, time.perf_counter() - began, spent, reason)


def as_text(formulas: list[Any]) -> str:
    """SMT-LIB 2.6 that other solvers read; simplified, because Z3 prints an empty `and` bare."""
    return script(z3.simplify(formula) for formula in formulas)


def ask_cvc5(text: str, limit: int = LIMIT, seed: int = 0) -> Answer:
    """Decide SMT-LIB text (declarations and assertions) with cvc5."""
    require_cvc5()
    import cvc5  # noqa: PLC0415 - optional

    began = time.perf_counter()
    solver = cvc5.Solver(cvc5.TermManager())
    solver.setOption("rlimit", str(limit))
    solver.setOption("seed", str(seed))
    solver.setLogic("ALL")
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "query")
    symbols = parser.getSymbolManager()
    try:
        while not (command := parser.nextCommand()).isNull():
            command.invoke(solver, symbols)
    except RuntimeError as error:  # an operator of Z3's own that is not in the standard
        return Answer("unknown", time.perf_counter() - began, 0, f"it cannot read this: {error}")
    result = solver.checkSat()
    status = "unsat" if result.isUnsat() else "sat" if result.isSat() else "unknown"
    reason = str(result.getUnknownExplanation()) if status == "unknown" else ""
    return Answer(status, time.perf_counter() - began, _spent(solver), reason)


def _spent(solver: Any) -> int:
    statistics = solver.getStatistics()
    return int(statistics["resource::resourceUnitsUsed"]["value"])


def require_cvc5() -> None:
    """Raises TesseraError when cvc5 is not installed."""
    if not available():
        raise TesseraError(
            "the cross-check needs cvc5, which is not installed",
            remedy="pip install 'tessera[cross-check]'",
        )


def with_opinion(obligation: Obligation, opinion: Answer) -> Obligation:
    """A proved obligation, with what cvc5 says of it; a disagreement is an ERROR."""
    if opinion.status == "sat":
        return replace(
            obligation,
            verdict="ERROR",
            met=False,
            detail="the solvers disagree: Z3 says that it is proved, cvc5 that it can fail",
            hint="one of the two solvers, or the text between them, is wrong: please report it",
        )
    said = "cvc5 agrees" if opinion.status == "unsat" else f"cvc5 is undecided ({opinion.reason})"
    detail = f"{obligation.detail}; {said}" if obligation.detail else said
    return replace(obligation, detail=detail)
