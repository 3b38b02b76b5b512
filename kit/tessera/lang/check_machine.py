"""Checking the machine: init, actions, properties, expectations, views.

Goal: typed statements with resolved choices, and properties in their right contexts.
Non-goals: meaning (see `tessera.model` and `tessera.prove`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tessera.errors import Span
from tessera.lang import syntax as s
from tessera.lang import typed as t
from tessera.lang.check_expr import ExprChecker
from tessera.lang.context import Context
from tessera.lang.diagnostics import nearest
from tessera.lang.fold import fold
from tessera.lang.scope import Symbols
from tessera.lang.types import BOOL, IntType, Type
from tessera.lang.walk import walk

_PROVABLE = ("proved", "violated")
_VERDICTS = {"cover": ("covered", "violated")}


class MachineChecker:
    """Types the parts of a spec that move."""

    def __init__(self, symbols: Symbols, exprs: ExprChecker) -> None:
        self.symbols = symbols
        self.exprs = exprs

    # --- actions ----------------------------------------------------------------------------------

    def actions(
        self, items: Sequence[s.Item]
    ) -> tuple[tuple[t.Action, ...], tuple[t.Statement, ...]]:
        """All actions, and the statements of all `init` blocks."""
        init: list[t.Statement] = []
        for item in items:
            if isinstance(item, s.Init):
                init += self._body(item.body, {}, "init")
        actions = [self._action(a) for a in self.symbols.actions.values()]
        return tuple(actions), tuple(init)

    def _action(self, action: s.Action) -> t.Action:
        local: dict[str, Type] = {}
        binders = []
        for param in action.params:
            type_ = self.symbols.plain_type(param.type)
            if type_ is not None:
                self._new_local(param.name, local)
                local[param.name.text] = type_
                binders.append(t.Binder(param.name.text, type_, param.span))
        body = self._body(action.body, local, f"action '{action.name.text}'")
        return t.Action(action.name.text, tuple(binders), action.doc, tuple(body), action.span)

    def _new_local(self, name: s.Ident, local: dict[str, Type]) -> None:
        if name.text in local:
            self.exprs.error(name.span, f"duplicate name '{name.text}'", "rename one of the two")

    def _body(
        self, body: Sequence[s.Statement], local: dict[str, Type], what: str
    ) -> list[t.Statement]:
        out: list[t.Statement] = []
        for statement in body:
            ctx = Context(dict(local), what)
            typed = self._statement(statement, local, ctx)
            if what == "init" and not isinstance(statement, s.Update):
                self.exprs.error(statement.span, "init only assigns", "write VARIABLE := VALUE")
            if typed is not None:
                out.append(typed)
        return out

    def _statement(
        self, statement: s.Statement, local: dict[str, Type], ctx: Context
    ) -> t.Statement | None:
        match statement:
            case s.Require():
                test = self.exprs.boolean(statement.test, ctx)
                return None if test is None else t.Require(test, statement.span)
            case s.Let():
                value = self.exprs.expr(statement.value, ctx)
                if value is None:
                    return None
                self._new_local(statement.name, local)
                local[statement.name.text] = value.type
                return t.Let(statement.name.text, value, statement.span)
            case s.Choose():
                return self._choose(statement, local, ctx)
            case s.Update():
                return self._update(statement, ctx)

    def _choose(self, choice: s.Choose, local: dict[str, Type], ctx: Context) -> t.Statement | None:
        type_ = self.symbols.plain_type(choice.type)
        if type_ is None:
            return None
        self._new_local(choice.name, local)
        local[choice.name.text] = type_
        if choice.kind == "least" and not isinstance(type_, IntType):
            self.exprs.error(choice.type.span, f"'least' needs an integer, not {type_}")
        test = self.exprs.boolean(choice.test, ctx.bind({choice.name.text: type_}))
        if test is None:
            return None
        binder = t.Binder(choice.name.text, type_, choice.name.span)
        return t.Choose(choice.kind, binder, test, choice.span)

    def _update(self, update: s.Update, ctx: Context) -> t.Statement | None:
        name = update.target
        sig = self.symbols.values.get(name.text)
        variables = [n for n, v in self.symbols.values.items() if v.kind == "var"]
        if sig is None or sig.kind != "var":
            self.exprs.error(
                name.span, f"'{name.text}' is not a state variable", nearest(name.text, variables)
            )
            return None
        guard: t.Expr | None = None
        binders: tuple[t.Binder, ...] = ()
        if update.binders is not None:
            bound = self.exprs.binders((update.binders,), ctx)
            if bound is None:
                return None
            binders, guard, ctx = bound
            if update.guard is not None:
                own = self.exprs.boolean(update.guard, ctx)
                if own is None:
                    return None
                guard = own if guard is None else t.Binary("and", guard, own, BOOL, own.span)
        call = s.Call(name, update.args, update.span)
        args = self.exprs.arguments(call, sig.params, ctx)
        assert not isinstance(sig.result, type(None))
        value = self.exprs.expr(update.value, ctx, self.symbols.plain_type(sig.decl.type))
        if args is None or value is None:
            return None
        if binders and not _are_binders(args, binders):
            self.exprs.error(
                update.span,
                "inside 'for', the variable is updated at the bound names themselves",
                "put the condition into 'where'",
            )
            return None
        full = guard or t.BoolLit(True, BOOL, update.span)
        return t.Update(name.text, args, binders, full, value, update.span)

    # --- properties -------------------------------------------------------------------------------

    def properties(self, items: Sequence[s.Item]) -> tuple[t.Property, ...]:
        """All properties in order."""
        out = []
        for item in items:
            if isinstance(item, s.Property) and self.symbols.declare(item.name, "property"):
                typed = self._property(item)
                if typed is not None:
                    out.append(typed)
        return tuple(out)

    def _property(self, prop: s.Property) -> t.Property | None:
        stateless = prop.kind in ("lemma", "assume")
        ctx = Context(
            what=f"{prop.kind} '{prop.name.text}'",
            state=not stateless,
            old=prop.kind == "step",
            promise=prop.kind == "promise",
            unbounded=prop.unbounded,
        )
        formula = self.exprs.boolean(prop.formula, ctx)
        fixed = Context(what="'given'", state=False)
        given = self.exprs.boolean(prop.given, fixed) if prop.given is not None else None
        for name in prop.excepted:
            if name.text not in self.symbols.actions:
                self.exprs.error(
                    name.span,
                    f"unknown action '{name.text}'",
                    nearest(name.text, self.symbols.actions),
                )
        if formula is None or (prop.given is not None and given is None):
            return None
        if prop.kind == "promise" and not any(isinstance(e, t.Succeeds) for e in walk(formula)):
            self.exprs.error(
                prop.span,
                f"promise '{prop.name.text}' promises nothing",
                "say which action succeeds: ACTION(arguments) succeeds",
            )
        return t.Property(
            prop.kind,
            prop.name.text,
            prop.doc,
            given or t.BoolLit(True, BOOL, prop.span),
            tuple(n.text for n in prop.excepted),
            prop.within,
            prop.unbounded,
            formula,
            self._text(prop.formula.span),
            prop.span,
        )

    def _text(self, span: Span) -> str:
        """The source text of a span, its lines joined by newlines."""
        lines = self.symbols.diagnostics.lines.get(span.file, [])[span.line - 1 : span.end_line]
        if not lines:
            return ""
        if len(lines) == 1:
            return lines[0][span.column - 1 : span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        lines[-1] = lines[-1][: span.end_column - 1]
        return "\n".join(line.strip() for line in lines)

    def expects(
        self, items: Sequence[s.Item], properties: Sequence[t.Property]
    ) -> dict[str, t.Expect]:
        """The expected verdict of every property that has one."""
        kinds = {p.name: p.kind for p in properties}
        out: dict[str, t.Expect] = {}
        for item in items:
            if not isinstance(item, s.Expect):
                continue
            for name in item.names:
                if name.text not in kinds:
                    self.exprs.error(
                        name.span, f"unknown property '{name.text}'", nearest(name.text, kinds)
                    )
                    continue
                expect = t.Expect(item.verdict, item.within, name.span)
                earlier = out.get(name.text)
                if earlier is not None and earlier.verdict != expect.verdict:
                    self.exprs.error(
                        name.span,
                        f"'{name.text}' is expected to be {expect.verdict} here and "
                        f"{earlier.verdict} at {earlier.span}",
                        "keep one of the two",
                    )
                elif expect.verdict not in _VERDICTS.get(kinds[name.text], _PROVABLE):
                    self.exprs.error(
                        name.span,
                        f"'{name.text}' is a {kinds[name.text]} and cannot be {expect.verdict}",
                        "a cover is covered or violated; all others are proved or violated",
                    )
                out[name.text] = expect
        return out

    # --- pictures and sizes -----------------------------------------------------------------------

    def views(self, items: Sequence[s.Item]) -> tuple[t.View, ...]:
        """The views; those of one name are merged."""
        merged: dict[str, t.View] = {}
        for item in items:
            if not isinstance(item, s.View):
                continue
            typed = tuple(v for v in (self._view_item(i) for i in item.items) if v is not None)
            old = merged.get(item.name.text)
            merged[item.name.text] = t.View(
                item.name.text,
                item.doc or (old.doc if old else ""),
                (old.items if old else ()) + typed,
            )
        return tuple(merged.values())

    def _view_item(self, item: s.ViewItem) -> t.ViewItem | None:
        ctx = Context(what="a view")
        binder, guard = None, None
        if item.binders is not None:
            bound = self.exprs.binders((item.binders,), ctx)
            if bound is None:
                return None
            binders, guard, ctx = bound
            binder = binders[0]
        exprs = [self.exprs.expr(e, ctx) for e in item.exprs]
        good = tuple(e for e in exprs if e is not None)
        if len(good) != len(exprs):
            return None
        full = guard or t.BoolLit(True, BOOL, item.span)
        return t.ViewItem(item.kind, binder, full, item.label, good)

    def simulate(self, items: Sequence[s.Item], params: dict[str, int]) -> dict[str, int]:
        """Sizes for playing: constants and parameters by name."""
        out: dict[str, int] = {}
        for item in items:
            if not isinstance(item, s.Simulate):
                continue
            for entry in item.values:
                sig = self.symbols.values.get(entry.name.text)
                if sig is None or sig.kind not in ("const", "param") or sig.params:
                    self.exprs.error(
                        entry.name.span,
                        f"'{entry.name.text}' is not a constant or parameter",
                        nearest(entry.name.text, self.symbols.values),
                    )
                    continue
                type_ = self.symbols.plain_type(sig.decl.type)
                typed = self.exprs.expr(entry.value, Context(state=False), type_)
                value = None if typed is None else fold(typed, params)
                if value is not None:
                    out[entry.name.text] = value
        return out


def _are_binders(args: tuple[t.Expr, ...], binders: tuple[t.Binder, ...]) -> bool:
    names = [a.name for a in args if isinstance(a, t.Local)]
    return names == [b.name for b in binders]
