"""All obligations of a spec: asked, judged against what is expected, with replayed traces.

Goal: `check(spec)` gives one `Obligation` per question, in a stable order. A proof leans only on
invariants that are themselves proved: when one fails, everything that assumed it is asked again
without it. A run is called a violation only when the simulator has replayed it.
Non-goals: where questions are answered (see `tessera.prove.engine`), printing and exit codes (see
`tessera.cli.check`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.prove.cache import CachedEngine, Memory, ResultCache
from tessera.prove.crosscheck import require_cvc5, with_opinion
from tessera.prove.drive import Progress, drive
from tessera.prove.engine import Engine, LocalEngine
from tessera.prove.induct import untouched
from tessera.prove.slice import Slicer
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.prove.tasks import CROSS, Done, Settings, Task, alone
from tessera.prove.verdicts import Judge
from tessera.results import Obligation

DEFAULT_STEPS = 5

REACHABLE = "reachable"
"""The name, in `only`, of the question whether every action can happen."""


def check(
    spec: t.Spec,
    *,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    jobs: int = 0,
    engine: Engine | None = None,
    cache: ResultCache | None = None,
    only: Iterable[str] | None = None,
    cross_check: bool = False,
    progress: Progress = lambda _done, _all, _what: None,
) -> tuple[Obligation, ...]:
    """Every obligation of a spec, in order of its properties and actions.

    `limit` is in Z3 resource units per question, `steps` the length of bounded searches. Questions
    go to `engine`; without one, to `jobs` local processes (0: one per processor). Answers that
    `cache` holds are not asked for again, new ones are kept there. `only` names the
    properties to report (and `reachable`): what their proofs lean on is proved too, or not leant
    on, but not reported. With `cross_check` every proof is put to a second solver too. Raises
    `TesseraError` when `only` names what the spec does not have, or the second solver is missing.
    """
    found = check_all(
        [spec],
        limit=limit,
        seed=seed,
        steps=steps,
        engine=engine or LocalEngine(jobs),
        cache=cache,
        only=only,
        cross_check=cross_check,
        progress=progress,
    )
    return found[0]


def check_all(
    specs: Sequence[t.Spec],
    *,
    engine: Engine,
    cache: ResultCache | None = None,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    only: Iterable[str] | None = None,
    cross_check: bool = False,
    progress: Progress = lambda _done, _all, _what: None,
) -> list[tuple[Obligation, ...]]:
    """As `check`, for several specs whose questions share one engine; results in the given order.

    With several specs a name in `only` must be one of any of them.
    """
    if cross_check:
        require_cvc5()
    settings = Settings(limit, seed, steps)
    names = None if only is None else frozenset(only)
    if names is not None:
        _known(specs, names)
    runs = [_Run(spec, settings, names, cache, cross_check) for spec in specs]
    drive(runs, CachedEngine(engine, cache) if cache else engine, progress)
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

    def __init__(
        self,
        spec: t.Spec,
        settings: Settings,
        only: Set[str] | None,
        memory: Memory | None,
        cross_check: bool = False,
    ) -> None:
        self.spec = spec
        self.slicer = Slicer(spec)
        self.settings = settings
        self.answers: dict[Task, Done] = {}
        self.refuted = {p.name for p in spec.properties if _expected_violated(spec, p)}
        self.proved: dict[str, tuple[str, ...]] = {}
        """For every property that was to be proved, the hypotheses of its final proof tasks."""
        self._by_name = {p.name: p for p in spec.properties}
        self._only = only
        self._memory = memory
        self._cross_check = cross_check
        self._leans: dict[Task, tuple[str, ...]] = {}
        """For proofs that took only some of their hypotheses: which."""

    def obligations(self) -> tuple[Obligation, ...]:
        """What the answers mean, for the properties that were asked for."""
        reported = tuple(
            p for p in self.spec.properties if p.kind == "assume" or self._wanted(p.name)
        )
        spec = replace(self.spec, properties=reported)
        judge = Judge(spec, self.answers, self.proved, self.settings, whole=self.spec)
        found = judge.obligations()
        if not self._cross_check:
            return found
        opinions = {
            self._id(task): self.answers[self._crossed(task)].answer
            for task in self._proofs_of(self.proved)
            if self._proved(task) and self._wanted(task.prop)
        }
        return tuple(
            with_opinion(o, opinion) if (opinion := opinions.get(o.id)) is not None else o
            for o in found
        )

    def _id(self, task: Task) -> str:
        """The id of the obligation that a proof task is for."""
        middle = {"init": "init/", "step": f"{task.action}/"}.get(task.kind, "")
        return f"{self.spec.name}/{middle}{task.prop}"

    def _crossed(self, task: Task) -> Task:
        return replace(task, kind=CROSS[task.kind], hypotheses=self._lean(task))

    def rounds(self) -> Iterator[list[Task]]:
        """What to ask next, until all is settled; `answers` is filled between the rounds."""
        wanted = [p for p in self.spec.properties if p.kind != "assume" and self._wanted(p.name)]
        yield from self._settle(wanted, self._searches(wanted))
        broken = [n for n, hypotheses in self.proved.items() if not self._holds(n, hypotheses)]
        yield self._fresh(
            Task("violate", n)
            for n in broken
            if self._by_name[n].kind != "lemma" and self._wanted(n)
        )
        unexplained = self._unexplained(n for n in broken if self._wanted(n))
        yield self._fresh([*unexplained, *self._empty(broken)])
        if self._cross_check:
            yield self._fresh(
                self._crossed(task)
                for task in self._proofs_of(self.proved)
                if self._proved(task) and self._wanted(task.prop)
            )

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

    def _hunt(self, names: Iterable[str]) -> Iterator[list[Task]]:
        """Look for very short runs; what one breaks is refuted."""
        hunted = [
            Task("hunt", name)
            for name in dict.fromkeys(names)
            if self._by_name[name].kind != "lemma" and name not in self.refuted
        ]
        yield self._fresh(hunted)
        for task in hunted:
            if self.answers[task].found[0][1].status == "found":
                self.refuted.add(task.prop)
                self.proved.pop(task.prop, None)

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

    def _standing(self) -> tuple[str, ...]:
        return tuple(
            p.name
            for p in self.spec.properties
            if p.kind == "invariant" and p.name not in self.refuted
        )

    # --- proofs -----------------------------------------------------------------------------------

    def _settle(self, wanted: Sequence[t.Property], beside: Sequence[Task]) -> Iterator[list[Task]]:
        """Drop failed invariants until the rest prove each other; fills `proved`.

        What a wanted property's proof leans on is to be proved too. The tasks of `beside` are asked
        with the first proofs.
        """
        required = {p.name for p in wanted}
        standing = self._standing()
        final = self.proved
        while True:
            for prop in self.spec.properties:
                if prop.name not in required or prop.kind in ("assume", "cover"):
                    continue
                # An invariant that failed keeps the hypotheses with which it failed.
                open_ = prop.kind != "invariant" or prop.name in standing
                if prop.name not in self.refuted and (prop.name not in final or open_):
                    final[prop.name] = usable(self.spec, prop, standing)
            yield from self._prove(self._proofs_of(final), beside)
            beside = ()
            failed = [n for n in standing if n in self.refuted]
            failed += [n for n in standing if n in final and not self._holds(n, final[n])]
            done = self._proofs_of(final)
            more = {n for task in done if self._proved(task) for n in self._lean(task)} - required
            if not failed and not more:
                break
            required |= more
            standing = tuple(n for n in standing if n not in failed)
        if self._memory is not None:
            yield from self._learn(self._proofs_of(final), self._memory)

    def _proofs_of(self, final: Mapping[str, tuple[str, ...]]) -> list[Task]:
        return [
            task
            for name, hypotheses in final.items()
            for task in proof_tasks(self.spec, self._by_name[name], hypotheses)
        ]

    def _prove(self, tasks: Iterable[Task], beside: Sequence[Task]) -> Iterator[list[Task]]:
        """Proofs from the property alone, where that works; then from what sufficed before; then
        from all their hypotheses, at first within a lower limit. Only for what is left after that
        it is worth looking whether a short run breaks the property: most mistakes have one, and a
        hard proof that must fail need not be tried. A proof from fewer hypotheses is one from all,
        and changes less often."""
        tasks = self._fresh(tasks)
        tries = {task: alone(task) for task in tasks if alone(task).hypotheses != task.hypotheses}
        plain = [task for task in tasks if task not in tries]
        yield self._fresh([*beside, *plain, *tries.values()])
        self._adopt(tries)
        hard = self._fresh(tries)
        if self._memory is not None:
            known = {task: self._remembered(task, self._memory) for task in hard}
            tries = {task: try_ for task, try_ in known.items() if try_ is not None}
            yield self._fresh(tries.values())
            self._adopt(tries)
        tries = {task: replace(task, kind="try") for task in self._fresh(hard)}
        yield self._fresh(tries.values())
        self._adopt(tries)
        failed = [task for task in plain if not self._proved(task)]
        yield from self._hunt(task.prop for task in [*failed, *self._fresh(tasks)])
        yield [task for task in self._fresh(hard) if task.prop not in self.refuted]
        for task in hard:
            if task in self.answers and task not in self._leans:
                self._add_cost(task, alone(task))

    def _add_cost(self, task: Task, vain: Task) -> None:
        """What a vain try cost counts too."""
        done, tried = self.answers[task], self.answers.get(vain)
        if done.answer is None or tried is None or tried.answer is None:
            return
        spent = done.answer.resource + tried.answer.resource
        answer = replace(done.answer, resource=spent)
        self.answers[task] = replace(done, answer=answer, seconds=done.seconds + tried.seconds)

    def _adopt(self, tries: Mapping[Task, Task]) -> None:
        """Where a try is a proof, it is the answer."""
        for task, try_ in tries.items():
            done = self.answers[try_]
            if done.answer is not None and done.answer.status == "unsat":
                self.answers[task] = replace(done, task=task)
                if try_.hypotheses != task.hypotheses:
                    self._leans[task] = try_.hypotheses

    def _remembered(self, task: Task, memory: Memory) -> Task | None:
        """The hypotheses that sufficed for this proof when it was last done, as a try."""
        names = memory.recall(self.slicer.question(alone(task), self.settings).digest)
        some = tuple(n for n in task.hypotheses if n in names)
        if not names or some == task.hypotheses:
            return None
        return replace(task, kind="try", hypotheses=some)

    def _learn(self, tasks: Sequence[Task], memory: Memory) -> Iterator[list[Task]]:
        """For proofs that took all their hypotheses: which of them suffice, for the next time.

        Where none can be spared, that is remembered too, and not asked again.
        """
        names = {
            task: self.slicer.question(alone(task), self.settings).digest
            for task in tasks
            if task.hypotheses != alone(task).hypotheses
            and task not in self._leans
            and not self.answers[task].cached
            and self._proved(task)
        }
        new = [
            task for task in names if not set(task.hypotheses) <= set(memory.recall(names[task]))
        ]
        asked = {task: replace(task, kind="needs") for task in new}
        yield self._fresh(asked.values())
        tries = {
            task: replace(task, kind="try", hypotheses=self.answers[needs].needed)
            for task, needs in asked.items()
            if self.answers[needs].needed != task.hypotheses
        }
        yield self._fresh(tries.values())
        for task in new:
            fewer = tries.get(task)
            enough = fewer is not None and self._proved(fewer)
            memory.note(names[task], (fewer if enough and fewer else task).hypotheses)

    def _lean(self, task: Task) -> tuple[str, ...]:
        """The hypotheses that a proof took."""
        return self._leans.get(task, task.hypotheses)

    def _proved(self, task: Task) -> bool:
        answer = self.answers[task].answer
        return answer is not None and answer.status == "unsat"

    def _holds(self, name: str, hypotheses: tuple[str, ...]) -> bool:
        tasks: Sequence[Task] = proof_tasks(self.spec, self._by_name[name], hypotheses)
        return all(self._proved(task) for task in tasks)
