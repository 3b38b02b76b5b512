"""C's promotions and conversions: gcc, plain numbers and bit-vectors give the same values."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.conform.cplain import Plain, Undefined, wrapped
from tessera.conform.cread import NotModelled, Reader, Scope
from tessera.conform.ctypes_of import BOOL, INT, MODELS, Int, Types, usual
from tessera.emit.readback import read_expression
from tessera.prove.cvalue import Symbolic

LP64, LPAE, ARM32 = MODELS
U32, U64 = Int(32, False), Int(64, False)
VARS = {f"{'s' if s else 'u'}{w}": (f"{'' if s else 'u'}int{w}_t", Int(w, s))
        for w in (8, 16, 32, 64) for s in (True, False)} | {"b": ("bool", BOOL)}  # fmt: skip
ARITHMETIC = ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")
TESTS = ("==", "!=", "<", "<=", ">", ">=", "&&", "||")
MACROS = """#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#define MAX(a, b) (__extension__({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \\
	_a > _b ? _a : _b; }))
#define MIN(a, b) (__extension__({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \\
	_a < _b ? _a : _b; }))
"""


class Maker:
    """Random expressions, as text, over variables of every width and sign."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, depth: int) -> str:
        pick = self.random.random()
        if depth == 0 or pick < 0.1:
            return self.leaf()
        a, b = self.text(depth - 1), self.text(depth - 1)
        if pick < 0.5:
            return f"({a} {self.random.choice(ARITHMETIC)} {b})"
        if pick < 0.7:
            return f"({a} {self.random.choice(TESTS)} {b})"
        if pick < 0.78:
            return f"{self.random.choice(('-', '~', '!', '+'))}({a})"
        if pick < 0.86:
            return f"({self.random.choice(list(VARS.values()))[0]})({a})"
        if pick < 0.93:
            return f"({self.text(depth - 1)} ? {a} : {b})"
        return f"{self.random.choice(('MIN', 'MAX'))}({a}, {b})"

    def leaf(self) -> str:
        if self.random.random() < 0.7:
            return self.random.choice(list(VARS))
        number = self.random.choice((0, 1, 2, 7, 31, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1))
        return f"{number}{self.random.choice(('', 'U', 'ULL'))}"

    def value(self, type_: Int) -> int:
        near = self.random.choice((type_.low, type_.high, 0, 1, 5, 40))
        return wrapped(near + self.random.choice((-1, 0, 1)), type_)


def evaluated(text: str, values: dict[str, int], do: Any, target: Int) -> Any:
    scope = Scope(
        Types(),
        {name: type_ for name, (type_, _) in VARS.items()},
        {name: do.constant(values[name], VARS[name][1]) for name in VARS},
    )
    return Reader(do, LP64, scope).to(read_expression(text), target)


def plain(text: str, values: dict[str, int]) -> int | None:
    """The value as a 64-bit unsigned number, None when it is undefined."""
    try:
        return int(evaluated(text, values, Plain(), U64))
    except Undefined:
        return None


def symbolic(text: str, values: dict[str, int]) -> int | None:
    """The same by bit-vectors."""
    do = Symbolic()
    term = z3.simplify(evaluated(text, values, do, U64))
    if not z3.is_true(z3.simplify(do.defined())):
        return None
    assert isinstance(term, z3.BitVecNumRef)
    return int(term.as_long())


def program(texts: list[str], values: dict[str, int], folder: Path) -> Path:
    """All expressions, one of them computed in each run."""
    decls = "\n".join(
        f"static volatile {type_} {name} = ({type_}){values[name] % 2**64}ULL;"
        for name, (type_, _) in VARS.items()
    )
    cases = "\n".join(
        f'\tcase {i}: printf("%" PRIu64 "\\n", (uint64_t)({t})); break;'
        for i, t in enumerate(texts)
    )
    source, binary = folder / "values.c", folder / "values"
    source.write_text(
        f"{MACROS}{decls}\nstatic void one(int i)\n{{\n\tswitch (i) {{\n{cases}\n\t}}\n}}\n"
        "int main(int n, char **v)\n{\n\tfor (int i = 1; i < n; i++)\n\t\tone(atoi(v[i]));\n}\n"
    )
    flags = ["-std=gnu11", "-w", "-O0", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(binary)], check=True, timeout=300)
    return binary


def run(binary: Path, numbers: list[int]) -> subprocess.CompletedProcess[str]:
    command = [str(binary), *map(str, numbers)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_three_ways_to_the_same_value(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    make = Maker(seed)
    values = {name: make.value(type_) for name, (_, type_) in VARS.items()}
    texts = [make.text(3) for _ in range(150)]
    ours = [plain(text, values) for text in texts]
    assert [symbolic(text, values) for text in texts] == ours
    binary = program(texts, values, tmp_path_factory.mktemp("values"))
    defined = [i for i, value in enumerate(ours) if value is not None]
    out = run(binary, defined)
    assert out.returncode == 0, out.stderr
    for index, line in zip(defined, out.stdout.split(), strict=True):
        assert int(line) == ours[index], texts[index]
    undefined = [i for i, value in enumerate(ours) if value is None]
    assert len(defined) > 60 and len(undefined) > 5
    for index in undefined[:12]:
        assert run(binary, [index]).returncode != 0, texts[index]


CASES = [
    ("u8 + u8", {"u8": 255}, 510),  # promoted to int
    ("(uint8_t)(u8 + u8)", {"u8": 255}, 254),
    ("u32 + u32", {"u32": 2**32 - 1}, 2**32 - 2),  # wraps
    ("u64 + u32", {"u64": 1, "u32": 2**32 - 1}, 2**32),
    ("s8 < u32", {"s8": -1, "u32": 1}, 0),  # -1 becomes unsigned
    ("s32 < u8", {"s32": -1, "u8": 1}, 1),  # u8 becomes int
    ("s64 < u32", {"s64": -1, "u32": 1}, 1),  # u32 fits into 64 bits
    ("u8 - s8", {"u8": 0, "s8": 1}, 2**64 - 1),  # -1 as int
    ("-u32", {"u32": 1}, 2**32 - 1),
    ("~u8", {"u8": 0}, 2**64 - 1),
    ("u8 << 24", {"u8": 127}, 127 << 24),
    ("(bool)u16", {"u16": 256}, 1),  # not the low bit
    ("s32 / 2", {"s32": -7}, 2**64 - 3),  # towards zero
    ("s32 % 2", {"s32": -7}, 2**64 - 1),
    ("b ? u8 : s64", {"b": 1, "u8": 255}, 255),
    ("!u8 || 1 / u8", {"u8": 0}, 1),  # the division is not evaluated
    ("u8 && 1 / u8", {"u8": 0}, 0),
    ("MAX(u32, s8)", {"u32": 0, "s8": -1}, 2**32 - 1),
    ("sizeof(u16)", {}, 2),
]


@pytest.mark.parametrize(("text", "values", "wanted"), CASES, ids=[c[0] for c in CASES])
def test_rules(text: str, values: dict[str, int], wanted: int) -> None:
    every = dict.fromkeys(VARS, 0) | values
    assert plain(text, every) == wanted
    assert symbolic(text, every) == wanted


UNDEFINED = [
    ("s32 + 1", {"s32": 2**31 - 1}),
    ("s32 - 1", {"s32": -(2**31)}),
    ("u16 * u16", {"u16": 65535}),  # promoted to a signed int
    ("-s32", {"s32": -(2**31)}),
    ("u32 / u8", {"u8": 0}),
    ("s32 % s8", {"s32": -(2**31), "s8": -1}),
    ("u32 << 32", {}),
    ("u64 >> s8", {"s8": -1}),
    ("u8 << 24", {"u8": 128}),
    ("1 << 31", {}),
]


@pytest.mark.parametrize(("text", "values"), UNDEFINED, ids=[c[0] for c in UNDEFINED])
def test_undefined_behaviour_is_seen(text: str, values: dict[str, int]) -> None:
    every = dict.fromkeys(VARS, 1) | values
    assert plain(text, every) is None
    assert symbolic(text, every) is None


@pytest.mark.parametrize(
    ("text", "lp64", "arm32"),
    [
        ("1", INT, INT),
        ("2147483648", Int(64, True), Int(64, True)),
        ("0x80000000", U32, U32),
        ("4294967296", Int(64, True), Int(64, True)),
        ("1L", Int(64, True), INT),
        ("1UL", U64, U32),
        ("1ULL", U64, U64),
        ("0xffffffffffffffff", U64, U64),
    ],
)
def test_types_of_constants(text: str, lp64: Int, arm32: Int) -> None:
    for model, wanted in ((LP64, lp64), (ARM32, arm32)):
        reader = Reader(Plain(), model, Scope(Types(), {}, {}))
        assert reader.type_of(read_expression(text)) == wanted


def test_types_that_differ_between_cores() -> None:
    wanted = {"size_t": (64, 32, 32), "paddr_t": (64, 64, 32), "uintptr_t": (64, 32, 32)}
    for name, widths in wanted.items():
        assert [model.type(name) for model in MODELS] == [Int(w, False) for w in widths]
    assert usual(Int(8, False), Int(8, True)) == INT
    assert usual(U32, INT) == U32
    assert usual(U32, Int(64, True)) == Int(64, True)
    assert LP64.sizeof("TEE_UUID") == 16 and ARM32.sizeof("void *") == 4


@pytest.mark.parametrize("text", ["x", "f(u8)", "ROUNDUP(u8, 2)", "u8++", "*u8", "&u8", "u8->a"])
def test_what_is_not_modelled_is_refused(text: str) -> None:
    with pytest.raises(NotModelled):
        plain(text, dict.fromkeys(VARS, 0))
