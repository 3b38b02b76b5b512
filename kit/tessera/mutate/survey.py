"""All mutants of a spec, side by side.

Goal: `survey(spec, engine)` gives one record per mutant, in the order of the spec, the same
whatever the engine; samples and selections are repeatable.
Non-goals: one mutant's trial (see `tessera.mutate.trial`), printing (see `tessera.cli.mutate`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tessera.errors import EXIT_OK, EXIT_UNKNOWN, EXIT_UNMET, TesseraError
from tessera.lang import typed as t
from tessera.mutate.baseline import baseline
from tessera.mutate.changes import KINDS, Change, changes
from tessera.mutate.trial import Rounds, trial
from tessera.prove.cache import CachedEngine, ResultCache
from tessera.prove.engine import Engine, Question
from tessera.prove.tasks import Done, Task
from tessera.results import Mutant, Obligation

Progress = Callable[[int, int, str], None]
"""Called with what is settled, what there is, and what is being worked on."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The original's obligations and a record per mutant tried; `possible` counts all mutants."""

    obligations: tuple[Obligation, ...]
    mutants: tuple[Mutant, ...]
    possible: int

    @property
    def exit_code(self) -> int:
        """1 when a mutant survived, 3 when only unknown ones are left open, else 0."""
        found = {m.status for m in self.mutants}
        if "survived" in found:
            return EXIT_UNMET
        return EXIT_UNKNOWN if "unknown" in found else EXIT_OK


def survey(
    spec: t.Spec,
    engine: Engine,
    *,
    cache: ResultCache | None = None,
    seed: int = 0,
    limit: int = 0,
    only: Sequence[str] = (),
    progress: Progress = lambda _done, _all, _what: None,
) -> Survey:
    """Try every mutant, or a sample of `limit` of them drawn with `seed` (0: all).

    What `cache` holds is not asked again. `only` names kinds of changes, or beginnings of ids such
    as "guard/alloc". Raises `TesseraError` when it fits none, and when the spec's own check is not
    as expected.
    """
    everything = changes(spec)
    chosen = _sampled(_selected(everything, only, spec), limit, seed)

    def checking(done: int, asked: int, what: str) -> None:
        progress(0, 0, f"checking the original: {done}/{asked} {what}")

    base = baseline(spec, engine, seed, cache, checking)
    trials = [trial(base, change) for change in chosen]
    asker = CachedEngine(engine, cache) if cache else engine
    mutants = _drive(chosen, trials, asker, progress)
    return Survey(base.obligations, mutants, len(everything))


def _selected(everything: Sequence[Change], only: Sequence[str], spec: t.Spec) -> Sequence[Change]:
    for name in only:
        if not any(_fits(change, name) for change in everything):
            raise TesseraError(
                f"no change of this spec is a '{name}'",
                where=spec.file,
                remedy=f"a kind ({', '.join(KINDS)}) or the beginning of an id, e.g. "
                f"{everything[0].id if everything else 'guard/alloc'}",
            )
    return [c for c in everything if not only or any(_fits(c, name) for name in only)]


def _fits(change: Change, name: str) -> bool:
    return name in (change.kind, change.id) or change.id.startswith(f"{name}/")


def _sampled(found: Sequence[Change], limit: int, seed: int) -> Sequence[Change]:
    """A sample in the order of the spec; it depends on ids and seed alone."""
    if not limit or limit >= len(found):
        return found
    picked = set(Random(seed).sample([c.id for c in found], limit))
    return [c for c in found if c.id in picked]


def _drive(
    found: Sequence[Change], trials: Sequence[Rounds], engine: Engine, progress: Progress
) -> tuple[Mutant, ...]:
    """Rounds of all trials side by side; a trial goes on when its whole round is answered."""
    records: dict[int, Mutant] = {}
    asked = {i: next(rounds) for i, rounds in enumerate(trials)}
    while asked:
        owner: dict[Question, int] = {q: i for i, round_ in asked.items() for q in round_}
        answers: dict[int, dict[Task, Done]] = {i: {} for i in asked}
        following: dict[int, list[Question]] = {}
        for question, done in engine.answers(list(owner)):
            index = owner[question]
            answers[index][question.task] = done
            if len(answers[index]) == len(asked[index]):
                _go_on(index, trials[index], answers[index], following, records)
                progress(len(records), len(trials), found[index].id)
        asked = following
    return tuple(records[i] for i in sorted(records))


def _go_on(
    index: int,
    rounds: Rounds,
    answers: Mapping[Task, Done],
    following: dict[int, list[Question]],
    records: dict[int, Mutant],
) -> None:
    try:
        following[index] = rounds.send(answers)
    except StopIteration as stop:
        records[index] = stop.value
