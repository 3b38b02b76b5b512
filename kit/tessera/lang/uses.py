"""What functions use: each other, the state, and quantifiers without end.

Goal: one pass over the call graph, without recursion, that finds cycles and what a function reaches
through its helpers.
Non-goals: typing (see `tessera.lang.functions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tessera.lang import typed as t
from tessera.lang.operators import OperatorChecker
from tessera.lang.types import BoolType, EnumType, Type
from tessera.lang.walk import applications, children, walk

# Later passes recurse through calls as they do through expressions.
DEEPEST_UNFOLDED = 120


class Uses:
    """The call graph of some functions; `readers` and `endless` are filled by `acyclic`."""

    def __init__(self, defined: Mapping[str, t.Function]) -> None:
        self.defined = defined
        self.readers: dict[str, str] = {}
        self.endless: dict[str, Type] = {}
        self._calls: dict[str, list[t.Apply]] = {}

    def calls(self, function: t.Function) -> list[t.Apply]:
        """The calls of defined functions in a body, in source order."""
        if function.name not in self._calls:
            self._calls[function.name] = [
                node
                for node in walk(function.body)
                if isinstance(node, t.Apply) and node.name in self.defined
            ]
        return self._calls[function.name]

    def acyclic(self, checker: OperatorChecker) -> bool:
        """Reports recursion and calls nested too deeply; false when there were any."""
        depth: dict[str, int] = {}  # levels of the body with all calls unfolded
        for root in self.defined:
            # A dict keeps the order and answers `in` at once.
            path: dict[str, None] = {} if root in depth else {root: None}
            while path:
                name = next(reversed(path))
                later = next(
                    (c for c in self.calls(self.defined[name]) if c.name not in depth), None
                )
                if later is None:
                    depth[name] = self._finish(name, depth)
                    del path[name]
                    if depth[name] > DEEPEST_UNFOLDED:
                        self._too_deep(checker, name)
                        return False
                elif later.name in path:
                    names = list(path)
                    self._cycle(checker, names[names.index(later.name) :], later)
                    return False
                else:
                    path[later.name] = None
        return True

    def _finish(self, name: str, depth: dict[str, int]) -> int:
        """All that `name` calls is known: record what it reaches, give its depth."""
        function = self.defined[name]
        for node in walk(function.body):
            if isinstance(node, t.Apply) and node.kind == "var":
                self.readers.setdefault(name, node.name)
            elif isinstance(node, t.Quant):
                for binder in node.binders:
                    if not isinstance(binder.type, EnumType | BoolType):
                        self.endless.setdefault(name, binder.type)
        for call in self.calls(function):
            if call.name in self.readers:
                self.readers.setdefault(name, self.readers[call.name])
            if call.name in self.endless:
                self.endless.setdefault(name, self.endless[call.name])
        return _height(function.body, depth)

    def _cycle(self, checker: OperatorChecker, path: list[str], call: t.Apply) -> None:
        names = [name.partition(".")[0] for name in (*path, call.name)]
        chain = " -> ".join(names)
        checker.error(
            call.span,
            f"function '{names[0]}' calls itself: {chain}",
            "functions are not recursive; quantify, or choose with 'least' in an action",
        )

    def _too_deep(self, checker: OperatorChecker, name: str) -> None:
        checker.error(
            self.defined[name].span,
            f"with all calls unfolded, '{name}' is more than {DEEPEST_UNFOLDED} levels deep",
            "join some of the functions that it calls",
        )


def _height(expr: t.Expr, of: Mapping[str, int]) -> int:
    own = of.get(expr.name, 0) if isinstance(expr, t.Apply) else 0
    return 1 + own + max((_height(child, of) for child in children(expr)), default=0)


def reads(spec: t.Spec, expr: t.Expr) -> set[str]:
    """The state variables an expression reads, through functions."""
    found: set[str] = set()
    done: set[str] = set()
    todo = [expr]
    while todo:
        for call in applications(todo.pop()):
            if call.kind == "var":
                found.add(call.name)
            elif call.kind in ("function", "policy") and call.name not in done:
                done.add(call.name)
                todo.append(spec.functions[call.name].body)
    return found


def called(spec: t.Spec, roots: Iterable[t.Expr]) -> set[str]:
    """The functions that expressions call, directly or through others."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        for call in applications(todo.pop()):
            if call.kind in ("function", "policy") and call.name not in found:
                found.add(call.name)
                todo.append(spec.functions[call.name].body)
    return found


def expressions(body: Iterable[t.Statement]) -> Iterator[t.Expr]:
    """Every expression that stands directly in some statements."""
    for statement in body:
        match statement:
            case t.Require() | t.Choose():
                yield statement.test
            case t.Let():
                yield statement.value
            case t.Update():
                yield from (*statement.args, statement.guard, statement.value)
