"""The evaluator at exact widths: against a slow reference, compiled C and known traps."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import terms
from hypothesis import given, settings
from hypothesis import strategies as st
from terms import HERE, U8, binary, call, exact, local, number, quant

from tessera.lang.typed import Binder, Cast, Expr, Function
from tessera.lang.types import IntType

NAMES = ("x", "y")
bytes_ = st.integers(0, 255)


@given(terms.integers(NAMES, 3), bytes_, bytes_)
@settings(max_examples=200, deadline=None)
def test_integers_mean_what_the_reference_says(expr: Expr, x: int, y: int) -> None:
    env = {"x": x, "y": y}
    assert terms.run(expr, env) == terms.meaning(expr, env)


@given(terms.formulas(NAMES, 3), bytes_, bytes_)
@settings(max_examples=150, deadline=None)
def test_formulas_mean_what_the_reference_says(expr: Expr, x: int, y: int) -> None:
    env = {"x": x, "y": y}
    assert terms.run(expr, env) is bool(terms.meaning(expr, env))


@given(terms.integers(NAMES, 2) | terms.formulas(NAMES, 2), bytes_, bytes_)
@settings(max_examples=200, deadline=None)
def test_exact_is_true_when_nothing_needed_is_lost(expr: Expr, x: int, y: int) -> None:
    env = {"x": x, "y": y}
    try:
        terms.meaning(expr, env, strict=True)
        lossless = True
    except terms.Lossy:
        lossless = False
    assert terms.run(exact(expr), env) is lossless


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        (binary("+", number(255), number(1)), 0),
        (binary("-", number(0), number(1)), 255),
        (binary("/", number(7), number(0)), 255),
        (binary("%", number(7), number(0)), 7),
        (binary("<<", number(1), number(8)), 0),
        (binary(">>", number(255), number(9)), 0),
        (Cast(number(0x1234, IntType(16)), U8, HERE), 0x34),
    ],
)
def test_the_corners_of_the_definition(expr: Expr, value: int) -> None:
    assert terms.run(expr, {}) == value
    assert terms.run(exact(expr), {}) is False


def test_exact_looks_through_calls_and_only_where_needed() -> None:
    x = Binder("x", U8, HERE)
    inc = Function("inc", (x,), U8, binary("+", local("x"), number(1)), False, "", HERE)
    made = terms.spec({"inc": inc})
    wraps = call(inc, local("v"))
    guarded = binary("=>", binary("<", local("v"), number(255)), binary("<", wraps, number(9)))
    assert terms.run(exact(wraps), {"v": 254}, made=made) is True
    assert terms.run(exact(wraps), {"v": 255}, made=made) is False
    assert terms.run(exact(guarded), {"v": 255}, made=made) is True
    swapped = binary("=>", binary("<", wraps, number(9)), binary("<", local("v"), number(255)))
    assert terms.run(exact(swapped), {"v": 255}, made=made) is False


def test_exact_of_a_quantifier_is_about_every_instance_that_passes_its_guard() -> None:
    sum_ = binary("<", number(0), binary("+", local("q"), number(10)))
    small = quant("forall", "q", binary("<", local("q"), number(246)), sum_)
    large = quant("exists", "q", binary("<", local("q"), number(247)), sum_)
    assert terms.run(exact(small), {}) is True
    assert terms.run(exact(large), {}) is False


OPS = {
    "+": "+",
    "-": "-",
    "*": "*",
    "/": "/",
    "%": "%",
    "<<": "<<",
    ">>": ">>",
    "&": "&",
    "|": "|",
    "^": "^",
    "<": "<",
    "<=": "<=",
    "==": "==",
    "!=": "!=",
}
VALUES = (
    0,
    1,
    2,
    7,
    31,
    32,
    63,
    100,
    127,
    128,
    255,
    256,
    4095,
    4096,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**63,
    2**64 - 1,
)


def defined(op: str, b: int, width: int) -> bool:
    """Whether C defines the operation, and without promotion to a signed type."""
    if op in ("/", "%"):
        return b != 0
    return b < width if op in ("<<", ">>") else True


def test_arithmetic_is_what_a_c_compiler_makes_of_it(tmp_path: Path) -> None:
    cases: list[tuple[str, int, int, int]] = []
    lines = ["#include <stdint.h>", "#include <stdio.h>", "int main(void)", "{"]
    for width in (8, 16, 32, 64):
        values = [v for v in VALUES if v < 2**width]
        for op, (a, b) in product(OPS, product(values, values)):
            if not defined(op, b, width):
                continue
            cases.append((op, width, a, b))
            lines.append(
                f"\t{{ volatile uint{width}_t a = {a}u{'ll' * (width == 64)}, "
                f"b = {b}u{'ll' * (width == 64)};"
                f' printf("%llu\\n", (unsigned long long)(uint{width}_t)'
                f"((uint{max(width, 32)}_t)a {OPS[op]} (uint{max(width, 32)}_t)b)); }}"
            )
    lines += ["\treturn 0;", "}"]
    source, binary_file = tmp_path / "ops.c", tmp_path / "ops"
    source.write_text("\n".join(lines), encoding="utf-8")
    gcc = ["gcc", "-std=c11", "-w", "-O0", "-o", binary_file, source]
    subprocess.run(gcc, check=True, timeout=300)
    out = subprocess.run([binary_file], check=True, capture_output=True, text=True, timeout=60)
    results = [int(line) for line in out.stdout.split()]
    assert len(results) == len(cases) > 3000
    env = {"a": 0, "b": 0}
    for (op, width, a, b), got in zip(cases, results, strict=True):
        env = {"a": a, "b": b}
        expected = _compiled(op, width)(env)
        assert int(expected) == got, f"{a} {op} {b} at {width} bits"


_CACHE: dict[tuple[str, int], Any] = {}


def _compiled(op: str, width: int) -> Any:
    """One closure per operator and width, run with the values as locals."""
    if (op, width) not in _CACHE:
        type_ = IntType(width)
        _CACHE[op, width] = terms.prepared(binary(op, local("a", type_), local("b", type_)))
    return _CACHE[op, width]
