"""What the tier `smt` asks about the search of the pool: every decision, for every class and core.

Goal: for each decision the C of the patch (or what OP-TEE does where the patch says nothing) beside
the spec's functions. Each question takes the decisions before it as the spec has them, so that a
mistake is told where it is.
Non-goals: deciding (see `question`), the terms (see `smt_terms`), who scrubs (see `smt_scrub`), and
the list as a whole: that these steps together are first fit is for the tiers that run the loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tessera.conform.cread import NotModelled, Reader
from tessera.conform.ctypes_of import MODELS, DataModel, Int
from tessera.conform.patched import MEMORY, POOL, Patched
from tessera.conform.question import Question, Side
from tessera.conform.smt_reading import Reading, Value, from_input, given, number, pointer
from tessera.conform.smt_terms import (
    U32,
    Inputs,
    always,
    as_number,
    entry_inputs,
    field_type,
    in_gap,
    in_pool,
    limit_of,
    loop_tests,
    most_granules,
    most_pages,
    one_case,
    place_in_gap,
    request_fits,
    test_of,
    title,
    variable_type,
    window_end,
    window_start,
)
from tessera.emit import csyntax as c

_SOUND = frozenset({"pool", "entry", "nn"})
_STRUCT = "tee_mm_pool_t"
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
            inputs = {"pages": (0, most_pages(model)), **({"lo before": (0, U32)} if kept else {})}

            def pair(world: Side, name: str = name, model: DataModel = model) -> tuple[Any, Any]:
                return self._lo(world, name, model), window_start(world, name)

            yield Question(title(name, model), f"window({name}).lo", inputs, always, pair)

    def _lo(self, world: Side, name: str, model: DataModel) -> Any:
        part = self.patched.parts.get("window-lo")
        if part is None:
            return world.literal(0)
        read = self._reading(name).reader(world, model)
        type_ = variable_type(read, "lo")
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
            inputs = {**entry_inputs(model), "psize": (0, most_granules(model))}

            def pair(world: Side, name: str = name, model: DataModel = model) -> tuple[Any, Any]:
                fits = request_fits(world, name, window_end(world, name))
                wanted, classed = world.no(fits), world.number("pages") != 0
                refused = self._refused(world, name, model)
                return refused, as_number(world, world.both(classed, wanted))

            words = f"refused by the end of window({name})"
            about, easier = title(name, model), self._in_steps(name, model, inputs, words)
            yield Question(about, words, inputs, in_pool, pair, easier)

    def _in_steps(
        self, name: str, model: DataModel, inputs: Inputs, words: str
    ) -> tuple[Question, ...]:
        """The end that the C compares with is the spec's; then the test, for every lo and end."""
        part = self.patched.parts.get("window-hi")
        if part is None:
            return ()
        skipped = part.statement.what
        limit = limit_of(skipped)
        if limit is None:
            return ()

        def ends(world: Side) -> tuple[Any, Any]:
            read = self._reading(name).reader(world, model)
            value, type_ = read.value(limit)
            if not isinstance(type_, Int):
                raise NotModelled("the end is no number")
            return world.wide(value, type_), window_end(world, name)

        def test(world: Side) -> tuple[Any, Any]:
            reading = self._reading(name, {c.show(limit): from_input("hi")})
            refused = as_number(world, test_of(skipped, reading.reader(world, model)))
            wanted = world.no(request_fits(world, name, window_end(world, name)))
            return refused, as_number(world, world.both(wanted, world.number("pages") != 0))

        pages = {"pages": (1, most_pages(model))}
        about = title(name, model)
        return (
            Question(about, f"window({name}).hi", pages, always, ends),
            Question(about, words, {**inputs, **_OPEN}, in_pool, test),
        )

    def _refused(self, world: Side, name: str, model: DataModel) -> Any:
        part = self.patched.parts.get("window-hi")
        if part is None:  # OP-TEE's own check against the size of the pool
            beyond = world.number("pages") - world.number("end") < world.number("psize")
            return as_number(world, world.both(world.number("pages") != 0, beyond))
        read = self._reading(name).reader(world, model)
        return as_number(world, test_of(part.statement.what, read))

    def search(self) -> Iterator[Question]:
        """Which gaps are passed over: those in which the request does not fit from lo on."""
        for name, model in self._cases():
            inputs = {
                **entry_inputs(model),
                "psize": (0, most_granules(model)),
                "next": (1, (1 << model.pointer) - 1),
                "next offset": (0, U32),
                "later offset": (0, U32),
                "pool size": (0, (1 << model.address) - 1),
            }
            last = {**inputs, "next": (0, 0)}
            for words, over, assume, pair in (
                ("gap before the next entry is passed over", inputs, in_gap, self._passed),
                ("skipping stops, and goes on at a later entry", inputs, in_gap, self._monotone),
                ("the last entry is skipped", last, in_pool, self._at_last),
            ):
                about, made = title(name, model), pair(name, model)
                easier = tuple(
                    Question(about, words, {**over, **_OPEN}, one_case(assume, low), made)
                    for low in (True, False)
                )
                yield Question(about, words, over, assume, made, easier)

    def _passed(self, name: str, model: DataModel) -> Callable[[Side], tuple[Any, Any]]:
        def pair(world: Side) -> tuple[Any, Any]:
            read = self._reading(name).reader(world, model)
            skipped = self._skips(world, read)
            tight = read.test(self._tight())
            fits = request_fits(world, name, world.number("next offset"))
            return as_number(world, world.either(skipped, tight)), as_number(world, world.no(fits))

        return pair

    def _monotone(self, name: str, model: DataModel) -> Callable[[Side], tuple[Any, Any]]:
        def pair(world: Side) -> tuple[Any, Any]:
            near = self._skips(world, self._reading(name).reader(world, model))
            further = self._reading(name, {"entry->next->offset": from_input("later offset")})
            far = self._skips(world, further.reader(world, model))
            return as_number(world, world.both(far, world.no(near))), world.literal(0)

        return pair

    def _at_last(self, name: str, model: DataModel) -> Callable[[Side], tuple[Any, Any]]:
        def pair(world: Side) -> tuple[Any, Any]:
            read = self._reading(name).reader(world, model)
            return as_number(world, self._skips(world, read)), world.literal(0)

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
        tests = [t for t in loop_tests(function.body if function else ()) if c.mentions(t, "psize")]
        part = self.patched.parts.get("skip-below")
        own = part.statement.what if part is not None else None
        tests = [t for t in tests if not (isinstance(own, c.While) and own.test == t)]
        if len(tests) != 1:
            raise NotModelled("OP-TEE's own loop over the gaps is not found")
        return tests[0]

    def offset(self) -> Iterator[Question]:
        """Where in the gap the block goes: at its start, or at lo."""
        for name, model in self._cases():
            inputs = {**entry_inputs(model), "psize": (0, most_granules(model))}

            def pair(world: Side, name: str = name, model: DataModel = model) -> tuple[Any, Any]:
                part = self.patched.parts.get("offset")
                if part is None:
                    return world.number("end"), place_in_gap(world, name)
                value = {"nn->offset": from_input("end")}
                read = self._reading(name, value).reader(world, model)
                assert isinstance(part.statement.what, c.Assign)
                type_ = field_type(read, "tee_mm_entry_t", "offset")
                placed = read.to(part.statement.what.value, type_)
                return world.wide(placed, type_), place_in_gap(world, name)

            def accepted(world: Side, name: str = name) -> Any:
                fits = request_fits(world, name, window_end(world, name))
                return world.both(in_pool(world), world.either(world.number("pages") == 0, fits))

            yield Question(title(name, model), "offset of the block", inputs, accepted, pair)

    def spill(self) -> Iterator[Question]:
        """Whether a class falls back, and into whose window."""
        for name, model in self._cases():
            inputs = {"pages": (0, most_pages(model))}
            own = self.numbers[name]

            def moves(
                world: Side, name: str = name, model: DataModel = model, own: int = own
            ) -> tuple[Any, Any]:
                wanted = world.spec("spill", name, "pages") != world.literal(own)
                classed = world.number("pages") != 0
                part = self.patched.parts.get("fall-back")
                does = world.no(world.both())
                if part is not None:
                    does = test_of(part.statement.what, self._reading(name).reader(world, model))
                return as_number(world, does), as_number(world, world.both(classed, wanted))

            def target(
                world: Side, name: str = name, model: DataModel = model, own: int = own
            ) -> tuple[Any, Any]:
                classed = world.number("pages") != 0
                wanted = world.pick(classed, world.spec("spill", name, "pages"), world.literal(own))
                return self._moved(world, name, model), wanted

            about = title(name, model)
            yield Question(about, f"{name} falls back", inputs, always, moves)
            yield Question(about, f"class after {name} failed", inputs, always, target)

    def _moved(self, world: Side, name: str, model: DataModel) -> Any:
        part = self.patched.parts.get("fall-back")
        own = self.numbers[name]
        if part is None:
            return world.literal(own)
        read = self._reading(name).reader(world, model)
        type_ = variable_type(read, "k")
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
            inputs = {"pages": (1, most_pages(model)), "flags": (0, U32), "nexus": (0, 1)}

            def pair(world: Side, model: DataModel = model) -> tuple[Any, Any]:
                by_class = world.either(world.number("nexus") == 0, world.number("flags") == 0)
                wanted = world.pick(by_class, world.number("pages"), world.literal(0))
                return self._placed(world, model), wanted

            words = "pages that are placed by class"
            yield Question(model.name, words, inputs, always, pair)

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
        type_ = field_type(read, _STRUCT, "pages")
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
            "lo": number(lambda w: window_start(w, name)),
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
