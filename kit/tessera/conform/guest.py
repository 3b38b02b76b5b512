"""The tier `guest`: the booted, patched OP-TEE does what the spec says.

Goal: `run`, three checks: `trace` (every operation on the page pools of a run, recorded without
changing the OP-TEE under test, is taken again by the simulator with the same places), `crash` and
`churn` (what a TA owned comes back, with its content wiped where the spec says so).
Non-goals: the comparison with the unpatched OP-TEE (see `tessera.guest.validation`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tessera.conform.prepared import Prepared
from tessera.conform.result import Check
from tessera.conform.tiers import Options
from tessera.conform.trace_replay import Replayed, replay
from tessera.errors import TesseraError
from tessera.guest import build, machine, pooltrace, toolchain, validation
from tessera.guest.scenarios import churn, crash, residue, trace
from tessera.guest.scenarios.bench import Bench, InconclusiveError, prepare
from tessera.lang.typed import Spec
from tessera.results import Outcome

_TIER = "guest"


def run(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
    """The checks of this tier; `options.operations` bounds the cycles of `churn` from above.

    Raises TesseraError when OP-TEE does not build or boot, and for a trace that is cut short.
    """
    try:
        parts = toolchain.require()
    except TesseraError as error:
        yield Check(_TIER, f"{_TIER}/trace", "SKIPPED", error.message, remedy=error.remedy)
        return
    ours = ready.original.resolve() == parts.optee_source.resolve()
    tree = None if ours else ready.original
    made = build.build(ready.text, tree, options.progress)
    bench = prepare(made, "patched", machine.LOG_FOLDER)
    options.progress("guest: trace")
    yield trace_check(spec, bench)
    wiped = validation.expectations(spec)[residue.NAME]
    options.progress("guest: crash")
    yield _timed(crash.NAME, lambda: crash_check(crash.trial(bench), wiped=wiped))
    cycles = min(churn.CYCLES, options.operations)
    options.progress(f"guest: churn, {cycles} cycles")
    yield _timed(churn.NAME, lambda: churn_check(churn.trial(bench, cycles)))


# --- trace ----------------------------------------------------------------------------------------


def trace_check(spec: Spec, bench: Bench) -> Check:
    """Record a run and take it again. The trace is kept beside the guest's console logs.

    Raises TesseraError when the trace is cut short, and when a command of the run fails although
    everything up to there is as the spec has it.
    """
    began = time.perf_counter()
    recorded, failed = trace.record(bench)
    kept = bench.log_folder / f"{trace.NAME}.{bench.side}.jsonl"
    kept.write_text(pooltrace.to_text(recorded), encoding="utf-8")
    done = replay(spec, recorded)
    if failed is not None and not done.differs:
        raise failed
    return judged(done, recorded.version, kept, time.perf_counter() - began)


def judged(done: Replayed, version: str, kept: Path, seconds: float = 0.0) -> Check:
    """The check of a replay."""
    name = f"{_TIER}/{trace.NAME}"
    if done.differs:
        detail = f"OP-TEE {version}: {done.differs}"
        where = f"{kept}:{done.taken + 2}"
        return Check(_TIER, name, "DIFFERS", detail, done.counts, seconds, where, done.steps)
    counts = done.counts
    detail = (
        f"OP-TEE {version}: {counts['operations']} operations as the spec: "
        f"{counts['allocations']} allocations, "
        f"{counts['refusals']} refused, {counts['frees']} frees"
    )
    return Check(_TIER, name, "AGREES", detail, counts, seconds)


# --- crash and churn ------------------------------------------------------------------------------


def crash_check(outcome: Outcome, *, wiped: bool) -> Check:
    """All memory must come back; the weights must be gone exactly if the spec wipes them."""
    lost = sum(count for name, count in outcome.figures.items() if name.startswith("granules_lost"))
    left = sum(count for name, count in outcome.figures.items() if name.startswith("found_after"))
    agrees = not lost and (left == 0) == wiped
    return _check(crash.NAME, agrees, outcome)


def churn_check(outcome: Outcome) -> Check:
    """The pools must be as they were."""
    return _check(churn.NAME, outcome.passed, outcome)


def _check(name: str, agrees: bool, outcome: Outcome) -> Check:
    verdict = "AGREES" if agrees else "DIFFERS"
    counts = {figure: int(count) for figure, count in outcome.figures.items()}
    return Check(_TIER, f"{_TIER}/{name}", verdict, outcome.detail, counts)


def _timed(name: str, check: Callable[[], Check]) -> Check:
    """The check with its time; a trial that could not tell is `UNKNOWN`."""
    began = time.perf_counter()
    try:
        found = check()
    except InconclusiveError as reason:
        found = Check(_TIER, f"{_TIER}/{name}", "UNKNOWN", f"inconclusive: {reason}")
    seconds = time.perf_counter() - began
    return Check(_TIER, found.name, found.verdict, found.detail, found.counts, seconds)
