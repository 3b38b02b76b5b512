"""Checking a whole spec: declarations in dependency order, then bodies.

Goal: collect every mistake it can, then give one `typed.Spec`.
Non-goals: expressions (see `check_expr`), platforms (`check_platform`), actions and properties
(`check_machine`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tessera.errors import Span
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.check_machine import MachineChecker
from tessera.lang.check_platform import check_platform
from tessera.lang.check_rest import RestChecker
from tessera.lang.diagnostics import Diagnostics, nearest
from tessera.lang.functions import FunctionChecker
from tessera.lang.params import bounds, check_params
from tessera.lang.scope import Signature, Symbols
from tessera.lang.types import CLASS, EnumType

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
        title = self._title(own)
        self._types(items)
        self._values(items)
        self._platform_last(items)
        functions = FunctionChecker(self.symbols, self.exprs)
        defined = functions.check(items, title)
        params = check_params(self.symbols, self.exprs, items, used_with, given)
        consts = self._consts(items)
        machine = MachineChecker(self.symbols, self.exprs)
        actions, init = machine.actions(items)
        properties = machine.properties(items)
        rest = RestChecker(self.symbols, self.exprs)
        named = {i.name.text: i for i in items if isinstance(i, s.Property)}
        expects = rest.expects(items, named)
        views = rest.views(items)
        simulate = rest.simulate(items, params, consts)
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

    def _title(self, own: Sequence[s.Item]) -> s.SpecDecl:
        """The one `spec` line of the file that was asked for."""
        titles = [i for i in own if isinstance(i, s.SpecDecl)]
        for second in titles[1:]:
            self.diagnostics.add(
                second.name.span,
                f"a second spec: this file is already '{titles[0].name.text}'",
                "one file holds one spec; move it to a file of its own",
            )
        if not titles:
            self.diagnostics.add(
                own[0].span if own else Span(self.file, 1, 1, 1, 2),
                "this file declares no spec",
                'add a line: spec NAME "..."; a part is checked with the spec that uses it',
            )
            self.diagnostics.raise_if_any()
        return titles[0]

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
        known = set(names)
        symbols.enums["class"] = tuple(names)
        seen: dict[str, s.TaMember] = {}
        for item in declared:
            symbols.members[item.name.text] = CLASS
            for lower in item.above:
                if lower.text not in known:
                    self.diagnostics.add(
                        lower.span,
                        f"unknown class '{lower.text}'",
                        nearest(lower.text, names) or f"declare it: class {lower.text}",
                    )
            for ta in item.members:
                self._ta(ta, seen)
            self.classes.append(
                t.Class(
                    item.name.text,
                    tuple(a.text for a in item.above if a.text in known),
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
                f"'{ta.uuid[:40]}' is not a UUID",
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
        """One report per cycle, with its path."""
        by_name = {c.name.text: c for c in declared}
        left: set[str] = set()  # everything below is known to be free of cycles, or reported
        for root in by_name:
            path = {root: None}  # a dict keeps the order and answers `in` at once
            while path:
                last = next(reversed(path))
                above = by_name[last].above
                later = next((a for a in above if a.text in by_name and a.text not in left), None)
                if later is None:
                    left.add(last)
                    del path[last]
                elif later.text in path:
                    names = list(path)
                    cycle = [*names[names.index(later.text) :], later.text]
                    self.diagnostics.add(
                        later.span,
                        f"class cycle: {' > '.join(cycle)}",
                        "no class outranks itself: drop one '>' of the cycle",
                    )
                    left.update(path)
                    path.clear()
                else:
                    path[later.text] = None

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
        wanted = symbols.type if kind in ("function", "policy") else symbols.plain_type
        result = wanted(decl.type)
        params = [(p.name.text, symbols.plain_type(p.type)) for p in decl.params or ()]
        good = [(n, type_) for n, type_ in params if type_ is not None]
        distinct = self._distinct(decl)
        if result is not None and len(good) == len(params) and distinct:
            symbols.values[decl.name.text] = Signature(kind, tuple(good), result, decl)
        else:
            symbols.broken.add(decl.name.text)

    def _distinct(self, decl: s.ValueDecl) -> bool:
        """Whether the parameters have names of their own."""
        seen: set[str] = set()
        for param in decl.params or ():
            if not self.symbols.usable(param.name):
                return False
            if param.name.text in seen:
                self.diagnostics.add(
                    param.name.span,
                    f"duplicate name '{param.name.text}' among the parameters",
                    "rename one of the two",
                )
                return False
            seen.add(param.name.text)
        return True

    def _consts(self, items: Sequence[s.Item]) -> dict[str, t.Const]:
        out = {}
        for decl in items:
            if not isinstance(decl, s.ValueDecl) or decl.kind != "const":
                continue
            if decl.value is not None:
                self.diagnostics.add(
                    decl.value.span,
                    "a machine's const is symbolic and has no value",
                    "use 'param' for a number with a value",
                )
            sig = self.symbols.values.get(decl.name.text)
            type_ = self.symbols.plain_type(decl.type)
            if sig is None or type_ is None:
                continue
            low, high = bounds(self.exprs, decl, type_)
            binders = tuple(t.Binder(n, x, decl.span) for n, x in sig.params)
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
