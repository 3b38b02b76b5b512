"""What a name in a spec means, and what has to be proved about it.

Goal: for a spec, one of its names or one obligation id, the text that `tessera explain` prints.
Non-goals: verdicts (see `tessera.prove`) and layout on a screen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.lang.diagnostics import nearest
from tessera.lang.show import show
from tessera.lang.uses import reads
from tessera.lang.walk import applications
from tessera.lang.wording import is_true, sentence, statements

_KINDS = {
    "invariant": "holds at the start and after every action, so in every state that can be reached",
    "step": "holds between every state and the next",
    "promise": "holds in every state that can be reached: the request it speaks of can be served",
    "lemma": "is a truth about constants and functions; no state is involved",
    "cover": "must be reachable: some run leads to a state in which it holds",
    "assume": "is taken for granted; a proof says nothing about machines that break it",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A title, what it is in a sentence or two, where it stands, then sections."""

    title: str
    summary: str
    span: str
    sections: tuple[Section, ...]


def explain(spec: t.Spec, name: str = "") -> Explanation:
    """Explain a spec, or one name of it: a property, an action, a function, a constant, a
    parameter, a variable, a class, or an obligation such as `alloc/disjoint`, `init/disjoint`.

    Raises TesseraError for a name that the spec does not have.
    """
    name = name.removeprefix(f"{spec.name}/")
    if not name:
        return _overview(spec)
    first, _, second = name.partition("/")
    properties = {p.name: p for p in spec.properties}
    actions = {a.name: a for a in spec.actions}
    if second in properties and (first in actions or first == "init"):
        return _obligation(spec, actions.get(first), properties[second])
    if second == "witness" and first in properties:
        return _property(spec, properties[first])
    if second == "reachable" and first in actions:
        return _action(spec, actions[first])
    if name in properties:
        return _property(spec, properties[name])
    if name in actions:
        return _action(spec, actions[name])
    found = _declared(spec, name)
    if found is not None:
        return found
    known = [*properties, *actions, *spec.functions, *spec.consts, *spec.params, *spec.vars]
    close = nearest(name, known)
    raise TesseraError(
        f"'{spec.name}' has nothing called '{name}'",
        where=spec.file,
        remedy=close or f"'tessera explain {spec.name}' lists all names",
    )


# --- a whole spec ---------------------------------------------------------------------------------


def _overview(spec: t.Spec) -> Explanation:
    sections = [
        Section("Sizes that are not fixed", tuple(_ranged(spec))),
        Section("Classes", tuple(f"{c.name}{_doc(c.doc)}" for c in spec.classes)),
        Section("State", tuple(f"{_signature(v)}{_doc(v.doc)}" for v in spec.vars.values())),
        Section("What can happen", tuple(f"{a.name}{_doc(a.doc)}" for a in spec.actions)),
    ]
    for kind in dict.fromkeys(p.kind for p in spec.properties):
        lines = tuple(f"{p.name}{_doc(p.doc)}" for p in spec.properties if p.kind == kind)
        sections.append(Section(f"{kind.capitalize()}: {_KINDS[kind]}", lines))
    expected = tuple(f"{name}: {e.verdict}" for name, e in spec.expects.items())
    sections.append(Section("Expected to be otherwise than proved", expected))
    return Explanation(
        f"spec {spec.name}", spec.doc, spec.file, tuple(s for s in sections if s.lines)
    )


def _ranged(spec: t.Spec) -> Iterable[str]:
    for const in spec.consts.values():
        if const.low is not None and const.high is not None:
            yield f"{const.name} in {show(const.low)} .. {show(const.high)}{_doc(const.doc)}"
    for param in spec.params.values():
        if param.low is not None and param.high is not None:
            literal = t.IntLit(param.value, param.type, param.span)
            yield (
                f"{param.name} in {show(param.low)} .. {show(param.high)}, "
                f"configured as {show(literal)}{_doc(param.doc)}"
            )


# --- properties and obligations -------------------------------------------------------------------


def _property(spec: t.Spec, prop: t.Property) -> Explanation:
    sections = [
        Section("As written", (prop.text,)),
        Section("In words", (_in_words(prop),)),
        _functions(spec, [prop.given, prop.formula]),
        _state(spec, prop),
    ]
    if prop.kind in ("invariant", "step"):
        sections.append(Section("What has to be proved", _questions(spec, prop)))
    return Explanation(
        f"{prop.kind} {prop.name}{_doc(prop.doc)}",
        f"A property of this kind {_KINDS[prop.kind]}.",
        str(prop.span),
        tuple(s for s in sections if s.lines),
    )


def _in_words(prop: t.Property) -> str:
    given = "" if is_true(prop.given) else f"provided that {sentence(prop.given)}: "
    return f"{given}{sentence(prop.formula)}"


def _questions(spec: t.Spec, prop: t.Property) -> tuple[str, ...]:
    out = [f"init/{prop.name}: the start satisfies it"] if prop.kind == "invariant" else []
    idle = []
    for action in spec.actions:
        if action.name in prop.excepted:
            continue
        changed = {u.var for u in action.body if isinstance(u, t.Update)}
        if changed & reads(spec, prop.formula):
            out.append(f"{action.name}/{prop.name}: {action.name} keeps it")
        else:
            idle.append(action.name)
    if idle:
        out.append(f"nothing for {', '.join(idle)}: they change nothing that it reads")
    return tuple(out)


def _obligation(spec: t.Spec, action: t.Action | None, prop: t.Property) -> Explanation:
    if action is None:
        summary = "Every state that init allows satisfies the property."
        sections = [
            Section("The start", statements(spec.init)),
            Section("Then", (_in_words(prop),)),
            _functions(spec, [prop.formula]),
        ]
        title = f"{spec.name}/init/{prop.name}"
    else:
        summary = (
            f"Take any state in which the invariants hold, whatever its size. Let {action.name} "
            "happen there. The property must hold afterwards."
        )
        others = [
            p.name
            for p in spec.properties
            if p.kind == "invariant" and (is_true(p.given) or p.name == prop.name)
        ]
        sections = [
            Section("Before, these hold", (", ".join(others),) if others else ()),
            Section(f"{action.name} happens", statements(action.body)),
            Section("Afterwards", (_in_words(prop),)),
            _functions(spec, [prop.formula]),
        ]
        title = f"{spec.name}/{action.name}/{prop.name}"
    return Explanation(title, summary, str(prop.span), tuple(s for s in sections if s.lines))


def _functions(spec: t.Spec, exprs: Iterable[t.Expr]) -> Section:
    """The functions that expressions call, through others, with their bodies."""
    names: dict[str, None] = {}
    todo = list(exprs)
    while todo:
        for call in applications(todo.pop(0)):
            if call.kind in ("function", "policy") and call.name not in names:
                names[call.name] = None
                todo.append(spec.functions[call.name].body)
    lines = []
    for name in names:
        function = spec.functions[name]
        lines.append(f"{_signature(function)} = {show(function.body)}{_doc(function.doc)}")
    return Section("Where", tuple(lines))


def _state(spec: t.Spec, prop: t.Property) -> Section:
    names = [v for v in spec.vars if v in reads(spec, prop.formula)]
    return Section("It reads", (", ".join(names),) if names else ())


# --- other names ----------------------------------------------------------------------------------


def _action(spec: t.Spec, action: t.Action) -> Explanation:
    tests = [s.test for s in action.body if isinstance(s, t.Require | t.Choose)]
    values = [s.value for s in action.body if isinstance(s, t.Update)]
    sections = (
        Section("What it needs, chooses and changes", statements(action.body)),
        _functions(spec, [*tests, *values]),
    )
    args = ", ".join(f"{p.name}: {p.type}" for p in action.params)
    return Explanation(
        f"action {action.name}({args})",
        action.doc or "One thing that may happen.",
        str(action.span),
        tuple(s for s in sections if s.lines),
    )


def _declared(spec: t.Spec, name: str) -> Explanation | None:
    for functions in (spec.functions,):
        ends = [f for f in functions.values() if f.name in (name, f"{name}.lo", f"{name}.hi")]
        if ends:
            kind = "policy function" if ends[0].policy else "function"
            bodies = tuple(f"{_signature(f)} = {show(f.body)}" for f in ends)
            return Explanation(
                f"{kind} {name}",
                ends[0].doc,
                str(ends[0].span),
                (Section("Definition", bodies), _functions(spec, [f.body for f in ends])),
            )
    for kind, table in (
        ("constant", spec.consts),
        ("parameter", spec.params),
        ("state", spec.vars),
    ):
        item = table.get(name)
        if item is not None:
            users = tuple(
                f"{p.kind} {p.name}" for p in spec.properties if _mentions(spec, p.formula, name)
            )
            return Explanation(
                f"{kind} {_signature(item)}",
                item.doc,
                str(item.span),
                (Section("Used by", users),) if users else (),
            )
    return None


def _mentions(spec: t.Spec, expr: t.Expr, name: str) -> bool:
    todo, done = [expr], set()
    while todo:
        for call in applications(todo.pop()):
            if call.name == name:
                return True
            if call.kind in ("function", "policy") and call.name not in done:
                done.add(call.name)
                todo.append(spec.functions[call.name].body)
    return False


def _signature(item: t.Var | t.Function | t.Const | t.Param) -> str:
    params = () if isinstance(item, t.Param) else item.params
    args = ", ".join(f"{p.name}: {p.type}" for p in params)
    return f"{item.name}({args}): {item.type}" if args else f"{item.name}: {item.type}"


def _doc(doc: str) -> str:
    return f" - {doc}" if doc else ""
