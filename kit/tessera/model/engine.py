"""One compiler of expressions for one spec in one world.

Goal: wire evaluator and sweeper together and give compiled formulas by expression.
Non-goals: actions and properties (see `machine`).
"""

from __future__ import annotations

from tessera.lang.typed import Expr, Spec
from tessera.model.evaluate import Evaluator
from tessera.model.scope import Code, Scope
from tessera.model.script import World
from tessera.model.sweep import Sweeper


class Engine:
    """Lowers and compiles."""

    def __init__(self, spec: Spec, world: World) -> None:
        self.spec = spec
        self.world = world
        self.evaluator = Evaluator(spec, world)
        self.evaluator.sweeper = Sweeper(self.evaluator)

    def lower(self, expr: Expr) -> Expr:
        """The expression without `exact` and `succeeds`, quantifiers nested."""
        return self.evaluator.lowering.expr(expr)

    def compile(self, expr: Expr, scope: Scope) -> Code:
        """The closure of a surface expression."""
        return self.evaluator.compile(self.lower(expr), scope)
