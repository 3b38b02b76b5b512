"""A spec's expressions as C for the model checker: 64-bit arithmetic, cut to width after each step.

Goal: `Translator` gives the text of a formula and of the spec functions that it needs. Blocks,
owners and classes are numbers; quantifiers over them are written out, one over integers becomes an
argument of any value. It shares no code with the emitter, whose C it is used to judge.
Non-goals: what is asserted where (see `cbmc_harness`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

from tessera.lang import typed as t
from tessera.lang.types import EnumType, IntType, SortType, Type

_COMPARED = ("<", "<=", ">", ">=", "==", "!=")
_VARIABLES = ("live", "start", "size", "owner_of")


class Untranslatable(Exception):
    """The formula speaks of something that the harness does not have; the text says of what."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an expression stands: the state that it reads and what its local names are in C."""

    state: str = "s"
    names: Mapping[str, str] = field(default_factory=dict)
    positive: bool = True  # a `forall` here holds for the whole formula

    def with_names(self, names: Mapping[str, str]) -> Place:
        """With more local names."""
        return Place(self.state, {**self.names, **names}, self.positive)

    def within(self) -> Place:
        """Below an operator: a `forall` here is part of something else."""
        return Place(self.state, self.names, False)


@dataclass(slots=True)
class Translator:
    """Collects what one harness needs of a spec.

    `blocks` is how many blocks there may be; `alive`: whether owners are taken to be alive;
    `replaced` are spec functions that are what the tree's own C says.
    """

    spec: t.Spec
    blocks: int
    alive: bool = False
    replaced: Mapping[str, str] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)  # spec functions as C, callees first
    inputs: list[tuple[str, int]] = field(default_factory=list)  # any value, so many bits
    _pending: list[str] = field(default_factory=list)

    def text(self, expr: t.Expr, place: Place) -> str:
        """The expression in C. Raises Untranslatable."""
        match expr:
            case t.IntLit():
                return f"{expr.value}ULL"
            case t.BoolLit():
                return "1" if expr.value else "0"
            case t.EnumLit():
                return str(self._member(expr.type, expr.name))
            case t.Local():
                return self._local(expr, place)
            case t.Apply():
                return self._apply(expr, place)
            case t.Unary():
                arg = self.text(expr.arg, place.within())
                return f"(!{arg})" if expr.op == "not" else self._cut(f"(~{arg})", expr.type)
            case t.Binary():
                return self._binary(expr, place)
            case t.Ite():
                test = self.text(expr.test, place.within())
                return f"({test} ? {self.text(expr.then, place)} : {self.text(expr.other, place)})"
            case t.Cast():
                return self._cut(self.text(expr.arg, place.within()), expr.type)
            case t.Quant():
                return self._quant(expr, place)
            case t.Old():
                return self.text(expr.arg, Place("old", place.names, False))
            case _:
                raise Untranslatable(type(expr).__name__.lower())

    # --- names -----------------------------------------------------------------------------------

    def _local(self, expr: t.Local, place: Place) -> str:
        if expr.name not in place.names:
            raise Untranslatable(expr.name)
        return place.names[expr.name]

    def _member(self, kind: EnumType, name: str) -> int:
        return self.spec.enums[kind.name].index(name)

    def _apply(self, expr: t.Apply, place: Place) -> str:
        args = [self.text(arg, place.within()) for arg in expr.args]
        if expr.kind in ("function", "policy"):
            name = self.function(expr.name)
            if f"fill {name}" in self.done:
                return f"t{name}[{args[0] if args else 0}]"
            return f"{name}({', '.join([place.state, *args])})"
        if expr.kind == "param":
            return f"{self.spec.params[expr.name].value}ULL"
        if expr.kind == "var" and expr.name in _VARIABLES and len(args) == 1:
            return f"{place.state}->{expr.name}[{args[0]}]"
        if expr.kind == "var" and expr.name == "alive" and self.alive:
            return "1"
        if expr.kind == "const" and expr.name == "pool_pages":
            return "((uint64_t)pool_pages)"
        if expr.kind == "const" and expr.name == "core":
            return "0"
        if expr.kind == "const" and expr.name == "class_of":
            return f"class_of[{args[0]}]"
        raise Untranslatable(expr.name)

    def function(self, name: str) -> str:
        """The C name of a spec function, whose text is then in `done`."""
        if name in self.replaced:
            return self.replaced[name]
        c_name = "f_" + name.replace(".", "_")
        if c_name not in self.done:
            if name in self._pending:
                raise Untranslatable(name)
            self._pending.append(name)
            try:
                one = self.spec.functions[name]
                place = Place("s", {b.name: f"a_{b.name}" for b in one.params}, positive=False)
                body = self.text(one.body, place)
            finally:
                self._pending.remove(name)
            params = "".join(f", a_{b.name}" for b in one.params)
            values = self._table(one, body)
            # A macro: what is constant in it is seen where it is used, and nothing branches.
            self.done[c_name] = f"#define {c_name}(s{params}) ({body})\n"
            if values:
                self.done[c_name] += f"static uint64_t t{c_name}[{values}];\n"
                args = [f", {i}" if one.params else "" for i in range(values)]
                self.done[f"fill {c_name}"] = "".join(
                    f"\tt{c_name}[{i}] = {c_name}(0{arg});\n" for i, arg in enumerate(args)
                )
        return c_name

    def _table(self, one: t.Function, body: str) -> int:
        """How many values the function has for one pool; 0 when it depends on more."""
        calls = {name for name in self.done if f"{name}(" in body}
        if "s->" in body or "c_" in body.replace("class_of", "") or calls or len(one.params) > 1:
            return 0
        kinds = [b.type for b in one.params]
        if not kinds:
            return 1
        (kind,) = kinds
        return len(self.spec.enums[kind.name]) if isinstance(kind, EnumType) else 0

    # --- operators -------------------------------------------------------------------------------

    def _binary(self, expr: t.Binary, place: Place) -> str:
        op = expr.op
        if op == "and":
            return f"({self.text(expr.left, place)} && {self.text(expr.right, place)})"
        if op == "=>":
            left = self.text(expr.left, place.within())
            return f"(!{left} || {self.text(expr.right, place)})"
        left = self.text(expr.left, place.within())
        right = self.text(expr.right, place.within())
        if op == "or":
            return f"({left} || {right})"
        if op in _COMPARED:
            return self._compared(expr, left, right)
        return self._arithmetic(expr, left, right)

    def _compared(self, expr: t.Binary, left: str, right: str) -> str:
        kind = expr.left.type
        if not isinstance(kind, EnumType) or expr.op in ("==", "!="):
            return f"({left} {expr.op} {right})"
        low, high = (left, right) if expr.op in ("<", "<=") else (right, left)
        names = self.spec.enums[kind.name]
        pairs = [
            f"({low} == {a} && {high} == {b})"
            for (a, below), (b, above) in product(enumerate(names), repeat=2)
            if self.spec.outranks(above, below) or (a == b and "=" in expr.op)
        ]
        return f"({' || '.join(pairs) or '0'})"

    def _arithmetic(self, expr: t.Binary, left: str, right: str) -> str:
        width, all_ones = self._width(expr.type)
        match expr.op:
            case "/" if _shift(expr.right) is not None:
                return f"({left} >> {_shift(expr.right)})"
            case "/":
                return f"s_div({left}, {right}, {all_ones})"
            case "%":
                return f"s_mod({left}, {right})"
            case "<<":
                return f"s_shl({left}, {right}, {width}, {all_ones})"
            case ">>":
                return f"s_shr({left}, {right}, {width})"
            case "min" | "max":
                return f"s_{expr.op}({left}, {right})"
            case _:
                return self._cut(f"({left} {expr.op} {right})", expr.type)

    def _width(self, kind: Type) -> tuple[int, str]:
        if not isinstance(kind, IntType):
            raise Untranslatable(str(kind))
        return kind.width, f"{(1 << kind.width) - 1:#x}ULL"

    def _cut(self, text: str, kind: Type) -> str:
        return f"({text} & {self._width(kind)[1]})"

    # --- quantifiers -----------------------------------------------------------------------------

    def _quant(self, expr: t.Quant, place: Place) -> str:
        names: dict[str, str] = {}
        finite = []
        for binder in expr.binders:
            values = self._values(binder.type)
            if values is not None:
                finite.append((binder.name, values))
            elif expr.kind == "forall" and place.positive:
                name = f"any_{len(self.inputs)}_{binder.name}"
                self.inputs.append((name, self._width(binder.type)[0]))
                names[binder.name] = name
            else:
                raise Untranslatable(f"a choice of the integer {binder.name}")
        parts = []
        marked = len(self.inputs)
        for chosen in product(*(values for _, values in finite)):
            bound = dict(zip((n for n, _ in finite), map(str, chosen), strict=True))
            inner = place.with_names({**names, **bound})
            guard = self.text(expr.guard, inner.within())
            body = self.text(expr.body, inner if expr.kind == "forall" else inner.within())
            parts.append(
                f"(!{guard} || {body})" if expr.kind == "forall" else f"({guard} && {body})"
            )
        if expr.kind == "exists" and len(self.inputs) > marked:
            raise Untranslatable("a choice of an integer")
        return f"({(' && ' if expr.kind == 'forall' else ' || ').join(parts)})"

    def _values(self, kind: Type) -> range | None:
        if isinstance(kind, SortType) and kind.name == "block":
            return range(self.blocks)
        if isinstance(kind, SortType) and kind.name == "owner":
            return range(self.blocks + 1)
        if isinstance(kind, EnumType):
            return range(len(self.spec.enums[kind.name]))
        if isinstance(kind, IntType):
            return None
        raise Untranslatable(str(kind))


def _shift(expr: t.Expr) -> int | None:
    """The shift that a division is: a divider is a hard formula, a shift is none."""
    value = expr.value if isinstance(expr, t.IntLit) else 0
    return value.bit_length() - 1 if value and not value & (value - 1) else None
