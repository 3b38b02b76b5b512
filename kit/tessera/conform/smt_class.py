"""Which class a request has: the test of the active TA's UUID, beside the spec's list.

Goal: for every thread number, context and UUID, the number in `k` is that of the class that lists
the TA, 0 for the core and for all others; the UUIDs that stand in the C are the spec's.
Non-goals: what a class is used for (see `smt_questions`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tessera.conform.cplain import Plain
from tessera.conform.cread import Handler, NotModelled, Reader, Scope
from tessera.conform.ctypes_of import INT, MODELS, DataModel, Int, Pointer, Type
from tessera.conform.patched import POOL, Patched
from tessera.conform.question import Question, Side
from tessera.conform.result import Check
from tessera.conform.smt_reading import Reading, pointer
from tessera.emit import csyntax as c
from tessera.lang import typed as t

_BYTES = 16
_SHORT = Int(16, True)
_FIELDS = ((0, 4), (1, 2), (2, 2))  # timeLow, timeMid, timeHiAndVersion: item, bytes


@dataclass(frozen=True, slots=True)
class Classes:
    """The questions about the class of a request."""

    spec: t.Spec
    patched: Patched
    numbers: Mapping[str, int]

    def listed(self) -> dict[str, int]:
        """The number of every TA's class that is not 0, by UUID."""
        return {
            ta.uuid.lower(): self.numbers[kind.name]
            for kind in self.spec.classes
            for ta in kind.tas
            if self.numbers[kind.name] != 0
        }

    def uuids(self) -> Check:
        """The constants of the C are the UUIDs of the spec, no more and no fewer."""
        began = time.perf_counter()
        part = next((p for n, p in self.patched.parts.items() if n.startswith("class ")), None)
        where = part.where if part is not None else ""
        verdict, trace = "AGREES", []
        try:
            ours = sorted(str(uuid.UUID(bytes_le=read_uuid(e))) for e in self._constants())
            wanted = sorted(self.listed())
            trace += [f"only in C: {one}" for one in ours if one not in wanted]
            trace += [f"only in the spec: {one}" for one in wanted if one not in ours]
            detail = f"{len(ours)} UUIDs in C, {len(wanted)} in the spec"
            verdict = "DIFFERS" if ours != wanted else verdict
        except NotModelled as reason:
            verdict, detail = "UNKNOWN", f"{reason}; another tier has to tell"
        seconds = time.perf_counter() - began
        counts = {"UUIDs": len(self.listed())}
        where = "" if verdict == "AGREES" else where
        return Check("smt", "smt/uuids", verdict, detail, counts, seconds, where, tuple(trace))

    def _constants(self) -> list[c.CExpr]:
        return list(self.patched.uuids.values())

    def questions(self) -> Iterator[Question]:
        """The class of a request on every thread, with every context."""
        for model in MODELS:
            inputs = {
                "thread": (_SHORT.low, _SHORT.high),
                "context": (0, (1 << model.pointer) - 1),
                "memcmp": (INT.low, INT.high),
                **{f"uuid[{i}]": (0, 255) for i in range(_BYTES)},
            }

            def pair(world: Side, model: DataModel = model) -> tuple[Any, Any]:
                return self._class(world, model), self._wanted(world)

            yield Question(model.name, "number of the class", inputs, _unequal, pair)

    def _class(self, world: Side, model: DataModel) -> Any:
        part = self.patched.parts.get("class")
        if part is None:
            return world.literal(0)
        values = {"thread_get_tsd()->ctx": pointer("context")}
        reading = Reading(self.patched, POOL, self.patched.search, values, calls=self._calls)
        read = reading.reader(world, model)
        type_ = read.type_of(c.Name("k"))
        match part.statement.what:
            case c.Declare(_, _, init) if init is not None and isinstance(type_, Int):
                return world.wide(read.to(init, type_), type_)
        raise NotModelled("k has no value")

    def _wanted(self, world: Side) -> Any:
        """The class that lists the TA whose context is active, else that of the core."""
        out = world.literal(0)
        for one, kind in self.listed().items():
            same = _is(world, uuid.UUID(one).bytes_le, _BYTES)
            out = world.pick(same, world.literal(kind), out)
        active = world.both(world.number("thread") >= 0, world.number("context") != 0)
        return world.pick(active, out, world.literal(0))

    def _calls(self, world: Side) -> dict[str, Handler]:
        """What the functions give that the test calls (core/include/kernel/thread.h, string.h)."""

        def thread(_: Reader, args: tuple[c.CExpr, ...]) -> tuple[Any, Type]:
            return world.typed(world.number("thread"), _SHORT), _SHORT

        def tsd(read: Reader, args: tuple[c.CExpr, ...]) -> tuple[Any, Type]:
            # It asserts that there is a thread.
            read.do.require(
                "a thread is active where its data is read", world.number("thread") >= 0
            )
            address = Int(read.model.pointer, False)
            return read.do.constant(1, address), Pointer("struct thread_specific_data")

        def memcmp(read: Reader, args: tuple[c.CExpr, ...]) -> tuple[Any, Type]:
            if len(args) != 3:
                raise NotModelled("memcmp() takes three arguments")
            count, constant = _count(read, args[2]), self._compared(read, args[:2])
            read.do.require("memcmp stays within a UUID", world.literal(count) <= _BYTES)
            same = _is(world, constant, min(count, _BYTES))
            other = world.typed(world.number("memcmp"), INT)
            return read.do.choose(same, lambda: read.do.constant(0, INT), lambda: other), INT

        return {"thread_get_id_may_fail": thread, "thread_get_tsd": tsd, "memcmp": memcmp}

    def _compared(self, read: Reader, sides: tuple[c.CExpr, ...]) -> bytes:
        """The constant that the active TA's UUID is compared with."""
        found = None
        for side in sides:
            match side:
                case c.Unary("&", c.Name(name)) if name in self.patched.uuids:
                    found = read_uuid(self.patched.uuids[name])
                case c.Unary("&", c.Member(base, "uuid", True)) if (
                    c.show(base) == "thread_get_tsd()->ctx"
                ):
                    read.not_null(base)
                case _:
                    raise NotModelled(f"memcmp() of {c.show(side)} is not modelled")
        if found is None:
            raise NotModelled("memcmp() compares with no UUID of the patch")
        return found


def read_uuid(expr: c.CExpr) -> bytes:
    """The 16 bytes in memory of an initialiser of TEE_UUID, on a little-endian core."""
    match expr:
        case c.Braces((*head, c.Braces(tail))) if len(head) == 3 and len(tail) == 8:
            items = [*head, *tail]
            if all(isinstance(item, c.Number) for item in items):
                values = [item.value for item in items if isinstance(item, c.Number)]
                sizes = [size for _, size in _FIELDS] + [1] * 8
                return b"".join(
                    (v % (1 << 8 * n)).to_bytes(n, "little")
                    for v, n in zip(values, sizes, strict=True)
                )
    raise NotModelled(f"{c.show(expr)} is no UUID")


def _count(read: Reader, expr: c.CExpr) -> int:
    """A number of bytes that does not depend on inputs."""
    scope = Scope(read.scope.types, read.scope.names, {})
    plain = Reader(Plain(), read.model, scope)
    return int(plain.to(expr, Int(read.model.size, False)))


def _is(world: Side, constant: bytes, count: int) -> Any:
    return world.both(*(world.number(f"uuid[{i}]") == constant[i] for i in range(count)))


def _unequal(world: Side) -> Any:
    """What memcmp gives for different bytes is not 0; more is not known of it."""
    return world.number("memcmp") != 0
