"""How much a check depends on luck: the same questions with several seeds.

Goal: per obligation, how often each verdict came and how the resource units spread. A proof that
comes and goes with the seed is a proof that an edit elsewhere will lose.
Non-goals: judging (the command does), and reruns of searches that proofs do not need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from statistics import median_low

from tessera.results import Obligation, Spread

Checked = Callable[[int], Iterable[Obligation]]
"""From a seed to the obligations of one whole check with it."""


def over_seeds(seeds: Iterable[int], checked: Checked) -> tuple[Spread, ...]:
    """One `Spread` per obligation id, in the order of the first seed's obligations.

    An obligation that some seeds do not have (a property that failed earlier is asked otherwise)
    counts as the verdict "absent" there. Raises ValueError when there are no seeds.
    """
    runs = [{o.id: o for o in checked(seed)} for seed in seeds]
    if not runs:
        raise ValueError("a spread needs at least one seed")
    names = dict.fromkeys(name for run in runs for name in run)
    return tuple(_spread(name, [run.get(name) for run in runs]) for name in names)


def _spread(name: str, found: list[Obligation | None]) -> Spread:
    verdicts = Counter("absent" if o is None else o.verdict for o in found)
    spent = sorted(o.resource for o in found if o is not None)
    ordered = dict(sorted(verdicts.items()))
    return Spread(name, ordered, spent[0], median_low(spent), spent[-1])


def steady(spread: Spread) -> bool:
    """One verdict for all seeds, and not UNKNOWN."""
    return len(spread.verdicts) == 1 and "UNKNOWN" not in spread.verdicts
