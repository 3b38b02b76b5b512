"""What is wiped when memory comes back: at each of the places where a policy may do it.

Goal: whether memory is cleared there, from where and how many bytes, beside what the spec's `scrub`
says; a place where nothing is to be cleared must have no clearing.
Non-goals: that these are all places where TA memory comes back (the guest's scenario `residue`
reads memory afterwards), and the order within the pool's list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tessera.conform.cread import Handler, NotModelled, Reader
from tessera.conform.ctypes_of import MODELS, DataModel, Int, Pointer, Type
from tessera.conform.patched import FOBJ, POOL, TA_STORE, Part, Patched
from tessera.conform.question import Question, Side
from tessera.conform.smt_reading import Reading, Value, from_input, number, pointer
from tessera.emit import csyntax as c

AREA = "MEM_AREA_SEC_RAM_OVERALL"
_LARGEST = (1 << 20) - 1  # granules: tee_mm_get_bytes() shifts in 32 bits, so below 4 GiB
_VOID = Int(8, False)


@dataclass(frozen=True, slots=True)
class Place:
    """A function that gives memory back: it frees `entry`, which is mapped at `buffer`."""

    hook: str
    file: str
    function: str
    entry: str
    modes: tuple[str, ...]  # of the spec's scrub, in which it must clear
    buffer: str = ""
    maybe: bool = False  # the buffer may be null: nothing was placed then


PLACES = (
    Place("scrub-fobj", FOBJ, "sec_mem_free", "f->mm", ("owned",)),
    Place("scrub-image", TA_STORE, "buf_ta_close", "handle->mm", ("owned",), "handle->buf"),
    Place(
        "scrub-image-error", TA_STORE, "buf_ta_open", "handle->mm", ("owned",), "handle->buf", True
    ),
    Place("scrub-always", POOL, "tee_mm_free", "p", ("always",)),
)


@dataclass(frozen=True, slots=True)
class Scrubs:
    """The questions about one patched tree under a scrub mode."""

    patched: Patched
    mode: str

    def needed(self, place: Place) -> bool:
        """Whether the place is there and either clears or should."""
        there = self.patched.function(place.file, place.function) is not None
        return there and (place.hook in self.patched.parts or self.mode in place.modes)

    def questions(self, place: Place) -> Iterator[Question]:
        """How many bytes are cleared, and from where."""
        for model in MODELS:
            inputs = {
                "size": (1, _LARGEST),
                "pages": (0, (1 << 20) - 1),
                "mapped at": (0 if place.maybe else 4096, (1 << model.pointer) - 1),
                "asked": (1, _LARGEST << 12),
            }

            def cleared(world: Side, model: DataModel = model) -> tuple[Any, Any]:
                return self._bytes(world, model, place), self._wanted(world, place)

            def start(world: Side, model: DataModel = model) -> tuple[Any, Any]:
                return self._start(world, model, place), world.number("mapped at")

            yield Question(model.name, "bytes that are cleared", inputs, _any, cleared)
            if place.hook in self.patched.parts:
                yield Question(model.name, "address from which on", inputs, _real, start)

    def _wanted(self, world: Side, place: Place) -> Any:
        if self.mode not in place.modes:
            return world.literal(0)
        whole = world.number("size") * 4096
        if place.hook == "scrub-always":  # only pools that are placed by class
            return world.pick(world.number("pages") != 0, whole, world.literal(0))
        if place.maybe:
            return world.pick(world.number("mapped at") != 0, whole, world.literal(0))
        return whole

    def _bytes(self, world: Side, model: DataModel, place: Place) -> Any:
        part = self.patched.parts.get(place.hook)
        if part is None:
            return world.literal(0)
        read = self._reading(place).reader(world, model)
        test, call = _cleared(part)
        size, zero = Int(model.size, False), Int(model.size, False)

        def length() -> Any:
            target, value, count = _arguments(call)
            if place.buffer == c.show(target):
                read.not_null(target)
            content = read.do.convert(read.to(value, Int(32, True)), Int(32, True), _VOID)
            is_zero = read.do.compare("==", content, read.do.constant(0, _VOID), _VOID)
            nothing = read.do.constant(0, zero)
            return read.do.choose(is_zero, lambda: read.to(count, size), lambda: nothing)

        if test is None:
            return world.wide(length(), size)
        nothing = read.do.constant(0, zero)
        return world.wide(read.do.choose(read.test(test), length, lambda: nothing), size)

    def _start(self, world: Side, model: DataModel, place: Place) -> Any:
        read = self._reading(place).reader(world, model)
        _, call = _cleared(self.patched.parts[place.hook])
        target, _, _ = _arguments(call)
        base, offset = target, None
        sign = 1
        match target:
            case c.Binary("+" | "-" as op, left, right):
                base, offset, sign = left, right, 1 if op == "+" else -1
        address = Int(model.pointer, False)
        value, type_ = read.value(base)
        if not isinstance(type_, Pointer):
            raise NotModelled(f"{c.show(target)} is no address")
        wide = world.wide(value, address)
        if offset is None:
            return wide
        if type_.to not in ("void", "uint8_t", "char"):
            raise NotModelled(f"arithmetic on a pointer to {type_.to} is not modelled")
        long = Int(64, True)
        return wide + world.wide(read.to(offset, long), long) * sign

    def _reading(self, place: Place) -> Reading:
        """The function at its clearing; the entry, and the pool it is of, are there."""
        root, _, _ = place.entry.partition("->")
        entry = place.entry
        values: dict[str, Value] = {
            f"{entry}->size": from_input("size"),
            f"{entry}->pool->shift": number(lambda w: w.literal(12)),
            f"{entry}->pool->pages": from_input("pages"),
            f"{entry}->pool": lambda w, _: w.literal(4096),
        }
        if entry != root:
            values[entry] = lambda w, _: w.literal(4096)
        if place.buffer:
            self._check_mapping(place)
            values[place.buffer] = pointer("mapped at")
            values["handle->ta_size"] = from_input("asked")

        def calls(world: Side) -> dict[str, Handler]:
            return {"phys_to_virt": _mapped(world, entry), "tee_mm_get_smem": _opaque}

        names = frozenset({root})
        return Reading(self.patched, place.file, place.function, values, names, calls)

    def _check_mapping(self, place: Place) -> None:
        """The buffer is set in one place, from the entry's own memory."""
        functions = self.patched.sources[place.file].parsed.functions.values()
        values = [
            statement.what.value
            for function in functions
            for statement in c.walk(function.body)
            if isinstance(statement.what, c.Assign)
            and c.show(statement.what.target) == place.buffer
        ]
        if len(values) != 1 or place.entry not in c.show(values[0]):
            raise NotModelled(f"where {place.buffer} points to is not clear")


def _mapped(world: Side, entry: str) -> Handler:
    """phys_to_virt() of the entry's memory: some address that is not null."""

    def mapped(read: Reader, args: tuple[c.CExpr, ...]) -> tuple[Any, Type]:
        wanted = (c.Call("tee_mm_get_smem", (_path(entry),)), c.Name(AREA))
        if len(args) != 3 or args[:2] != wanted:
            given = ", ".join(map(c.show, args))
            raise NotModelled(f"phys_to_virt({given}) is not the memory that is freed")
        if not isinstance(args[2], c.Number) or args[2].value < 1:
            raise NotModelled(f"phys_to_virt() of {c.show(args[2])} bytes is not modelled")
        address = Int(read.model.pointer, False)
        return world.typed(world.number("mapped at"), address), Pointer("void")

    return mapped


def _opaque(_: Reader, args: tuple[c.CExpr, ...]) -> tuple[Any, Type]:
    raise NotModelled("tee_mm_get_smem() outside phys_to_virt() is not modelled")


def _path(text: str) -> c.CExpr:
    root, *fields = text.split("->")
    out: c.CExpr = c.Name(root)
    for field in fields:
        out = c.Member(out, field, True)
    return out


def _cleared(part: Part) -> tuple[c.CExpr | None, c.Call]:
    """The test under which it is cleared, None for always, and the call that clears."""
    match part.statement.what:
        case c.Do(c.Call() as call):
            return None, call
        case c.If(test, (c.Statement(c.Do(c.Call() as call)),), ()):
            return test, call
    raise NotModelled("the clearing has no known shape")


def _arguments(call: c.Call) -> tuple[c.CExpr, c.CExpr, c.CExpr]:
    """Where, which value, how many bytes."""
    match call:
        case c.Call("memset", (target, value, count)):
            return target, value, count
        case c.Call("memtag_clear_mem", (target, count)):
            return target, c.Number(0, 10, ""), count
    raise NotModelled(f"{c.show(call)} is not known to clear memory")


def _any(world: Side) -> Any:
    """The block is as large as what was asked for, rounded up."""
    asked, whole = world.number("asked"), world.number("size") * 4096
    return world.both(whole - 4096 < asked, asked <= whole)


def _real(world: Side) -> Any:
    return world.both(_any(world), world.number("mapped at") >= 4096)
