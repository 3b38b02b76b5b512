"""The C of a patched function as readers: which objects are inputs, and what is taken for granted.

Goal: a `Reader` for a function of the patched tree, on symbolic or plain numbers, with declared
types and given values; what is assumed of names outside the files that are read is here only.
Non-goals: questions (see `smt_questions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tessera.conform.cread import Handler, NotModelled, Reader, Scope
from tessera.conform.ctypes_of import DataModel, Int, Type, Types
from tessera.conform.patched import HEADER, POOL, Patched
from tessera.conform.question import Side
from tessera.emit import csyntax as c
from tessera.emit.readback import read_expression

GRANULE_SHIFT = 12
CONSTANTS = {"CORE_MMU_USER_CODE_SHIFT": GRANULE_SHIFT, "SMALL_PAGE_SHIFT": GRANULE_SHIFT}
"""core/arch/*/include/mm/core_mmu_arch.h; the pool's granule in every model here."""

_OUTSIDE = {
    "thread_specific_data": {"ctx": "struct ts_ctx *"},
    "ts_ctx": {"uuid": "TEE_UUID"},
}
"""core/include/kernel/thread.h and ts_manager.h, as far as the patch reads them."""

_RESULTS = {
    "thread_get_id_may_fail": "short int",
    "thread_get_tsd": "struct thread_specific_data *",
}

Value = Callable[[Side, Type], Any]
"""The value of an object in a world, as C."""


def number(make: Callable[[Side], Any]) -> Value:
    """An object that holds a number, converted to its type."""

    def value(world: Side, type_: Type) -> Any:
        if not isinstance(type_, Int):
            raise NotModelled("a number is needed where the C has a pointer")
        return world.typed(make(world), type_)

    return value


def from_input(name: str) -> Value:
    """An object that holds an input."""
    return number(lambda world: given(world, name))


def pointer(name: str) -> Value:
    """An object that holds an address, an input."""
    return lambda world, _: given(world, name)


def given(world: Side, name: str) -> Any:
    """An input; raises `NotModelled` when the question has none of that name."""
    if name not in world.inputs:
        raise NotModelled(f"{name} is not looked at here")
    return world.number(name)


@dataclass(frozen=True, slots=True)
class Reading:
    """A function of the patched tree. `values` gives the objects by their text."""

    patched: Patched
    file: str
    function: str
    values: Mapping[str, Value] = field(default_factory=dict)
    sound: frozenset[str] = frozenset()
    calls: Callable[[Side], dict[str, Handler]] = lambda _: {}

    def reader(self, world: Side, model: DataModel) -> Reader:
        """Evaluates the function's expressions in a world."""
        types = Types({**self.patched.fields(), **_OUTSIDE}, self.patched.typedefs())
        names = {**_RESULTS, **self.names()}
        scope = Scope(types, names, {}, self.sound, self.calls(world), self._inline(), CONSTANTS)
        bare = Reader(world.do, model, scope)
        inputs = {}
        for text, make in self.values.items():
            try:
                type_ = bare.type_of(_parsed(text))
                value = make(world, type_)
            except NotModelled:
                continue  # an object that this tree, or this question, does not have
            if not isinstance(type_, Int):
                value = world.typed(value, Int(model.pointer, False))
            inputs[text] = value
        full = Scope(types, names, inputs, self.sound, scope.calls, scope.inline, CONSTANTS)
        return Reader(world.do, model, full)

    def names(self) -> dict[str, str]:
        """The types of parameters and local variables."""
        function = self.patched.function(self.file, self.function)
        if function is None:
            raise NotModelled(f"there is no {self.function}() in {self.file}")
        out = {name: type_ for type_, name in function.params}
        for statement in c.walk(function.body):
            match statement.what:
                case c.Declare(type_, name):
                    out.setdefault(name, type_)
        return out

    def _inline(self) -> dict[str, c.Function]:
        """Short functions of the pool, read where they are called."""
        out: dict[str, c.Function] = {}
        for file in (HEADER, POOL):
            out |= self.patched.sources[file].parsed.functions
        return out


@cache
def _parsed(text: str) -> c.CExpr:
    return read_expression(text)
