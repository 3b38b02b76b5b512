"""Checking a whole spec: declarations in dependency order, then bodies.

Goal: collect every mistake it can, then give one `typed.Spec`.
Non-goals: expressions (see `check_expr`), platforms (`check_platform`), actions and properties
(`check_machine`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.check_machine import MachineChecker
from tessera.lang.check_platform import check_platform
from tessera.lang.context import Context
from tessera.lang.diagnostics import Diagnostics, nearest
from tessera.lang.fold import fold
from tessera.lang.functions import FunctionChecker
from tessera.lang.scope import Signature, Symbols
from tessera.lang.types import CLASS, EnumType, IntType

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class SpecChecker:
    """Checks one spec; use `check` once."""

    def __init__(self, diagnostics: Diagnostics, file: str) -> None:
        self.diagnostics = diagnostics
        self.file = file
        self.symbols = Symbols(diagnostics)
        self.exprs = ExprChecker(self.symbols)
        self.classes: list[t.Class] = []

    def check(
        self,
        items: Sequence[s.Item],
        own: Sequence[s.Item],
        digest: str,
        used_with: Sequence[s.Override],
        given: dict[str, int],
    ) -> t.Spec:
        """The checked spec; raises `SpecError` with all mistakes found."""
        title = next((i for i in own if isinstance(i, s.SpecDecl)), None)
        if title is None:
            first = own[0].span if own else next(iter(items)).span
            self.diagnostics.add(first, "this file declares no spec", 'add a line: spec NAME "..."')
            self.diagnostics.raise_if_any()
        assert title is not None
        self._types(items)
        self._values(items)
        self._platform_last(items)
        functions = FunctionChecker(self.symbols, self.exprs)
        defined = functions.check(items, title)
        params = self._params(items, used_with, given)
        consts = self._consts(items)
        machine = MachineChecker(self.symbols, self.exprs)
        actions, init = machine.actions(items)
        properties = machine.properties(items)
        expects = machine.expects(items, properties)
        views = machine.views(items)
        simulate = machine.simulate(items, {n: p.value for n, p in params.items()})
        self.diagnostics.raise_if_any()
        return t.Spec(
            name=title.name.text,
            doc=title.doc,
            file=self.file,
            digest=digest,
            platform=self.symbols.platform,
            classes=tuple(self.classes),
            enums=dict(self.symbols.enums),
            sorts=tuple(self.symbols.sorts.values()),
            consts=consts,
            params=params,
            vars=self._vars(items),
            functions=defined,
            init=init,
            actions=actions,
            properties=properties,
            expects=expects,
            views=views,
            simulate=simulate,
            lines=dict(self.diagnostics.lines),
        )

    # --- types ------------------------------------------------------------------------------------

    def _types(self, items: Sequence[s.Item]) -> None:
        symbols = self.symbols
        self._platform_first(items)
        for item in items:
            if isinstance(item, s.EnumDecl) and symbols.declare(item.name):
                symbols.enums[item.name.text] = tuple(m.text for m in item.members)
                for member in item.members:
                    if symbols.declare(member):
                        symbols.members[member.text] = EnumType(item.name.text)
            elif isinstance(item, s.SortDecl) and symbols.declare(item.name):
                symbols.sorts[item.name.text] = t.Sort(item.name.text, item.prefix, item.doc)
            elif isinstance(item, s.Action) and symbols.declare(item.name, "action"):
                symbols.actions[item.name.text] = item
        self._classes(items)

    def _platform_first(self, items: Sequence[s.Item]) -> None:
        platforms = [i for i in items if isinstance(i, s.Platform)]
        if platforms:
            # The last one counts: a spec may use another platform than the file it builds on.
            self.symbols.platform = check_platform(self.symbols, platforms[-1])
            if self.symbols.platform is None:
                self.diagnostics.raise_if_any()

    def _platform_last(self, items: Sequence[s.Item]) -> None:
        """A name may not be both a region and a value: `pool.base` would be ambiguous."""
        for region in self.symbols.platform.regions if self.symbols.platform else ():
            if region.name in self.symbols.values:
                self.diagnostics.add(region.span, f"'{region.name}' is also the name of a value")

    def _classes(self, items: Sequence[s.Item]) -> None:
        symbols = self.symbols
        declared = [i for i in items if isinstance(i, s.ClassDecl) and symbols.declare(i.name)]
        names = [c.name.text for c in declared]
        symbols.enums["class"] = tuple(names)
        seen: dict[str, s.TaMember] = {}
        for item in declared:
            symbols.members[item.name.text] = CLASS
            for lower in item.above:
                if lower.text not in names:
                    self.diagnostics.add(
                        lower.span,
                        f"unknown class '{lower.text}'",
                        nearest(lower.text, names) or "declare it first",
                    )
            for ta in item.members:
                self._ta(ta, seen)
            self.classes.append(
                t.Class(
                    item.name.text,
                    tuple(a.text for a in item.above if a.text in names),
                    item.doc,
                    tuple(t.Ta(m.uuid.lower(), m.doc) for m in item.members),
                    item.span,
                )
            )
        self._class_cycles(declared)

    def _ta(self, ta: s.TaMember, seen: dict[str, s.TaMember]) -> None:
        uuid = ta.uuid.lower()
        if not _UUID.fullmatch(uuid):
            self.diagnostics.add(
                ta.span,
                f"'{ta.uuid}' is not a UUID",
                "write it as 01234567-89ab-cdef-0123-456789abcdef",
            )
        elif uuid in seen:
            self.diagnostics.add(
                ta.span,
                f"this TA already has a class, at {seen[uuid].span}",
                "a TA belongs to one class",
            )
        seen[uuid] = ta

    def _class_cycles(self, declared: Sequence[s.ClassDecl]) -> None:
        above = {c.name.text: [a.text for a in c.above] for c in declared}
        for item in declared:
            todo, seen = list(above[item.name.text]), set()
            while todo:
                name = todo.pop()
                if name == item.name.text:
                    self.diagnostics.add(
                        item.name.span,
                        f"class cycle: '{name}' outranks itself",
                        "drop one '>' of the cycle",
                    )
                    break
                if name not in seen:
                    seen.add(name)
                    todo += above.get(name, [])

    # --- values -----------------------------------------------------------------------------------

    def _values(self, items: Sequence[s.Item]) -> None:
        for item in items:
            if isinstance(item, s.ValueDecl):
                self._signature(item, item.kind)
            elif isinstance(item, s.Interface):
                for decl in item.items:
                    self._signature(decl, "policy")

    def _signature(self, decl: s.ValueDecl, kind: str) -> None:
        symbols = self.symbols
        if not symbols.declare(decl.name):
            return
        result = symbols.type(decl.type, unbounded=kind == "function")
        params = [(p.name.text, symbols.plain_type(p.type)) for p in decl.params or ()]
        good = [(n, type_) for n, type_ in params if type_ is not None]
        if result is not None and len(good) == len(params):
            symbols.values[decl.name.text] = Signature(kind, tuple(good), result, decl)

    def _params(
        self, items: Sequence[s.Item], used_with: Sequence[s.Override], given: dict[str, int]
    ) -> dict[str, t.Param]:
        values: dict[str, int] = {}
        out: dict[str, t.Param] = {}
        decls = [i for i in items if isinstance(i, s.ValueDecl) and i.kind == "param"]
        replaced = {o.name.text: o for o in used_with}
        for name, override in replaced.items():
            if name not in {d.name.text for d in decls}:
                self.diagnostics.add(
                    override.name.span,
                    f"unknown parameter '{name}'",
                    nearest(name, [d.name.text for d in decls]),
                )
        for decl in decls:
            param = self._param(decl, replaced.get(decl.name.text), values, given)
            if param is not None:
                out[decl.name.text] = param
                values[decl.name.text] = param.value
        return out

    def _param(
        self,
        decl: s.ValueDecl,
        override: s.Override | None,
        values: dict[str, int],
        given: dict[str, int],
    ) -> t.Param | None:
        sig = self.symbols.values.get(decl.name.text)
        if sig is None:
            return None
        if not isinstance(sig.result, IntType):
            self.diagnostics.add(decl.type.span, "a parameter is an integer")
            return None
        ctx = Context(what="a parameter", state=False)
        written = override.value if override is not None else decl.value
        assert written is not None
        typed = self.exprs.expr(written, ctx, sig.result)
        low, high = self._bounds(decl, sig.result)
        if typed is None:
            return None
        value = given.get(decl.name.text, fold(typed, values))
        if value is None:
            self.diagnostics.add(written.span, "a parameter's value must be constant")
            return None
        ends = [None if e is None else fold(e, values) for e in (low, high)]
        unit = f" {sig.result.unit}" if sig.result.unit else ""
        if (ends[0] is not None and value < ends[0]) or (ends[1] is not None and value > ends[1]):
            self.diagnostics.add(
                written.span,
                f"{decl.name.text} = {value}{unit} lies outside its range {ends[0]} .. {ends[1]}",
                "choose a value in the range, or another platform",
            )
        return t.Param(decl.name.text, sig.result, low, high, value, decl.doc, decl.span)

    def _bounds(self, decl: s.ValueDecl, type_: IntType) -> tuple[t.Expr | None, t.Expr | None]:
        ctx = Context(what="a range", state=False)
        low = self.exprs.expr(decl.low, ctx, type_) if decl.low is not None else None
        high = self.exprs.expr(decl.high, ctx, type_) if decl.high is not None else None
        return low, high

    def _consts(self, items: Sequence[s.Item]) -> dict[str, t.Const]:
        out = {}
        for decl in items:
            if not isinstance(decl, s.ValueDecl) or decl.kind != "const":
                continue
            sig = self.symbols.values.get(decl.name.text)
            if sig is None:
                continue
            type_ = self.symbols.plain_type(decl.type)
            if decl.value is not None:
                self.diagnostics.add(
                    decl.value.span,
                    "a machine's const is symbolic and has no value",
                    "use 'param' for a number with a value",
                )
            if type_ is None:
                continue
            low, high = self._bounds(decl, type_) if isinstance(type_, IntType) else (None, None)
            binders = tuple(t.Binder(n, type_, decl.span) for n, type_ in sig.params)
            out[decl.name.text] = t.Const(
                decl.name.text, binders, type_, low, high, decl.doc, decl.span
            )
        return out

    def _vars(self, items: Sequence[s.Item]) -> dict[str, t.Var]:
        out = {}
        for decl in items:
            if isinstance(decl, s.ValueDecl) and decl.kind == "var":
                sig = self.symbols.values[decl.name.text]
                type_ = self.symbols.plain_type(decl.type)
                if type_ is not None:
                    binders = tuple(t.Binder(n, x, decl.span) for n, x in sig.params)
                    out[decl.name.text] = t.Var(decl.name.text, binders, type_, decl.doc, decl.span)
        return out
