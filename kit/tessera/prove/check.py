"""All obligations of a spec: asked, judged against what is expected, with replayed traces.

Goal: `check(spec)` gives one `Obligation` per question, in a stable order. A proof leans only on
invariants that are themselves proved: when one fails, everything that assumed it is asked again
without it. A run is called a violation only when the simulator has replayed it.
Non-goals: printing and exit codes (see `tessera.cli.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

from tessera.lang import typed as t
from tessera.prove.induct import untouched
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.prove.tasks import Done, Settings, Task, processors, run_all
from tessera.prove.verdicts import Judge
from tessera.results import Obligation

DEFAULT_STEPS = 5

Progress = Callable[[int, int, str], None]
"""Called with questions answered, questions asked so far, and what was just answered."""


def check(
    spec: t.Spec,
    *,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    jobs: int = 0,
    progress: Progress = lambda _done, _all, _what: None,
) -> tuple[Obligation, ...]:
    """Every obligation of a spec, in order of its properties and actions.

    `limit` is in Z3 resource units per question, `steps` the length of bounded searches, `jobs`
    the number of processes (0: one per processor).
    """
    settings = Settings(limit, seed, steps, jobs or processors())
    run = _Run(spec, settings, progress)
    run.hunt()
    run.ask(_first_tasks(spec, run.refuted))
    proved = run.settle()
    return Judge(spec, run.answers, proved, settings).obligations()


def _expected_violated(spec: t.Spec, prop: t.Property) -> bool:
    expect = spec.expects.get(prop.name)
    return expect is not None and expect.verdict == "violated"


def _first_tasks(spec: t.Spec, refuted: Set[str]) -> list[Task]:
    standing = tuple(
        p.name for p in spec.properties if p.kind == "invariant" and p.name not in refuted
    )
    tasks = [Task("sane")]
    if spec.actions:
        tasks.append(Task("firings"))
    for prop in spec.properties:
        if not isinstance(prop.given, t.BoolLit):
            tasks.append(Task("sane", prop.name))
        if prop.kind == "cover":
            tasks.append(Task("reach", prop.name))
        elif prop.kind != "assume" and _expected_violated(spec, prop):
            tasks.append(Task("violate", prop.name))
        elif prop.name not in refuted:
            tasks += proof_tasks(spec, prop, usable(spec, prop, standing))
        if prop.kind == "promise":
            tasks.append(Task("witness", prop.name))
    return tasks


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

    def __init__(self, spec: t.Spec, settings: Settings, progress: Progress) -> None:
        self.spec = spec
        self.settings = settings
        self.progress = progress
        self.answers: dict[Task, Done] = {}
        self.refuted = {p.name for p in spec.properties if _expected_violated(spec, p)}
        self._asked = 0
        self._answered = 0

    def hunt(self) -> None:
        """Look for very short runs first: most mistakes have one, and proofs need not be tried."""
        hunted = [
            Task("hunt", p.name)
            for p in self.spec.properties
            if p.kind in ("invariant", "step", "promise") and p.name not in self.refuted
        ]
        self.ask(hunted)
        self.refuted |= {
            task.prop for task in hunted if self.answers[task].found[0][1].status == "found"
        }

    def ask(self, tasks: Iterable[Task]) -> None:
        """Run the tasks that were not run yet."""
        fresh = [task for task in dict.fromkeys(tasks) if task not in self.answers]
        self._asked += len(fresh)
        self.answers |= run_all(self.spec, fresh, self.settings, self._tick)

    def _tick(self, done: Done) -> None:
        self._answered += 1
        what = "/".join(x for x in (done.task.kind, done.task.action, done.task.prop) if x)
        self.progress(self._answered, self._asked, what)

    def settle(self) -> dict[str, tuple[str, ...]]:
        """Drop failed invariants until the rest prove each other.

        Gives, for every property that was to be proved, the hypotheses of its final proof tasks.
        """
        standing = tuple(
            p.name
            for p in self.spec.properties
            if p.kind == "invariant" and p.name not in self.refuted
        )
        final: dict[str, tuple[str, ...]] = {}
        while True:
            for prop in self.spec.properties:
                if prop.kind in ("assume", "cover") or prop.name in self.refuted:
                    continue
                # An invariant that failed keeps the hypotheses with which it failed.
                if prop.name not in final or prop.kind != "invariant" or prop.name in standing:
                    final[prop.name] = usable(self.spec, prop, standing)
            self.ask(
                task
                for name, hypotheses in final.items()
                for task in proof_tasks(self.spec, self._prop(name), hypotheses)
            )
            failed = [n for n in standing if not self._holds(n, final[n])]
            if not failed:
                break
            standing = tuple(n for n in standing if n not in failed)
        broken = [n for n, hypotheses in final.items() if not self._holds(n, hypotheses)]
        self.ask(Task("violate", n) for n in broken if self._prop(n).kind != "lemma")
        return final

    def _prop(self, name: str) -> t.Property:
        return next(p for p in self.spec.properties if p.name == name)

    def _holds(self, name: str, hypotheses: tuple[str, ...]) -> bool:
        tasks: Sequence[Task] = proof_tasks(self.spec, self._prop(name), hypotheses)
        answers = [self.answers[task].answer for task in tasks]
        return all(a is not None and a.status == "unsat" for a in answers)
