"""The emitted C of an expression computes what the language defines, at every width."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.emit.cexpr import Translator, c_type
from tessera.errors import Span, TesseraError
from tessera.lang import typed as t
from tessera.lang.types import BOOL, CLASS, IntType
from tessera.model import arith

SPAN = Span("test", 1, 1, 1, 1)
WIDTHS = (8, 16, 32, 64)
CLASSES = {"low": 0, "middle": 1, "high": 2}
ARITHMETIC = ("+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "min", "max")
ORDERS = ("==", "!=", "<", "<=", ">", ">=")
VARS = {f"v{w}": IntType(w) for w in WIDTHS}


def below(a: str, b: str) -> bool:
    return CLASSES[a] < CLASSES[b]


def literal(value: int, width: int) -> t.IntLit:
    return t.IntLit(value, IntType(width), SPAN)


class Maker:
    """Random expressions from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def ints(self, width: int, depth: int) -> t.Expr:
        """An expression of one width."""
        kind, pick = IntType(width), self.random.random()
        if depth == 0 or pick < 0.1:
            return self.leaf(width)
        if pick < 0.6:
            a, b = self.ints(width, depth - 1), self.ints(width, depth - 1)
            return t.Binary(self.random.choice(ARITHMETIC), a, b, kind, SPAN)
        if pick < 0.7:
            return t.Unary("~", self.ints(width, depth - 1), kind, SPAN)
        if pick < 0.85:
            a, b = self.ints(width, depth - 1), self.ints(width, depth - 1)
            return t.Ite(self.bools(depth - 1), a, b, kind, SPAN)
        return t.Cast(self.ints(self.random.choice(WIDTHS), depth - 1), kind, SPAN)

    def bools(self, depth: int) -> t.Expr:
        """A truth value over comparisons of integers and classes."""
        pick = self.random.random()
        if depth == 0 or pick < 0.25:
            return t.Binary(self.random.choice(ORDERS), self.kind(), self.kind(), BOOL, SPAN)
        if pick < 0.35:
            return t.Unary("not", self.bools(depth - 1), BOOL, SPAN)
        if pick < 0.6:
            a, b = self.bools(depth - 1), self.bools(depth - 1)
            return t.Binary(self.random.choice(("and", "or")), a, b, BOOL, SPAN)
        width = self.random.choice(WIDTHS)
        a, b = self.ints(width, depth - 1), self.ints(width, depth - 1)
        return t.Binary(self.random.choice(ORDERS), a, b, BOOL, SPAN)

    def leaf(self, width: int) -> t.Expr:
        """A literal, often at an edge of its range, or the variable of that width."""
        if self.random.random() < 0.4:
            return t.Local(f"v{width}", IntType(width), SPAN)
        return literal(self.number(width), width)

    def number(self, width: int) -> int:
        """A number of that width, often at an edge."""
        top = (1 << width) - 1
        edges = [0, 1, 2, 7, width - 1, width, top // 2, top // 2 + 1, top - 1, top]
        return self.random.choice([*edges, self.random.randint(0, top)])

    def kind(self) -> t.Expr:
        """A class, or the variable of that type."""
        names: list[t.Expr] = [t.EnumLit(n, CLASS, SPAN) for n in CLASSES]
        return self.random.choice([*names, t.Local("k", CLASS, SPAN)])


def value(expr: t.Expr, env: dict[str, int | str]) -> int | str:
    """What the language says the value is: an evaluator of its own, over `tessera.model.arith`."""
    match expr:
        case t.IntLit() | t.BoolLit():
            return int(expr.value)
        case t.EnumLit():
            return expr.name
        case t.Local():
            return env[expr.name]
        case t.Unary(op="~", type=IntType() as kind):
            return ~int(value(expr.arg, env)) & ((1 << kind.width) - 1)
        case t.Unary():
            return int(not value(expr.arg, env))
        case t.Cast():
            return int(value(expr.arg, env)) & ((1 << expr.type.width) - 1)
        case t.Ite():
            return value(expr.then if value(expr.test, env) else expr.other, env)
        case t.Binary():
            return binary(expr, value(expr.left, env), value(expr.right, env))
    raise AssertionError(expr)


def binary(expr: t.Binary, a: int | str, b: int | str) -> int:
    if expr.op in ("and", "or"):
        return int(bool(a) and bool(b)) if expr.op == "and" else int(bool(a) or bool(b))
    if isinstance(a, str) and isinstance(b, str):
        a, b = CLASSES[a], CLASSES[b]
    assert isinstance(a, int) and isinstance(b, int)
    if expr.op in ORDERS:
        answers = (a == b, a != b, a < b, a <= b, a > b, a >= b)
        return int(answers[ORDERS.index(expr.op)])
    assert isinstance(expr.type, IntType)
    return arith.operator(expr.op, expr.type.width)(a, b)


def translator() -> Translator:
    names = {name: name for name in (*VARS, "k")}
    return Translator(names, CLASSES, below)


PROGRAM = """#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#define MAX(a, b) (__extension__({{ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \\
	_a > _b ? _a : _b; }}))
#define MIN(a, b) (__extension__({{ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \\
	_a < _b ? _a : _b; }}))
{functions}
int main(void)
{{
{calls}
	return 0;
}}
"""


def run(exprs: list[t.Expr], env: dict[str, int | str], folder: Path) -> list[int]:
    """The values that gcc computes, with traps on undefined behaviour and warnings as errors."""
    params = ", ".join(f"{c_type(kind)} {name}" for name, kind in VARS.items())
    unused = " ".join(f"(void){name};" for name in (*VARS, "k"))
    functions, calls = [], []
    args = ", ".join(f"({c_type(kind)}){env[name]}ULL" for name, kind in VARS.items())
    k = CLASSES[str(env["k"])]
    for index, expr in enumerate(exprs):
        result = c_type(expr.type) if isinstance(expr.type, IntType) else "bool"
        text = translator().text(expr)
        functions.append(
            f"static {result} f{index}({params}, uint32_t k)\n"
            f"{{\n\t{unused}\n\treturn {text};\n}}\n"
        )
        calls.append(f'\tprintf("%" PRIu64 "\\n", (uint64_t)f{index}({args}, {k}));')
    source, program = folder / "case.c", folder / "case"
    source.write_text(PROGRAM.format(functions="\n".join(functions), calls="\n".join(calls)))
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined"]
    flags += ["-fno-sanitize-recover=all", "-O0"]
    # Random expressions compare with constants that they cannot reach; a person would not.
    flags += ["-Wno-type-limits", "-Wno-sign-compare", "-Wno-bool-compare"]
    flags += ["-Wno-tautological-compare", "-Wno-int-in-bool-context"]
    done = subprocess.run(
        ["gcc", *flags, str(source), "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + source.read_text()
    out = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    return [int(line) for line in out.stdout.split()]


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_c_computes_what_the_language_defines(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    make = Maker(seed)
    exprs = [make.ints(make.random.choice(WIDTHS), 3) for _ in range(30)]
    exprs += [make.bools(3) for _ in range(12)]
    env: dict[str, int | str] = {name: make.number(kind.width) for name, kind in VARS.items()}
    env["k"] = make.random.choice(list(CLASSES))
    got = run(exprs, env, tmp_path_factory.mktemp("c"))
    for expr, number in zip(exprs, got, strict=True):
        assert number == value(expr, env), translator().text(expr)


NARROW = [
    ("+", 8, 255, 1, 0),
    ("-", 8, 0, 1, 255),
    ("*", 16, 65535, 65535, 1),
    ("<<", 16, 65535, 15, 32768),
    ("<<", 8, 255, 8, 0),
    ("/", 32, 5, 0, 0xFFFFFFFF),
    ("%", 64, 5, 0, 5),
    (">>", 32, 5, 32, 0),
    ("-", 32, 0, 1, 0xFFFFFFFF),
]


@pytest.mark.parametrize(("op", "width", "a", "b", "expected"), NARROW)
def test_promotions_do_not_change_a_result(
    op: str, width: int, a: int, b: int, expected: int, tmp_path: Path
) -> None:
    kind = IntType(width)
    small = t.Binary(op, t.Local(f"v{width}", kind, SPAN), literal(b, width), kind, SPAN)
    # Compared in 64 bits, where a result that was left too wide would show.
    wide = t.Cast(small, IntType(64), SPAN)
    env: dict[str, int | str] = dict.fromkeys(VARS, 0)
    env |= {f"v{width}": a, "k": "low"}
    assert run([wide], env, tmp_path) == [expected]


def test_text_is_plain_where_c_needs_no_help() -> None:
    pages = t.Local("v32", IntType(32), SPAN)
    taken = t.Binary("min", literal(2048, 32), pages, IntType(32), SPAN)
    k_is_high = t.Binary(
        "==", t.Local("k", CLASS, SPAN), t.EnumLit("high", CLASS, SPAN), BOOL, SPAN
    )
    rest = t.Binary("-", pages, taken, IntType(32), SPAN)
    expr = t.Ite(k_is_high, rest, literal(0, 32), IntType(32), SPAN)
    assert translator().text(expr) == "k == 2 ? v32 - MIN(2048U, v32) : 0U"


def test_what_c_cannot_say_is_an_error() -> None:
    truth = t.BoolLit(True, BOOL, SPAN)
    forall = t.Quant("forall", (), truth, truth, BOOL, SPAN)
    with pytest.raises(TesseraError, match="no C form"):
        translator().text(forall)
