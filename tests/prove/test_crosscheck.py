"""The second solver: it agrees where it should, a disagreement is an error, absence is told."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import pytest
import z3

from tessera.errors import TesseraError
from tessera.lang import Spec
from tessera.prove import check, crosscheck
from tessera.prove.check import proof_tasks
from tessera.prove.crosscheck import as_text, ask_cvc5, second_opinion
from tessera.prove.decide import Query
from tessera.prove.solver import Answer

TEXT = """
spec pool
sort block
class low
class high > low
var live(b: block): bool
var start(b: block): u16
var fin(b: block): u16
var rank(b: block): class
init { for b: block { live(b) := false } }
action alloc(k: class, n: u16) {
  least o: u16 where o < o + n and (forall b in live: fin(b) <= o or o + n <= start(b))
  fresh e: block where not live(e)
  live(e) := true  start(e) := o  fin(e) := o + n  rank(e) := k
}
action free(e: block) { require live(e)  live(e) := false }
invariant disjoint: forall a, b in live where a != b: fin(a) <= start(b) or fin(b) <= start(a)
invariant ordered: forall a in live: start(a) < fin(a)
lemma halves: forall n: u16: n / 2 + n / 2 <= n
"""


def test_it_agrees_with_every_proof(spec_of: Callable[[str], Spec]) -> None:
    spec = spec_of(TEXT)
    found = check(spec, jobs=1, cross_check=True)
    tasks = [
        task for p in spec.properties for task in proof_tasks(spec, p, ("disjoint", "ordered"))
    ]
    middle = {"init": "init", "here": ""}
    parts = [("pool", middle.get(t.kind, t.action), t.prop) for t in tasks]
    proofs = {"/".join(x for x in names if x) for names in parts}
    agreed = {o.id for o in found if "cvc5 agrees" in o.detail}
    assert agreed == proofs
    assert all(o.met for o in found)
    plain = check(spec, jobs=1)
    assert [(o.id, o.verdict) for o in plain] == [(o.id, o.verdict) for o in found]


def test_a_disagreement_is_an_error(
    spec_of: Callable[[str], Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crosscheck, "ask_cvc5", lambda *_: Answer("sat", 0.0, 7))
    found = {o.id: o for o in check(spec_of(TEXT), jobs=1, cross_check=True)}
    wrong = found["pool/alloc/disjoint"]
    assert (wrong.verdict, wrong.met) == ("ERROR", False)
    assert "disagree" in wrong.detail
    assert found["pool/alloc/reachable"].verdict == "PROVED", "no proof, not asked again"


def test_undecided_is_said_and_changes_nothing(
    spec_of: Callable[[str], Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crosscheck, "ask_cvc5", lambda *_: Answer("unknown", 0.0, 7, "RESOURCEOUT"))
    found = {o.id: o for o in check(spec_of(TEXT), jobs=1, cross_check=True)}
    said = found["pool/free/disjoint"]
    assert (said.verdict, said.met) == ("PROVED", True)
    assert "cvc5 is undecided (RESOURCEOUT)" in said.detail


def test_what_grounding_loses_is_asked_whole() -> None:
    """No instance of the universal is at hand, so the weakened query alone would be satisfiable."""
    x = z3.BitVec("x", 8)
    never = z3.ForAll([x], z3.And(x == 1, z3.BoolVal(True)))
    assert second_opinion(Query((never,), (z3.BoolVal(True),), (), ())).status == "unsat"
    open_ = z3.ForAll([x], z3.Or(x == 1, x != 1))
    assert second_opinion(Query((open_,), (z3.BoolVal(True),), (), ())).status == "sat"


def test_the_resource_limit_is_kept() -> None:
    a, b = z3.BitVecs("a b", 64)
    hard = [a * b == z3.BitVecVal(0xFFFFFFFFFFFFFFC5 * 3 % 2**64, 64), z3.UGT(a, 1), z3.UGT(b, 1)]
    hard += [z3.ULT(a, 1 << 32), z3.ULT(b, 1 << 32)]
    answer = ask_cvc5(as_text(hard), limit=500)
    assert answer.status == "unknown"
    assert answer.reason


def test_what_cvc5_cannot_read_is_undecided() -> None:
    a, b = z3.BitVecs("a b", 8)
    answer = ask_cvc5(as_text([z3.Not(z3.BVMulNoOverflow(a, b, False))]))
    assert answer.status == "unknown"
    assert "cannot read" in answer.reason


def test_without_cvc5_it_says_how_to_get_it(
    spec_of: Callable[[str], Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def fake(name: str, *args: Any, **more: Any) -> Any:
        if name == "cvc5":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(TesseraError, match="not installed") as error:
        check(spec_of(TEXT), jobs=1, cross_check=True)
    assert "pip install" in error.value.remedy
