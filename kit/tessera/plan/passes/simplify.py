"""The passes that every plan begins with, in their order.

Goal: one call; the result computes the same up to the rounding of batch-norm folding.
Non-goals: choices that depend on a budget.
"""

from __future__ import annotations

from tessera.plan.graph import Graph
from tessera.plan.passes.batchnorm import fold_batch_norms
from tessera.plan.passes.constants import fold_constants
from tessera.plan.passes.dead import drop_dead, skip_identities


def simplify(graph: Graph) -> Graph:
    """Without dead nodes, identities, computable constants and foldable batch norms."""
    graph = skip_identities(drop_dead(graph))
    return drop_dead(fold_batch_norms(fold_constants(graph)))
