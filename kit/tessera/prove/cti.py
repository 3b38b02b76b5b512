"""A counterexample to induction as a concrete state, small, and confirmed by the simulator.

Goal: for a step that is not inductive, a state that satisfies every hypothesis, an event that can
happen there, and the property failing afterwards; for a promise or lemma, just the state. Formulas
are written out over a few things and integers; what the solver proposes is run in the simulator;
where that disagrees, the integers on which it does become points and the solver is asked again.
Non-goals: whether the state can be reached (bounded search looks for that), and proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import z3

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.lang.types import BoolType, IntType, SortType
from tessera.model.conjunct import Finder, Names
from tessera.model.machine import Machine
from tessera.model.minimise import minimised
from tessera.model.plain import state_of
from tessera.model.properties import Truth
from tessera.model.replay import replay
from tessera.model.script import Event, Script, Value, World
from tessera.model.simulator import NotEnabled, Simulator
from tessera.model.values import Undecided
from tessera.prove.bounded import Found, value_of
from tessera.prove.encode import Env, State
from tessera.prove.points import PointEncoder, Way
from tessera.prove.solver import configure, fresh_context, spent
from tessera.prove.terms import Term, arithmetic
from tessera.prove.transition import Firing, expand_promise, fire, symbolic_state

CTI_LIMIT = 4_000_000
"""Resource units for all attempts at one counterexample to induction."""

MOST_EXTRA = 3
"""Unnamed things per sort: one is tried first, then two, then three."""

MOST_ROUNDS = 12
"""How often the simulator may add points before we give up."""

FIRST_POINTS = (0, 1, 2, 3)
_SMALL = 8


def find_cti(
    spec: t.Spec,
    prop: t.Property,
    action: str,
    assumed: Sequence[str],
    limit: int = CTI_LIMIT,
    seed: int = 0,
) -> Found:
    """A confirmed counterexample to induction; `none` or `unknown` when there is no small one.

    `action` is empty for a promise or lemma. The script's `start` is the state.
    """
    used = 0
    reason = f"no such state with at most {MOST_EXTRA} unnamed things of each sort"
    status = "none"
    if prop.unbounded:
        return Found("unknown", 0, 0, None, "it speaks of unbounded integers")
    for extra in range(1, MOST_EXTRA + 1):
        points: tuple[int, ...] = FIRST_POINTS
        for _ in range(MOST_ROUNDS):
            attempt = _Attempt(spec, prop, action, assumed, extra, points, seed)
            script = attempt.solve(max(limit - used, 1))
            used += spent(attempt.solver)
            if script is None:
                break
            if replay(spec, script, prop.name).replayed:
                small = minimised(spec, script, prop.name)
                return Found("found", len(small.events), used, small)
            more = _disagreement(spec, prop, script, attempt)
            if not more - set(points):
                status, reason = "unknown", "the simulator cannot confirm such a state"
                break
            points = tuple(sorted({*points, *more}))
        else:
            status, reason = "unknown", f"{MOST_ROUNDS} proposed states were refused"
        if used >= limit:
            return Found("unknown", 0, used, None, f"{used} resource units were not enough")
        if not spec.sorts:
            break
    return Found(status, 0, used, None, reason)


class _Attempt:
    """The formula at one size, and the state it proposes."""

    def __init__(
        self,
        spec: t.Spec,
        prop: t.Property,
        action: str,
        assumed: Sequence[str],
        extra: int,
        points: tuple[int, ...],
        seed: int,
    ) -> None:
        fresh_context()
        self.spec = spec
        self.assumed = tuple(assumed)
        self.universe = {
            s.name: (
                *spec.sort_elements(SortType(s.name)),
                *(f"{s.prefix}{i}" for i in range(1, extra + 1)),
            )
            for s in spec.sorts
        }
        self.encoder = PointEncoder(spec, self.universe, points)
        self.pre = symbolic_state(self.encoder, "@pre")
        self.firing: Firing | None = None
        self.solver = z3.Solver()
        self._seed = seed
        formula, after = prop.formula, self.pre
        if action:
            self.firing = fire(self.encoder, spec.action(action), self.pre, "")
            after = self.firing.after
            ends = (*self.firing.args.values(), *self.firing.choices.values())
            self.encoder.also(ends)
            self.solver.add(*self.firing.guards, *self.firing.minimal)
        else:
            formula = expand_promise(spec, formula, use_witness=False)
        before = self.pre if prop.kind == "step" else None
        self.ways: list[Way] = self.encoder.ways(formula, Env(after, before))
        self.encoder.also(tuple(x for way in self.ways for x in way.names.values()))
        nowhere = Env(State({}))
        self.solver.add(z3.Or([way.term for way in self.ways]))
        self.solver.add(self.encoder.term(prop.given, nowhere), *self.encoder.ranges())
        for one in spec.properties:
            if one.kind == "assume":
                self.solver.add(self.encoder.term(one.formula, nowhere))
            elif one.name in self.assumed:
                given = self.encoder.term(one.given, nowhere)
                self.solver.add(z3.Implies(given, self.encoder.term(one.formula, Env(self.pre))))
        self.solver.add(*self.encoder.definitions)
        self.model: z3.ModelRef | None = None

    # --- asking -----------------------------------------------------------------------------------

    def solve(self, limit: int) -> Script | None:
        """The state proposed, made small; None when there is none (or no more resources)."""
        configure(self.solver, limit, self._seed)
        sizes = list(self._sizes())
        small = [arithmetic("<=", x, z3.BitVecVal(_SMALL, x.size())) for x in sizes if x.size() > 3]
        if self.solver.check(*small) == z3.sat:
            self.model = self.solver.model()
            self.solver.add(*small)
        elif self.solver.check() == z3.sat:
            self.model = self.solver.model()
        else:
            return None
        for term in self._flags():
            self._prefer(z3.Not(term), limit)
        for term in sizes:
            self._shrink(term, limit)
        return self._script()

    def _prefer(self, wish: Term, limit: int) -> bool:
        """Keep a wish for good if it can be had."""
        assert self.model is not None
        if z3.is_true(self.model.eval(wish, model_completion=True)):
            self.solver.add(wish)
            return True
        if spent(self.solver) > limit or self.solver.check(wish) != z3.sat:
            return False
        self.model = self.solver.model()
        self.solver.add(wish)
        return True

    def _shrink(self, term: Term, limit: int) -> None:
        """A small value of one integer; the smallest when resources last."""
        assert self.model is not None
        low, high = 0, self.model.eval(term, model_completion=True).as_long()
        while low < high:
            middle = low if high <= _SMALL else (low + high) // 2
            if self._prefer(arithmetic("<=", term, z3.BitVecVal(middle, term.size())), limit):
                high = self.model.eval(term, model_completion=True).as_long()
            else:
                low = middle + 1
            if spent(self.solver) > limit:
                return
        self.solver.add(arithmetic("<=", term, z3.BitVecVal(high, term.size())))

    def _flags(self) -> Iterator[Term]:
        """Booleans of the state that had better be false: fewer things are then alive."""
        for var in self.spec.vars.values():
            if isinstance(var.type, BoolType) and not _over_integers(var):
                yield from self._places(var)

    def _sizes(self) -> Iterator[Term]:
        """Integers that had better be small: constants, then the event's, then the state's."""
        for const in self.spec.consts.values():
            if not const.params and isinstance(const.type, IntType):
                yield self.encoder.rigid(const.name)
        for param in self.spec.params.values():
            if param.low is not None or param.high is not None:
                yield self.encoder.param(param.name)
        if self.firing is not None:
            for term in (*self.firing.args.values(), *self.firing.choices.values()):
                if z3.is_bv(term):
                    yield term
        for var in self.spec.vars.values():
            if isinstance(var.type, IntType) and not _over_integers(var):
                yield from self._places(var)

    def _places(self, var: t.Var) -> Iterator[Term]:
        lookup = self.pre.variables[var.name]
        for row in self._rows(var.params):
            yield lookup(row)

    def _rows(self, params: Sequence[t.Binder]) -> list[tuple[Term, ...]]:
        rows: list[tuple[Term, ...]] = [()]
        for binder in params:
            rows = [(*row, v) for row in rows for v in self.encoder.sorts.values(binder.type) or ()]
        return rows

    # --- reading it back --------------------------------------------------------------------------

    def _script(self) -> Script:
        scalars: dict[str, Value] = {}
        tables: dict[str, dict[tuple[Value, ...], Value]] = {}
        for const in self.spec.consts.values():
            if const.params:
                tables[const.name] = {
                    tuple(self._value(a) for a in row): self._value(
                        self.encoder.rigid(const.name, row)
                    )
                    for row in self._rows(const.params)
                }
            elif not isinstance(const.type, SortType):
                scalars[const.name] = self._value(self.encoder.rigid(const.name))
        for param in self.spec.params.values():
            scalars[param.name] = self._value(self.encoder.param(param.name))
        events: tuple[Event, ...] = ()
        if self.firing is not None:
            args = {n: self._value(x) for n, x in self.firing.args.items()}
            choices = {n: self._value(x) for n, x in self.firing.choices.items()}
            events = (Event(self.firing.action.name, args, choices),)
        start = {v.name: self._content(v, 0, ()) for v in self.spec.vars.values()}
        return Script(World(scalars, self.universe, tables), events, start, self.assumed)

    def _value(self, term: Term) -> Value:
        assert self.model is not None
        return value_of(term, self.model)

    def _content(self, var: t.Var, at: int, row: tuple[Term | None, ...]) -> Any:
        """The variable's plain data at the finite arguments of `row`; integers are left open."""
        if at == len(var.params):
            return self._runs(var, row) if None in row else self._value(self._look(var, row))
        if isinstance(var.params[at].type, IntType):
            return self._content(var, at + 1, (*row, None))
        values = self.encoder.sorts.values(var.params[at].type) or ()
        return {_key(self._value(v)): self._content(var, at + 1, (*row, v)) for v in values}

    def _look(self, var: t.Var, row: tuple[Term | None, ...]) -> Term:
        return self.pre.variables[var.name](row)

    def _runs(self, var: t.Var, row: tuple[Term | None, ...]) -> list[list[Any]]:
        """Runs over the one integer parameter, from the places that the model speaks of."""
        assert self.model is not None
        at = row.index(None)
        width = var.params[at].type.width  # type: ignore[union-attr]
        symbol = self.pre.variables[var.name](
            tuple(z3.BitVecVal(0, width) if x is None else x for x in row)
        ).decl()
        marks = {0}
        if any(d.eq(symbol) for d in self.model.decls()):
            found = self.model[symbol]
            for i in range(found.num_entries()):
                marks.add(found.entry(i).arg_value(at).as_long())
        edges = sorted(x for x in marks | {x + 1 for x in marks} if x < 1 << width)
        runs: list[list[Any]] = []
        for lo, hi in zip(edges, [*edges[1:], 1 << width], strict=True):
            place = z3.BitVecVal(lo, width)
            value = self._value(self._look(var, tuple(place if x is None else x for x in row)))
            if runs and runs[-1][2] == value:
                runs[-1][1] = hi
            else:
                runs.append([lo, hi, value])
        return runs

    def chosen_way(self) -> tuple[Way, Names]:
        """A way to fail that the model takes, and the values of its names."""
        assert self.model is not None
        for way in self.ways:
            if z3.is_true(self.model.eval(way.term, model_completion=True)):
                return way, {n: self._value(x) for n, x in way.names.items()}
        way = self.ways[0]
        return way, {n: self._value(x) for n, x in way.names.items()}


def _key(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _over_integers(var: t.Var) -> bool:
    return any(isinstance(p.type, IntType) for p in var.params)


# --- where the simulator disagrees ----------------------------------------------------------------


def _disagreement(spec: t.Spec, prop: t.Property, script: Script, attempt: _Attempt) -> set[int]:
    """Integers on which the simulator sees what the written-out formula did not."""
    machine = Machine(spec, script.world)
    world = Finder(machine.engine, ())
    for one in spec.properties:
        if one.kind == "assume" and not world.value(one.formula, {}):
            return world.evidence(one.formula)
    try:
        simulator = Simulator(spec, script.world)
        assert script.start is not None
        state = state_of(script.start, machine.layouts, spec, script.world)
        simulator.restore(state, None, "")
        here = Finder(simulator.machine.engine, state)
        for one in spec.properties:
            if one.name in script.assumed and simulator.truth(one.name) is Truth.FAILS:
                return here.evidence(one.formula)
        for event in script.events:
            try:
                simulator.fire(event)
            except NotEnabled:
                return _refused(spec.action(event.action), event, here)
        there = Finder(simulator.machine.engine, simulator.state, simulator.before)
        way, names = attempt.chosen_way()
        return set().union(*(there.evidence(part, names) for part in way.parts))
    except (TesseraError, Undecided):
        return set()


def _refused(action: t.Action, event: Event, here: Finder) -> set[int]:
    """Why the first statement that does not pass does not."""
    names: Names = dict(event.args)
    for statement in action.body:
        match statement:
            case t.Let():
                names[statement.name] = here.value(statement.value, names)
            case t.Require():
                if not here.value(statement.test, names):
                    return here.evidence(statement.test, names)
            case t.Choose():
                binder = statement.binder
                taken = {**names, binder.name: event.choices[binder.name]}
                if not here.value(statement.test, taken):
                    return here.evidence(statement.test, taken)
                if statement.kind == "least":
                    true = t.BoolLit(True, statement.test.type, statement.span)
                    least = t.Quant(
                        "exists", (binder,), true, statement.test, statement.test.type, binder.span
                    )
                    found = here.evidence(least, names)
                    if event.choices[binder.name] not in found:
                        return found
                names = taken
    return set()
