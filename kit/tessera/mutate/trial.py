"""One mutant on trial: what notices it, or why nothing can.

Goal: the cheapest evidence first. Random runs; then whether the change makes any difference at all;
then the proofs that it touches; then what must stay reachable. A failed proof alone (a
counterexample to induction) counts as noticed, since `tessera check` would say so, but a run is
looked for first and the record tells which it was.
Non-goals: where questions are answered (see `tessera.prove.engine`), many mutants (see
`tessera.mutate.survey`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from tessera.errors import TesseraError
from tessera.lang import typed as t
from tessera.model.properties import Truth
from tessera.model.replay import replay
from tessera.model.script import Script
from tessera.model.simulator import Simulator
from tessera.model.values import Undecided
from tessera.mutate.baseline import Baseline
from tessera.mutate.changes import Change
from tessera.mutate.touched import Touched, proofs, touched
from tessera.prove.check import REACHABLE
from tessera.prove.engine import Question
from tessera.prove.equal import pair
from tessera.prove.slice import Slicer
from tessera.prove.tasks import Done, Settings, Task
from tessera.prove.tidy import trimmed
from tessera.results import Mutant

LIMIT = 12_000_000
"""Resource units per question; nearly all of the shipped specs' own proofs need fewer."""

RUN_LIMIT, RUN_STEPS = 3_000_000, 4
"""A short look for a run, where a proof fails."""

LAST_LIMIT, LAST_STEPS = 20_000_000, 5
"""A longer one, where nothing else decides."""

Rounds = Generator[list[Question], Mapping[Task, Done], Mutant]
"""Yields questions, is sent their answers, returns the record."""


def trial(base: Baseline, change: Change) -> Rounds:
    """Try a mutant."""
    return (yield from _Trial(base, change).run())


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: str
    killed_by: str = ""
    how: str = ""


_Step = Generator[list[Question], Mapping[Task, Done], _Verdict | None]


class _Trial:
    def __init__(self, base: Baseline, change: Change) -> None:
        self.base = base
        self.change = change
        self.spec = change.spec
        self.both = pair(change.spec, base.spec)
        self.slicer = Slicer(change.spec)
        self.touch: Touched = touched(base.spec, change.spec)
        self._name = ""
        self.seconds = 0.0
        self.resource = 0
        self.extra: int | None = None  # steps of a run that only the changed spec takes
        self.missing: int | None = None
        self.refines = self.extends = False
        self.unequal = False  # the solver names a state in which the two differ
        self.undecided: list[str] = []
        self._open: list[Task] = []  # proofs among them
        self.fired: set[str] = set()  # actions seen to happen
        self._settings = Settings(LIMIT, base.settings.seed, base.settings.steps)

    def run(self) -> Rounds:
        """All stages, until one decides."""
        stages = (self._play, self._fire, self._compare, self._hunt, self._prove, self._reach)
        for stage in (*stages, self._compare_again, self._play_on, self._insist):
            verdict = yield from stage()
            if verdict is not None:
                break
        else:
            verdict = self._left()
        change = self.change
        return Mutant(
            change.id,
            change.kind,
            str(change.span),
            change.before,
            change.after,
            verdict.status,
            verdict.killed_by,
            verdict.how,
            round(self.seconds, 3),
            self.resource,
        )

    def _ask(
        self, tasks: Sequence[Task], settings: Settings | None = None, *, both: bool = False
    ) -> Generator[list[Question], Mapping[Task, Done], Mapping[Task, Done]]:
        """Answers of one round, about the changed spec or about `both`."""
        if not tasks:
            return {}
        chosen = settings or self._settings
        if both:
            answers = yield [self._about_both(task, chosen) for task in tasks]
        else:
            answers = yield [self.slicer.question(task, chosen) for task in tasks]
        for task in tasks:
            done = answers[task]
            self.seconds += done.seconds
            self.resource += done.answer.resource if done.answer else 0
            self.resource += max((f.resource for _, f in done.found), default=0)
        return answers

    def _about_both(self, task: Task, settings: Settings) -> Question:
        """Named, for the result cache, by everything that is in the two specs."""
        if not self._name:
            self._name = sha256(f"{self.base.digest} {self.spec!r}".encode()).hexdigest()
        name = sha256(f"{self._name} {task!r} {settings!r}".encode()).hexdigest()
        return Question(self.both, task, settings, name)

    # --- random runs ------------------------------------------------------------------------------

    def _play(self) -> _Step:
        task = Task("play")
        answers = yield from self._ask([task], both=True)
        for name, found in answers[task].found:
            what, _, which = name.partition("/")
            if what == "violated":
                return _Verdict("killed", which, _run_of(found.steps))
            if what == "forbidden":
                return _Verdict("killed", REACHABLE, f"{which} happens in a random run")
            if what == "fired":
                self.fired.add(which)
            if what == "extra":
                self.extra = found.steps
            if what == "missing":
                self.missing = found.steps
        return None

    def _play_on(self) -> _Step:
        """Longer runs, where a proof stayed open: they get where short searches do not."""
        if not self._open:
            return None
        task = Task("play", "longer")
        answers = yield from self._ask([task], both=True)
        for name, found in answers[task].found:
            what, _, which = name.partition("/")
            if what == "violated":
                return _Verdict("killed", which, _run_of(found.steps))
        return None

    # --- whether it makes a difference ------------------------------------------------------------

    def _compare(self, flag: str = "") -> _Step:
        """Whether the changed actions take the same steps; what runs have shown is not asked."""
        if self.extra is not None:  # nor does it matter, then, whether it extends the original
            return None
        hypotheses = self.base.general
        tasks = [Task("refines", flag, a, hypotheses) for a in self.touch.actions]
        if self.touch.init:
            tasks.append(Task("starts"))
        if self.touch.judged_only:
            tasks += [Task("reads", name, "", hypotheses) for name in self.touch.properties]
        self.refines = yield from self._agreed(tasks)
        if self.refines and self.missing is None:
            tasks = [Task("extends", flag, a, hypotheses) for a in self.touch.actions]
            self.extends = yield from self._agreed(tasks)
        return None

    def _agreed(
        self, tasks: Sequence[Task]
    ) -> Generator[list[Question], Mapping[Task, Done], bool]:
        """Whether the answer to all is that nothing differs."""
        answers = yield from self._ask(tasks, both=True)
        said = [_status(answers[task]) for task in tasks]
        self.unequal |= "sat" in said
        return all(status == "unsat" for status in said)

    def _compare_again(self) -> _Step:
        """Once more, with the changed spec's own invariants, which are proved by now."""
        changed = set(self.touch.properties) & set(self.base.general)
        if changed and not self.undecided and not (self.refines and self.extends):
            yield from self._compare("both")
        return None

    # --- proofs -----------------------------------------------------------------------------------

    def _hunt(self) -> _Step:
        """Very short runs with large numbers, which random runs seldom take, before many proofs."""
        if not self.touch.properties or self.refines:
            return None
        tasks = [Task("hunt", name) for name in self.base.hypotheses if self._is_hunted(name)]
        answers = yield from self._ask(tasks)
        for task in tasks:
            found = answers[task].found[0][1]
            if found.script is not None and self._replays(found.script, task.prop):
                return _Verdict("killed", task.prop, _run_of(found.steps))
        return None

    def _is_hunted(self, name: str) -> bool:
        return self._property(name).kind in ("invariant", "step", "promise")

    def _property(self, name: str) -> t.Property:
        return next(p for p in self.spec.properties if p.name == name)

    def _replays(self, script: Script, name: str) -> bool:
        return any(replay(self.spec, s, name).replayed for s in (trimmed(script), script))

    def _prove(self) -> _Step:
        """The proofs whose slice of the spec changed, property by property."""
        waves: dict[str, list[Task]] = {}
        tasks = proofs(self.spec, self.touch, self.base.hypotheses, refined=self.refines)
        for task in tasks:
            if self._differs(task):
                waves.setdefault(task.prop, []).append(task)
        for wave in waves.values():
            verdict = yield from self._wave(wave)
            if verdict is not None:
                return verdict
        return None

    def _differs(self, task: Task) -> bool:
        """Whether anything that the answer depends on is other than in the original."""
        own = self.slicer.question(task, self._settings)
        return own.digest != self.base.slicer.question(task, self._settings).digest

    def _wave(self, tasks: Sequence[Task]) -> _Step:
        """The proofs of one property: most need no other invariant than itself."""
        tries = {task: _alone(task) for task in tasks if task.kind in ("step", "here")}
        answers = yield from self._ask(list(dict.fromkeys(tries.values())))
        left = [x for x in tasks if x not in tries or _status(answers[tries[x]]) != "unsat"]
        answers = yield from self._ask(left)
        for task in left:
            if _status(answers[task]) == "sat":
                return (yield from self._failed(task))
        open_ends = [x for x in left if _status(answers[x]) != "unsat"]
        if open_ends:
            steps = yield from self._broken(open_ends[0].prop)
            if steps is not None:
                return _Verdict("killed", open_ends[0].prop, _run_of(steps))
        self.undecided += ["/".join(x for x in (o.action, o.prop) if x) for o in open_ends]
        self._open += open_ends
        return None

    def _failed(self, task: Task) -> _Step:
        """A proof fails: a run that breaks the property is better evidence."""
        prop = self._property(task.prop)
        if prop.kind == "lemma":
            return _Verdict("killed", prop.name, "some values contradict it")
        steps = yield from self._broken(prop.name)
        if steps is not None:
            return _Verdict("killed", prop.name, _run_of(steps))
        where = {"init": "init does not establish it", "here": "not provable any more"}
        how = where.get(task.kind, f"not inductive: {task.action}")
        return _Verdict("killed", prop.name, how)

    def _broken(
        self, name: str, limit: int = RUN_LIMIT, within: int = RUN_STEPS
    ) -> Generator[list[Question], Mapping[Task, Done], int | None]:
        """Steps of a short run that breaks a property, as far as a look of that size finds one."""
        if self._property(name).kind == "lemma":
            return None
        task = Task("violate", name)
        settings = Settings(limit, self._settings.seed, within)
        answers = yield from self._ask([task], settings=settings)
        found = answers[task].found[0][1]
        shown = found.script is not None and self._replays(found.script, name)
        return found.steps if shown else None

    def _insist(self) -> _Step:
        """A longer look for what breaks a proof that stayed open: a run from init, or one step
        from a state that satisfies the invariants. Few changes come this far."""
        for task in self._open:
            if self._property(task.prop).kind == "lemma":
                continue
            steps = yield from self._broken(task.prop, LAST_LIMIT, LAST_STEPS)
            if steps is not None:
                return _Verdict("killed", task.prop, _run_of(steps))
            state = replace(task, kind="cti")
            found = (yield from self._ask([state]))[state].found[0][1]
            if found.script is not None and self._replays(found.script, task.prop):
                return _Verdict("killed", task.prop, f"not inductive: {task.action}")
        return None

    # --- what must stay reachable -----------------------------------------------------------------

    def _reach(self) -> _Step:
        base, spec = self.base, self.spec
        tasks = [
            Task("reach", n)
            for n, s in base.covers.items()
            if s is not None and not _runs(spec, s, n, Truth.HOLDS)
        ]
        tasks += [
            Task("violate", n)
            for n, s in base.violations.items()
            if s is None or not _runs(spec, s, n, Truth.FAILS)
        ]
        tasks += [Task("witness", p.name) for p in spec.properties if p.kind == "promise"]
        answers = yield from self._ask(tasks, settings=base.settings)
        for task in tasks:
            verdict = self._unreached(task, answers[task])
            if verdict is not None:
                return verdict
        return None

    def _unreached(self, task: Task, done: Done) -> _Verdict | None:
        found = done.found[0][1]
        if found.status == "unknown":
            self.undecided.append(f"{task.kind}/{task.prop}")
        if found.status != "none":
            return None
        how = {
            "reach": f"no run of at most {found.steps} steps reaches it",
            "violate": f"expected to be violated, and no run of at most {found.steps} steps does",
            "witness": f"no run of at most {found.steps} steps leads where it can be asked for",
        }
        return _Verdict("killed", task.prop, how[task.kind])

    def _fire(self) -> _Step:
        """Whether each action can still happen; asked of those that random runs did not take."""
        names = [a.name for a in self.spec.actions]
        lost = [n for n in names if n in self.base.possible and n not in self.fired]
        never = [n for n in names if n not in self.base.possible]
        if not lost and not (never and self.extra is not None):
            return None
        task = Task("firings")
        answers = yield from self._ask([task], settings=self.base.settings)
        found = dict(answers[task].found)
        steps = self.base.settings.steps
        for name in (*lost, *never):
            if found[name].status == "unknown":
                self.undecided.append(f"{name}/{REACHABLE}")
            elif (found[name].status == "none") == (name in lost):
                said = f"no run of at most {steps} steps takes {name}"
                how = said if name in lost else f"{name} can happen, which it ought never to"
                return _Verdict("killed", REACHABLE, how)
        return None

    # --- what is left -----------------------------------------------------------------------------

    def _left(self) -> _Verdict:
        """Nothing noticed it: it makes no difference, or it survives."""
        if self.refines and self.extends and not self.undecided:
            if self.touch.judged_only:
                return _Verdict("equivalent", "", "proved equal wherever a property reads it")
            return _Verdict("equivalent", "", "proved equal under the invariants")
        if self.refines and not self.undecided:
            return _Verdict("equivalent", "", "refines the original, keeps every promise")
        if self.undecided:
            return _Verdict("unknown", "", f"undecided: {', '.join(self.undecided)}")
        if self.extra is not None:
            return _Verdict(
                "survived", "", f"only it takes the last step of a {_run_of(self.extra)}"
            )
        if self.missing is not None:
            said = f"only the original takes the last step of a {_run_of(self.missing)}"
            return _Verdict("survived", "", said)
        if self.unequal:
            how = "differs in a state that satisfies the invariants; no run to one was found"
            return _Verdict("survived", "", how)
        return _Verdict("unknown", "", "not noticed, and neither shown to differ nor to be equal")


def _alone(task: Task) -> Task:
    """The proof from nothing but the property itself, with little effort."""
    own = tuple(name for name in task.hypotheses if name == task.prop)
    return replace(task, kind="try", hypotheses=own)


def _status(done: Done) -> str:
    return done.answer.status if done.answer is not None else "unknown"


def _run_of(steps: int) -> str:
    return f"run of {steps} step{'' if steps == 1 else 's'}"


def _runs(spec: t.Spec, script: Script, prop: str, truth: Truth) -> bool:
    """Whether a run of the original is one of the changed spec too, and ends as it should."""
    try:
        simulator = Simulator(spec, script.world)
        for event in script.events:
            simulator.fire(event)
    except (TesseraError, Undecided):
        return False
    return simulator.truth(prop) is truth
