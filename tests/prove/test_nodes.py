"""Terms read through Z3's C interface are the terms that z3py shows."""

from __future__ import annotations

import pytest
import z3

from tessera.prove.nodes import APP, QUANTIFIER, VARIABLE, Nodes, address, term_at
from tessera.prove.solver import contradicts_at_once, fresh_context
from tessera.prove.terms import Term


@pytest.fixture
def formulas() -> list[Term]:
    fresh_context()
    thing = z3.DeclareSort("thing")
    size = z3.Function("size", thing, z3.BitVecSort(32))
    near = z3.Function("near", thing, thing, z3.BoolSort())
    a, b = z3.Consts("a b", thing)
    n = z3.BitVec("n", 32)
    inner = z3.Exists([b], z3.And(near(a, b), size(b) == size(a) + n))
    return [
        z3.ForAll([a], z3.Implies(z3.ULT(size(a), 7), inner)),
        z3.Or(near(a, b), z3.Not(near(b, a)), size(a) != n, z3.If(n == 3, a, b) == b),
        z3.And(z3.BoolVal(True), z3.Int("i") > 5),
    ]


def _walk(nodes: Nodes, term: Term) -> int:
    """Both readings side by side; how many terms were compared."""
    node = nodes.node(address(term))
    if z3.is_quantifier(term):
        assert node.kind == QUANTIFIER
        assert node.number == term.num_vars()
        assert node.parts == (address(term.body()),)
        return 1 + _walk(nodes, term.body())
    if z3.is_var(term):
        assert node.kind == VARIABLE
        assert node.number == z3.get_var_index(term)
        return 1
    children = term.children()
    assert node.parts == tuple(address(child) for child in children)
    free = z3.is_app(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED
    assert node.function == (term.decl().as_ast().value if free else 0)
    if children:
        assert node.kind == APP
    assert nodes.sort(address(term)) == term.sort().as_ast().value
    thing = term.sort_kind() == z3.Z3_UNINTERPRETED_SORT
    assert nodes.is_thing(nodes.sort(address(term))) == thing
    return 1 + sum(_walk(nodes, child) for child in children)


def test_every_part_is_read_as_z3py_reads_it(formulas: list[Term]) -> None:
    nodes = Nodes(z3.main_ctx())
    assert sum(_walk(nodes, formula) for formula in formulas) > 40


def test_a_term_comes_back_from_its_address(formulas: list[Term]) -> None:
    for formula in formulas:
        again = term_at(address(formula), z3.main_ctx())
        assert again.eq(formula)
        assert type(again) is type(formula)


def test_equal_terms_have_one_address() -> None:
    fresh_context()
    x = z3.BitVec("x", 8)
    kept = [x + 1, x + 1, x + 2]
    assert address(kept[0]) == address(kept[1]) != address(kept[2])


def test_simplifying_shows_only_real_contradictions() -> None:
    fresh_context()
    x, y = z3.BitVecs("x y", 8)
    assert contradicts_at_once([x == 3, y == x + 1, y == 5])
    assert not contradicts_at_once([x == 3, y == x + 1, y == 4])
    # True that it cannot be, but simplifying alone does not see it.
    assert not contradicts_at_once([z3.ULT(x, y), z3.ULT(y, x)])
