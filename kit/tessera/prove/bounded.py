"""Bounded search from the initial state: real runs that break a property, or reach a state.

Goal: the shortest run, then the smallest sizes in it, as a `Script` that the simulator replays.
Each sort has its named elements and a few more, which is enough for short runs to be found fast.
Non-goals: proofs for every number of steps (see `tessera.prove.induct`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import z3

from tessera.lang import typed as t
from tessera.lang.types import BOOL, IntType, SortType
from tessera.lang.walk import walk
from tessera.model.script import Event, Script, Value, World
from tessera.prove.encode import Encoder, Env, Lookup, State
from tessera.prove.nodes import has_quantifier
from tessera.prove.solver import DEFAULT_LIMIT, configure, fresh_context, spent
from tessera.prove.terms import Sorts, Term, arithmetic
from tessera.prove.tidy import in_order
from tessera.prove.transition import Firing, expand_promise, fire, initial_state

MOST_THINGS = 2
"""Unnamed elements per sort. A run that is found is real whatever this is; a search that finds
nothing speaks only of runs with so many things, and its result says so."""


MOST_CANDIDATES = 50
"""Sequences of actions tried at one length before the search gives up as unknown."""


@dataclass(frozen=True, slots=True)
class Found:
    """`status`: found, none (no such run of at most k steps) or unknown, for a `reason`.

    `hint` is what may help: of a counterexample to induction, the invariant that is missing.
    """

    status: str
    steps: int
    resource: int
    script: Script | None = None
    reason: str = ""
    hint: str = ""


def universe(spec: t.Spec, steps: int, formula: t.Expr) -> dict[str, tuple[str, ...]]:
    """The named elements of each sort and up to `MOST_THINGS` others."""
    out = {}
    for sort in spec.sorts:
        type_ = SortType(sort.name)
        per_step = max((_mentions(a, type_) for a in spec.actions), default=0)
        own = sum(
            sum(b.type == type_ for b in q.binders) for q in walk(formula) if isinstance(q, t.Quant)
        )
        named = spec.sort_elements(type_)
        extra = max(1, min(MOST_THINGS, per_step * steps + own))
        made = tuple(f"{sort.prefix}{i}" for i in range(1, extra + 1))
        out[sort.name] = named + made
    return out


def _mentions(action: t.Action, type_: SortType) -> int:
    choices = [s.binder for s in action.body if isinstance(s, t.Choose)]
    return sum(b.type == type_ for b in (*action.params, *choices))


class Search:
    """Runs of one machine up to some length."""

    def __init__(
        self, spec: t.Spec, formula: t.Expr, steps: int, limit: int = DEFAULT_LIMIT, seed: int = 0
    ) -> None:
        fresh_context()
        self.spec = spec
        self.steps = steps
        self.universe = universe(spec, steps, formula)
        sorts = Sorts.make(spec.enums, tuple(s.name for s in spec.sorts), self.universe)
        self.encoder = Encoder(spec, sorts)
        self.solver = z3.Solver()
        configure(self.solver, limit, seed)
        self.solver.add(*self.encoder.ranges())
        for prop in spec.properties:
            if prop.kind == "assume":
                self.solver.add(self.encoder.term(prop.formula, Env(State({}))))
        self.states = [initial_state(self.encoder, default=True)]
        self.firings: list[list[Firing]] = []
        self.chosen: list[Term] = []

    # --- building runs ----------------------------------------------------------------------------

    def extend(self) -> None:
        """One more step: exactly one action fires."""
        index = len(self.firings)
        before = self.states[-1]
        selector = z3.BitVec(f"step.{index}", 8)
        firings = [fire(self.encoder, a, before, f".{index}") for a in self.spec.actions]
        options = []
        for number, firing in enumerate(firings):
            plain = [g for g in firing.guards if not has_quantifier(g)]
            # Of guards with quantifiers only some instances; the rest follows in `ask`.
            options.append(z3.And(selector == number, *plain, *_instances(firing)))
        self.solver.add(z3.Or(options))
        self.firings.append(firings)
        self.chosen.append(selector)
        self.states.append(self._merge(before, firings, selector))
        self._define()

    def _define(self) -> None:
        self.solver.add(*self.encoder.definitions)
        self.encoder.definitions.clear()

    def _merge(self, before: State, firings: list[Firing], selector: Term) -> State:
        merged: dict[str, Lookup] = {}
        for name, old in before.variables.items():
            writers = [
                (number, firing.after.variables[name])
                for number, firing in enumerate(firings)
                if firing.after.variables[name] is not old
            ]
            merged[name] = _choose(old, writers, selector)
        return State(merged)

    # --- asking -----------------------------------------------------------------------------------

    def violation(self, prop: t.Property) -> Term:
        """The property fails in the last state (or in the last step)."""
        formula = expand_promise(self.spec, prop.formula, use_witness=False)
        if prop.kind == "step":
            if len(self.states) < 2:
                return z3.BoolVal(False)
            env = Env(self.states[-1], self.states[-2])
            names = [a.name for a in self.spec.actions]
            allowed = [self.chosen[-1] != names.index(n) for n in prop.excepted]
            ways = [z3.And(*allowed, w) for w in self.encoder.refute(formula, env)]
        else:
            ways = self.encoder.refute(formula, Env(self.states[-1]))
        given = self.encoder.term(prop.given, Env(State({})))
        out = z3.And(given, z3.Or(ways))
        self._define()
        return out

    def reached(self, formula: t.Expr) -> Term:
        """The formula holds in the last state."""
        out = self.encoder.term(formula, Env(self.states[-1]))
        self._define()
        return out

    def fired_last(self, action: str) -> Term:
        """The last step is that action."""
        names = [a.name for a in self.spec.actions]
        return self.chosen[-1] == names.index(action)

    def ask(self, goal: Term, *, small: bool = True) -> Found:
        """A smallest run of the present length that meets the goal; with `small` off, whether there
        is one.

        Guards with quantifiers (a choice is the least, nothing fits) are added only for the actions
        that a candidate run uses; a sequence of actions that fails them is ruled out and the search
        goes on, so nothing is lost.
        """
        self.solver.push()
        self.solver.add(goal)
        found = self._candidates(small)
        self.solver.pop()
        return found

    def _candidates(self, small: bool) -> Found:
        for _ in range(MOST_CANDIDATES):
            status = self.solver.check()
            if status != z3.sat:
                return self._none(status)
            model = self.solver.model()
            chosen = [s == model.eval(s, model_completion=True) for s in self.chosen]
            self.solver.push()
            self.solver.add(*chosen)
            for index in range(len(self.firings)):
                self.solver.add(*_lazy(self._fired(model, index)))
            status = self.solver.check()
            if status == z3.sat:
                model = self.solver.model()
                script = self._script(self._smallest(model)) if small else None
                resource = spent(self.solver)
                self.solver.pop()
                return Found("found", len(self.firings), resource, script)
            self.solver.pop()
            if status == z3.unknown:
                return self._none(status)
            self.solver.add(z3.Not(z3.And(chosen)))
        reason = f"{MOST_CANDIDATES} sequences of actions were ruled out one by one"
        return Found("unknown", len(self.firings), spent(self.solver), None, reason)

    def _none(self, status: z3.CheckSatResult) -> Found:
        unknown = status == z3.unknown
        reason = self.solver.reason_unknown() if unknown else ""
        word = "unknown" if unknown else "none"
        return Found(word, len(self.firings), spent(self.solver), None, reason)

    # --- making it small --------------------------------------------------------------------------

    def _smallest(self, model: z3.ModelRef) -> z3.ModelRef:
        """Shrink the constants, then the integers of each event; the actions are already fixed."""
        for term in self._sizes(model):
            model = self._shrink(term, model)
        return model

    def _sizes(self, model: z3.ModelRef) -> Iterator[Term]:
        for const in self.spec.consts.values():
            if not const.params and isinstance(const.type, IntType):
                yield self.encoder.rigid(const.name)
        for param in self.spec.params.values():
            if param.low is not None or param.high is not None:
                yield self.encoder.param(param.name)
        for index in range(len(self.firings)):
            firing = self._fired(model, index)
            for term in (*firing.args.values(), *firing.choices.values()):
                if z3.is_bv(term):
                    yield term

    def _shrink(self, term: Term, model: z3.ModelRef) -> z3.ModelRef:
        """The smallest value of one integer, the others free; then it is fixed."""
        high = model.eval(term, model_completion=True).as_long()
        low, probe = 0, 1
        while low < high:
            # Small values first: most runs need only small ones, and each question costs.
            middle = probe if probe < high else (low + high) // 2
            probe = 4 * probe + 3
            self.solver.push()
            self.solver.add(arithmetic("<=", term, z3.BitVecVal(middle, term.size())))
            if self.solver.check() == z3.sat:
                model = self.solver.model()
                high = model.eval(term, model_completion=True).as_long()
            else:
                low = middle + 1
            self.solver.pop()
        self.solver.add(arithmetic("<=", term, z3.BitVecVal(high, term.size())))
        return model

    # --- reading it back --------------------------------------------------------------------------

    def _fired(self, model: z3.ModelRef, index: int) -> Firing:
        number = model.eval(self.chosen[index], model_completion=True).as_long()
        firing: Firing = self.firings[index][number]
        return firing

    def _script(self, model: z3.ModelRef) -> Script:
        scalars: dict[str, Value] = {}
        tables: dict[str, dict[tuple[Value, ...], Value]] = {}
        for const in self.spec.consts.values():
            if const.params:
                tables[const.name] = self._table(const, model)
            elif not isinstance(const.type, SortType):
                scalars[const.name] = self._value(self.encoder.rigid(const.name), model)
        for param in self.spec.params.values():
            scalars[param.name] = self._value(self.encoder.param(param.name), model)
        events = []
        for index in range(len(self.firings)):
            firing = self._fired(model, index)
            args = {n: self._value(x, model) for n, x in firing.args.items()}
            choices = {n: self._value(x, model) for n, x in firing.choices.items()}
            events.append(Event(firing.action.name, args, choices))
        return in_order(Script(World(scalars, dict(self.universe), tables), tuple(events)))

    def _table(self, const: t.Const, model: z3.ModelRef) -> dict[tuple[Value, ...], Value]:
        """Every argument's value; of arguments without end those that matter."""
        domains = [self.encoder.sorts.values(b.type) for b in const.params]
        if any(values is None for values in domains):
            return self._where_asked(const, model)
        rows = product(*(values for values in domains if values is not None))
        return {
            tuple(self._value(a, model) for a in row): self._value(
                self.encoder.rigid(const.name, row), model
            )
            for row in rows
        }

    def _where_asked(self, const: t.Const, model: z3.ModelRef) -> dict[tuple[Value, ...], Value]:
        """At the arguments at which it was applied; elsewhere no step depends on it."""
        rows = self.encoder.asked.get(const.name, [])
        return {
            tuple(self._value(a, model) for a in row): self._value(
                self.encoder.rigid(const.name, row), model
            )
            for row in list(rows)
        }

    @staticmethod
    def _value(term: Term, model: z3.ModelRef) -> Value:
        return value_of(term, model)


def value_of(term: Term, model: z3.ModelRef) -> Value:
    """The value of a term in a model, as the simulator writes values."""
    value = model.eval(term, model_completion=True)
    if z3.is_bv_value(value) or z3.is_int_value(value):
        return int(value.as_long())
    if z3.is_true(value) or z3.is_false(value):
        return bool(z3.is_true(value))
    return str(value).split(".", 1)[1]


def _lazy(firing: Firing) -> list[Term]:
    """The guards of a firing that have quantifiers."""
    return [*(g for g in firing.guards if has_quantifier(g)), *firing.minimal]


def _instances(firing: Firing) -> list[Term]:
    """Quantified guards at the action's own choices: "nothing fits" contradicts "this fits"."""
    out = []
    for guard in firing.guards:
        if z3.is_quantifier(guard) and guard.num_vars() == 1:
            out += [
                z3.substitute_vars(guard.body(), choice)
                for choice in firing.choices.values()
                if choice.sort() == guard.var_sort(0)
            ]
    return out


def _choose(old: Lookup, writers: list[tuple[int, Lookup]], selector: Term) -> Lookup:
    if not writers:
        return old
    known: dict[tuple[int, ...], tuple[tuple[Term, ...], Term]] = {}

    def lookup(args: tuple[Term, ...]) -> Term:
        key = tuple(a.get_id() for a in args)
        if key not in known:
            out = old(args)
            for number, new in writers:
                out = z3.If(selector == number, new(args), out)
            known[key] = (args, out)
        return known[key][1]

    return lookup


def find_violation(
    spec: t.Spec, prop: t.Property, steps: int, limit: int = DEFAULT_LIMIT, seed: int = 0
) -> Found:
    """A shortest run that breaks the property, of at most `steps` steps."""
    search = Search(spec, prop.formula, steps, limit, seed)
    return _deepen(search, steps, lambda: search.violation(prop))


def find_state(
    spec: t.Spec, formula: t.Expr, steps: int, limit: int = DEFAULT_LIMIT, seed: int = 0
) -> Found:
    """A shortest run to a state in which the formula holds."""
    search = Search(spec, formula, steps, limit, seed)
    return _deepen(search, steps, lambda: search.reached(formula))


def find_firings(
    spec: t.Spec, steps: int, limit: int = DEFAULT_LIMIT, seed: int = 0
) -> dict[str, Found]:
    """For every action, a shortest run that ends with it."""
    true = t.BoolLit(True, BOOL, spec.actions[0].span) if spec.actions else None
    if true is None:
        return {}
    search = Search(spec, true, steps, limit, seed)
    out: dict[str, Found] = {}
    while len(out) < len(spec.actions) and len(search.firings) < steps:
        search.extend()
        for action in spec.actions:
            if action.name not in out:
                found = search.ask(search.fired_last(action.name), small=False)
                if found.status != "none":
                    out[action.name] = found
    missing = Found("none", steps, spent(search.solver))
    return {a.name: out.get(a.name, missing) for a in spec.actions}


def _deepen(search: Search, steps: int, goal: Callable[[], Term]) -> Found:
    """Ask at every length in turn; the first hit is the shortest run."""
    while True:
        found = search.ask(goal())
        if found.status != "none" or len(search.firings) >= steps:
            return found
        search.extend()
