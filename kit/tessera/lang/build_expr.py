"""From lark's tree to expression and statement nodes.

Goal: one small method per grammar rule, shared by the item builder.
Non-goals: declarations (see `tessera.lang.parse`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lark import Token, Tree

from tessera.errors import Span
from tessera.lang import syntax as s

Node = Tree[Token]


class ExprBuilder:
    """Builds the nodes of one file."""

    def __init__(self, file: str) -> None:
        self.file = file

    # --- small helpers ----------------------------------------------------------------------------

    def span(self, node: Node | Token) -> Span:
        """Where a tree or token stands."""
        meta = node.meta if isinstance(node, Tree) else node
        line = meta.line or 1
        column = meta.column or 1
        return Span(self.file, line, column, meta.end_line or line, meta.end_column or column)

    def trees(self, items: Iterable[object]) -> list[Node]:
        """Only the subtrees among some children."""
        return [item for item in items if isinstance(item, Tree)]

    def ident(self, token: object) -> s.Ident:
        """A name token as an `Ident`."""
        assert isinstance(token, Token)
        return s.Ident(str(token), self.span(token))

    def names(self, tree: object) -> tuple[s.Ident, ...]:
        """The names of a `name_list`, or none."""
        return () if tree is None else tuple(self.ident(t) for t in self.trees([tree])[0].children)

    def text(self, token: object) -> str:
        """A quoted text without its quotes, or the empty string."""
        return "" if token is None else str(token)[1:-1]

    def number(self, token: object) -> int:
        """The value of an INT token."""
        return int(str(token).replace("_", ""), 0)

    def type(self, tree: object) -> s.TypeName:
        """A type as written."""
        node = self.trees([tree])[0]
        name, unit = node.children
        return s.TypeName(str(name), str(unit) if unit is not None else None, self.span(node))

    def override(self, tree: Node) -> s.Override:
        """`name = expr`."""
        return s.Override(
            self.ident(tree.children[0]), self.expr(tree.children[1]), self.span(tree)
        )

    def binder(self, tree: object) -> s.BinderGroup:
        """`a, b: T` or `a, b in P`."""
        node = self.trees([tree])[0]
        names, rest = node.children
        typed = node.data == "typed_binder"
        return s.BinderGroup(
            self.names(names),
            self.type(rest) if typed else None,
            None if typed else self.ident(rest),
            self.span(node),
        )

    def _groups(self, tree: object) -> tuple[s.BinderGroup, ...]:
        return tuple(self.binder(b) for b in self.trees([tree])[0].children)

    # --- statements -------------------------------------------------------------------------------

    def statements(self, items: Iterable[object]) -> tuple[s.Statement, ...]:
        """A block; a `for` becomes one `Update` per line in it."""
        out: list[s.Statement] = []
        for tree in self.trees(items):
            if tree.data == "bulk":
                binders, guard, *updates = tree.children
                groups = self._groups(binders)
                test = self.expr(guard) if guard is not None else None
                out += [self._update(u, groups, test) for u in self.trees(updates)]
            else:
                out.append(self._statement(tree))
        return tuple(out)

    def _statement(self, tree: Node) -> s.Statement:
        if tree.data == "require":
            return s.Require(self.expr(tree.children[0]), self.span(tree))
        if tree.data == "let":
            return s.Let(self.ident(tree.children[0]), self.expr(tree.children[1]), self.span(tree))
        if tree.data == "update":
            return self._update(tree, (), None)
        name, type_, test = tree.children
        return s.Choose(
            str(tree.data), self.ident(name), self.type(type_), self.expr(test), self.span(tree)
        )

    def _update(
        self, tree: Node, binders: tuple[s.BinderGroup, ...], guard: s.Expr | None
    ) -> s.Update:
        target, value = tree.children
        name, *args = self.trees([target])[0].children
        return s.Update(
            self.ident(name),
            tuple(self.expr(a) for a in args if a is not None),
            self.expr(value),
            binders,
            guard,
            self.span(tree),
        )

    # --- expressions ------------------------------------------------------------------------------

    def expr(self, tree: object) -> s.Expr:
        """An expression node."""
        node = self.trees([tree])[0]
        build: Callable[[Node], s.Expr] = getattr(self, f"_e_{str(node.data).rstrip('_')}")
        return build(node)

    def _e_number(self, node: Node) -> s.Expr:
        value, scale, unit = node.children
        return s.Number(
            self.number(value),
            str(value),
            str(scale) if scale is not None else None,
            str(unit) if unit is not None else None,
            self.span(node),
        )

    def _e_true(self, node: Node) -> s.Expr:
        return s.Boolean(True, self.span(node))

    def _e_false(self, node: Node) -> s.Expr:
        return s.Boolean(False, self.span(node))

    def _e_name(self, node: Node) -> s.Expr:
        return s.Name(str(node.children[0]), self.span(node))

    def _e_call(self, node: Node) -> s.Call:
        name, *args = node.children
        return s.Call(
            self.ident(name), tuple(self.expr(a) for a in args if a is not None), self.span(node)
        )

    def _prefix(self, op: str, node: Node) -> s.Expr:
        return s.Prefix(op, self.expr(node.children[0]), self.span(node))

    def _e_not(self, node: Node) -> s.Expr:
        return self._prefix("not", node)

    def _e_complement(self, node: Node) -> s.Expr:
        return self._prefix("~", node)

    def _e_old(self, node: Node) -> s.Expr:
        return self._prefix("old", node)

    def _e_exact(self, node: Node) -> s.Expr:
        return self._prefix("exact", node)

    def _infix(self, op: str, left: object, right: object, node: Node) -> s.Expr:
        return s.Infix(op, self.expr(left), self.expr(right), self.span(node))

    def _e_binary(self, node: Node) -> s.Expr:
        left, op, right = node.children
        return self._infix(str(op), left, right, node)

    def _e_compare(self, node: Node) -> s.Expr:
        left, op, right = node.children
        return self._infix(str(op), left, right, node)

    def _e_implies(self, node: Node) -> s.Expr:
        return self._infix("=>", node.children[0], node.children[1], node)

    def _e_or(self, node: Node) -> s.Expr:
        return self._infix("or", node.children[0], node.children[1], node)

    def _e_and(self, node: Node) -> s.Expr:
        return self._infix("and", node.children[0], node.children[1], node)

    def _e_ite(self, node: Node) -> s.Expr:
        test, then, other = (self.expr(c) for c in node.children)
        return s.Conditional(test, then, other, self.span(node))

    def _e_cast(self, node: Node) -> s.Expr:
        return s.As(self.expr(node.children[0]), self.type(node.children[1]), self.span(node))

    def _e_field(self, node: Node) -> s.Expr:
        return s.Field(self.expr(node.children[0]), self.ident(node.children[1]), self.span(node))

    def _e_interval(self, node: Node) -> s.Expr:
        return s.Interval(self.expr(node.children[0]), self.expr(node.children[1]), self.span(node))

    def _e_quantifier(self, node: Node) -> s.Expr:
        kind, binders, guard, body = node.children
        return s.Quantified(
            str(kind),
            self._groups(binders),
            self.expr(guard) if guard is not None else None,
            self.expr(body),
            self.span(node),
        )

    def _e_succeeds(self, node: Node) -> s.Expr:
        call, *witness = node.children
        return s.Succeeds(
            self._e_call(self.trees([call])[0]),
            tuple(self.override(o) for o in self.trees(witness)),
            self.span(node),
        )
