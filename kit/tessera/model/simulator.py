"""Running a machine step by step, concretely, and judging its properties.

Goal: `fire` an event exactly as given or say which statement forbids it; find the `choices` with
which an action may fire; `check` every property in the present state.
Non-goals: which action to fire (see `explore`), traces as records (see `replay`).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tessera.errors import Span, TesseraError
from tessera.lang.typed import Action, Spec
from tessera.model.machine import (
    Bind,
    Choice,
    CompiledAction,
    Guard,
    Machine,
    State,
    candidates,
)
from tessera.model.properties import Properties, Truth, Violation
from tessera.model.scope import Frame
from tessera.model.script import Event, Value, World
from tessera.model.values import fits_type, show
from tessera.model.world import check_world

_TRIES = 64  # values of one `some` choice that are followed when later guards refuse them


class NotEnabled(TesseraError):
    """An event that the machine forbids; `where` and `text` are the statement that does."""

    def __init__(self, event: str, why: str, text: str, span: Span) -> None:
        super().__init__(f"{event} is not enabled: {why}: {text}", where=span)
        self.text = text


class Simulator:
    """One run of a spec in one world. Raises TesseraError when the world breaks an assumption."""

    def __init__(self, spec: Spec, world: World) -> None:
        self.spec = spec
        self.world = world
        self.machine = Machine(spec, world)
        check_world(spec, world, self.machine.engine)
        self.properties = Properties(spec, self.machine.engine)
        self.state: State = ()
        self.before: State | None = None
        self.last = ""  # the action that led here; "" in the initial state
        self.reset()

    def reset(self) -> None:
        """Back to the initial state."""
        self.restore(self.machine.initial(), None, "")

    def restore(self, state: State, before: State | None, last: str) -> None:
        """Go to a state seen before."""
        self.state, self.before, self.last = state, before, last

    # --- firing ----------------------------------------------------------------------------------

    def enabled(
        self, action: str, args: dict[str, Value], rng: Random | None = None
    ) -> dict[str, Value] | None:
        """Choices with which the action can fire here, None when there are none.

        `least` takes the smallest value, `fresh` the first; `some` a random one when `rng` is
        given. Raises `Undecided` when a choice or a guard cannot be evaluated.
        """
        compiled = self.machine.actions[action]
        f = compiled.frame(self.state, args)
        found = self._search(compiled, 0, f, rng)
        return None if found is None else dict(found)

    def _search(
        self, action: CompiledAction, at: int, f: Frame, rng: Random | None
    ) -> list[tuple[str, Value]] | None:
        for i in range(at, len(action.body)):
            statement = action.body[i]
            if isinstance(statement, Guard):
                if not statement.test(f):
                    return None
            elif isinstance(statement, Bind):
                f[statement.place] = statement.value(f)
            elif isinstance(statement, Choice):
                for value in self._options(statement, f, rng):
                    f[statement.place] = value
                    rest = self._search(action, i + 1, f, rng)
                    if rest is not None:
                        return [(statement.binder.name, value), *rest]
                return None
        return []

    def _options(self, choice: Choice, f: Frame, rng: Random | None) -> Sequence[Value]:
        """The values to try, best first."""
        if choice.kind != "some" or choice.values is not None or rng is None:
            options: list[Value] = []
            for value in candidates(choice, f):
                options.append(value)
                if len(options) == _TRIES or choice.kind == "least":
                    break
            if choice.kind == "some" and rng is not None:
                rng.shuffle(options)
            return options
        assert choice.passing is not None
        passing = choice.passing(f)
        ends = {x for lo, hi in passing[:_TRIES] for x in (lo, hi - 1)}
        inside = [rng.randrange(*part) for part in passing[:_TRIES]]
        options = sorted(ends | set(inside))
        rng.shuffle(options)
        return options

    def fire(self, event: Event) -> None:
        """Take one step with exactly these arguments and choices.

        Raises `NotEnabled` when a guard fails, a choice does not pass its test or is not the least
        one; TesseraError when the event does not fit the spec. The state is then unchanged.
        """
        compiled = self._known(event)
        f = compiled.frame(self.state, event.args)
        for statement in compiled.body:
            if isinstance(statement, Guard):
                if not statement.test(f):
                    raise self._refusal(event, "this does not hold", statement.span)
            elif isinstance(statement, Bind):
                f[statement.place] = statement.value(f)
            elif isinstance(statement, Choice):
                self._take(event, statement, f)
        after = self.machine.after(compiled, f)
        self.restore(after, self.state, event.action)

    def _take(self, event: Event, choice: Choice, f: Frame) -> None:
        value = event.choices[choice.binder.name]
        if choice.kind == "least":
            least = next(candidates(choice, f), None)
            if least != value:
                shown = "nothing passes" if least is None else show(least, choice.binder.type)
                taken = show(value, choice.binder.type)
                why = f"'{choice.binder.name}' is {taken}, the least is {shown}"
                raise self._refusal(event, why, choice.span)
        f[choice.place] = value
        if not choice.test(f):
            taken = show(value, choice.binder.type)
            why = f"'{choice.binder.name}' = {taken} does not pass"
            raise self._refusal(event, why, choice.span)

    def _known(self, event: Event) -> CompiledAction:
        """The action of an event, after checking that every value has its type."""
        compiled = self.machine.actions.get(event.action)
        if compiled is None:
            names = ", ".join(self.machine.actions)
            raise TesseraError(f"there is no action '{event.action}'", remedy=f"one of: {names}")
        binders = [(p, event.args) for p in compiled.params]
        binders += [(c.binder, event.choices) for c in compiled.choices]
        for binder, given in binders:
            value = given.get(binder.name)
            if value is None or not fits_type(value, binder.type, self.spec, self.world):
                raise TesseraError(
                    f"{event.action}: '{binder.name}' = {value!r} is not a {binder.type} "
                    "of this world",
                    where=binder.span,
                )
        return compiled

    def _refusal(self, event: Event, why: str, span: Span) -> NotEnabled:
        action = self.spec.action(event.action)
        return NotEnabled(call_text(action, event.args), why, source_text(self.spec, span), span)

    # --- judging ---------------------------------------------------------------------------------

    def check(self) -> tuple[Violation, ...]:
        """The invariants, promises, lemmas and step properties that fail in this state or step."""
        return self.properties.violations(self.state, self.before, self.last)

    def truth(self, property_name: str) -> Truth:
        """Whether one property (or cover) holds here."""
        return self.properties.truth(property_name, self.state, self.before, self.last)


def call_text(action: Action, args: dict[str, Value]) -> str:
    """An action with its arguments, e.g. `alloc(w = ta1, n = 3 granules)`."""
    parts = (f"{p.name} = {show(args[p.name], p.type)}" for p in action.params)
    return f"{action.name}({', '.join(parts)})"


def source_text(spec: Spec, span: Span) -> str:
    """The source that a span covers, on one line."""
    lines = spec.lines.get(span.file, [])[span.line - 1 : span.end_line]
    if not lines:
        return ""
    lines = [*lines[:-1], lines[-1][: span.end_column - 1]]
    lines[0] = lines[0][span.column - 1 :]
    return " ".join(" ".join(lines).split())
