"""Where lines go in a tree: hooks read from optee_os_patch/hooks/, found by syntax.

Goal: for every hook exactly one place, or an error that names the hook, what was looked for and the
nearest thing found; never a line number.
Non-goals: the lines themselves (see `render`) and writing (trees are only read).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter_c
from tree_sitter import Language, Node, Parser, Query, QueryCursor

from tessera import resources
from tessera.emit.source import Tree
from tessera.errors import TesseraError

_C = Language(tree_sitter_c.language())
_SCOPES = ("function_definition", "struct_specifier")


@dataclass(frozen=True, slots=True)
class Hook:
    """One place of a tree and the template of the lines that go there."""

    name: str
    part: str  # what its lines are counted under
    when: str  # the decision of the policy that needs it
    file: str
    scope: tuple[str, ...]  # functions or structs, the first found counts; empty for the file
    looks_for: str
    query: str
    place: str  # "before" or "after" what @here captures
    lines: str
    done: str = ""  # a query that matches where the hook is in the tree already


@dataclass(frozen=True, slots=True)
class HookSet:
    """The hooks of a range of versions, in the order in which their lines go."""

    first: tuple[int, int]
    last: tuple[int, int]
    hooks: tuple[Hook, ...]


@dataclass(frozen=True, slots=True)
class _Scope:
    """A function or struct of a parsed file."""

    name: str
    node: Node


def hooks_for(tree: Tree, folder: Path | None = None) -> HookSet:
    """The hooks for a tree's version. Raises `TesseraError` when no range holds it."""
    sets = [_load(path) for path in sorted((folder or _folder()).glob("*.toml"))]
    for hooks in sets:
        if hooks.first <= tree.version <= hooks.last:
            return hooks
    known = ", ".join(f"{_dotted(h.first)} to {_dotted(h.last)}" for h in sets)
    raise TesseraError(
        f"no hooks are known for {tree.name}",
        where=str(tree.root),
        remedy=f"use a tree of {known}, or describe the new version in optee_os_patch/hooks/",
    )


class Finder:
    """Finds hooks in one tree; parses each file once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._parsed: dict[str, tuple[str, Node]] = {}

    def text(self, file: str) -> str:
        """The text of a file of the tree."""
        return self._parse(file)[0]

    def is_done(self, hook: Hook) -> bool:
        """Whether the tree has the hook's lines, or some of the same purpose, already."""
        scope = self._scope(hook)
        return bool(hook.done and scope and _captures(hook.done, scope.node))

    def line_of(self, hook: Hook) -> int:
        """The index of the line before which the hook's lines go; raises `TesseraError`."""
        scope = self._scope(hook)
        if scope is None:
            raise self._no_scope(hook)
        found = _captures(hook.query, scope.node)
        if len(found) != 1:
            raise self._no_match(hook, scope, len(found))
        here = found[0]
        line = self.text(hook.file).split("\n")[here.start_point.row]
        if line[: here.start_point.column].strip():
            raise self._no_match(hook, scope, 0)
        return here.start_point.row if hook.place == "before" else here.end_point.row + 1

    def _parse(self, file: str) -> tuple[str, Node]:
        if file not in self._parsed:
            text = self.tree.read(file)
            self._parsed[file] = (text, Parser(_C).parse(text.encode()).root_node)
        return self._parsed[file]

    def _scope(self, hook: Hook) -> _Scope | None:
        root = self._parse(hook.file)[1]
        if not hook.scope:
            return _Scope("the file", root)
        scopes = list(_scopes(root))
        for name in hook.scope:
            for scope in scopes:
                if scope.name == name:
                    return scope
        return None

    def _no_scope(self, hook: Hook) -> TesseraError:
        """The nearest is the function that most hooks of the missing one fit, then the name's."""
        known = hooks_for(self.tree).hooks
        same = [h for h in (*known, hook) if (h.file, h.scope) == (hook.file, hook.scope)]

        def nearness(scope: _Scope) -> tuple[int, float, str]:
            fits = sum(len(_captures(h.query, scope.node)) == 1 for h in same)
            alike = difflib.SequenceMatcher(None, hook.scope[0], scope.name).ratio()
            return fits, alike, scope.name

        scopes = list(_scopes(self._parse(hook.file)[1]))
        near = max(scopes, key=nearness, default=None)
        seen = f"; nearest is {near.name} in line {near.node.start_point.row + 1}" if near else ""
        return self._error(hook, f"there is no {' or '.join(hook.scope)}{seen}")

    def _no_match(self, hook: Hook, scope: _Scope, count: int) -> TesseraError:
        if count > 1:
            return self._error(hook, f"{scope.name} has {count} places that match, not one")
        wanted = " ".join(re.findall(r'"(.*?)"', hook.query))
        lines = self.text(hook.file).split("\n")
        ranked = [
            (difflib.SequenceMatcher(None, wanted, lines[row].strip()).ratio(), -row)
            for row in _rows_alike(hook.query, scope.node)
        ]
        row = -max(ranked)[1]
        near = f"line {row + 1}, `{lines[row].strip()}`"
        return self._error(hook, f"nothing in {scope.name} matches; nearest is {near}")

    def _error(self, hook: Hook, found: str) -> TesseraError:
        return TesseraError(
            f"hook '{hook.name}' does not fit this tree: looked for {hook.looks_for} "
            f"in {hook.scope[0] if hook.scope else 'the file'}, but {found}",
            where=str(self.tree.root / hook.file),
            remedy=f"use an unchanged {self.tree.name} tree, or adapt optee_os_patch/hooks/",
        )


def _folder() -> Path:
    return resources.path("optee_os_patch/hooks")


def _load(path: Path) -> HookSet:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    hooks = [Hook(**{**entry, "scope": tuple(entry["scope"])}) for entry in data["hook"]]
    return HookSet(_version(data["first"]), _version(data["last"]), tuple(hooks))


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _captures(query: str, node: Node) -> list[Node]:
    """The nodes that @here captures, or any captured node when there is no @here."""
    found = QueryCursor(Query(_C, query)).captures(node)
    return found["here"] if "@here" in query and found else [n for c in found.values() for n in c]


def _rows_alike(query: str, scope: Node) -> list[int]:
    """Where statements of the kind that a query is about start; every row when there is none."""
    kind = re.search(r"\((\w+)", query)
    rows, stack = set(), [scope]
    while stack:
        node = stack.pop()
        if kind is not None and node.type == kind.group(1):
            rows.add(node.start_point.row)
        stack.extend(node.named_children)
    return sorted(rows) or list(range(scope.start_point.row, scope.end_point.row + 1))


def _scopes(root: Node) -> Iterator[_Scope]:
    """Every function and struct definition, also inside preprocessor conditions."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type in _SCOPES and node.child_by_field_name("body") is not None:
            name = _name(node)
            if name is not None:
                yield _Scope(name, node)
        stack.extend(reversed(node.named_children))


def _name(node: Node) -> str | None:
    if node.type == "struct_specifier":
        found = node.child_by_field_name("name")
    else:
        found = node.child_by_field_name("declarator")
        while found is not None and found.type != "identifier":
            found = found.child_by_field_name("declarator")
    return found.text.decode() if found is not None and found.text is not None else None
