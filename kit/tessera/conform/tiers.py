"""The tiers of conformance by name, and running those that were asked for.

Goal: a tier is one function in a module of its own, imported when it runs; `conform` prepares the
tree once, runs the tiers in the order of `TIERS` and puts their checks together.
Non-goals: any comparison.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tessera.conform.prepared import Prepared, prepared
from tessera.conform.result import QUICK, TIERS, Check, Conformance
from tessera.errors import TesseraError
from tessera.lang.typed import Spec

Progress = Callable[[str], None]
"""Is told what is being looked at, in a few words."""


def silent(_: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Options:
    """What all tiers may be told.

    `operations` and `seed` are for tiers that run; `limit` is the solver's resource units per
    question, 0 for the tier's own; `blocks` how many live blocks the model checker takes.
    """

    operations: int = 100_000
    seed: int = 1
    limit: int = 0
    blocks: int = 1
    progress: Progress = silent


Tier = Callable[[Spec, Prepared, Options], Iterable[Check]]


def available() -> tuple[str, ...]:
    """The tiers that this kit has, in their order."""
    return tuple(n for n in TIERS if importlib.util.find_spec(f"tessera.conform.{n}") is not None)


def conform(
    spec: Spec,
    tree: Path,
    patch: Path | None,
    chosen: Sequence[str],
    options: Options,
) -> Conformance:
    """What the chosen tiers (the quick ones, when none is) say about `tree` with the spec's policy.

    Raises TesseraError for an unknown tier, a tree that does not fit, and a patch that does not
    apply.
    """
    known = available()
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise TesseraError(f"there is no tier '{unknown[0]}'", remedy=f"one of: {', '.join(known)}")
    checks: list[Check] = []
    with prepared(spec, tree, patch) as ready:
        for name in known:
            if name in (chosen or QUICK):
                options.progress(name)
                checks += _tier(name)(spec, ready, options)
        return Conformance(spec.name, ready.target, ready.name, tuple(checks))


def _tier(name: str) -> Tier:
    run: Tier = importlib.import_module(f"tessera.conform.{name}").run
    return run
