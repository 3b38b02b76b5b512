"""What a change touches: the actions, properties and proofs that can come out otherwise.

Goal: a mutant is asked only what its change could alter.
Non-goals: asking (see `tessera.mutate.trial`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tessera.lang import typed as t
from tessera.lang.uses import called, expressions
from tessera.mutate.changes import read_by_machine
from tessera.prove.check import proof_tasks
from tessera.prove.tasks import Task


@dataclass(frozen=True, slots=True)
class Touched:
    """`actions` may take other steps, `init` may start elsewhere; `properties` read something that
    changed. `judged_only`: what changed is read by properties alone."""

    actions: tuple[str, ...]
    init: bool
    properties: tuple[str, ...]
    judged_only: bool


def touched(original: t.Spec, changed: t.Spec) -> Touched:
    """Compare two specs that differ in init, actions and functions only."""
    functions = {n for n, f in original.functions.items() if f != changed.functions[n]}

    def reads(*exprs: t.Expr) -> bool:
        return bool(called(original, exprs) & functions)

    actions = tuple(
        a.name
        for a in original.actions
        if a != changed.action(a.name) or reads(*expressions(a.body))
    )
    properties = tuple(p.name for p in original.properties if reads(p.given, p.formula))
    init = original.init != changed.init or reads(*expressions(original.init))
    judged_only = bool(functions) and not functions & read_by_machine(original)
    return Touched(actions, init, properties, judged_only)


def proofs(
    spec: t.Spec, touch: Touched, hypotheses: Mapping[str, tuple[str, ...]], *, refined: bool
) -> list[Task]:
    """The proofs of the changed spec that could fail, in the order of its properties.

    When the changed spec is known to refine the original, what was proved of invariants and steps
    still holds, unless the property itself reads something that changed. `hypotheses` has an entry
    for each property that is to be proved.
    """
    out = []
    for prop in spec.properties:
        if prop.name in hypotheses:
            tasks = proof_tasks(spec, prop, hypotheses[prop.name])
            known = refined and prop.kind in ("invariant", "step")
            out += tasks if not known or prop.name in touch.properties else []
    return out
