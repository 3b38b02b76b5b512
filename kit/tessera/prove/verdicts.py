"""What the answers mean: verdicts, expectations, replayed traces.

Goal: tell apart what is proved, broken by a real run, not inductive, vacuous or unknown. UNKNOWN is
never PROVED, and a counterexample that the simulator cannot replay is an ERROR of ours.
Non-goals: asking (see `tessera.prove.check`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tessera.lang import typed as t
from tessera.model.minimise import minimised
from tessera.model.replay import replay
from tessera.prove.bounded import MOST_THINGS, Found
from tessera.prove.cti import MOST_EXTRA
from tessera.prove.induct import untouched
from tessera.prove.solver import Answer
from tessera.prove.tasks import Done, Settings, Task
from tessera.prove.unknown import unknown_hint
from tessera.results import Obligation, Trace

UNTOUCHED = "the action changes nothing that the property reads"


class Judge:
    """Turns the answers of one check into obligations."""

    def __init__(
        self,
        spec: t.Spec,
        answers: Mapping[Task, Done],
        proved: Mapping[str, tuple[str, ...]],
        settings: Settings,
        whole: t.Spec | None = None,
    ) -> None:
        self.spec = spec
        self.whole = whole or spec  # with the properties that are assumed but not reported
        self.answers = answers
        self.proved = proved
        self.settings = settings

    def obligations(self) -> tuple[Obligation, ...]:
        """All of them, in a stable order."""
        out: list[Obligation] = []
        for prop in self.spec.properties:
            if prop.kind == "assume":
                continue
            empty = self._vacuous(prop)
            if empty is not None:
                out.append(empty)
            elif prop.kind == "cover":
                out.append(self._cover(prop))
            elif prop.name in self.proved:
                out += self._proof(prop, self.proved[prop.name])
            else:
                out.append(self._refuted(prop))
            if prop.kind == "promise" and empty is None:
                out.append(self._witness(prop))
            if prop.name in self.proved and empty is None:
                out += self._exercised(prop)
        return tuple(out + self._reachable())

    # --- kinds of obligations ---------------------------------------------------------------------

    def _make(
        self,
        tail: str,
        prop: t.Property | None,
        verdict: str,
        done: Done | None,
        detail: str = "",
        trace: Trace | None = None,
        *,
        expect: str = "proved",
        met: bool | None = None,
        name: str = "",
        doc: str = "",
        hint: str = "",
    ) -> Obligation:
        return Obligation(
            id=f"{self.spec.name}/{tail}",
            property=prop.name if prop else name,
            doc=(prop.doc if prop else "") or doc,
            verdict=verdict,
            expect=expect,
            met=verdict == expect.upper() if met is None else met,
            seconds=round(done.seconds, 3) if done else 0.0,
            resource=_resource(done),
            detail=detail,
            span=str(prop.span) if prop else "",
            formula=prop.text if prop else "",
            trace=trace,
            hint=hint,
            cached=done is not None and done.cached,
        )

    def _vacuous(self, prop: t.Property) -> Obligation | None:
        for task in (Task("sane"), Task("sane", prop.name)):
            done = self.answers.get(task)
            if done is not None and done.answer is not None and done.answer.status == "unsat":
                what = "its 'given'" if task.prop else "the assumptions and ranges of the spec"
                core = self.answers.get(replace(task, kind="core"))
                why = f": {core.found[0][1].reason}" if core is not None else ""
                detail = f"nothing satisfies {what}{why}"
                return self._make(prop.name, prop, "VACUOUS", done, detail, met=False)
        return None

    def _cover(self, prop: t.Property) -> Obligation:
        done = self.answers[Task("reach", prop.name)]
        expect = self.spec.expects.get(prop.name)
        wanted = expect.verdict if expect else "covered"
        found = done.found[0][1]
        if found.status == "found":
            trace = self._replayed(found, prop)
            good = trace is not None and trace.replayed
            verdict = "PROVED" if good else "ERROR"
            detail = f"reached in {found.steps} steps" if good else _unreplayed(trace)
            return self._make(
                prop.name,
                prop,
                verdict,
                done,
                detail,
                trace,
                expect=wanted,
                met=good and wanted == "covered",
            )
        if found.status == "unknown":
            return self._make(prop.name, prop, "UNKNOWN", done, found.reason, expect=wanted)
        detail = f"no run of at most {found.steps} steps reaches it"
        return self._make(
            prop.name, prop, "VACUOUS", done, detail, expect=wanted, met=wanted == "violated"
        )

    def _proof(self, prop: t.Property, hypotheses: tuple[str, ...]) -> list[Obligation]:
        if prop.kind in ("promise", "lemma"):
            done = self.answers[Task("here", prop.name, "", hypotheses)]
            return [self._judged(prop.name, prop, done)]
        out = []
        if prop.kind == "invariant":
            out.append(
                self._judged(f"init/{prop.name}", prop, self.answers[Task("init", prop.name)])
            )
        for action in self.spec.actions:
            if action.name in prop.excepted:
                continue
            tail = f"{action.name}/{prop.name}"
            if untouched(self.spec, action, prop):
                out.append(self._make(tail, prop, "PROVED", None, UNTOUCHED))
            else:
                done = self.answers[Task("step", prop.name, action.name, hypotheses)]
                out.append(self._judged(tail, prop, done))
        return out

    def _judged(self, tail: str, prop: t.Property, done: Done) -> Obligation:
        assert done.answer is not None
        if done.answer.status == "unsat":
            return self._make(tail, prop, "PROVED", done)
        search = self.answers.get(Task("violate", prop.name))
        found = search.found[0][1] if search is not None else None
        if found is not None and found.status == "found":
            trace = self._replayed(found, prop)
            if trace is None or not trace.replayed:
                return self._make(tail, prop, "ERROR", search, _unreplayed(trace), trace)
            detail = f"broken after {found.steps} steps"
            return self._make(tail, prop, "VIOLATED", search, detail, trace)
        return self._open(tail, prop, done, found)

    def _open(self, tail: str, prop: t.Property, done: Done, search: Found | None) -> Obligation:
        """A proof that failed where no run breaks the property."""
        assert done.answer is not None
        cti = self.answers.get(replace(done.task, kind="cti"))
        shown = cti.found[0][1] if cti is not None else None
        trace = None
        if shown is not None and shown.script is not None:
            trace = replay(self.whole, shown.script, prop.name)
            trace = trace if trace.replayed else None
        if done.answer.status == "unknown" and trace is None:
            detail, hint = _unknown(done.answer), self._advice(prop, done, shown)
            return self._make(tail, prop, "UNKNOWN", done, detail, hint=hint)
        detail = self._not_inductive(prop, done, search) + self._unused(prop, done)
        if trace is None and shown is not None:
            detail += f"; no state to show: {shown.reason}"
        hint = shown.hint if trace is not None and shown is not None else ""
        return self._make(tail, prop, "CTI", done, detail, trace, hint=hint)

    def _advice(self, prop: t.Property, done: Done, shown: Found | None) -> str:
        """What to try about a question that stayed open."""
        hint = unknown_hint(self.whole, prop, done, self.settings.limit)
        if shown is None or shown.status != "none" or not self.spec.sorts:
            return hint
        few = f"no state with at most {MOST_EXTRA} unnamed things of each sort breaks it"
        return f"{few}: can one with more? Otherwise {hint}"

    def _unused(self, prop: t.Property, done: Done) -> str:
        """Which invariants a step could not rely on, because they failed before it was judged."""
        if done.task.kind == "init":
            return ""
        gone = [
            p.name
            for p in self.whole.properties
            if p.kind == "invariant"
            and isinstance(p.given, t.BoolLit)
            and p.name not in (prop.name, *done.task.hypotheses)
        ]
        if not gone:
            return ""
        return f"; state 0 need not satisfy {', '.join(gone)}: not proved either, look there first"

    def _not_inductive(self, prop: t.Property, done: Done, found: Found | None) -> str:
        if prop.kind == "lemma":
            return "some values contradict it"
        if done.task.kind == "init":
            return (
                "`init` does not establish it for every value of what `init` leaves open; "
                "the search takes first values"
            )
        if found is None or found.status != "none":
            return "not inductive; whether a run from init reaches such a state is unknown"
        return (
            f"not inductive, but no run of at most {found.steps} steps from init{self._things()} "
            "breaks it: a stronger invariant is needed"
        )

    def _things(self) -> str:
        """With how many things a bounded search looked."""
        if not self.spec.sorts:
            return ""
        return f", with up to {MOST_THINGS} unnamed things of each sort,"

    def _refuted(self, prop: t.Property) -> Obligation:
        """A property that a search was to break, or broke before a proof was tried."""
        asked = self.answers.get(Task("violate", prop.name))
        done = asked or self.answers[Task("hunt", prop.name)]
        expect = "violated" if asked else "proved"
        found = done.found[0][1]
        if found.status == "found":
            trace = self._replayed(found, prop)
            if trace is None or not trace.replayed:
                detail = _unreplayed(trace)
                return self._make(prop.name, prop, "ERROR", done, detail, trace, expect=expect)
            detail = f"broken after {found.steps} steps"
            return self._make(prop.name, prop, "VIOLATED", done, detail, trace, expect=expect)
        if found.status == "unknown":
            return self._make(prop.name, prop, "UNKNOWN", done, found.reason, expect=expect)
        detail = f"no run of at most {found.steps} steps{self._things()} breaks it"
        return self._make(prop.name, prop, "BOUNDED", done, detail, expect=expect)

    def _witness(self, prop: t.Property) -> Obligation:
        """A promise that nobody can ever ask for is empty."""
        done = self.answers[Task("witness", prop.name)]
        found = done.found[0][1]
        verdict = {"found": "PROVED", "none": "VACUOUS"}.get(found.status, "UNKNOWN")
        detail = {
            "PROVED": f"it can be asked for after {found.steps} steps",
            "VACUOUS": f"no run of at most {found.steps} steps leads where it can be asked for",
        }.get(verdict, found.reason)
        return self._make(f"{prop.name}/witness", prop, verdict, done, detail)

    def _exercised(self, prop: t.Property) -> list[Obligation]:
        """An invariant about things of which no run has any is empty; nothing is said of one whose
        search gave up, or that speaks of all states alike."""
        for task, answer in self.answers.items():
            done: Done | None = answer
            found = dict(answer.found).get(prop.name) if task.kind == "exercised" else None
            if found is None or found.status == "unknown":
                continue
            if prop.name != answer.found[0][0]:
                done = None  # its cost is told once
            if found.status == "found":
                detail = f"what it speaks of occurs after {found.steps} steps"
                return [self._make(f"{prop.name}/exercised", prop, "PROVED", done, detail)]
            detail = f"no run of at most {found.steps} steps has values for {found.reason}"
            hint = "look at the guard of this quantifier, or raise --steps"
            return [self._make(f"{prop.name}/exercised", prop, "VACUOUS", done, detail, hint=hint)]
        return []

    def _reachable(self) -> list[Obligation]:
        done = self.answers.get(Task("firings"))
        out = []
        for name, found in done.found if done else ():
            expect = self.spec.expects.get(f"action {name}")
            unreachable = expect is not None and expect.verdict == "unreachable"
            verdict = {"found": "PROVED", "none": "VACUOUS"}.get(found.status, "UNKNOWN")
            detail = {
                "PROVED": f"it can happen as step {found.steps}",
                "VACUOUS": f"no run of at most {found.steps} steps takes it",
            }.get(verdict, found.reason)
            blame = [d for x, d in self.answers.items() if (x.kind, x.action) == ("blame", name)]
            if blame:
                detail += f": {blame[0].found[0][1].reason}"
            out.append(
                self._make(
                    f"{name}/reachable",
                    None,
                    verdict,
                    None,
                    detail,
                    expect="unreachable" if unreachable else "proved",
                    met=verdict == ("VACUOUS" if unreachable else "PROVED"),
                    name="reachable",
                    doc="every action can happen",
                )
            )
        return out

    def _replayed(self, found: Found, prop: t.Property) -> Trace | None:
        if found.script is None:
            return None
        return replay(self.spec, minimised(self.spec, found.script, prop.name), prop.name)


def _resource(done: Done | None) -> int:
    if done is None:
        return 0
    if done.answer is not None:
        return done.answer.resource
    return max((found.resource for _, found in done.found), default=0)


def _unknown(answer: Answer) -> str:
    # Z3 says "canceled" when its resources ran out; nobody canceled anything.
    reason = "" if "canceled" in answer.reason else answer.reason
    return f"{reason or 'undecided'} after {answer.resource} resource units"


def _unreplayed(trace: Trace | None) -> str:
    said = trace.broken if trace is not None else "there is no run"
    return f"the simulator does not reproduce the counterexample: {said}"
