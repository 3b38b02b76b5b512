"""What the tier `smt` asks about the search of the pool: every decision, for every class and core.

Goal: for each decision the C of the patch (or what OP-TEE does where the patch says nothing) beside
the spec's functions. Each question takes the decisions before it as the spec has them, so that a
mistake is told where it is.
Non-goals: deciding (see `question`), who scrubs (see `smt_scrub`), and the list as a whole: that
these steps together are first fit is for the tiers that run or unwind the loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tessera.conform.cread import NotModelled, Reader
from tessera.conform.ctypes_of import BOOL, MODELS, DataModel, Int
from tessera.conform.patched import MEMORY, POOL, Patched
from tessera.conform.question import Question, Side
from tessera.conform.smt_reading import Reading, Value, from_input, given, number, pointer
from tessera.emit import csyntax as c

U32 = (1 << 32) - 1
_SOUND = frozenset({"pool", "entry", "nn"})
_STRUCT = "tee_mm_pool_t"
Inputs = dict[str, tuple[int, int]]
_OPEN: Inputs = {"lo": (0, U32), "hi": (0, U32)}
"""For a question about any window, which is easier than one about the spec's."""


@dataclass(frozen=True, slots=True)
class Search:
    """The questions about one patched tree; `numbers` are the classes' numbers in C."""

    patched: Patched
    numbers: Mapping[str, int]

    # --- the decisions ----------------------------------------------------------------------------

    def window_lo(self) -> Iterator[Question]:
        """Where the window of a class starts: what `lo` is after its assignment."""
        for name, model in self._cases():
            part = self.patched.parts.get("window-lo")
            kept = part is not None and isinstance(part.statement.what, c.If)
            inputs = {"pages": (0, _pages(model)), **({"lo before": (0, U32)} if kept else {})}

            def pair(world: Side, name: str = name, model: DataModel = model) -> tuple[Any, Any]:
                return self._lo(world, name, model), _lo(world, name)

            yield Question(_about(name, model), f"window({name}).lo", inputs, _always, pair)

    def _lo(self, world: Side, name: str, model: DataModel) -> Any:
        part = self.patched.parts.get("window-lo")
        if part is None:
            return world.literal(0)
        read = self._reading(name).reader(world, model)
        type_ = _int(read, "lo")
        match part.statement.what:
            case c.Assign(_, _, value):
                return world.wide(read.to(value, type_), type_)
            case c.If(test, (c.Statement(c.Assign(_, _, value)),)):
                # Before the first assignment it has its initial value, later that of another class.
                unclassed = world.number("pages") == 0
                kept = world.do.choose(
                    unclassed,
                    lambda: self._initial(read, type_),
                    lambda: world.typed(world.number("lo before"), type_),
                )
                chosen = world.do.choose(
                    read.test(test), lambda: read.to(value, type_), lambda: kept
                )
                return world.wide(chosen, type_)
        raise NotModelled("the assignment to lo has no known shape")

    def _initial(self, read: Reader, type_: Int) -> Any:
        part = self.patched.parts.get("window-start")
        match part.statement.what if part is not None else None:
            case c.Declare(_, _, init) if init is not None:
                return read.to(init, type_)
        raise NotModelled("lo may be used before it has a value")

    def window_hi(self) -> Iterator[Question]:
        """Which place is refused: one that does not end in the window."""
        for name, model in self._cases():
            inputs = {**_place(model), "psize": (0, _sizes(model))}

            def pair(world: Side, name: str = name, model: DataModel = model) -> tuple[Any, Any]:
                fits = _fits(world, name, _hi(world, name))
                wanted, classed = world.no(fits), world.number("pages") != 0
                refused = self._refused(world, name, model)
                return refused, _one(world, world.both(classed, wanted))

            words = f"refused by the end of window({name})"
            about, easier = _about(name, model), self._in_steps(name, model, inputs, words)
            yield Question(about, words, inputs, _in_pool, pair, easier)

    def _in_steps(
        self, name: str, model: DataModel, inputs: Inputs, words: str
    ) -> tuple[Question, ...]:
        """The end that the C compares with is the spec's; then the test, for every lo and end."""
        part = self.patched.parts.get("window-hi")
        if part is None:
            return ()
        skipped = part.statement.what
        limit = _limit(skipped)
        if limit is None:
            return ()

        def ends(world: Side) -> tuple[Any, Any]:
            read = self._reading(name).reader(world, model)
            value, type_ = read.value(limit)
            if not isinstance(type_, Int):
                raise NotModelled("the end is no number")
            return world.wide(value, type_), _hi(world, name)

        def test(world: Side) -> tuple[Any, Any]:
            reading = self._reading(name, {c.show(limit): from_input("hi")})
            refused = _one(world, _test(skipped, reading.reader(world, model)))
            wanted = world.no(_fits(world, name, _hi(world, name)))
            return refused, _one(world, world.both(wanted, world.number("pages") != 0))

        pages = {"pages": (1, _pages(model))}
        about = _about(name, model)
        return (
            Question(about, f"window({name}).hi", pages, _always, ends),
            Question(about, words, {**inputs, **_OPEN}, _in_pool, test),
        )

    def _refused(self, world: Side, name: str, model: DataModel) -> Any:
        part = self.patched.parts.get("window-hi")
        if part is None:  # OP-TEE's own check against the size of the pool
            beyond = world.number("pages") - world.number("end") < world.number("psize")
            return _one(world, world.both(world.number("pages") != 0, beyond))
        read = self._reading(name).reader(world, model)
        return _one(world, _test(part.statement.what, read))

    def search(self) -> Iterator[Question]:
        """Which gaps are passed over: those in which the request does not fit from lo on."""
        for name, model in self._cases():
            inputs = {
                **_place(model),
                "psize": (0, _sizes(model)),
                "next": (1, (1 << model.pointer) - 1),
                "next offset": (0, U32),
                "later offset": (0, U32),
                "pool size": (0, (1 << model.address) - 1),
            }
            last = {**inputs, "next": (0, 0)}
            for words, over, assume, pair in (
                ("gap before the next entry is passed over", inputs, _gap, self._passed),
                ("skipping stops, and goes on at a later entry", inputs, _gap, self._monotone),
                ("the last entry is skipped", last, _in_pool, self._at_last),
            ):
                about, made = _about(name, model), pair(name, model)
                easier = tuple(
                    Question(about, words, {**over, **_OPEN}, _with(assume, low), made)
                    for low in (True, False)
                )
                yield Question(about, words, over, assume, made, easier)

    def _passed(self, name: str, model: DataModel) -> Callable[[Side], tuple[Any, Any]]:
        def pair(world: Side) -> tuple[Any, Any]:
            read = self._reading(name).reader(world, model)
            skipped = self._skips(world, read)
            tight = read.test(self._tight())
            fits = _fits(world, name, world.number("next offset"))
            return _one(world, world.either(skipped, tight)), _one(world, world.no(fits))

        return pair

    def _monotone(self, name: str, model: DataModel) -> Callable[[Side], tuple[Any, Any]]:
        def pair(world: Side) -> tuple[Any, Any]:
            near = self._skips(world, self._reading(name).reader(world, model))
            further = self._reading(name, {"entry->next->offset": from_input("later offset")})
            far = self._skips(world, further.reader(world, model))
            return _one(world, world.both(far, world.no(near))), world.literal(0)

        return pair

    def _at_last(self, name: str, model: DataModel) -> Callable[[Side], tuple[Any, Any]]:
        def pair(world: Side) -> tuple[Any, Any]:
            read = self._reading(name).reader(world, model)
            return _one(world, self._skips(world, read)), world.literal(0)

        return pair

    def _skips(self, world: Side, read: Reader) -> Any:
        part = self.patched.parts.get("skip-below")
        if part is None:
            return world.no(world.both())
        assert isinstance(part.statement.what, c.While)
        return read.test(part.statement.what.test)

    def _tight(self) -> c.CExpr:
        """OP-TEE's own test that a gap is too small, in the search from low."""
        function = self.patched.function(POOL, self.patched.search)
        tests = [t for t in _loops(function.body if function else ()) if c.mentions(t, "psize")]
        part = self.patched.parts.get("skip-below")
        own = part.statement.what if part is not None else None
        tests = [t for t in tests if not (isinstance(own, c.While) and own.test == t)]
        if len(tests) != 1:
            raise NotModelled("OP-TEE's own loop over the gaps is not found")
        return tests[0]

    def offset(self) -> Iterator[Question]:
        """Where in the gap the block goes: at its start, or at lo."""
        for name, model in self._cases():
            inputs = {**_place(model), "psize": (0, _sizes(model))}

            def pair(world: Side, name: str = name, model: DataModel = model) -> tuple[Any, Any]:
                part = self.patched.parts.get("offset")
                if part is None:
                    return world.number("end"), _start(world, name)
                value = {"nn->offset": from_input("end")}
                read = self._reading(name, value).reader(world, model)
                assert isinstance(part.statement.what, c.Assign)
                type_ = _member(read, "tee_mm_entry_t", "offset")
                placed = read.to(part.statement.what.value, type_)
                return world.wide(placed, type_), _start(world, name)

            def accepted(world: Side, name: str = name) -> Any:
                fits = _fits(world, name, _hi(world, name))
                return world.both(_in_pool(world), world.either(world.number("pages") == 0, fits))

            yield Question(_about(name, model), "offset of the block", inputs, accepted, pair)

    def spill(self) -> Iterator[Question]:
        """Whether a class falls back, and into whose window."""
        for name, model in self._cases():
            inputs = {"pages": (0, _pages(model))}
            own = self.numbers[name]

            def moves(
                world: Side, name: str = name, model: DataModel = model, own: int = own
            ) -> tuple[Any, Any]:
                wanted = world.spec("spill", name, "pages") != world.literal(own)
                classed = world.number("pages") != 0
                part = self.patched.parts.get("fall-back")
                does = world.no(world.both())
                if part is not None:
                    does = _test(part.statement.what, self._reading(name).reader(world, model))
                return _one(world, does), _one(world, world.both(classed, wanted))

            def target(
                world: Side, name: str = name, model: DataModel = model, own: int = own
            ) -> tuple[Any, Any]:
                classed = world.number("pages") != 0
                wanted = world.pick(classed, world.spec("spill", name, "pages"), world.literal(own))
                return self._moved(world, name, model), wanted

            about = _about(name, model)
            yield Question(about, f"{name} falls back", inputs, _always, moves)
            yield Question(about, f"class after {name} failed", inputs, _always, target)

    def _moved(self, world: Side, name: str, model: DataModel) -> Any:
        part = self.patched.parts.get("fall-back")
        own = self.numbers[name]
        if part is None:
            return world.literal(own)
        read = self._reading(name).reader(world, model)
        type_ = _int(read, "k")
        match part.statement.what:
            case c.If(test, (c.Statement(c.Assign(_, "=", value)), *_)):
                chosen = world.do.choose(
                    read.test(test),
                    lambda: read.to(value, type_),
                    lambda: world.do.constant(own, type_),
                )
                return world.wide(chosen, type_)
        raise NotModelled("the fall-back has no known shape")

    def pages(self) -> Iterator[Question]:
        """Which pools are placed by class, and how large they are taken to be."""
        for model in MODELS:
            inputs = {"pages": (1, _pages(model)), "flags": (0, U32), "nexus": (0, 1)}

            def pair(world: Side, model: DataModel = model) -> tuple[Any, Any]:
                by_class = world.either(world.number("nexus") == 0, world.number("flags") == 0)
                wanted = world.pick(by_class, world.number("pages"), world.literal(0))
                return self._placed(world, model), wanted

            words = "pages that are placed by class"
            yield Question(model.name, words, inputs, _always, pair)

    def _placed(self, world: Side, model: DataModel) -> Any:
        part = self.patched.parts.get("pool-init")
        if part is None:
            return world.literal(0)
        values: dict[str, Value] = {
            "sz": number(lambda w: w.number("pages") * 4096),
            "flags": from_input("flags"),
        }

        def enabled(read: Reader, args: tuple[c.CExpr, ...]) -> tuple[Any, Int]:
            if args != (c.Name("CFG_NS_VIRTUALIZATION"),):
                raise NotModelled(f"IS_ENABLED({', '.join(map(c.show, args))}) is not modelled")
            int_ = Int(32, True)
            return world.typed(world.number("nexus"), int_), int_

        reading = Reading(
            self.patched, MEMORY, "init_pool", values, _SOUND, lambda _: {"IS_ENABLED": enabled}
        )
        read = reading.reader(world, model)
        type_ = _member(read, _STRUCT, "pages")
        match part.statement.what:
            case c.If(test, (c.Statement(c.Assign(_, "=", value)),)):
                zero = world.do.constant(0, type_)
                chosen = world.do.choose(
                    read.test(test), lambda: read.to(value, type_), lambda: zero
                )
                return world.wide(chosen, type_)
            case c.Assign(_, "=", value):
                return world.wide(read.to(value, type_), type_)
        raise NotModelled("the assignment to pool->pages has no known shape")

    # --- inputs -----------------------------------------------------------------------------------

    def _cases(self) -> Iterator[tuple[str, DataModel]]:
        for model in MODELS:
            for name in self.numbers:
                yield name, model

    def _reading(self, name: str, more: Mapping[str, Value] | None = None) -> Reading:
        """The search for one class, at one entry of the list."""
        own = self.numbers[name]
        values: dict[str, Value] = {
            "k": number(lambda w: w.literal(own)),
            "lo": number(lambda w: _lo(w, name)),
            "pool->pages": from_input("pages"),
            "psize": from_input("psize"),
            "entry->offset": from_input("offset"),
            "entry->size": number(lambda w: given(w, "end") - given(w, "offset")),
            "entry->next": pointer("next"),
            "entry->next->offset": from_input("next offset"),
            "pool->size": from_input("pool size"),
            "pool->shift": number(lambda w: w.literal(12)),
        }
        return Reading(self.patched, POOL, self.patched.search, {**values, **(more or {})}, _SOUND)


# --- numbers of the spec --------------------------------------------------------------------------


def _lo(world: Side, name: str) -> Any:
    """The start of the window; 0 in a pool that is not placed by class."""
    if "lo" in world.inputs:
        return world.number("lo")
    classed = world.number("pages") != 0
    return world.pick(classed, world.spec("window.lo", name, "pages"), world.literal(0))


def _hi(world: Side, name: str) -> Any:
    if "hi" in world.inputs:
        return world.number("hi")
    return world.spec("window.hi", name, "pages")


def _start(world: Side, name: str) -> Any:
    """Where a block would go in the gap after the entry: at its start, or at lo."""
    end, lo = world.number("end"), _lo(world, name)
    return world.pick(end < lo, lo, end)


def _fits(world: Side, name: str, limit: Any) -> Any:
    """The request, put there, ends at the limit or before."""
    start = _start(world, name)
    return world.both(start <= limit, world.number("psize") <= limit - start)


def _one(world: Side, test: Any) -> Any:
    return world.pick(test, world.literal(1), world.literal(0))


def _always(world: Side) -> Any:
    return world.both()


def _in_pool(world: Side) -> Any:
    """The entry lies in the pool."""
    limit = world.pick(world.number("pages") != 0, world.number("pages"), world.literal(U32))
    ordered = world.number("offset") <= world.number("end")
    start = (
        world.either(world.number("pages") != 0, _lo(world, "") == 0)
        if _is_open(world)
        else ordered
    )
    return world.both(ordered, start, world.number("end") <= limit)


def _is_open(world: Side) -> bool:
    """Whether the start of the window is any number, not that of the spec."""
    return "lo" in world.inputs


def _gap(world: Side) -> Any:
    """The list is sorted, and its entries lie in the pool."""
    near, far = world.number("next offset"), world.number("later offset")
    limit = world.pick(world.number("pages") != 0, world.number("pages"), world.literal(U32))
    return world.both(_in_pool(world), world.number("end") <= near, near <= far, far <= limit)


def _with(assume: Callable[[Side], Any], low: bool) -> Callable[[Side], Any]:
    """One of two cases: the window starts at the end of the entry or before, or after it."""

    def case(world: Side) -> Any:
        before = world.number("lo") <= world.number("end")
        return world.both(assume(world), before if low else world.no(before))

    return case


def _place(model: DataModel) -> Inputs:
    return {"pages": (0, _pages(model)), "offset": (0, U32), "end": (0, U32)}


def _pages(model: DataModel) -> int:
    """The largest pool of a core: what its addresses reach, and uint32_t counts."""
    return min(U32, (1 << (model.address - 12)) - 1)


def _sizes(model: DataModel) -> int:
    """The largest request in granules."""
    return 1 << (model.size - 12)


def _about(name: str, model: DataModel) -> str:
    return f"class {name}, {model.name}"


# --- pieces of C ----------------------------------------------------------------------------------


def _test(what: c.Action, read: Reader) -> Any:
    assert isinstance(what, c.If)
    return read.test(what.test)


def _limit(what: c.Action) -> c.CExpr | None:
    """What the size of the request, added to its start, must not exceed."""
    match what:
        case c.If(c.Binary("&&", _, c.Binary(">", sum_, limit))) if c.mentions(sum_, "psize"):
            return None if c.mentions(limit, "psize") else limit
    return None


def _int(read: Reader, name: str) -> Int:
    type_ = read.type_of(c.Name(name))
    if not isinstance(type_, Int) or type_ == BOOL:
        raise NotModelled(f"{name} is no integer")
    return type_


def _member(read: Reader, struct: str, name: str) -> Int:
    text = read.scope.types.field(struct, name)
    type_ = read.model.type(text) if text is not None else None
    if not isinstance(type_, Int):
        raise NotModelled(f"the type of {struct}.{name} is not known")
    return type_


def _loops(body: tuple[c.Statement, ...]) -> Iterator[c.CExpr]:
    """The tests of the loops that a search from low runs."""
    for statement in body:
        match statement.what:
            case c.While(test, _):
                yield test
            case c.If(test, _, other) if "TEE_MM_POOL_HI_ALLOC" in c.show(test):
                yield from _loops(other)
            case c.If(_, then, other):
                yield from _loops((*then, *other))
