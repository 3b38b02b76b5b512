"""The tier `smt`: every decision of the patch, read back from its C, equals the spec's function.

Goal: `run`, the checks of this tier: one for each decision, and one that every line of the patch is
read; none of them runs the C.
Non-goals: the loop over the list as a whole (see the tiers `host` and `cbmc`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tessera.conform.ctypes_of import MODELS
from tessera.conform.patched import Patched, read_patched
from tessera.conform.prepared import Prepared
from tessera.conform.question import Asker, Question, SpecValues
from tessera.conform.result import Check
from tessera.conform.smt_class import Classes
from tessera.conform.smt_order import in_order
from tessera.conform.smt_questions import Search
from tessera.conform.smt_scrub import PLACES, Scrubs
from tessera.conform.tiers import Options
from tessera.emit.policy import read_policy
from tessera.lang.typed import Spec

_CORES = f"{len(MODELS)} data models"


def run(spec: Spec, ready: Prepared, options: Options) -> Iterator[Check]:
    """The checks of this tier.

    Raises TesseraError for a spec whose policy has no C form, and for a tree without hooks.
    """
    for name, check in plan(spec, ready, options).items():
        options.progress(f"smt: {name}")
        yield check()


def plan(spec: Spec, ready: Prepared, options: Options) -> dict[str, Callable[[], Check]]:
    """The checks by name, each made when it is called; the quick ones first. Raises as `run`."""
    policy = read_policy(spec)
    began = time.perf_counter()
    patched = read_patched(ready)
    seconds = time.perf_counter() - began
    asker = Asker(SpecValues(spec, policy.numbers), options.limit)
    made: dict[str, Callable[[], Check]] = {
        "patch": lambda: _all_read(patched, seconds),
        "order": lambda: in_order(patched),
    }
    classes = Classes(spec, patched, policy.numbers)
    search = Search(patched, policy.numbers)
    scrubs = Scrubs(patched, asker.values.constant("scrub"))
    kinds = f"{len(policy.numbers)} classes, {_CORES}"

    def add(name: str, hook: str, looked_at: str, questions: Iterator[Question]) -> None:
        where = patched.parts[hook].where if hook in patched.parts else ""
        made[name] = lambda: asker.check(name, list(questions), looked_at, where)

    if policy.windowed or patched.uuids or "class" in patched.parts:
        made["uuids"] = classes.uuids
        looked_at = f"for every thread, context and UUID, {_CORES}"
        add("class", "class", looked_at, classes.questions())
    if policy.windowed or "pool-init" in patched.parts:
        add("pages", "pool-init", f"for every pool, {_CORES}", search.pages())
    for place in PLACES:
        if scrubs.needed(place):
            looked_at = f"scrub is {scrubs.mode}; for every block below 4 GiB, {_CORES}"
            add(f"scrub/{place.function}", place.hook, looked_at, scrubs.questions(place))
    add("window.lo", "window-lo", f"for every pool, {kinds}", search.window_lo())
    add("spill", "fall-back", f"for every pool, {kinds}", search.spill())
    add("offset", "offset", f"for every gap that is taken, {kinds}", search.offset())
    add("window.hi", "window-hi", f"for every place and request, {kinds}", search.window_hi())
    add("search", "skip-below", f"for every gap and request, {kinds}", search.search())
    return made


def _all_read(patched: Patched, seconds: float) -> Check:
    """Every line that the patch adds is part of something that is compared, where it belongs."""
    lines = sum(len(source.added) for source in patched.sources.values())
    counts = {"lines": lines, "statements": len(patched.parts)}
    if not patched.unread:
        detail = f"{lines} added lines, {len(patched.parts)} statements, all where hooks put them"
        return Check("smt", "smt/patch", "AGREES", detail, counts, seconds)
    where, reason = patched.unread[0]
    trace = tuple(f"{place}: {why}" for place, why in patched.unread)
    detail = f"{reason}; another tier has to tell"
    return Check("smt", "smt/patch", "UNKNOWN", detail, counts, seconds, where, trace)
