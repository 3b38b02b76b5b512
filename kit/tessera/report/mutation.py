"""The killed-by table of a mutation survey, arranged for reading.

Goal: a row per property that kills, a column per kind of mutant; what was not killed stands out.
Non-goals: running mutants (see `tessera.mutate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tessera.results import Mutant


@dataclass(frozen=True, slots=True)
class MutationRow:
    """How many mutants of each kind one property killed, or one status other than killed has."""

    name: str
    counts: tuple[int, ...]
    total: int
    open: bool  # survived or unknown


@dataclass(frozen=True, slots=True)
class MutationView:
    """The table, and the mutants that nothing killed and nothing showed equivalent."""

    kinds: tuple[str, ...]
    rows: tuple[MutationRow, ...]
    open: tuple[Mutant, ...]


def mutation_of(mutants: Sequence[Mutant]) -> MutationView:
    """Arrange the mutants: properties by how many they kill, then the other statuses."""
    kinds = tuple(dict.fromkeys(m.kind for m in mutants))
    killers: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        killers.setdefault(_row_name(mutant), []).append(mutant)
    names = sorted(killers, key=lambda n: (killers[n][0].status != "killed", -len(killers[n]), n))
    return MutationView(
        kinds,
        tuple(_row(name, killers[name], kinds) for name in names),
        tuple(m for m in mutants if m.status in ("survived", "unknown")),
    )


def _row_name(mutant: Mutant) -> str:
    return mutant.killed_by if mutant.status == "killed" else mutant.status


def _row(name: str, mutants: Sequence[Mutant], kinds: Sequence[str]) -> MutationRow:
    counts = tuple(sum(m.kind == kind for m in mutants) for kind in kinds)
    open_ = mutants[0].status in ("survived", "unknown")
    return MutationRow(name, counts, len(mutants), open_)
