"""The part of a spec that the answer to one task depends on.

Goal: `Slicer(spec).question(task, settings)` gives the task on a spec from which everything else
is gone: other properties, updates of variables that nothing in the task reads, functions nobody
calls, documentation, places in the source. The task is then run on the slice, so its answer can
depend on nothing outside it, and `Question.digest` names the slice for the result cache.
Why nothing is lost. A property reads some variables; whether an action can happen depends on its
guards and choices alone; an update reads the state before. So updates of a variable outside the
closure of these under "is read by an update of" change neither. A proof about one step looks only
at updates of what the property reads. A constant that nothing mentions only weakens the
assumptions when it goes; searches keep all, for the simulator wants their values. Whether
assumptions and ranges contradict each other is a question of its own (`sane`) and keeps all.
Non-goals: reading less than a task's own expressions mention (an `if` that is never taken).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tessera.errors import Span
from tessera.lang import typed as t
from tessera.lang.types import BOOL, EnumType, IntType
from tessera.lang.walk import walk
from tessera.prove.engine import Question
from tessera.prove.tasks import CROSS, Settings, Task

NOWHERE = Span("", 0, 0, 0, 0)
PROOF_KINDS = ("init", "step", "here", "try", "needs", "sane", *CROSS.values())
SEARCHES = ("hunt", "violate", "reach", "witness", "firings")

_SILENT = ("doc", "text")
_TRUE = t.BoolLit(True, BOOL, NOWHERE)

Name = tuple[str, str]
"""What an expression mentions: ("var", "live"), ("function", "meets"), ("action", "alloc") ..."""


def slice_spec(spec: t.Spec, task: Task) -> t.Spec:
    """The slice of one task; for many of one spec use a `Slicer`."""
    return Slicer(spec).slice(task)


class Slicer:
    """Slices of one spec; what they share is prepared once."""

    def __init__(self, spec: t.Spec, *, placed: bool = False) -> None:
        self.spec = spec
        self._bare = spec if placed else _bare_spec(spec)
        self._placed: Slicer | None = None
        self._whole: str | None = None
        self._direct: dict[int, frozenset[Name]] = {}
        self._closures: dict[frozenset[Name], frozenset[Name]] = {}
        self._actions: dict[tuple[str, frozenset[str]], t.Action] = {}
        self._properties: dict[object, t.Property] = {}
        self._digests: dict[int, tuple[object, str]] = {}

    def question(self, task: Task, settings: Settings) -> Question:
        """The task on its slice, with the settings that matter to it.

        What `exercised` answers may speak of places in the source; so it is asked of a slice that
        still has them, and named without them (such an answer is not kept, see the cache). Kinds
        of tasks that this module does not know (those that explain) are asked of the whole spec,
        and named by all of it.
        """
        if task.kind == "exercised":
            if self._placed is None:
                self._placed = Slicer(self.spec, placed=True)
            needed = _needed(self._bare, task, settings)
            digest = self._digest(self.slice(task), task, needed)
            return Question(self._placed.slice(task), task, needed, digest)
        if task.kind in SEARCHES + PROOF_KINDS:
            part = self.slice(task)
            needed = _needed(part, task, settings)
            return Question(part, task, needed, self._digest(part, task, needed))
        if self._whole is None:
            self._whole = _sha(repr(self.spec))
        name = _sha(f"{self._whole} {task!r} {settings!r}")
        return Question(self.spec, task, settings, name)

    def slice(self, task: Task) -> t.Spec:
        """What the task depends on, as a spec."""
        if task.kind in SEARCHES or task.kind == "exercised":
            return self._of_search(task)
        return self._of_proof(task)

    # --- proofs -----------------------------------------------------------------------------------

    def _of_proof(self, task: Task) -> t.Spec:
        bare = self._bare
        wanted = {task.prop, *task.hypotheses}
        props = tuple(
            self._property(p, formula=p.formula if task.kind != "sane" else _TRUE)
            if p.kind != "assume"
            else p
            for p in bare.properties
            if p.kind == "assume" or p.name in wanted
        )
        of_props = self._closed(e for p in props for e in (p.formula, p.given))
        goal = next((p for p in props if p.name == task.prop), None)
        read = _vars(self._closed([goal.formula])) if goal is not None else frozenset()
        init: tuple[t.Statement, ...] = ()
        actions: list[t.Action] = []
        if task.kind in ("init", CROSS["init"]):
            init = tuple(s for s in bare.init if isinstance(s, t.Update) and s.var in read)
        if task.action:
            actions.append(self._action(task.action, read))
        asked = {name for kind, name in of_props if kind == "action"} - {a.name for a in actions}
        actions += [self._action(a.name, frozenset()) for a in bare.actions if a.name in asked]
        used = of_props | self._closed(_expressions(init, actions))
        if task.kind == "sane":
            used |= self._closed(self._ranges())
            used |= {("const", n) for n in bare.consts} | {("param", n) for n in bare.params}
        return self._spec(used, props, init, actions)

    # --- searches ---------------------------------------------------------------------------------

    def _of_search(self, task: Task) -> t.Spec:
        bare = self._bare
        props = tuple(
            self._with_bound(p, task)
            for p in bare.properties
            if p.kind == "assume" or p.name == task.prop or p.name in task.hypotheses
        )
        of_props = self._closed(e for p in props for e in (p.formula, p.given))
        bodies = [replace(a, body=_guards(a.body)) for a in bare.actions]
        read = _vars(of_props | self._closed(_expressions((), bodies)))
        read = self._fixed_point(read)
        actions = [self._action(a.name, read) for a in bare.actions]
        init = tuple(s for s in bare.init if isinstance(s, t.Update) and s.var in read)
        used = of_props | self._closed(_expressions(init, actions)) | self._closed(self._ranges())
        used |= {("const", n) for n in bare.consts} | {("param", n) for n in bare.params}
        return self._spec(used, props, init, actions)

    def _with_bound(self, prop: t.Property, task: Task) -> t.Property:
        """`within` of the property or of its expectation, where the search heeds it."""
        expect = self.spec.expects.get(prop.name)
        within = prop.within or (expect.within if expect else None)
        if prop.kind == "assume":
            return prop
        return self._property(
            prop,
            formula=prop.formula,
            excepted=prop.excepted,
            within=within if task.kind != "hunt" else None,
        )

    def _fixed_point(self, read: frozenset[str]) -> frozenset[str]:
        """With everything that updates of these variables read, directly or in turn."""
        updates = [s for a in self._bare.actions for s in a.body if isinstance(s, t.Update)]
        while True:
            live = [u for u in updates if u.var in read]
            more = read | _vars(self._closed(_of_statements(live)))
            if more == read:
                return read
            read = more

    # --- putting it together ----------------------------------------------------------------------

    def _property(
        self,
        prop: t.Property,
        *,
        formula: t.Expr,
        excepted: tuple[str, ...] = (),
        within: int | None = None,
    ) -> t.Property:
        """The property with only what one kind of task looks at."""
        key = (prop.name, formula is _TRUE, excepted, within)
        if key not in self._properties:
            self._properties[key] = replace(prop, formula=formula, excepted=excepted, within=within)
        return self._properties[key]

    def _action(self, name: str, read: frozenset[str]) -> t.Action:
        """The action without updates of variables that nobody reads."""
        if (name, read) not in self._actions:
            action = self._bare.action(name)
            body = tuple(s for s in action.body if not isinstance(s, t.Update) or s.var in read)
            self._actions[name, read] = replace(action, body=body)
        return self._actions[name, read]

    def _ranges(self) -> list[t.Expr]:
        items: list[t.Const | t.Param] = [*self._bare.consts.values()]
        items += self._bare.params.values()
        return [e for item in items for e in (item.low, item.high) if e is not None]

    def _spec(
        self,
        used: frozenset[Name],
        props: tuple[t.Property, ...],
        init: tuple[t.Statement, ...],
        actions: Iterable[t.Action],
    ) -> t.Spec:
        bare = self._bare
        actions = tuple(actions)
        written = {s.var for a in actions for s in a.body if isinstance(s, t.Update)}
        written |= {s.var for s in init if isinstance(s, t.Update)}
        consts = {n: c for n, c in bare.consts.items() if ("const", n) in used}
        variables = {n: v for n, v in bare.vars.items() if ("var", n) in used or n in written}
        functions = {n: f for n, f in bare.functions.items() if ("function", n) in used}
        declared: list[t.Const | t.Var | t.Function] = [*consts.values(), *variables.values()]
        declared += functions.values()
        enums = _enums_of(declared, actions) | {n for kind, n in used if kind == "enum"}
        return replace(
            bare,
            enums={n: e for n, e in bare.enums.items() if n in enums},
            consts=consts,
            params={n: p for n, p in bare.params.items() if ("param", n) in used},
            vars=variables,
            functions=functions,
            init=init,
            actions=actions,
            properties=props,
        )

    # --- what is mentioned ------------------------------------------------------------------------

    def _closed(self, roots: Iterable[t.Expr]) -> frozenset[Name]:
        """Everything that expressions mention, through functions, ranges and promised actions."""
        out: frozenset[Name] = frozenset()
        for root in roots:
            out |= self._closure(self._mentioned(root))
        return out

    def _closure(self, start: frozenset[Name]) -> frozenset[Name]:
        if start not in self._closures:
            seen: set[Name] = set(start)
            todo = list(start)
            while todo:
                for expr in self._behind(todo.pop()):
                    new = self._mentioned(expr) - seen
                    seen |= new
                    todo += new
            self._closures[start] = frozenset(seen)
        return self._closures[start]

    def _behind(self, name: Name) -> list[t.Expr]:
        """The expressions that stand behind a name."""
        kind, key = name
        bare = self._bare
        match kind:
            case "function":
                return [bare.functions[key].body]
            case "const" | "param":
                item: t.Const | t.Param
                item = bare.consts[key] if kind == "const" else bare.params[key]
                return [e for e in (item.low, item.high) if e is not None]
            case "action":
                return list(_of_statements(_guards(bare.action(key).body)))
            case _:
                return []

    def _mentioned(self, expr: t.Expr) -> frozenset[Name]:
        known = self._direct.get(id(expr))
        if known is None:
            found: set[Name] = set()
            for node in walk(expr):
                if isinstance(node.type, EnumType):
                    found.add(("enum", node.type.name))
                if isinstance(node, t.Quant):
                    found |= {("enum", n) for n in _enum_names(node.binders)}
                if isinstance(node, t.Apply):
                    found.add(("function" if node.kind == "policy" else node.kind, node.name))
                elif isinstance(node, t.Succeeds):
                    found.add(("action", node.action))
            known = self._direct[id(expr)] = frozenset(found)
        return known

    # --- its name ---------------------------------------------------------------------------------

    def _digest(self, part: t.Spec, task: Task, settings: Settings) -> str:
        return _sha("".join([f"{task!r} {settings!r}\n", *self._outline(part)]))

    def _outline(self, part: t.Spec) -> Iterable[str]:
        """One line for each declaration, in order, with the digest of its text."""
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, Mapping):
                yield f"{field.name} {' '.join(value)}\n"
                value = tuple(value.values())
            if isinstance(value, tuple):
                for item in value:
                    yield f"{field.name} {self._text_digest(item)}\n"
            else:
                yield f"{field.name} {value!r}\n"

    def _text_digest(self, item: object) -> str:
        known = self._digests.get(id(item))
        if known is None:
            # The item is kept, so that its id stays its own.
            known = (item, _sha(repr(item)))
            self._digests[id(item)] = known
        return known[1]


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _needed(part: t.Spec, task: Task, settings: Settings) -> Settings:
    """The settings that matter to a task: a hunt has its own limit, a proof takes no steps."""
    within = next((p.within for p in part.properties if p.name == task.prop), None)
    bounded = task.kind in (*SEARCHES, "exercised") and task.kind != "hunt" and not within
    return Settings(
        0 if task.kind == "hunt" else settings.limit,
        settings.seed,
        settings.steps if bounded else 0,
    )


def _bare_spec(spec: t.Spec) -> t.Spec:
    """The spec without places, words for readers, units, and everything that no task looks at."""
    params = {
        n: replace(p, value=p.value if p.low is None and p.high is None else 0)
        for n, p in spec.params.items()
    }
    kept = replace(
        spec,
        name="",
        doc="",
        file="",
        digest="",
        platform=None,
        classes=tuple(replace(c, tas=()) for c in spec.classes),
        params=params,
        expects={},
        views=(),
        simulate={},
        lines={},
    )
    bare = _bare(kept)
    assert isinstance(bare, t.Spec)
    return bare


def _bare(node: Any) -> Any:
    if isinstance(node, Span):
        return NOWHERE
    if isinstance(node, IntType):
        return IntType(node.width)
    if is_dataclass(node) and not isinstance(node, type):
        values = {
            f.name: "" if f.name in _SILENT else _bare(getattr(node, f.name)) for f in fields(node)
        }
        return type(node)(**values)
    if isinstance(node, tuple):
        return tuple(_bare(item) for item in node)
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items()}
    return node


_Typed = t.Binder | t.Const | t.Var | t.Function
"""What has a type of its own."""


def _enum_names(items: Iterable[_Typed]) -> set[str]:
    return {item.type.name for item in items if isinstance(item.type, EnumType)}


def _enums_of(
    declared: Iterable[t.Const | t.Var | t.Function], actions: Iterable[t.Action]
) -> set[str]:
    """The enumerations that declarations name; the order of classes is always there."""
    out = {"class"}
    for item in declared:
        out |= _enum_names((item, *item.params))
    for action in actions:
        chosen = [s.binder for s in action.body if isinstance(s, t.Choose)]
        updated = [b for s in action.body if isinstance(s, t.Update) for b in s.binders]
        out |= _enum_names((*action.params, *chosen, *updated))
    return out


def _vars(names: frozenset[Name]) -> frozenset[str]:
    return frozenset(name for kind, name in names if kind == "var")


def _guards(body: Iterable[t.Statement]) -> tuple[t.Statement, ...]:
    return tuple(s for s in body if not isinstance(s, t.Update))


def _expressions(init: Iterable[t.Statement], actions: Iterable[t.Action]) -> Iterable[t.Expr]:
    yield from _of_statements(init)
    for action in actions:
        yield from _of_statements(action.body)


def _of_statements(statements: Iterable[t.Statement]) -> Iterable[t.Expr]:
    for statement in statements:
        match statement:
            case t.Require() | t.Choose():
                yield statement.test
            case t.Let():
                yield statement.value
            case t.Update():
                yield from (*statement.args, statement.guard, statement.value)
