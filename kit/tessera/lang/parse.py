"""Text to syntax tree.

Goal: parse with lark, translate its exceptions into our diagnostics, and build `syntax` nodes.
Non-goals: names, types, `use` (see `tessera.lang.load`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import lark
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from tessera.lang import syntax as s
from tessera.lang.build_expr import ExprBuilder, Node
from tessera.lang.diagnostics import Diagnostic, SpecError
from tessera.lang.shape import check_shape
from tessera.lang.source import Source
from tessera.lang.syntax_errors import ITEM_WORDS, explain

MOST_SYNTAX_ERRORS = 10


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("tessera.lang").joinpath("grammar.lark").read_text("utf-8")
    place = _tables()
    return Lark(
        grammar,
        parser="lalr",
        propagate_positions=True,
        maybe_placeholders=True,
        cache=str(place) if place else False,
    )


def _tables() -> Path | None:
    """Where lark keeps the parser's tables, whose making takes longer than most files' reading.

    Lark reads them only when grammar, options and versions are the same, makes them anew when the
    file is damaged, and does without when it cannot be written. None: there is no such place.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        folder = Path(base, "tessera", "grammar")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    python = ".".join(str(n) for n in sys.version_info[:2])
    return folder / f"lark-{lark.__version__}-python-{python}"


def syntax_tree(text: str) -> Tree[Token]:
    """lark's own tree, with positions; raises lark's exceptions. For tools that look at layout."""
    return _parser().parse(text)


def parse(source: Source) -> tuple[s.Item, ...]:
    """The items of one file; raises `SpecError` with its syntax errors.

    After an error, parsing goes on at the next line that starts with the keyword of an item.
    """
    found: list[Diagnostic] = []
    text = source.text
    tree = None
    while len(found) < MOST_SYNTAX_ERRORS:
        try:
            tree = _parser().parse(text)
            break
        except UnexpectedInput as error:
            diagnostic, position = explain(error, source)
            found.append(diagnostic)
            restart = _ITEM_START.search(source.text, position)
            if restart is None:
                break
            # Spaces keep the lines and columns of what follows.
            text = _BLANK.sub(" ", source.text[: restart.start()]) + source.text[restart.start() :]
    if tree is None or found:
        raise SpecError(tuple(found), {source.name: source.lines})
    check_shape(tree, source)
    builder = _ItemBuilder(source.name)
    return tuple(builder.item(child) for child in tree.children if isinstance(child, Tree))


_ITEM_START = re.compile(rf"^(?:{'|'.join(ITEM_WORDS)})\b", re.MULTILINE)
_BLANK = re.compile(r"[^\n]")


class _ItemBuilder(ExprBuilder):
    """Builds declarations; expressions come from `ExprBuilder`."""

    def item(self, tree: Node) -> s.Item:
        build: Callable[[Node], s.Item] = getattr(self, f"_{tree.data}")
        return build(tree)

    def _use(self, tree: Node) -> s.Use:
        path, *overrides = tree.children
        return s.Use(
            str(path)[1:-1], tuple(self.override(o) for o in self.trees(overrides)), self.span(tree)
        )

    def _spec(self, tree: Node) -> s.SpecDecl:
        name, doc = tree.children
        return s.SpecDecl(self.ident(name), self.text(doc), self.span(tree))

    def _platform(self, tree: Node) -> s.Platform:
        name, doc, *items = tree.children
        parts = self.trees(items)
        granules = [self.expr(p.children[0]) for p in parts if p.data == "granule_item"]
        widths = tuple(
            (self.ident(p.children[0]), self.number(p.children[1]))
            for p in parts
            if p.data == "width_item"
        )
        regions = tuple(self._region(p) for p in parts if p.data == "region")
        return s.Platform(
            self.ident(name),
            self.text(doc),
            granules[-1] if granules else None,
            widths,
            regions,
            self.span(tree),
            tuple(self._constraint(p) for p in parts if p.data == "constraint"),
            tuple(self._config(p) for p in parts if p.data == "config"),
            tuple(self._expect(p) for p in parts if p.data == "expect"),
        )

    def _region(self, tree: Node) -> s.Region:
        name, parent, world, base, align, extent, doc = tree.children
        size, most = self.trees([extent])[0].children
        return s.Region(
            self.ident(name),
            self.ident(parent) if parent is not None else None,
            str(world) if world is not None else None,
            self.expr(base) if isinstance(base, Tree) else None,
            self.expr(size),
            self.text(doc),
            self.span(tree),
            self.expr(align) if align is not None else None,
            self.expr(most) if most is not None else None,
        )

    def _constraint(self, tree: Node) -> s.Constraint:
        name, doc, test = tree.children
        return s.Constraint(self.ident(name), self.text(doc), self.expr(test), self.span(tree))

    def _config(self, tree: Node) -> s.Config:
        kind, key, *values = tree.children
        return s.Config(
            self.ident(kind),
            self.text(key),
            tuple(self.expr(v) for v in values if v is not None),
            self.span(tree),
        )

    def _class_decl(self, tree: Node) -> s.ClassDecl:
        name, above, doc, *members = tree.children
        return s.ClassDecl(
            self.ident(name),
            self.names(above),
            self.text(doc),
            tuple(
                s.TaMember(self.text(m.children[0]), self.text(m.children[1]), self.span(m))
                for m in self.trees(members)
            ),
            self.span(tree),
        )

    def _enum_decl(self, tree: Node) -> s.EnumDecl:
        name, members, _ = tree.children
        return s.EnumDecl(self.ident(name), self.names(members), self.span(tree))

    def _sort_decl(self, tree: Node) -> s.SortDecl:
        name, prefix, doc = tree.children
        shown = str(prefix) if prefix is not None else str(name)
        return s.SortDecl(self.ident(name), shown, self.text(doc), self.span(tree))

    def _const_decl(self, tree: Node) -> s.ValueDecl:
        name, params, type_, range_, doc, value = tree.children
        return self._value("const", tree, name, params, type_, range_, doc, value)

    def _param_decl(self, tree: Node) -> s.ValueDecl:
        name, type_, range_, doc, value = tree.children
        return self._value("param", tree, name, None, type_, range_, doc, value)

    def _var_decl(self, tree: Node) -> s.ValueDecl:
        name, params, type_, doc = tree.children
        return self._value("var", tree, name, params, type_, None, doc, None)

    def _function_decl(self, tree: Node) -> s.ValueDecl:
        name, params, type_, doc, value = tree.children
        decl = self._value("function", tree, name, params, type_, None, doc, value)
        return decl

    def _value(
        self,
        kind: str,
        tree: Node,
        name: object,
        params: object,
        type_: object,
        range_: object,
        doc: object,
        value: object,
    ) -> s.ValueDecl:
        low, high = (None, None) if range_ is None else self.trees([range_])[0].children
        listed = None if params is None and kind != "function" else self.params(params)
        return s.ValueDecl(
            kind,
            self.ident(name),
            listed,
            self.type(type_),
            self.expr(low) if low is not None else None,
            self.expr(high) if high is not None else None,
            self.text(doc),
            self.expr(value) if value is not None else None,
            self.span(tree),
        )

    def params(self, tree: object) -> tuple[s.Parameter, ...]:
        """The parameters of a `param_list`, or none."""
        if tree is None:
            return ()
        return tuple(
            s.Parameter(self.ident(p.children[0]), self.type(p.children[1]), self.span(p))
            for p in self.trees(self.trees([tree])[0].children)
        )

    def _items(self, tree: Node) -> tuple[s.ValueDecl, ...]:
        built = [self.item(child) for child in self.trees(tree.children)]
        return tuple(item for item in built if isinstance(item, s.ValueDecl))

    def _interface(self, tree: Node) -> s.Interface:
        return s.Interface(self._items(tree), self.span(tree))

    def _policy(self, tree: Node) -> s.Policy:
        return s.Policy(self._items(tree), self.span(tree))

    def _init(self, tree: Node) -> s.Init:
        return s.Init(self.statements(tree.children), self.span(tree))

    def _action(self, tree: Node) -> s.Action:
        name, params, doc, *body = tree.children
        return s.Action(
            self.ident(name),
            self.params(params),
            self.text(doc),
            self.statements(body),
            self.span(tree),
        )

    def _property(self, kind: str, tree: Node, **more: object) -> s.Property:
        """The common shape of all properties; `more` holds the raw optional children."""
        given = more.get("given")
        within = more.get("within")
        return s.Property(
            kind,
            self.ident(tree.children[0]),
            self.text(more.get("doc")),
            self.expr(self.trees([given])[0].children[0]) if given is not None else None,
            self.names(self.trees([more["excepted"]])[0].children[0])
            if more.get("excepted") is not None
            else (),
            self.number(self.trees([within])[0].children[0]) if within is not None else None,
            more.get("unbounded") is not None,
            self.expr(tree.children[-1]),
            self.span(tree),
        )

    def _invariant(self, tree: Node) -> s.Property:
        _, doc, given, _ = tree.children
        return self._property("invariant", tree, doc=doc, given=given)

    def _step_prop(self, tree: Node) -> s.Property:
        _, doc, excepted, given, _ = tree.children
        return self._property("step", tree, doc=doc, given=given, excepted=excepted)

    def _promise(self, tree: Node) -> s.Property:
        _, doc, given, _ = tree.children
        return self._property("promise", tree, doc=doc, given=given)

    def _lemma(self, tree: Node) -> s.Property:
        _, unbounded, doc, given, _ = tree.children
        return self._property("lemma", tree, doc=doc, given=given, unbounded=unbounded)

    def _cover(self, tree: Node) -> s.Property:
        _, doc, within, _ = tree.children
        return self._property("cover", tree, doc=doc, within=within)

    def _assume(self, tree: Node) -> s.Property:
        _, doc, _ = tree.children
        return self._property("assume", tree, doc=doc)

    def _expect(self, tree: Node) -> s.Expect:
        names, verdict, within = tree.children
        bound = None if within is None else self.number(self.trees([within])[0].children[0])
        return s.Expect(self.names(names), str(verdict), bound, self.span(tree))

    def _view(self, tree: Node) -> s.View:
        name, doc, *items = tree.children
        return s.View(
            self.ident(name),
            self.text(doc),
            tuple(self._view_item(i) for i in self.trees(items)),
            self.span(tree),
        )

    def _view_item(self, tree: Node) -> s.ViewItem:
        kind = str(tree.data).removeprefix("view_")
        binders, label, rest = None, "", list(tree.children)
        if kind in ("run", "mark"):
            binders = self.binder(rest.pop(0))
        elif kind == "zone":
            label = self.text(rest.pop(0))
        return s.ViewItem(kind, binders, label, tuple(self.expr(e) for e in rest), self.span(tree))

    def _simulate(self, tree: Node) -> s.Simulate:
        return s.Simulate(
            tuple(self.override(o) for o in self.trees(tree.children)), self.span(tree)
        )
