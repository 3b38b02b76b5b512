"""Checking the machine: init, actions, properties.

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
from tessera.lang.scope import Symbols
from tessera.lang.types import BOOL, IntType, Type
from tessera.lang.walk import walk


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
                init += self._init(item.body)
        actions = [self._action(a) for a in self.symbols.actions.values()]
        return tuple(actions), tuple(init)

    def _action(self, action: s.Action) -> t.Action:
        local: dict[str, Type] = {}
        binders = []
        for param in action.params:
            type_ = self.symbols.plain_type(param.type)
            if type_ is None:
                self.symbols.broken.add(param.name.text)
            elif self._new_local(param.name, local, type_):
                binders.append(t.Binder(param.name.text, type_, param.span))
        body = self._body(action.body, local, f"action '{action.name.text}'")
        return t.Action(action.name.text, tuple(binders), action.doc, tuple(body), action.span)

    def _new_local(self, name: s.Ident, local: dict[str, Type], type_: Type) -> bool:
        if not self.symbols.usable(name):
            return False
        if name.text in local:
            self.exprs.error(
                name.span,
                f"duplicate name '{name.text}' in this action",
                "rename one of the two",
            )
            return False
        local[name.text] = type_
        return True

    def _body(
        self, body: Sequence[s.Statement], local: dict[str, Type], what: str
    ) -> list[t.Statement]:
        out: list[t.Statement] = []
        for statement in body:
            ctx = Context(local, what)
            typed = self._statement(statement, local, ctx)
            if typed is not None:
                out.append(typed)
        return out

    def _init(self, body: Sequence[s.Statement]) -> list[t.Statement]:
        """Initial values; there is no state yet that they could read."""
        out = []
        for statement in body:
            if not isinstance(statement, s.Update):
                self.exprs.error(statement.span, "init only assigns", "write VARIABLE := VALUE")
                continue
            typed = self._update(statement, Context(what="init", state=False))
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
                    self.symbols.broken.add(statement.name.text)
                    return None
                self._new_local(statement.name, local, value.type)
                return t.Let(statement.name.text, value, statement.span)
            case s.Choose():
                return self._choose(statement, local, ctx)
            case s.Update():
                return self._update(statement, ctx)

    def _choose(self, choice: s.Choose, local: dict[str, Type], ctx: Context) -> t.Statement | None:
        type_ = self.symbols.plain_type(choice.type)
        if type_ is None:
            self.symbols.broken.add(choice.name.text)
            return None
        fresh = self._new_local(choice.name, local, type_)
        if choice.kind == "least" and not isinstance(type_, IntType):
            self.exprs.error(
                choice.type.span, f"'least' needs an integer, not {type_}", "use 'some' or 'fresh'"
            )
        test = self.exprs.boolean(choice.test, ctx.bind({choice.name.text: type_}))
        if test is None or not fresh:
            return None
        binder = t.Binder(choice.name.text, type_, choice.name.span)
        return t.Choose(choice.kind, binder, test, choice.span)

    def _update(self, update: s.Update, ctx: Context) -> t.Statement | None:
        name = update.target
        sig = self.symbols.values.get(name.text)
        variables = [n for n, v in self.symbols.values.items() if v.kind == "var"]
        if sig is None or sig.kind != "var":
            if name.text not in self.symbols.broken:
                self.exprs.error(
                    name.span,
                    f"'{name.text}' is not a state variable",
                    nearest(name.text, variables) or "declare it: var NAME(...): TYPE",
                )
            return None
        guard: t.Expr | None = None
        binders: tuple[t.Binder, ...] = ()
        if update.binders:
            bound = self.exprs.binders(update.binders, ctx)
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
        value = self.exprs.expr(update.value, ctx, self.symbols.plain_type(sig.decl.type))
        if args is None or value is None:
            return None
        if binders and not _are_binders(args, binders):
            bound_names = ", ".join(b.name for b in binders)
            names = ", ".join(n for n, _ in sig.params)
            typed = ", ".join(f"{n}: {type_}" for n, type_ in sig.params)
            self.exprs.error(
                update.span,
                "inside 'for', a variable is updated at the bound names themselves",
                f"write {name.text}({bound_names}) := ..., with the condition in 'where'"
                if len(binders) == len(sig.params)
                else f"write for {typed} where ... {{ {name.text}({names}) := ... }}",
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
                    nearest(name.text, self.symbols.actions) or "name actions of this machine",
                )
        if formula is None or (prop.given is not None and given is None):
            return None
        if prop.kind == "promise" and not any(isinstance(e, t.Succeeds) for e in walk(formula)):
            self.exprs.error(
                prop.name.span,
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
        lines[-1] = lines[-1][: span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        # Formulas hold no texts: a # starts a comment.
        bare = (line.partition("#")[0].strip() for line in lines)
        return "\n".join(line for line in bare if line)


def _are_binders(args: tuple[t.Expr, ...], binders: tuple[t.Binder, ...]) -> bool:
    names = [a.name if isinstance(a, t.Local) else None for a in args]
    return names == [b.name for b in binders]
