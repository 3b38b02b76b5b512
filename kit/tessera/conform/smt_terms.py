"""The terms of the questions about the search: the spec's numbers, assumptions, pieces of C.

Goal: each function gives one term on a `Side` (for Z3 or plain numbers), or one piece of the C of a
patch, so that `smt_questions` only says which two terms must be equal.
Non-goals: the questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tessera.conform.cread import NotModelled, Reader
from tessera.conform.ctypes_of import BOOL, DataModel, Int
from tessera.conform.question import Side
from tessera.emit import csyntax as c

U32 = (1 << 32) - 1
Inputs = dict[str, tuple[int, int]]

# --- numbers of the spec --------------------------------------------------------------------------


def window_start(world: Side, name: str) -> Any:
    """The start of the window; 0 in a pool that is not placed by class."""
    if "lo" in world.inputs:
        return world.number("lo")
    classed = world.number("pages") != 0
    return world.pick(classed, world.spec("window.lo", name, "pages"), world.literal(0))


def window_end(world: Side, name: str) -> Any:
    """The end of the window."""
    if "hi" in world.inputs:
        return world.number("hi")
    return world.spec("window.hi", name, "pages")


def place_in_gap(world: Side, name: str) -> Any:
    """Where a block would go in the gap after the entry: at its start, or at lo."""
    end, lo = world.number("end"), window_start(world, name)
    return world.pick(end < lo, lo, end)


def request_fits(world: Side, name: str, limit: Any) -> Any:
    """The request, put there, ends at the limit or before."""
    start = place_in_gap(world, name)
    return world.both(start <= limit, world.number("psize") <= limit - start)


def as_number(world: Side, test: Any) -> Any:
    """1 where the test holds, else 0."""
    return world.pick(test, world.literal(1), world.literal(0))


def always(world: Side) -> Any:
    """No assumption."""
    return world.both()


def in_pool(world: Side) -> Any:
    """The entry lies in the pool."""
    limit = world.pick(world.number("pages") != 0, world.number("pages"), world.literal(U32))
    ordered = world.number("offset") <= world.number("end")
    start = (
        world.either(world.number("pages") != 0, window_start(world, "") == 0)
        if _is_open(world)
        else ordered
    )
    return world.both(ordered, start, world.number("end") <= limit)


def _is_open(world: Side) -> bool:
    """Whether the start of the window is any number, not that of the spec."""
    return "lo" in world.inputs


def in_gap(world: Side) -> Any:
    """The list is sorted, and its entries lie in the pool."""
    near, far = world.number("next offset"), world.number("later offset")
    limit = world.pick(world.number("pages") != 0, world.number("pages"), world.literal(U32))
    return world.both(in_pool(world), world.number("end") <= near, near <= far, far <= limit)


def one_case(assume: Callable[[Side], Any], low: bool) -> Callable[[Side], Any]:
    """One of two cases: the window starts at the end of the entry or before, or after it."""

    def case(world: Side) -> Any:
        before = world.number("lo") <= world.number("end")
        return world.both(assume(world), before if low else world.no(before))

    return case


def entry_inputs(model: DataModel) -> Inputs:
    """The pool and one entry of its list."""
    return {"pages": (0, most_pages(model)), "offset": (0, U32), "end": (0, U32)}


def most_pages(model: DataModel) -> int:
    """The largest pool of a core: what its addresses reach, and uint32_t counts."""
    return min(U32, (1 << (model.address - 12)) - 1)


def most_granules(model: DataModel) -> int:
    """The largest request in granules."""
    return 1 << (model.size - 12)


def title(name: str, model: DataModel) -> str:
    """How a question is called."""
    return f"class {name}, {model.name}"


# --- pieces of C ----------------------------------------------------------------------------------


def test_of(what: c.Action, read: Reader) -> Any:
    """The test of an if, as the C has it."""
    assert isinstance(what, c.If)
    return read.test(what.test)


def limit_of(what: c.Action) -> c.CExpr | None:
    """What the size of the request, added to its start, must not exceed."""
    match what:
        case c.If(c.Binary("&&", _, c.Binary(">", sum_, limit))) if c.mentions(sum_, "psize"):
            return None if c.mentions(limit, "psize") else limit
    return None


def variable_type(read: Reader, name: str) -> Int:
    """The type of an integer variable. Raises NotModelled for another."""
    type_ = read.type_of(c.Name(name))
    if not isinstance(type_, Int) or type_ == BOOL:
        raise NotModelled(f"{name} is no integer")
    return type_


def field_type(read: Reader, struct: str, name: str) -> Int:
    """The type of an integer field. Raises NotModelled for another."""
    text = read.scope.types.field(struct, name)
    type_ = read.model.type(text) if text is not None else None
    if not isinstance(type_, Int):
        raise NotModelled(f"the type of {struct}.{name} is not known")
    return type_


def loop_tests(body: tuple[c.Statement, ...]) -> Iterator[c.CExpr]:
    """The tests of the loops that a search from low runs."""
    for statement in body:
        match statement.what:
            case c.While(test, _):
                yield test
            case c.If(test, _, other) if "TEE_MM_POOL_HI_ALLOC" in c.show(test):
                yield from loop_tests(other)
            case c.If(_, then, other):
                yield from loop_tests((*then, *other))
