"""Text of typed expressions: readable, and it means the same when it is read again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from tessera import resources
from tessera.errors import Span
from tessera.lang import Spec, load
from tessera.lang import typed as t
from tessera.lang.show import show
from tessera.lang.types import IntType

LoadText = Callable[..., Spec]


def bare(value: object) -> object:
    """A typed expression without its places, for comparing."""
    if isinstance(value, tuple):
        return tuple(bare(item) for item in value)
    if isinstance(value, IntType):
        return ("IntType", value.width, value.unit)  # the name is how it was written
    if isinstance(value, t.Quant):
        # `in P` and a P(x) in `where` mean the same; text has the former only.
        tests = sorted(repr(bare(test)) for test in conjuncts(value.guard))
        return ("Quant", value.kind, bare(value.binders), tests, bare(value.body))
    if is_dataclass(value) and not isinstance(value, type):
        parts = (bare(getattr(value, f.name)) for f in fields(value) if f.name != "span")
        return (type(value).__name__, *parts)
    assert not isinstance(value, Span)
    return value


def conjuncts(guard: t.Expr) -> list[t.Expr]:
    if isinstance(guard, t.Binary) and guard.op == "and":
        return conjuncts(guard.left) + conjuncts(guard.right)
    return [guard]


def again(spec: Spec, path: Path) -> str:
    """A spec that says all functions and properties of `spec` once more, by their shown text."""
    out = [f"spec again\nuse {str(path)!r}".replace("'", '"')]
    for function in spec.functions.values():
        params = ", ".join(f"{b.name}: {b.type}" for b in function.params)
        name = function.name.replace(".", "_")
        out.append(f"function again_{name}({params}): {function.type} = {show(function.body)}")
    for prop in spec.properties:
        kind = prop.kind
        given = "" if kind in ("assume", "cover") else f" given {show(prop.given)}"
        mark = " unbounded" if prop.unbounded else ""
        out.append(f"{kind} again_{prop.name}{mark}{given}: {show(prop.formula)}")
    return "\n".join(out) + "\n"


def specs() -> list[str]:
    shipped = resources.shipped_specs().items()
    return sorted(n for n, p in shipped if "\nspec " in "\n" + p.read_text("utf-8"))


@pytest.mark.parametrize("name", specs())
def test_shipped_specs_read_back(name: str, load_text: LoadText) -> None:
    path = resources.shipped_specs()[name]
    spec = load(path)
    second = load_text(again(spec, path))
    for function in spec.functions.values():
        copy = second.functions["again_" + function.name.replace(".", "_")]
        assert bare(copy.body) == bare(function.body), function.name
    copies = {p.name: p for p in second.properties}
    for prop in spec.properties:
        assert bare(copies[f"again_{prop.name}"].formula) == bare(prop.formula), prop.name
        assert bare(copies[f"again_{prop.name}"].given) == bare(prop.given), prop.name


HEAD = """spec s
platform board { granule 4 KiB  region pool secure at 0x0e30_0000 for 13 MiB }
class low
class high > low
sort block as b
var live(b: block): bool
var start(b: block): u32 granules
var kind(b: block): class
var p: bool
var q: bool
var x: u32
var y: u32
var n: u32 granules
function f(a: u32): u32 = a
action go(a: u32) { require a > 0  least o: u32 where o > a }
"""


@pytest.mark.parametrize(
    "text",
    [
        "p and q or p",
        "(p and q) or p",
        "p and (q or p)",
        "p => q => p",
        "(p => q) => p",
        "not p and q",
        "not (p and q)",
        "x + y - 1 == x - (y - 1)",
        "x * (y + 1) / 2 > x * y + 1",
        "(x + y) << 2 == x",
        "x + (y << 2) == x",
        "(x & 15) == 3",
        "(x | y ^ 3) == x",
        "(x as u64) * 4096 == 0",
        "~x == ~(x + 1)",
        "(if p then x else y) > 0",
        "if p then q else if q then p else true",
        "min(x, y) + max(x, 3) == f(f(x))",
        "forall a, b in live where a != b: start(a) != start(b)",
        "forall a: block, i, j: u32 where i < j: live(a)",
        "exists a in live: p and (forall b in live: a == b)",
        "p and (exists a: block: live(a)) and q",
        "forall a: block: kind(a) <= high and kind(a) < high",
        "n < 64 Ki granules and n != 3328 granules and n > 0",
        "pool.base + ((n as paddr) << granule_shift) < pool.end",
        "(n << granule_shift) >= 4 KiB and (n << granule_shift) != 12 bytes",
        "exact(x + y) and exact(if p then x else y)",
        "0xffff_ffff > x and 65535 < x",
    ],
)
def test_text_reads_back(text: str, load_text: LoadText) -> None:
    first = load_text(f"{HEAD}invariant i: {text}\n").properties[0].formula
    shown = show(first)
    second = load_text(f"{HEAD}invariant i: {shown}\n").properties[0].formula
    assert bare(second) == bare(first)
    assert show(second) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("((p)) and ((q))", "p and q"),
        ("(p and q) or (p)", "(p and q) or p"),
        ("not(p)", "not p"),
        ("not (x < y)", "not (x < y)"),
        ("x > 0x10", "x > 16"),
        ("x > 0x12345", "x > 0x0001_2345"),
        ("n > 8 MiB", "n > 2048 granules"),
        ("pool.base > pool.size", "0x0e30_0000 bytes > 13 MiB"),
        ("forall a: block where live(a) and p: q", "forall a in live where p: q"),
    ],
)
def test_how_it_reads(text: str, shown: str, load_text: LoadText) -> None:
    assert show(load_text(f"{HEAD}invariant i: {text}\n").properties[0].formula) == shown


def test_step_promise_and_interval(load_text: LoadText) -> None:
    spec = load_text(
        HEAD
        + "step s: old(x + 1) == x\n"
        + "promise r: forall a: u32: p => go(a) succeeds with o = a + 1\n"
        + "invariant w: exact(window(low)) and window(high).lo < n\n"
        + "interface { function window(k: class): interval }\n"
        + "policy { function window(k: class): interval = [0, 5 granules) }\n"
    )
    assert [show(p.formula) for p in spec.properties] == [
        "old(x + 1) == x",
        "forall a: u32: p => go(a) succeeds with o = a + 1",
        "exact(window(low)) and window(high).lo < n",
    ]


def test_atom(load_text: LoadText) -> None:
    formula = load_text(f"{HEAD}invariant i: x + 1 > y\n").properties[0].formula
    assert show(formula, atom=True) == "(x + 1 > y)"
    assert isinstance(formula, t.Binary)
    assert show(formula.right, atom=True) == "y"


def random_expr(source: random.Random, depth: int, *, truth: bool) -> str:
    """Fully parenthesised text of a random expression."""
    if depth == 0:
        return source.choice(["p", "q", "true"] if truth else ["x", "y", "7"])
    deeper = depth - 1
    if truth:
        op = source.choice(["and", "or", "=>", "==", "<", "not", "if", "forall"])
        if op == "not":
            return f"(not {random_expr(source, deeper, truth=True)})"
        if op == "forall":
            return f"(forall b{depth} in live: {random_expr(source, deeper, truth=True)})"
        kind = op not in ("==", "<")
    else:
        op = source.choice(["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "~", "as", "if"])
        if op == "~":
            return f"(~{random_expr(source, deeper, truth=False)})"
        if op == "as":
            return f"(({random_expr(source, deeper, truth=False)} as u8) as u32)"
        kind = False
    left, right = (random_expr(source, deeper, truth=kind) for _ in range(2))
    if op == "if":
        test = random_expr(source, deeper, truth=True)
        return f"(if {test} then {left} else {right})"
    return f"(({left}) {op} ({right}))"


def test_random_expressions_read_back(load_text: LoadText) -> None:
    source = random.Random(20261121)
    texts = [random_expr(source, 1 + i % 4, truth=True) for i in range(120)]
    text = "".join(f"invariant i{i}: x == x + 0 and {e}\n" for i, e in enumerate(texts))
    first = [p.formula for p in load_text(HEAD + text).properties]
    text = "".join(f"invariant i{i}: {show(e)}\n" for i, e in enumerate(first))
    second = [p.formula for p in load_text(HEAD + text).properties]
    for one, two in zip(first, second, strict=True):
        assert bare(one) == bare(two), show(one)
