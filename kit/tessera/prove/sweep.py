"""From which size on a property fails: exactly, with a proof or a run for each answer.

Goal: for a property without its `given`, the smallest value of one constant (a pool's size) at
which a run breaks it. "Some run breaks it at a size of at most N" can only become true as N grows,
so a replayed run at N together with a proof for all sizes below N settles every size at once.
Non-goals: printing, and building the spec for a platform (see `tessera.prove.sweep_specs`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tessera.lang import typed as t
from tessera.lang.uses import reads
from tessera.model.replay import replay
from tessera.prove.check import proof_tasks
from tessera.prove.engine import Engine, Question
from tessera.prove.solver import DEFAULT_LIMIT
from tessera.prove.sweep_specs import Subject, bare, bounds, resized
from tessera.prove.tasks import PROOFS, Done, Settings, Task
from tessera.prove.tidy import trimmed
from tessera.results import Trace

DEFAULT_STEPS = 4
SHORT = 2
HUNT_LIMIT = 1_000_000
"""Runs of so many steps are looked for first, with so many resource units per question: most
mistakes have one, and closing in by proofs costs less than finding the smallest run."""

Answers = Mapping[Task, Done]
Rounds = Generator[tuple[t.Spec, Settings, list[Task]], Answers, "Row"]
"""Asks for the tasks of a spec, is sent their answers, and returns what came of it."""

Progress = Callable[[int, int, str], None]
"""Called with questions answered, questions asked so far, and which property it is about."""


@dataclass(frozen=True, slots=True)
class Row:
    """One property on one platform.

    `proved_to`: for every size from the constant's lowest up to this one (in its own unit) the
    property is proved; one below the lowest when for none. `fails_from`: the smallest size at which
    `trace`, a replayed run, breaks it; None when no such run is known. Sizes between are unknown.
    """

    prop: str
    platform: str
    own: int | None  # the platform's own size, where it has a region `pool`
    lowest: int
    highest: int
    proved_to: int
    fails_from: int | None
    resource: int  # Z3 resource units of all questions
    leant_on: tuple[str, ...] = ()  # other invariants that the proof uses; proved as well
    trace: Trace | None = None
    own_trace: Trace | None = None  # a replayed run at exactly the platform's own size
    granule: int = 0  # bytes; 0 without a platform

    @property
    def exact(self) -> bool:
        """Whether every size is settled."""
        return self.proved_to + 1 == (self.fails_from or self.highest + 1)

    @property
    def own_verdict(self) -> str:
        """At exactly the platform's own size: holds, fails or unknown; "-" without one."""
        if self.own is None or self.verdict(self.own) == "-":
            return "-"
        if self.own <= self.proved_to:
            return "holds"
        return "fails" if self.own_trace is not None else "unknown"

    def verdict(self, size: int) -> str:
        """For all sizes up to one, taken together: holds, fails or unknown; "-" out of range."""
        if not self.lowest <= size <= self.highest:
            return "-"
        if size <= self.proved_to:
            return "holds"
        return "fails" if self.fails_from is not None and size >= self.fails_from else "unknown"


def sweep(
    subjects: Sequence[Subject],
    properties: Sequence[str],
    const: str,
    *,
    engine: Engine,
    limit: int = DEFAULT_LIMIT,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    progress: Progress = lambda _done, _all, _what: None,
) -> tuple[Row, ...]:
    """A row per property and subject, in that order.

    `limit` is in Z3 resource units per question, `steps` the length of the longest runs that are
    searched where the property cannot be proved for the whole range.
    """
    settings = Settings(limit, seed, steps)
    shared: list[dict[tuple[str, ...], tuple[str, ...]]] = [{} for _ in subjects]
    rows: list[Row] = []
    for number, name in enumerate(properties):
        runs = [
            _Run(subject, name, const, settings, known)
            for subject, known in zip(subjects, shared, strict=True)
        ]
        told = f"{number + 1} of {len(properties)}: {name}"
        rows += _drive(runs, engine, partial(_told, progress, told))
    return tuple(rows)


def _told(progress: Progress, what: str, done: int, asked: int) -> None:
    progress(done, asked, what)


def _drive(
    runs: Sequence[_Run], engine: Engine, progress: Callable[[int, int], None]
) -> tuple[Row, ...]:
    """All runs side by side: what each asks next goes to the engine together."""
    rounds = [run.rounds() for run in runs]
    rows: list[Row | None] = [None] * len(runs)
    wanted = {number: next(round_) for number, round_ in enumerate(rounds)}
    asked = answered = 0
    while wanted:
        questions: dict[Question, int] = {}
        for number, (spec, settings, tasks) in wanted.items():
            questions |= {Question(spec, task, settings): number for task in tasks}
        asked += len(questions)
        found: dict[int, dict[Task, Done]] = {number: {} for number in wanted}
        for question, done in engine.answers(sorted(questions, key=_searches_first)):
            found[questions[question]][question.task] = done
            answered += 1
            progress(answered, asked)
        following = {}
        for number in wanted:
            try:
                following[number] = rounds[number].send(found[number])
            except StopIteration as stop:
                rows[number] = stop.value
        wanted = following
    return tuple(row for row in rows if row is not None)


def _searches_first(question: Question) -> bool:
    return question.task.kind in PROOFS


class _Run:
    """Finds the threshold of one property on one platform."""

    def __init__(
        self,
        subject: Subject,
        name: str,
        const: str,
        settings: Settings,
        shared: dict[tuple[str, ...], tuple[str, ...]],
    ) -> None:
        self.subject = subject
        self.name = name
        self.spec = bare(subject.spec, name)
        self.const = const
        self.settings = settings
        self._shared = shared  # sets of invariants of this subject, and which of them stood
        self.resource = 0
        self.leant_on: tuple[str, ...] = ()
        self.trace: Trace | None = None

    def rounds(self) -> Rounds:
        """A quick run, and a proof just below it; where that fails, the place is closed in on."""
        lowest, highest = bounds(self.spec, self.const)
        hunt = replace(self.settings, limit=min(HUNT_LIMIT, self.settings.limit), steps=SHORT)
        fails = yield from self._run_within(lowest, highest, hunt)
        top = highest if fails is None else fails - 1
        proved = top
        if top >= lowest and not (yield from self._proof(lowest, top)):
            if fails is None:
                fails = yield from self._run_within(lowest, highest, self.settings)
            proved, fails = yield from self._close_in(lowest, highest, fails)
        trace, own = self.trace, self.subject.own
        at_own: Trace | None = None
        if own is not None and fails is not None and fails <= own <= highest:
            again = own if own == fails else (yield from self._run_at(own, highest + 1))
            at_own = None if again is None else self.trace
        platform = self.subject.spec.platform
        return Row(
            prop=self.name,
            platform=self.subject.platform,
            own=own,
            lowest=lowest,
            highest=highest,
            proved_to=proved,
            fails_from=fails,
            resource=self.resource,
            leant_on=self.leant_on if proved >= lowest else (),
            trace=trace,
            own_trace=at_own,
            granule=platform.granule if platform is not None else 0,
        )

    def _run_within(
        self, lowest: int, highest: int, settings: Settings
    ) -> Generator[tuple[t.Spec, Settings, list[Task]], Answers, int | None]:
        """The size of a short run that breaks the property, replayed at exactly that size."""
        spec = resized(self.spec, self.const, lowest, highest)
        task = Task("violate", self.name)
        found = (yield spec, settings, [task])[task].found[0][1]
        self.resource += found.resource
        if found.script is None:
            return None
        trace = replay(spec, trimmed(found.script), self.name)
        size = found.script.world.scalars[self.const]
        if not trace.replayed or not isinstance(size, int):
            return None
        self.trace = trace
        return size

    def _close_in(
        self, lowest: int, highest: int, fails: int | None
    ) -> Generator[tuple[t.Spec, Settings, list[Task]], Answers, tuple[int, int | None]]:
        """Up to where proofs go, and a run at the very next size: first at powers of two, where
        widths end, then anywhere."""
        above = highest + 1 if fails is None else fails
        powers = [1 << n for n in range(above.bit_length()) if lowest <= 1 << n < above]
        proved, limit = yield from self._last_proved(lowest, powers)
        after = yield from self._run_at(proved + 1, above)
        if after is None:
            between = range(proved + 1, above if limit is None else min(above, limit))
            further, _ = yield from self._last_proved(lowest, between)
            if further > proved:
                proved = further
                after = yield from self._run_at(proved + 1, above)
        return proved, fails if after is None else after

    def _run_at(
        self, size: int, above: int
    ) -> Generator[tuple[t.Spec, Settings, list[Task]], Answers, int | None]:
        if size >= above:
            return None
        return (yield from self._run_within(size, size, self.settings))

    def _last_proved(
        self, lowest: int, sizes: Sequence[int]
    ) -> Generator[tuple[t.Spec, Settings, list[Task]], Answers, tuple[int, int | None]]:
        """The last of the rising sizes up to which a proof goes (one below `lowest` when none), and
        the first at which it does not (None when it goes up to all of them)."""
        low, high = 0, len(sizes)
        while low < high:
            middle = (low + high) // 2
            good = yield from self._proof(lowest, sizes[middle])
            low, high = (middle + 1, high) if good else (low, middle)
        return sizes[low - 1] if low else lowest - 1, sizes[low] if low < len(sizes) else None

    # --- proofs -----------------------------------------------------------------------------------

    def _proof(
        self, lowest: int, top: int
    ) -> Generator[tuple[t.Spec, Settings, list[Task]], Answers, bool]:
        """By induction, leaning on few other invariants first, then on more."""
        spec = resized(self.spec, self.const, lowest, top)
        prop = _property(spec, self.name)
        for helpers in _ladder(spec, self.name):
            tasks = proof_tasks(spec, prop, (*helpers, self.name))
            if not (yield from self._all(spec, tasks)):
                continue
            standing = yield from self._standing(helpers)
            if standing != helpers:
                tasks = proof_tasks(spec, prop, (*standing, self.name))
            if standing == helpers or (yield from self._all(spec, tasks)):
                self.leant_on = standing
                return True
        return False

    def _all(
        self, spec: t.Spec, tasks: list[Task]
    ) -> Generator[tuple[t.Spec, Settings, list[Task]], Answers, bool]:
        answers = yield spec, self.settings, tasks
        self.resource += sum(d.answer.resource for d in answers.values() if d.answer)
        return all(_unsat(answers[task]) for task in tasks)

    def _standing(
        self, helpers: tuple[str, ...]
    ) -> Generator[tuple[t.Spec, Settings, list[Task]], Answers, tuple[str, ...]]:
        """Those of the invariants that prove each other, for the constant's whole range."""
        standing = helpers
        while standing:
            known = self._shared.get(standing)
            if known is None:
                tasks = {
                    n: proof_tasks(self.spec, _property(self.spec, n), standing) for n in standing
                }
                answers = yield self.spec, self.settings, [x for one in tasks.values() for x in one]
                self.resource += sum(d.answer.resource for d in answers.values() if d.answer)
                known = tuple(n for n in standing if all(_unsat(answers[x]) for x in tasks[n]))
                self._shared[standing] = known
            if known == standing:
                break
            standing = known
        return standing


def _unsat(done: Done) -> bool:
    return done.answer is not None and done.answer.status == "unsat"


def _property(spec: t.Spec, name: str) -> t.Property:
    return next(p for p in spec.properties if p.name == name)


def _ladder(spec: t.Spec, name: str) -> list[tuple[str, ...]]:
    """Sets of other invariants to lean on, growing: those that read what the property reads, those
    that read one variable more, and all."""
    own = reads(spec, _property(spec, name).formula)
    if _property(spec, name).kind == "lemma":
        return [()]
    others = {
        p.name: len(reads(spec, p.formula) - own)
        for p in spec.properties
        if p.kind == "invariant" and p.name != name and isinstance(p.given, t.BoolLit)
    }
    sets = [tuple(n for n, extra in others.items() if extra <= most) for most in (0, 1, 99)]
    return list(dict.fromkeys(sets))


__all__ = ["DEFAULT_STEPS", "Row", "sweep"]
