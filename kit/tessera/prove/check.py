"""All obligations of a spec: asked, judged against what is expected, with replayed traces.

Goal: `check(spec)` gives one `Obligation` per question, in a stable order. A proof leans only on
invariants that are themselves proved: when one fails, everything that assumed it is asked again
without it. A run is called a violation only when the simulator has replayed it.
Non-goals: where questions are answered (see `tessera.prove.engine`), printing and exit codes (see
`tessera.cli.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import replace

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.prove.engine import Engine, LocalEngine, Question
from tessera.prove.induct import untouched
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.prove.tasks import PROOFS, Done, Settings, Task
from tessera.prove.verdicts import Judge
from tessera.results import Obligation

DEFAULT_STEPS = 5

REACHABLE = "reachable"
"""The name, in `only`, of the question whether every action can happen."""

Progress = Callable[[int, int, str], None]
"""Called with questions answered, questions asked so far, and what is being worked on now."""


def check(
    spec: t.Spec,
    *,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    jobs: int = 0,
    engine: Engine | None = None,
    only: Iterable[str] | None = None,
    progress: Progress = lambda _done, _all, _what: None,
) -> tuple[Obligation, ...]:
    """Every obligation of a spec, in order of its properties and actions.

    `limit` is in Z3 resource units per question, `steps` the length of bounded searches. Questions
    go to `engine`; without one, to `jobs` local processes (0: one per processor). `only` names the
    properties to report (and `reachable`): what their proofs lean on is proved too, or not leant
    on, but not reported. Raises `TesseraError` when `only` names what the spec does not have.
    """
    found = check_all(
        [spec],
        limit=limit,
        seed=seed,
        steps=steps,
        engine=engine or LocalEngine(jobs),
        only=only,
        progress=progress,
    )
    return found[0]


def check_all(
    specs: Sequence[t.Spec],
    *,
    engine: Engine,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    only: Iterable[str] | None = None,
    progress: Progress = lambda _done, _all, _what: None,
) -> list[tuple[Obligation, ...]]:
    """As `check`, for several specs whose questions share one engine; results in the given order.

    With several specs a name in `only` must be one of any of them.
    """
    settings = Settings(limit, seed, steps)
    names = None if only is None else frozenset(only)
    if names is not None:
        _known(specs, names)
    runs = [_Run(spec, settings, names) for spec in specs]
    _drive(runs, engine, _Bar(progress))
    return [run.obligations() for run in runs]


def _known(specs: Sequence[t.Spec], names: Set[str]) -> None:
    known = [p.name for spec in specs for p in spec.properties if p.kind != "assume"]
    known.append(REACHABLE)
    for name in sorted(names):
        if name not in known:
            raise TesseraError(
                f"there is no property '{name}'",
                where=specs[0].file if len(specs) == 1 else None,
                remedy=f"one of: {', '.join(dict.fromkeys(known))}",
            )


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


def _drive(runs: Sequence[_Run], engine: Engine, bar: _Bar) -> None:
    """Answer the rounds of all runs side by side until none asks anything more."""
    rounds = [run.rounds() for run in runs]
    while rounds:
        asked: dict[Question, _Run] = {}
        alive = []
        for run, round_ in zip(runs, rounds, strict=True):
            tasks = next(round_, None)
            if tasks is not None:
                alive.append((run, round_))
                asked |= {Question(run.spec, task, run.settings): run for task in tasks}
        runs, rounds = [run for run, _ in alive], [round_ for _, round_ in alive]
        bar.asked(len(asked))
        # Searches first: they take longest.
        order = sorted(asked, key=lambda q: q.task.kind in PROOFS)
        for question, done in engine.answers(order, bar.started):
            asked[question].answers[question.task] = done
            bar.ended(question)


def _expected_violated(spec: t.Spec, prop: t.Property) -> bool:
    expect = spec.expects.get(prop.name)
    return expect is not None and expect.verdict == "violated"


def usable(spec: t.Spec, prop: t.Property, standing: tuple[str, ...]) -> tuple[str, ...]:
    """The hypotheses for one property: itself and the invariants that hold without a `given`.

    One that holds only under a narrower `given` could help nobody but its like; leaving it out
    keeps the queries small.
    """
    general = {p.name for p in spec.properties if isinstance(p.given, t.BoolLit)}
    return tuple(n for n in standing if n in general or n == prop.name)


def proof_tasks(spec: t.Spec, prop: t.Property, hypotheses: tuple[str, ...]) -> list[Task]:
    """The questions that together prove a property."""
    if prop.kind in ("promise", "lemma"):
        return [Task("here", prop.name, "", hypotheses)]
    if prop.kind not in ("invariant", "step"):
        return []
    steps = [
        Task("step", prop.name, a.name, hypotheses)
        for a in spec.actions
        if a.name not in prop.excepted and not untouched(spec, a, prop)
    ]
    return [Task("init", prop.name), *steps] if prop.kind == "invariant" else steps


class _Run:
    """The answers so far, and the invariants still standing."""

    def __init__(self, spec: t.Spec, settings: Settings, only: Set[str] | None) -> None:
        self.spec = spec
        self.settings = settings
        self.answers: dict[Task, Done] = {}
        self.refuted = {p.name for p in spec.properties if _expected_violated(spec, p)}
        self.proved: dict[str, tuple[str, ...]] = {}
        """For every property that was to be proved, the hypotheses of its final proof tasks."""
        self._by_name = {p.name: p for p in spec.properties}
        self._only = only

    def obligations(self) -> tuple[Obligation, ...]:
        """What the answers mean, for the properties that were asked for."""
        reported = tuple(
            p for p in self.spec.properties if p.kind == "assume" or self._wanted(p.name)
        )
        spec = replace(self.spec, properties=reported)
        judge = Judge(spec, self.answers, self.proved, self.settings, whole=self.spec)
        return judge.obligations()

    def rounds(self) -> Iterator[list[Task]]:
        """What to ask next, until all is settled; `answers` is filled between the rounds."""
        wanted = [p for p in self.spec.properties if p.kind != "assume" and self._wanted(p.name)]
        yield from self._hunt(wanted)
        yield self._fresh(self._searches(wanted) + self._first_proofs(wanted))
        if self._only is None or not self._alone(wanted):
            if self._only is not None:
                yield from self._hunt(p for p in self.spec.properties if p.kind == "invariant")
            yield from self._settle(wanted)
        broken = [n for n, hypotheses in self.proved.items() if not self._holds(n, hypotheses)]
        yield self._fresh(
            Task("violate", n)
            for n in broken
            if self._by_name[n].kind != "lemma" and self._wanted(n)
        )
        unexplained = self._unexplained(n for n in broken if self._wanted(n))
        yield self._fresh([*unexplained, *self._empty(broken)])

    def _empty(self, broken: Sequence[str]) -> Iterator[Task]:
        """Why assumptions exclude each other, and why an action never happens."""
        for task, done in self.answers.items():
            if task.kind == "sane" and done.answer is not None and done.answer.status == "unsat":
                yield replace(task, kind="core")
        standing = tuple(
            n for n in self.proved if self._by_name[n].kind == "invariant" and n not in broken
        )
        general = tuple(n for n in standing if isinstance(self._by_name[n].given, t.BoolLit))
        firings = self.answers.get(Task("firings"))
        for name, found in firings.found if firings is not None else ():
            if found.status == "none" and f"action {name}" not in self.spec.expects:
                yield Task("blame", "", name, general)

    def _unexplained(self, broken: Iterable[str]) -> Iterator[Task]:
        """For every proof that failed where no run breaks the property: which state shows why?"""
        for name in broken:
            search = self.answers.get(Task("violate", name))
            if search is not None and search.found[0][1].status == "found":
                continue
            for task in proof_tasks(self.spec, self._by_name[name], self.proved[name]):
                answer = self.answers[task].answer
                if task.kind != "init" and answer is not None and answer.status != "unsat":
                    yield replace(task, kind="cti")

    def _wanted(self, name: str) -> bool:
        return self._only is None or name in self._only

    def _fresh(self, tasks: Iterable[Task]) -> list[Task]:
        """The tasks that were not asked yet."""
        return [task for task in dict.fromkeys(tasks) if task not in self.answers]

    def _hunt(self, props: Iterable[t.Property]) -> Iterator[list[Task]]:
        """Look for very short runs first: most mistakes have one, and proofs need not be tried."""
        hunted = [
            Task("hunt", p.name)
            for p in props
            if p.kind in ("invariant", "step", "promise") and p.name not in self.refuted
        ]
        yield self._fresh(hunted)
        self.refuted |= {
            task.prop for task in hunted if self.answers[task].found[0][1].status == "found"
        }

    def _searches(self, wanted: Sequence[t.Property]) -> list[Task]:
        """Everything but proofs."""
        tasks = [Task("sane")]
        if self.spec.actions and self._wanted(REACHABLE):
            tasks.append(Task("firings"))
        invariants = tuple(p.name for p in wanted if p.kind == "invariant")
        if invariants:
            tasks.append(Task("exercised", "", "", invariants))
        for prop in wanted:
            if not isinstance(prop.given, t.BoolLit):
                tasks.append(Task("sane", prop.name))
            if prop.kind == "cover":
                tasks.append(Task("reach", prop.name))
            elif _expected_violated(self.spec, prop):
                tasks.append(Task("violate", prop.name))
            if prop.kind == "promise":
                tasks.append(Task("witness", prop.name))
        return tasks

    def _first_proofs(self, wanted: Sequence[t.Property]) -> list[Task]:
        """With all that may stand as hypotheses; of single properties, first without the others."""
        standing = self._standing()
        if self._only is not None:
            standing = tuple(n for n in standing if n in self._only)
        return [
            task
            for prop in wanted
            if prop.name not in self.refuted
            for task in proof_tasks(self.spec, prop, usable(self.spec, prop, standing))
        ]

    def _standing(self) -> tuple[str, ...]:
        return tuple(
            p.name
            for p in self.spec.properties
            if p.kind == "invariant" and p.name not in self.refuted
        )

    def _alone(self, wanted: Sequence[t.Property]) -> bool:
        """Whether the wanted properties prove each other without any that is not wanted."""
        standing = tuple(n for n in self._standing() if self._wanted(n))
        alone = {
            p.name: usable(self.spec, p, standing)
            for p in wanted
            if p.kind != "cover" and p.name not in self.refuted
        }
        good = all(self._holds(name, hypotheses) for name, hypotheses in alone.items())
        if good:
            self.proved = alone
        return good

    def _settle(self, wanted: Sequence[t.Property]) -> Iterator[list[Task]]:
        """Drop failed invariants until the rest prove each other; fills `proved`."""
        names = {p.name for p in wanted}
        standing = self._standing()
        final = self.proved
        while True:
            for prop in self.spec.properties:
                if prop.kind in ("assume", "cover") or prop.name in self.refuted:
                    continue
                if prop.name not in names and prop.kind != "invariant":
                    continue
                # An invariant that failed keeps the hypotheses with which it failed.
                if prop.name not in final or prop.kind != "invariant" or prop.name in standing:
                    final[prop.name] = usable(self.spec, prop, standing)
            yield self._fresh(
                task
                for name, hypotheses in final.items()
                for task in proof_tasks(self.spec, self._by_name[name], hypotheses)
            )
            failed = [n for n in standing if not self._holds(n, final[n])]
            if not failed:
                return
            standing = tuple(n for n in standing if n not in failed)

    def _holds(self, name: str, hypotheses: tuple[str, ...]) -> bool:
        tasks: Sequence[Task] = proof_tasks(self.spec, self._by_name[name], hypotheses)
        answers = [self.answers[task].answer for task in tasks]
        return all(a is not None and a.status == "unsat" for a in answers)
