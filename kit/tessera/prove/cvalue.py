"""C's integer operations as bit-vectors, with what C leaves undefined as obligations.

Goal: one function per operator at given types. Every operation that can be undefined (signed
overflow, a shift by the width or more, division by zero, reading through null) adds a condition
under the path on which it is evaluated; the conditions must hold for all inputs.
Non-goals: C's types and conversions (the caller says which apply); shares no code with the emitter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import z3

from tessera.prove.terms import Term


class IntType(Protocol):
    """A C integer type; bool has width 1."""

    @property
    def width(self) -> int:
        """Bits."""

    @property
    def signed(self) -> bool:
        """Whether it has negative values."""


class Symbolic:
    """C's arithmetic on Z3 bit-vectors; collects obligations as it goes."""

    def __init__(self) -> None:
        self.obligations: list[tuple[str, Term]] = []
        self._path: list[Term] = []

    def defined(self) -> Term:
        """That nothing undefined happens."""
        return z3.And([condition for _, condition in self.obligations])

    def constant(self, value: int, type_: IntType) -> Term:
        """A constant."""
        return z3.BitVecVal(value, type_.width)

    def convert(self, value: Term, old: IntType, new: IntType) -> Term:
        """The low bits, or extended by the sign that the old type has; to bool `!= 0`."""
        if new.width == 1:
            return z3.If(value != 0, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))
        if new.width <= old.width:
            return z3.Extract(new.width - 1, 0, value) if new.width < old.width else value
        extend = z3.SignExt if old.signed else z3.ZeroExt
        return extend(new.width - old.width, value)

    def unary(self, op: str, value: Term, type_: IntType) -> Term:
        """`-`, `~` or `+`."""
        if op == "-" and type_.signed:
            lowest = z3.BitVecVal(1 << (type_.width - 1), type_.width)
            self.require("no signed overflow in -", value != lowest)
        if op == "-":
            return -value
        return ~value if op == "~" else value

    def binary(self, op: str, left: Term, right: Term, type_: IntType) -> Term:
        """`+ - * / % & | ^` on two values of one type."""
        if op in ("/", "%"):
            self.require(f"the divisor of {op} is not 0", right != 0)
        if type_.signed:
            self._no_overflow(op, left, right)
        match op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right if type_.signed else z3.UDiv(left, right)
            case "%":
                return z3.SRem(left, right) if type_.signed else z3.URem(left, right)
            case "&":
                return left & right
            case "|":
                return left | right
            case _:
                return left ^ right

    def _no_overflow(self, op: str, left: Term, right: Term) -> None:
        conditions: dict[str, Callable[[], Any]] = {
            "+": lambda: (
                z3.BVAddNoOverflow(left, right, True),
                z3.BVAddNoUnderflow(left, right),
            ),
            "-": lambda: (
                z3.BVSubNoOverflow(left, right),
                z3.BVSubNoUnderflow(left, right, True),
            ),
            "*": lambda: (
                z3.BVMulNoOverflow(left, right, True),
                z3.BVMulNoUnderflow(left, right),
            ),
            "/": lambda: (z3.BVSDivNoOverflow(left, right),),
            "%": lambda: (z3.BVSDivNoOverflow(left, right),),
        }
        if op in conditions:
            self.require(f"no signed overflow in {op}", z3.And(*conditions[op]()))

    def shift(self, op: str, left: Term, type_: IntType, right: Term, by: IntType) -> Term:
        """The amount must be in 0 .. width - 1; a signed value must keep its bits."""
        limit = z3.BitVecVal(type_.width, by.width)
        # Read as unsigned, a negative amount is too large as well.
        self.require(f"the amount of {op} is less than {type_.width}", z3.ULT(right, limit))
        amount = z3.ZeroExt(type_.width - by.width, right) if by.width < type_.width else right
        if by.width > type_.width:
            amount = z3.Extract(type_.width - 1, 0, right)
        if op == ">>":
            return left >> amount if type_.signed else z3.LShR(left, amount)
        if type_.signed:
            kept = z3.And(left >= 0, ((left << amount) >> amount) == left, (left << amount) >= 0)
            self.require("no signed overflow in <<", kept)
        return left << amount

    def compare(self, op: str, left: Term, right: Term, type_: IntType) -> Term:
        """A comparison of two values of one type."""
        match op:
            case "==":
                return left == right
            case "!=":
                return left != right
            case "<":
                return left < right if type_.signed else z3.ULT(left, right)
            case "<=":
                return left <= right if type_.signed else z3.ULE(left, right)
            case ">":
                return left > right if type_.signed else z3.UGT(left, right)
            case _:
                return left >= right if type_.signed else z3.UGE(left, right)

    def choose(self, test: Term, then: Callable[[], Term], other: Callable[[], Term]) -> Term:
        """Both sides, each with its obligations under the condition on which it is evaluated."""
        self._path.append(test)
        chosen = then()
        self._path[-1] = z3.Not(test)
        rest = other()
        self._path.pop()
        return z3.If(test, chosen, rest)

    def require(self, what: str, test: Term) -> None:
        """Adds an obligation."""
        self.obligations.append((what, z3.Implies(z3.And(self._path), test)))
