"""Several checks side by side on one engine: every round of questions is asked together.

Goal: no processor waits while one spec has nothing to ask, and what several specs ask alike is
asked once.
Non-goals: what is asked and what answers mean (see `tessera.prove.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from tessera.prove.engine import Engine, Question
from tessera.prove.slice import Slicer
from tessera.prove.tasks import PROOFS, Done, Settings, Task

Progress = Callable[[int, int, str], None]
"""Called with questions answered, questions asked so far, and what is being worked on now."""


class Run(Protocol):
    """One check: it asks in rounds, and reads in `answers` what came of the round before."""

    slicer: Slicer
    settings: Settings
    answers: dict[Task, Done]

    def rounds(self) -> Iterator[list[Task]]:
        """What to ask next, until all is settled."""
        ...


class _Bar:
    """Counts what was asked and answered, and knows what is being worked on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._asked = 0
        self._answered = 0
        self._running: dict[Question, None] = {}

    def asked(self, count: int) -> None:
        self._asked += count

    def started(self, question: Question) -> None:
        self._running[question] = None
        self._tell()

    def ended(self, question: Question) -> None:
        self._running.pop(question, None)
        self._answered += 1
        self._tell()

    def _tell(self) -> None:
        what = ", ".join(question.label for question in self._running)
        self._progress(self._answered, self._asked, what)


def drive(runs: Sequence[Run], engine: Engine, progress: Progress) -> None:
    """Answer the rounds of all runs side by side until none asks anything more.

    What several specs ask alike, word for word, is asked once.
    """
    bar = _Bar(progress)
    rounds = [run.rounds() for run in runs]
    known: dict[object, Done] = {}
    while rounds:
        asked: dict[Question, list[tuple[Run, Task]]] = {}
        first: dict[object, Question] = {}
        alive = []
        for run, round_ in zip(runs, rounds, strict=True):
            tasks = next(round_, None)
            if tasks is None:
                continue
            alive.append((run, round_))
            for question in (run.slicer.question(task, run.settings) for task in tasks):
                task = question.task
                if _shared(question) in known:
                    run.answers[task] = replace(known[_shared(question)], task=task)
                else:
                    same = first.setdefault(_shared(question), question)
                    asked.setdefault(same, []).append((run, task))
        runs, rounds = [run for run, _ in alive], [round_ for _, round_ in alive]
        bar.asked(len(asked))
        # Searches first: they take longest.
        order = sorted(asked, key=lambda q: q.task.kind in PROOFS)
        for question, done in engine.answers(order, bar.started):
            for run, task in asked[question]:
                run.answers[task] = replace(done, task=task)
            known[_shared(question)] = done
            bar.ended(question)


def _shared(question: Question) -> object:
    """What is equal for questions that have the same answer; `exercised` speaks of places too."""
    alone = question.task.kind == "exercised" or not question.digest
    return question if alone else question.digest
